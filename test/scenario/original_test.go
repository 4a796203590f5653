package scenario

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestOriginalNamesOfMessages: the callbacks of the original for messages come with its arguments.
func TestOriginalNamesOfMessages(t *testing.T) {
	s := newScene(t)
	var mu sync.Mutex
	var got []string
	add := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, fmt.Sprintf(format, args...))
	}
	tape := beckontest.NewRecorder(t, "bob")
	l := tape.Listener()
	l.OnRecvNewMessage = func(m protocol.Message) { add("new %s", m.MessageID) }
	l.OnRecvC2CTextMessage = func(m protocol.Message) { add("text %s %s %s", m.MessageID, m.From, m.Text) }
	l.OnRecvC2CCustomMessage = func(m protocol.Message) {
		add("custom %s %s %s", m.MessageID, m.From, m.Custom.Data)
	}
	l.OnRecvGroupTextMessage = func(m protocol.Message) {
		add("text %s %s %s %s", m.MessageID, m.GroupID, m.From, m.Text)
	}
	l.OnRecvGroupCustomMessage = func(m protocol.Message) {
		add("custom %s %s %s %s", m.MessageID, m.GroupID, m.From, m.Custom.Data)
	}
	l.OnRecvMessageModified = func(m protocol.Message) { add("modified %s %s", m.MessageID, m.Text) }
	l.OnRecvMessageRevoked = func(id string) { add("revoked %s", id) }
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Work", MemberList: []string{"bob"}}, nil)
	s.DeviceWith(client.Options{Token: s.Token("bob"), DeviceID: "b", Listener: l})
	s.act("ann", "sendMessage", map[string]any{"userID": "bob", "messageID": "m1", "text": "hi"}, nil)
	s.act("ann", "sendMessage", map[string]any{"userID": "bob", "messageID": "m2",
		"custom": map[string]string{"data": "x"}}, nil)
	s.act("ann", "modifyMessage", map[string]any{"conversationID": "c2c_bob", "messageID": "m1", "text": "ho"}, nil)
	s.act("ann", "revokeMessage", map[string]any{"conversationID": "c2c_bob", "messageID": "m1"}, nil)
	s.act("ann", "sendMessage", map[string]any{"groupID": "g", "messageID": "g1", "text": "all"}, nil)
	s.act("ann", "sendMessage", map[string]any{"groupID": "g", "messageID": "g2",
		"custom": map[string]string{"data": "y"}}, nil)
	s.act("ann", "invite", call("bob", "last", 60), nil)
	tape.Wait("new last")
	s.act("ann", "inviteInGroup", protocol.InviteInGroupRequest{GroupID: "g", Everyone: true,
		InviteOptions: protocol.InviteOptions{InviteID: "end"}}, nil)
	tape.Wait("new end")
	mu.Lock()
	defer mu.Unlock()
	want := []string{"custom g2 g ann y", "custom m2 ann x", "modified m1 ho", "new g1", "new g2", "new m1", "new m2",
		"revoked m1", "text g1 g ann all", "text m1 ann hi"}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}
