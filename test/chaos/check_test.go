package chaos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// settle waits until no invitation is open and each client has all events: a last one is sent on each timeline.
func (w *workload) settle() {
	w.t.Helper()
	limit := time.Now().Add(time.Minute)
	for open := 1; open > 0; <-time.After(100 * time.Millisecond) {
		open = 0
		for user, p := range w.clients {
			res, err := p.ListInvitations(w.t.Context())
			if err != nil {
				w.t.Fatalf("%s cannot list: %v", user, err)
			}
			open += len(res.Invitations)
		}
		if time.Now().After(limit) {
			w.t.Fatalf("%d invitations are still open a minute after the last fault", open)
		}
	}
	for user := range w.clients {
		if user == "teacher" {
			continue
		}
		for from, to := range map[string]string{user: "teacher", "teacher": user} {
			id := "last-" + from + "-" + to
			if _, err := w.clients[from].Invite(w.t.Context(),
				protocol.InviteRequest{Invitee: to, InviteOptions: protocol.InviteOptions{InviteID: id}}); err != nil {
				w.t.Fatal(err)
			}
			w.awaitDelivery(to, id)
		}
	}
	if _, err := w.clients["teacher"].SendMessage(w.t.Context(),
		protocol.SendMessageRequest{GroupID: "class", MessageID: "last", Body: protocol.Body{Text: "last"}}); err != nil {
		w.t.Fatal(err)
	}
	for i := range students {
		w.awaitDelivery(fmt.Sprintf("student%d", i), "last")
	}
}

// awaitDelivery waits until a client has received an event about an invitation or a message.
func (w *workload) awaitDelivery(user, id string) {
	w.t.Helper()
	if !w.waitFor(user, "", id, 30*time.Second) {
		w.t.Fatalf("%s received no event about %s", user, id)
	}
}

// waitFor waits until a client has received an event about an invitation or a message, of one action or of any, and
// reports whether it came in time.
func (w *workload) waitFor(user, action, id string, limit time.Duration) bool {
	end := time.Now().Add(limit)
	for seen := 0; time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		w.recorder.mu.Lock()
		notes := w.Deliveries[seen:]
		seen = len(w.Deliveries)
		w.recorder.mu.Unlock()
		if slices.ContainsFunc(notes, func(n delivery) bool {
			return n.User == user && n.ID == id && (action == "" || n.Action == action)
		}) {
			return true
		}
	}
	return false
}

// counts returns the number of events by user, action and ID, and by invitee.
func (w *workload) counts() map[string]int {
	count := map[string]int{}
	for _, n := range w.Deliveries {
		count[n.User+" "+n.Action+" "+n.ID]++
		for _, u := range strings.Fields(n.Invitee) {
			count[n.User+" "+n.Action+" "+n.ID+" "+u]++
		}
	}
	return count
}

// check compares the acknowledgements with the stored state and with the events of all clients. dir or postgres has the
// database.
func (w *workload) check(dir, postgres string) {
	w.t.Helper()
	counts := w.counts()
	ends := map[string]int{}
	for _, a := range w.invitations {
		w.checkOutcome(a, counts, ends)
	}
	w.checkMessages(counts)
	w.checkTimelines()
	w.checkTimes()
	for _, end := range []string{"accept", "reject", "cancel", "timeout"} {
		if ends[end] == 0 {
			w.t.Errorf("the load was too small: no invitation ended by %s", end)
		}
	}
	report, err := beckon.Inspect(w.t.Context(), dir, postgres)
	if err != nil || len(report.Faults) > 0 {
		w.t.Errorf("the database: %+v, %v", report, err)
	}
	w.t.Logf("%d invitations: %v; %d messages to the group; %d events received, delays %s", len(w.invitations), ends,
		len(w.messages), len(w.Deliveries), w.delays())
}

func (w *workload) checkOutcome(a *invitation, counts, ends map[string]int) {
	res, err := w.clients[a.caller].GetInvitation(w.t.Context(), protocol.GetInvitationRequest{InviteID: a.id})
	var e *protocol.Error
	if errors.As(err, &e) && e.Code == im.CodeOver && !a.acked {
		for action, n := range counts { // not acknowledged, and not stored
			if n > 0 && slices.Contains(strings.Fields(action), a.id) {
				w.t.Errorf("%s is not stored, but an event was received: %s", a.id, action)
			}
		}
		return
	}
	if err != nil {
		w.t.Errorf("%s, acknowledged=%v, is not stored: %v", a.id, a.acked, err)
		return
	}
	if a.refused {
		w.t.Errorf("%s was refused, and is stored", a.id)
	}
	w.checkInvitation(a, res.Invitation.Invitees, counts, ends)
}

