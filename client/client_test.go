package client

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/client/internal/transport"
	"github.com/beckon-im/beckon/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"http://h:1": "ws://h:1/connection/websocket", "https://h/beckon/": "wss://h/beckon/connection/websocket",
		"wss://h": "wss://h/connection/websocket",
		"h:1":     "", "ftp://h": "", "": "",
	} {
		if got, err := transport.Endpoint(in); got != want || (err != nil) != (want == "") {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
}

func TestSignalingInfo(t *testing.T) {
	event := `{"businessID":1,"actionType":1,"inviteID":"i","inviter":"alice"}`
	entry := protocol.Entry{Seq: 3, Event: json.RawMessage(event)}
	text, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]*SignalingInfo{
		"an event": GetSignalingInfo([]byte(event)), "a history entry": GetSignalingInfo(entry),
		"a history entry as JSON": GetSignalingInfo(text), "raw JSON": GetSignalingInfo(json.RawMessage(event)),
	} {
		if got == nil || got.InviteID != "i" || got.Inviter != "alice" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if GetSignalingInfo([]byte(`{"seq":1,"event":{"type":"message","text":"hi"}}`)) != nil ||
		GetSignalingInfo(protocol.Entry{}) != nil {
		t.Error("a text message was decoded as signaling")
	}
}

func TestFileStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "phone.json")
	if text, err := FileStore(path).Load(); text != nil || err != nil {
		t.Errorf("before the first save: %q, %v", text, err)
	}
	for _, text := range []string{"one", "two"} {
		if err := FileStore(path).Save([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := FileStore(path).Load(); string(text) != "two" || err != nil {
		t.Errorf("kept: %q, %v", text, err)
	}
	if _, err := New(Options{Server: "http://h", Token: "t", Store: FileStore(t.TempDir())}); err == nil {
		t.Error("an unreadable store was accepted")
	}
}
