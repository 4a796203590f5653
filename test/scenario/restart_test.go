package scenario

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestProgramRestarts: an inviter's program that starts again with its store receives each event of the meantime once,
// with the fields of its invitation.
func TestProgramRestarts(t *testing.T) {
	s := newScene(t, "bob/1", "carol/1")
	store := client.FileStore(filepath.Join(t.TempDir(), "alice.json"))
	open := func(events chan client.InvitationEvent) (*client.Client, *beckontest.Recorder) {
		tape := beckontest.NewRecorder(t, "alice")
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
		req := protocol.InviteRequest{InviteeList: []string{"bob", "carol"},
			InviteOptions: protocol.InviteOptions{InviteID: id, Data: "dinner", Timeout: 60}}
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
	if e.InviteID != "two" || e.Invitee != "carol" || e.Reason != "busy" || e.InvitationData != "dinner" ||
		e.Inviter != "alice" || !e.Over {
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

// TestMissedOutcome: the link of an inviter is down while an online-only invitation, whose events are not stored, is
// answered. The inviter learns the answer with the next connection, once.
func TestMissedOutcome(t *testing.T) {
	s := newScene(t, "bob/1")
	host := []string{strings.TrimPrefix(s.URL, "http://")}
	front, err := beckontest.NewProxy("127.0.0.1:0", host)
	if err != nil {
		t.Fatal(err)
	}
	addr := front.Addr()
	tape := beckontest.NewRecorder(t, "alice")
	alice, err := client.New(client.Options{Server: "http://" + addr, Token: s.Token("alice"), DeviceID: "a1",
		Listener: tape.Listener()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(alice.Close)
	if err := alice.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"accepted", "rejected"} {
		req := protocol.InviteRequest{Invitee: "bob",
			InviteOptions: protocol.InviteOptions{InviteID: verb, Timeout: 60, OnlineUserOnly: true}}
		if _, err := alice.Invite(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		s.tapes["bob/1"].Wait("new " + verb)
		front.Close()
		if verb == "accepted" {
			s.accept("bob/1", verb)
		} else {
			s.reject("bob/1", verb, "busy")
		}
		if front, err = beckontest.NewProxy(addr, host); err != nil {
			t.Fatal(err)
		}
		tape.Wait(verb + " " + verb + " by bob")
	}
	s.barrierOf(alice, tape)
	if n := tape.Count("accepted") + tape.Count("rejected"); n != 2 {
		t.Errorf("two outcomes were told %d times: %q", n, tape.Lines())
	}
	front.Close()
}

// barrierOf waits until what was announced to a device is received.
func (s *scene) barrierOf(c *client.Client, tape *beckontest.Recorder) {
	s.t.Helper()
	to := c.Welcome().UserID
	res := s.invite("bob/1", protocol.InviteRequest{Invitee: to, InviteOptions: protocol.InviteOptions{Timeout: 60}})
	tape.Wait("new " + res.InviteID)
}