// checkInvitation compares the state of an invitation with the acknowledgements and the events.
func (w *workload) checkInvitation(a *invitation, invitees []protocol.Invitee, counts, ends map[string]int) {
	outcomes := map[invite.State]string{invite.Accepted: "accept", invite.Rejected: "reject", invite.Cancelled: "cancel",
		invite.TimedOut: "timeout"}
	listeners := append([]string{a.caller}, a.invitees...)
	for _, p := range invitees {
		final, acked := outcomes[p.State], a.ended[p.UserID]
		ends[final]++
		switch {
		case final == "":
			w.t.Errorf("%s is still open for %s", a.id, p.UserID)
		case acked == "?":
		case acked == "" && final != "timeout" || acked != "" && acked != final:
			w.t.Errorf("%s: %q was acknowledged for %s, and its state is %s", a.id, acked, p.UserID, final)
		}
		for _, user := range listeners {
			want := 1
			if user == a.by[p.UserID] {
				want = 0 // the acting user has the acknowledgement
			}
			for _, other := range outcomes {
				n := counts[user+" "+other+" "+a.id+" "+p.UserID]
				if a.group != "" && want == 0 && n == 1 {
					n = 0 // it came in one record with the answers of others, from which the device leaves it out
				}
				if other != final && n > 0 || other == final && n != want && acked != "?" || n > 1 {
					w.t.Errorf("%s received %d events that %s ended by %s for %s; its state is %s by %s", user, n, a.id, other,
						p.UserID, final, a.by[p.UserID])
				}
			}
		}
	}
	for _, user := range a.invitees {
		if n := counts[user+" invite "+a.id]; n != 1 {
			w.t.Errorf("%s received the invitation %s %d times", user, a.id, n)
		}
	}
}

// checkMessages checks that each other member received each acknowledged message to the group once.
func (w *workload) checkMessages(counts map[string]int) {
	for id, known := range w.messages {
		speaker := id[:strings.LastIndexByte(id, '-')]
		for user := range w.clients {
			n := counts[user+" message "+id]
			member := user == "teacher" || strings.HasPrefix(user, "student")
			switch {
			case user == speaker, !member:
				if n > 0 {
					w.t.Errorf("%s received %s, and is no receiver", user, id)
				}
			case n > 1 || known && n == 0:
				w.t.Errorf("%s received %s %d times", user, id, n)
			}
		}
	}
}

// checkTimelines checks that the events of each timeline arrive in order, without duplicates, and are the same for all
// clients.
func (w *workload) checkTimelines() {
	ahead := func(at float64) float64 { // seconds by which the server's time may be ahead of that of this machine
		if w.punctual { // it follows a clock that is ahead
			return 1 + (slew-1)*at
		}
		return 1
	}
	last, latest := map[string]uint64{}, map[string]int64{}
	same := map[string]string{}
	once := map[delivery]bool{}
	for _, n := range w.Deliveries {
		if n.Seq == 0 {
			continue
		}
		if at := n.User + " " + n.Timeline; n.Seq < last[at] {
			w.t.Errorf("%s received %d of %s after %d", n.User, n.Seq, n.Timeline, last[at])
		} else {
			last[at] = n.Seq
		}
		if at := n.User + " " + n.Timeline; n.Sent < latest[at] {
			w.t.Errorf("%s received %d of %s, whose time is %d ms before that of an earlier event", n.User, n.Seq, n.Timeline,
				latest[at]-n.Sent)
		} else {
			latest[at] = n.Sent
		}
		key := n
		if key.At = 0; once[key] {
			w.t.Errorf("%s received %s of %s twice (%s, %d)", n.User, n.Action, n.ID, n.Timeline, n.Seq)
		}
		once[key] = true
		if early := float64(n.Sent-w.began.UnixMilli())/1000 - n.At; n.Sent > 0 && early > ahead(n.At) {
			w.t.Errorf("%s received %s of %s %.0f s before the time in it", n.User, n.Action, n.ID, early)
		}
		at := fmt.Sprintf("%s %d", n.Timeline, n.Seq)
		if was, ok := same[at]; ok && was != n.ID {
			w.t.Errorf("%d of %s is %s for one client and %s for another", n.Seq, n.Timeline, was, n.ID)
		}
		same[at] = n.ID
	}
}

