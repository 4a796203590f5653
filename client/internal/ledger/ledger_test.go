package ledger

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// told formats callbacks as text: the name, the user, the data, the list, "over".
func told(todo []Callback) string {
	words := []string{"new", "accepted", "rejected", "cancelled", "timeout", "modified", "ringing", "elsewhere"}
	var out []string
	for _, n := range todo {
		who := n.Event.Invitee
		switch n.Kind {
		case Invited, Cancelled:
			who = n.Event.Inviter
		case OtherDevice:
			who = n.Event.Action
		}
		list := strings.Join(n.Event.InviteeList, ",")
		if n.Kind == Accepted || n.Kind == Rejected || n.Kind == Ringing || n.Kind == OtherDevice {
			list = ""
		}
		over := ""
		if n.Event.Over {
			over = "over"
		}
		out = append(out, strings.Join(strings.Fields(words[n.Kind]+" "+who+" "+n.Event.Data+" "+list+" "+over), " "))
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

// TestLedger plays the events that one device receives, and compares the callbacks.
func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name, me string
		events   []protocol.Signaling
		want     []string
	}{
		{"a call that is answered on another device", "bob", []protocol.Signaling{invited("bob"), answers(true, "bob")},
			[]string{"new alice d bob", "elsewhere accept; accepted bob over"}},
		{"an invite that comes twice rings once", "bob", []protocol.Signaling{invited("bob"), invited("bob")},
			[]string{"new alice d bob", ""}},
		{"the inviter's other device does not ring", "alice", []protocol.Signaling{invited("bob"), answers(true, "bob")},
			[]string{"", "accepted bob over"}},
		{"an onlooker sees it", "onlooker", []protocol.Signaling{invited("bob"), answers(true, "!bob")},
			[]string{"new alice d bob", "rejected bob over"}},
		{"answers decided together", "alice", []protocol.Signaling{invited("bob", "carol"), answers(true, "bob", "!carol")},
			[]string{"", "accepted bob; rejected carol over"}},
		{"a cancel for the others is the end and not mine", "bob",
			[]protocol.Signaling{invited("bob", "carol"), answers(false, "bob"),
				ended(protocol.ActionCancel, "alice", true, "carol")},
			[]string{"new alice d bob,carol", "elsewhere accept; accepted bob", "cancelled alice carol over"}},
		{"a timeout of the others is the end and not mine", "bob",
			[]protocol.Signaling{invited("bob", "carol"), answers(false, "!bob"),
				ended(protocol.ActionTimeout, "", true, "carol")},
			[]string{"new alice d bob,carol", "elsewhere reject; rejected bob", "timeout carol over"}},
		{"a partial cancel for others leaves mine open", "bob",
			[]protocol.Signaling{invited("bob", "carol"), ended(protocol.ActionCancel, "alice", false, "carol"),
				ended(protocol.ActionTimeout, "", true, "bob")},
			[]string{"new alice d bob,carol", "", "timeout bob over"}},
		{"a partial cancel reaches onlookers with its list", "onlooker",
			[]protocol.Signaling{invited("bob", "carol"), ended(protocol.ActionCancel, "alice", false, "carol")},
			[]string{"new alice d bob,carol", "cancelled alice carol"}},
		{"my cancel from another device", "alice",
			[]protocol.Signaling{invited("bob"), ended(protocol.ActionCancel, "alice", true, "bob")},
			[]string{"", "elsewhere cancel over"}},
		{"cancelled", "bob", []protocol.Signaling{invited("bob"), ended(protocol.ActionCancel, "alice", true, "bob")},
			[]string{"new alice d bob", "cancelled alice bob over"}},
		{"one event on two timelines is told once", "bob",
			[]protocol.Signaling{invited("bob", "carol"), ended(protocol.ActionCancel, "alice", true, "bob", "carol"),
				ended(protocol.ActionCancel, "alice", true, "bob", "carol")},
			[]string{"new alice d bob,carol", "cancelled alice bob,carol over", ""}},
		{"everybody left: the call of the inviter ends", "alice",
			[]protocol.Signaling{invited("bob"), event(protocol.ActionCancel,
				func(m *protocol.Signaling) { m.InviteeList, m.Reason, m.Over = []string{"bob"}, "left", true })},
			[]string{"", "cancelled alice bob over"}},
		{"cancelled twice is told once", "bob",
			[]protocol.Signaling{invited("bob", "carol"), ended(protocol.ActionCancel, "alice", false, "bob"),
				ended(protocol.ActionCancel, "alice", true, "bob")},
			[]string{"new alice d bob,carol", "cancelled alice bob", ""}},
		{"timed out", "bob", []protocol.Signaling{invited("bob"), ended(protocol.ActionTimeout, "", true, "bob")},
			[]string{"new alice d bob", "timeout bob over"}},
		{"the end of many, for one who was open", "bob", []protocol.Signaling{everyone(1000), ending(300, "dave")},
			[]string{"new alice d carol", "timeout dave,bob over"}},
		{"the end of many, for the inviter", "alice", []protocol.Signaling{everyone(1000), ending(300, "dave")},
			[]string{"", "timeout dave over"}},
		{"added", "dave", []protocol.Signaling{invited("bob"),
			event(protocol.ActionAdd, func(m *protocol.Signaling) { m.InviteeList = []string{"dave"} })},
			[]string{"new alice d bob", "new alice d bob,dave"}},
		{"ringing", "alice", []protocol.Signaling{invited("bob"),
			event(protocol.ActionRinging, func(m *protocol.Signaling) { m.InviteeList = []string{"bob"} })},
			[]string{"", "ringing bob"}},
		{"modified", "bob", []protocol.Signaling{invited("bob"),
			event(protocol.ActionModify, func(m *protocol.Signaling) { m.Data = "e" })},
			[]string{"new alice d bob", "modified e bob"}},
		{"a notice informs once and leaves nothing open", "bob", []protocol.Signaling{notice("bob"), notice("bob")},
			[]string{"new alice d bob over", ""}},
	} {
		l := New()
		l.SetUser(c.me)
		var got []string
		for i, m := range c.events {
			m.Version = int64(i + 1)
			if i > 0 && reflect.DeepEqual(c.events[i-1], c.events[i]) {
				m.Version = int64(i) // the same event again, on another timeline
			}
			got = append(got, told(l.Event(m, false)))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: told %q, want %q", c.name, got, c.want)
		}
		if last := c.events[len(c.events)-1]; last.Over && len(l.Open()) != 0 {
			t.Errorf("%s: an invitation that is over is still held", c.name)
		}
	}
}

