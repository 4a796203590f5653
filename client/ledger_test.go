package client

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

func told(todo []notice) string {
	words := []string{"new", "accepted", "rejected", "cancelled", "timeout", "modified", "ringing", "elsewhere"}
	var out []string
	for _, n := range todo {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", words[n.kind], n.user, n.data, strings.Join(n.list, ","))))
	}
	return strings.Join(out, "; ")
}

func event(action protocol.ActionType, change func(*protocol.Signaling)) protocol.Signaling {
	m := protocol.Signaling{ActionType: action, InviteID: "i", Inviter: "alice"}
	if change != nil {
		change(&m)
	}
	return m
}

func invited(list ...string) protocol.Signaling {
	return event(protocol.ActionInvite, func(m *protocol.Signaling) { m.InviteeList, m.Data = list, "d" })
}

func answers(over bool, who ...string) protocol.Signaling {
	return event(protocol.ActionAccept, func(m *protocol.Signaling) {
		for _, w := range who {
			action := protocol.ActionAccept
			if name, no := strings.CutPrefix(w, "!"); no {
				w, action = name, protocol.ActionReject
			}
			m.Answers = append(m.Answers, protocol.Answer{Invitee: w, ActionType: action})
		}
		m.Over = over
	})
}

func ended(action protocol.ActionType, from string, over bool, list ...string) protocol.Signaling {
	return event(action, func(m *protocol.Signaling) { m.From, m.InviteeList, m.Over = from, list, over })
}

// TestLedger plays what one device hears, and what its callbacks are told.
func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name, me string
		events   []protocol.Signaling
		want     []string
	}{
		{"a call that is answered on another device", "bob", []protocol.Signaling{invited("bob"), answers(true, "bob")}, []string{"new alice d bob", "elsewhere  accept; accepted bob"}},
		{"an invite that comes twice rings once", "bob", []protocol.Signaling{invited("bob"), invited("bob")}, []string{"new alice d bob", ""}},
		{"one's own other device does not ring", "alice", []protocol.Signaling{invited("bob"), answers(true, "bob")}, []string{"", "accepted bob"}},
		{"an onlooker sees it", "onlooker", []protocol.Signaling{invited("bob"), answers(true, "!bob")}, []string{"new alice d bob", "rejected bob"}},
		{"answers decided together", "alice", []protocol.Signaling{invited("bob", "carol"), answers(true, "bob", "!carol")}, []string{"", "accepted bob; rejected carol"}},
		{"a cancel for the others is not mine", "bob", []protocol.Signaling{invited("bob", "carol"), answers(false, "bob"), ended(protocol.ActionCancel, "alice", true, "carol")},
			[]string{"new alice d bob,carol", "elsewhere  accept; accepted bob", ""}},
		{"a timeout of the others is not mine", "bob", []protocol.Signaling{invited("bob", "carol"), answers(false, "!bob"), ended(protocol.ActionTimeout, "", true, "carol")},
			[]string{"new alice d bob,carol", "elsewhere  reject; rejected bob", ""}},
		{"my cancel from another device", "alice", []protocol.Signaling{invited("bob"), ended(protocol.ActionCancel, "alice", true, "bob")}, []string{"", "elsewhere  cancel"}},
		{"cancelled", "bob", []protocol.Signaling{invited("bob"), ended(protocol.ActionCancel, "alice", true, "bob")}, []string{"new alice d bob", "cancelled alice"}},
		{"one event on two timelines is told once", "bob", []protocol.Signaling{invited("bob", "carol"), ended(protocol.ActionCancel, "alice", true, "bob", "carol"), ended(protocol.ActionCancel, "alice", true, "bob", "carol")},
			[]string{"new alice d bob,carol", "cancelled alice", ""}},
		{"everybody left: the call of the inviter ends", "alice", []protocol.Signaling{invited("bob"), event(protocol.ActionCancel, func(m *protocol.Signaling) { m.InviteeList, m.Reason, m.Over = []string{"bob"}, "left", true })},
			[]string{"", "cancelled alice"}},
		{"cancelled twice is told once", "bob", []protocol.Signaling{invited("bob", "carol"), ended(protocol.ActionCancel, "alice", false, "bob"), ended(protocol.ActionCancel, "alice", true, "bob")},
			[]string{"new alice d bob,carol", "cancelled alice", ""}},
		{"timed out", "bob", []protocol.Signaling{invited("bob"), ended(protocol.ActionTimeout, "", true, "bob")}, []string{"new alice d bob", "timeout   bob"}},
		{"added", "dave", []protocol.Signaling{event(protocol.ActionAdd, func(m *protocol.Signaling) { m.InviteeList = []string{"dave"} })}, []string{"new alice  dave"}},
		{"ringing", "alice", []protocol.Signaling{invited("bob"), event(protocol.ActionRinging, func(m *protocol.Signaling) { m.InviteeList = []string{"bob"} })}, []string{"", "ringing bob"}},
	} {
		l := newLedger()
		l.me = c.me
		var got []string
		for i, m := range c.events {
			m.Version = int64(i + 1)
			if i > 0 && reflect.DeepEqual(c.events[i-1], c.events[i]) {
				m.Version = int64(i) // the same event again, on another timeline
			}
			got = append(got, told(l.event(m, false)))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: told %q, want %q", c.name, got, c.want)
		}
		if last := c.events[len(c.events)-1]; last.Over && len(l.held) != 0 {
			t.Errorf("%s: an invitation that is over is still held", c.name)
		}
	}
}

func TestLedgerOfADeviceThatWasAway(t *testing.T) {
	l := newLedger()
	l.me = "bob"
	open := protocol.Welcome{UserID: "bob", Invitations: []protocol.Invitation{{InviteID: "open", Inviter: "alice", Invitees: []protocol.Invitee{{UserID: "bob"}}}}}
	if got := told(l.snapshot(open)); got != "new alice  bob" {
		t.Errorf("the snapshot rings %q", got)
	}
	stale := invited("bob")
	if got := told(l.event(stale, true)); got != "" {
		t.Errorf("what was over rings %q", got)
	}
	end := ended(protocol.ActionCancel, "alice", true, "bob")
	end.Version = 2
	if got := told(l.event(end, true)); got != "" {
		t.Errorf("its end is told: %q", got)
	}
	known := invited("bob")
	known.InviteID = "open"
	if got := told(l.event(known, true)); got != "" {
		t.Errorf("what is in the snapshot rings twice: %q", got)
	}
	if got := l.doubtful(protocol.Welcome{}); !slices.Equal(got, []string{"open"}) {
		t.Errorf("in doubt after a reload: %v", got)
	}
	if got := told(l.lost("open")); got != "cancelled alice" {
		t.Errorf("its end, missed for good, is told %q", got)
	}
	l.acted("gone", invite.Accepted, true) // decided here before the invite was heard: it does not ring
	gone := invited("bob")
	gone.InviteID = "gone"
	if got := told(l.event(gone, false)); got != "" {
		t.Errorf("what this device has answered rings %q", got)
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"http://h:1": "ws://h:1/connection/websocket", "https://h/beckon/": "wss://h/beckon/connection/websocket", "wss://h": "wss://h/connection/websocket",
		"h:1": "", "ftp://h": "", "": "",
	} {
		if got, err := endpoint(in); got != want || (err != nil) != (want == "") {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
}