// delays returns the delays of events, by the clock of this machine.
func (w *workload) delays() string {
	var late []float64
	for _, n := range w.Deliveries {
		late = append(late, float64(w.began.UnixMilli())/1000+n.At-float64(n.Sent)/1000)
	}
	slices.Sort(late)
	if len(late) == 0 {
		return "never"
	}
	at := func(share float64) time.Duration {
		return time.Duration(late[int(share*float64(len(late)-1))] * 1000 * float64(time.Millisecond)).Round(time.Millisecond)
	}
	return fmt.Sprintf("%s, 99 %% at most %s, all at most %s", at(0.5), at(0.99), at(1))
}

// TestCheckInvitationCanFail gives the checks of invitations and messages wrong histories.
func TestCheckInvitationCanFail(t *testing.T) {
	invited := delivery{User: "b", Action: "invite", ID: "i"}
	acked := delivery{User: "a", Action: "accept", ID: "i", Invitee: "b"}
	for name, c := range map[string]struct {
		final invite.State
		ended string
		notes []delivery
		fine  bool
	}{
		"as it should be":    {invite.Accepted, "accept", []delivery{invited, acked}, true},
		"an answer was lost": {invite.TimedOut, "accept", []delivery{invited}, false},
		"no event":           {invite.Accepted, "accept", []delivery{invited}, false},
		"two events":         {invite.Accepted, "accept", []delivery{invited, acked, acked}, false},
		"another ending": {invite.Accepted, "accept",
			[]delivery{invited, acked, {User: "a", Action: "cancel", ID: "i", Invitee: "b"}}, false},
		"it never rang":                {invite.Accepted, "accept", []delivery{acked}, false},
		"it rang twice":                {invite.Accepted, "accept", []delivery{invited, invited, acked}, false},
		"it is still open":             {invite.Open, "", []delivery{invited}, false},
		"an answer that was not given": {invite.Accepted, "", []delivery{invited, acked}, false},
	} {
		fake := &testing.T{}
		w := &workload{t: fake, recorder: &recorder{Deliveries: c.notes}}
		a := &invitation{id: "i", caller: "a", invitees: []string{"b"}, acked: true, ended: map[string]string{},
			by: map[string]string{"b": "b"}}
		if c.ended != "" {
			a.ended["b"] = c.ended
		}
		w.checkInvitation(a, []protocol.Invitee{{UserID: "b", State: c.final}}, w.counts(), map[string]int{})
		if fake.Failed() == c.fine {
			t.Errorf("%s: failed=%v", name, fake.Failed())
		}
	}
	fake := &testing.T{}
	w := &workload{t: fake, recorder: &recorder{}, clients: map[string]*client.Client{"student0": nil, "student1": nil},
		messages: map[string]bool{"student0-1": true}}
	if w.checkMessages(w.counts()); !fake.Failed() {
		t.Error("a message that a student did not receive is accepted")
	}
}

// TestCheckTimelinesCanFail gives the check of timelines wrong histories.
func TestCheckTimelinesCanFail(t *testing.T) {
	for name, notes := range map[string][]delivery{
		"out of order": {{User: "a", Timeline: "user:a", Seq: 2}, {User: "a", Timeline: "user:a", Seq: 1}},
		"twice":        {{User: "a", Timeline: "user:a", Seq: 2, ID: "x"}, {User: "a", Timeline: "user:a", Seq: 2, ID: "x"}},
		"too early":    {{User: "a", Timeline: "user:a", Seq: 1, Sent: time.Now().Add(time.Hour).UnixMilli()}},
		"before its time": {{User: "a", Timeline: "user:a", Seq: 1, Sent: 2000, At: 9},
			{User: "a", Timeline: "user:a", Seq: 2, Sent: 1000, At: 9}},
		"different events": {{User: "a", Timeline: "group:g", Seq: 2, ID: "x"},
			{User: "b", Timeline: "group:g", Seq: 2, ID: "y"}},
	} {
		fake := &testing.T{}
		w := &workload{t: fake, recorder: &recorder{began: time.Now(), Deliveries: notes}}
		if w.checkTimelines(); !fake.Failed() {
			t.Errorf("a history is accepted: %s", name)
		}
	}
}