func everyone(count int) protocol.Signaling {
	return event(protocol.ActionInvite, func(m *protocol.Signaling) {
		m.InviteeList, m.Everyone, m.InviteeCount, m.Data = []string{"carol"}, true, count, "d"
	})
}

func ending(count int, names ...string) protocol.Signaling {
	return event(protocol.ActionTimeout, func(m *protocol.Signaling) {
		m.InviteeList, m.Everyone, m.InviteeCount, m.Over = names, true, count, true
	})
}

func notice(list ...string) protocol.Signaling {
	m := invited(list...)
	m.Notice, m.Over = true, true
	return m
}

// TestFacts: every callback has the facts of its invitation.
func TestFacts(t *testing.T) {
	l := New()
	l.SetUser("onlooker")
	first := everyone(1000)
	first.Version, first.GroupID, first.Data = 1, "class", "hands"
	ring := l.Event(first, false)[0].Event
	if !ring.Everyone || ring.InviteeCount != 1000 || ring.InvitationData != "hands" ||
		!slices.Equal(ring.InviteeList, []string{"carol"}) {
		t.Errorf("the new invitation is %+v", ring)
	}
	reject := answers(false, "!carol")
	reject.Version, reject.Answers[0].Reason, reject.Answers[0].Data = 2, "busy", "no"
	got := l.Event(reject, false)[0].Event
	want := Event{InviteID: "i", Inviter: "alice", GroupID: "class", InviteeList: []string{"carol"}, InviteeCount: 1,
		Reason: "busy", InvitationData: "hands", Invitee: "carol", Data: "no"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the reject is %+v, want %+v", got, want)
	}
	end := ending(300, "dave")
	end.Version = 3
	if got := l.Event(end, false)[0].Event; !got.Everyone || got.InviteeCount != 300 || !got.Over ||
		got.InvitationData != "hands" {
		t.Errorf("the end is %+v", got)
	}
}

