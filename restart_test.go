package beckon_test

import (
	"path/filepath"
	"testing"

	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestProgramRestarts: an inviter whose program was closed is told, when it runs again with its store, what happened meanwhile,
// once and with the facts of each invitation.
func TestProgramRestarts(t *testing.T) {
	s := newScene(t, "bob/1", "carol/1")
	store := client.FileStore(filepath.Join(t.TempDir(), "alice.json"))
	open := func(events chan client.InvitationEvent) (*client.Client, *beckontest.Tape) {
		tape := beckontest.NewTape(t, "alice")
		l := tape.Listener()
		rejected := l.OnInviteeRejected
		l.OnInviteeRejected = func(e client.InvitationEvent) {
			events <- e
			rejected(e)
		}
		return s.DeviceWith(client.Options{Token: s.Token("alice"), DeviceID: "a1", Store: store, Listener: l}), tape
	}
	events := make(chan client.InvitationEvent, 10)
	alice, tape := open(events)
	for _, id := range []string{"two", "one"} {
		req := protocol.InviteRequest{InviteeList: []string{"bob", "carol"}, InviteOptions: protocol.InviteOptions{InviteID: id, Data: "dinner", Timeout: 60}}
		if _, err := alice.Invite(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	s.accept("bob/1", "two")
	tape.Wait("accepted two by bob")
	alice.Close()
	s.tapes["carol/1"].Wait("new two")
	s.reject("carol/1", "two", "busy")
	alice, tape = open(events)
	tape.Wait("rejected two by carol")
	e := <-events
	if e.InviteID != "two" || e.Invitee != "carol" || e.Reason != "busy" || e.Inviter != "alice" || !e.Over {
		t.Errorf("after the restart alice is told %+v", e)
	}
	s.accept("bob/1", "one")
	tape.Wait("accepted one by bob")
	if n := tape.Count("accepted two") + len(events); n != 0 {
		t.Errorf("told again after a restart: %q", tape.Lines())
	}
	alice.Close()
	if _, tape = open(events); tape.Count("accepted") > 0 {
		t.Errorf("told again after another restart: %q", tape.Lines())
	}
}