// TestUnknown: the facts of an unknown invitation are requested once.
func TestUnknown(t *testing.T) {
	l := New()
	l.SetUser("bob")
	m := answers(false, "carol")
	m.Version = 5
	if !l.Unknown(m) || l.Unknown(invited("bob")) {
		t.Error("an answer to an unknown invitation needs its facts, an invite brings them")
	}
	l.Learn(m, &protocol.Invitation{InviteID: "i", Inviter: "alice", GroupID: "g", Data: "d", Version: 6,
		InviteeList: []string{"bob", "carol", "dave"}, InviteeCount: 3,
		Invitees: []protocol.Invitee{{UserID: "bob", State: invite.Rejected}}})
	if l.Unknown(m) {
		t.Error("requested twice")
	}
	if got := l.Event(m, false)[0].Event; got.InvitationData != "d" || got.GroupID != "g" {
		t.Errorf("told %+v", got)
	}
	end := ended(protocol.ActionTimeout, "", true, "dave")
	end.Version = 7
	if got := told(l.Event(end, false)); got != "timeout dave over" {
		t.Errorf("who has rejected is told %q", got)
	}
	m.InviteID = "gone"
	l.Learn(m, nil)
	if got := l.Event(m, false); len(got) != 1 || got[0].Event.Inviter != "alice" || got[0].Event.InvitationData != "" ||
		l.Unknown(m) {
		t.Errorf("without facts: %+v", got)
	}
}

func view(id string, change func(*protocol.Invitation), invitees ...protocol.Invitee) protocol.Invitation {
	v := protocol.Invitation{InviteID: id, Inviter: "alice", Data: "d", Version: 3, Invitees: invitees}
	for _, p := range invitees {
		v.InviteeList = append(v.InviteeList, p.UserID)
	}
	v.InviteeCount = len(invitees)
	if change != nil {
		change(&v)
	}
	return v
}

// TestAnsweredInSnapshot: an invitation answered by this user and open for others does not ring, and its end is
// reported.
func TestAnsweredInSnapshot(t *testing.T) {
	l := New()
	l.SetUser("bob")
	v := view("i", func(v *protocol.Invitation) { v.InviteeList, v.InviteeCount = []string{"bob", "carol"}, 2 },
		protocol.Invitee{UserID: "bob", State: invite.Accepted})
	if got := told(l.Snapshot(protocol.Welcome{Invitations: []protocol.Invitation{v}}, true)); got != "" {
		t.Errorf("the snapshot tells %q", got)
	}
	end := ended(protocol.ActionCancel, "alice", true, "carol")
	end.Version = 4
	if got := told(l.Event(end, false)); got != "cancelled alice carol over" {
		t.Errorf("the end is told %q", got)
	}
}

// TestMissedOutcome: the outcome of an online-only invitation during a disconnect is reported exactly once.
func TestMissedOutcome(t *testing.T) {
	l := New()
	l.SetUser("alice")
	open := view("i", func(v *protocol.Invitation) { v.OnlineUserOnly, v.Version = true, 1 },
		protocol.Invitee{UserID: "bob"}, protocol.Invitee{UserID: "carol"}, protocol.Invitee{UserID: "dave"})
	l.Opened(&protocol.InviteResponse{InviteID: "i", Invitation: &open}, []string{"bob", "carol", "dave"})
	heard := answers(false, "bob")
	heard.Version = 2
	if got := told(l.Event(heard, false)); got != "accepted bob" {
		t.Errorf("told %q", got)
	}
	if got := l.Online(); !slices.Equal(got, []string{"i"}) {
		t.Errorf("to be requested: %q", got)
	}
	now := view("i", func(v *protocol.Invitation) { v.OnlineUserOnly, v.Version, v.Over = true, 4, true },
		protocol.Invitee{UserID: "bob", State: invite.Accepted},
		protocol.Invitee{UserID: "carol", State: invite.Rejected, Reason: "busy"},
		protocol.Invitee{UserID: "dave", State: invite.TimedOut})
	if got := told(l.Standing(&now)); got != "rejected carol; timeout dave over" {
		t.Errorf("what was missed is told %q", got)
	}
	late := ended(protocol.ActionTimeout, "", true, "dave")
	late.Version = 4
	if got := told(l.Standing(&now)) + told(l.Event(late, false)); got != "" {
		t.Errorf("told again: %q", got)
	}
}

// TestRestart: after a restart the inviter receives the endings of the meantime, and no earlier event again.
func TestRestart(t *testing.T) {
	l := New()
	l.SetUser("alice")
	l.Restore([]Held{{InviteID: "online", Done: []string{"bob"}}, {InviteID: "stored"}, {InviteID: "open"}})
	over := func(v *protocol.Invitation) { v.Over, v.OnlineUserOnly = true, v.InviteID == "online" }
	online := view("online", over, protocol.Invitee{UserID: "bob", State: invite.Accepted},
		protocol.Invitee{UserID: "carol", State: invite.Cancelled, Reason: "answered"})
	stored := view("stored", over, protocol.Invitee{UserID: "bob", State: invite.Rejected})
	w := protocol.Welcome{Ended: []protocol.Invitation{online, stored}}
	if got := told(l.Snapshot(w, false)); got != "cancelled alice carol over" {
		t.Errorf("told %q", got)
	}
	event := answers(true, "!bob")
	event.InviteID, event.Version = "stored", 3
	if l.Unknown(event) {
		t.Error("the facts of what has ended are known")
	}
	if got := told(l.Event(event, false)); got != "rejected bob over" {
		t.Errorf("the stored event is told %q", got)
	}
	lost := New()
	lost.SetUser("alice")
	if got := told(lost.Snapshot(w, true)); got != "accepted bob; cancelled alice carol over; rejected bob over" {
		t.Errorf("without events on their way: %q", got)
	}
}

func TestHeld(t *testing.T) {
	l := New()
	l.SetUser("alice")
	for i := range 300 {
		v := view(fmt.Sprintf("i%03d", i), func(v *protocol.Invitation) { v.OnlineUserOnly = i == 0 },
			protocol.Invitee{UserID: "bob"}, protocol.Invitee{UserID: "carol"})
		l.Opened(&protocol.InviteResponse{Invitation: &v}, []string{"bob", "carol"})
	}
	l.Cancelled("i299", []string{"bob"}, false)
	list := l.Held()
	if len(list) != MaxHeld || list[0].InviteID != "i000" || list[1].InviteID != "i299" ||
		!slices.Equal(list[1].Done, []string{"bob"}) {
		t.Errorf("kept: %d, %+v", len(list), list[:2])
	}
}

func TestLedgerOfADeviceThatWasAway(t *testing.T) {
	l := New()
	l.SetUser("bob")
	open := protocol.Welcome{UserID: "bob",
		Invitations: []protocol.Invitation{view("open", nil, protocol.Invitee{UserID: "bob"})}}
	if got := told(l.Snapshot(open, false)); got != "new alice d bob" {
		t.Errorf("the snapshot rings %q", got)
	}
	stale := invited("bob")
	stale.Version = 1
	if got := told(l.Event(stale, true)); got != "" {
		t.Errorf("what was over rings %q", got)
	}
	end := ended(protocol.ActionCancel, "alice", true, "bob")
	end.Version = 2
	if got := told(l.Event(end, true)); got != "" {
		t.Errorf("its end is told: %q", got)
	}
	known := invited("bob")
	known.InviteID, known.Version = "open", 1
	if got := told(l.Event(known, true)); got != "" {
		t.Errorf("what is in the snapshot rings twice: %q", got)
	}
	old := event(protocol.ActionModify, func(m *protocol.Signaling) { m.InviteID, m.Version, m.Data = "open", 2, "old" })
	if got := told(l.Event(old, true)); got != "" {
		t.Errorf("data that the snapshot has replaced are told: %q", got)
	}
	if got := told(l.Lost("open")); got != "cancelled alice bob over" {
		t.Errorf("its end, missed for good, is told %q", got)
	}
	l.Acted("gone", invite.Accepted, true) // decided here before the invite was received: it does not ring
	gone := invited("bob")
	gone.InviteID, gone.Version = "gone", 1
	if got := told(l.Event(gone, false)); got != "" {
		t.Errorf("what this device has answered rings %q", got)
	}
	late := notice("bob")
	late.InviteID, late.Version = "n", 1
	if got := told(l.Event(late, true)); got != "new alice d bob over" {
		t.Errorf("a notice that came while the device was away is told %q", got)
	}
}
