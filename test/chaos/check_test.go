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

// settle waits until nothing is open any more and everybody has heard everything: on each timeline something last.
func (w *crowd) settle() {
	w.t.Helper()
	limit := time.Now().Add(time.Minute)
	for open := 1; open > 0; <-time.After(100 * time.Millisecond) {
		open = 0
		for user, p := range w.people {
			res, err := p.ListInvitations(w.t.Context())
			if err != nil {
				w.t.Fatalf("%s cannot list: %v", user, err)
			}
			open += len(res.Invitations)
		}
		if time.Now().After(limit) {
			w.t.Fatalf("%d invitations are still open a minute after all was whole again", open)
		}
	}
	for user := range w.people {
		if user == "teacher" {
			continue
		}
		for from, to := range map[string]string{user: "teacher", "teacher": user} {
			id := "last-" + from + "-" + to
			if _, err := w.people[from].Invite(w.t.Context(),
				protocol.InviteRequest{Invitee: to, InviteOptions: protocol.InviteOptions{InviteID: id}}); err != nil {
				w.t.Fatal(err)
			}
			w.hear(to, id)
		}
	}
	if _, err := w.people["teacher"].SendMessage(w.t.Context(),
		protocol.SendMessageRequest{GroupID: "class", MessageID: "last", Body: protocol.Body{Text: "last"}}); err != nil {
		w.t.Fatal(err)
	}
	for i := range classmates {
		w.hear(fmt.Sprintf("student%d", i), "last")
	}
}

// hear waits until somebody has heard of something.
func (w *crowd) hear(who, id string) {
	w.t.Helper()
	if !w.until(who, "", id, 30*time.Second) {
		w.t.Fatalf("%s never heard of %s", who, id)
	}
}

// until waits until somebody has heard of something, or of one action of it, and reports whether that was in time.
func (w *crowd) until(who, what, id string, limit time.Duration) bool {
	end := time.Now().Add(limit)
	for seen := 0; time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		w.chronicle.mu.Lock()
		notes := w.Notes[seen:]
		seen = len(w.Notes)
		w.chronicle.mu.Unlock()
		if slices.ContainsFunc(notes, func(n note) bool {
			return n.Who == who && n.ID == id && (what == "" || n.What == what)
		}) {
			return true
		}
	}
	return false
}

// heard says how often each person heard each thing.
func (w *crowd) heard() map[string]int {
	count := map[string]int{}
	for _, n := range w.Notes {
		count[n.Who+" "+n.What+" "+n.ID]++
		for _, u := range strings.Fields(n.Invitee) {
			count[n.Who+" "+n.What+" "+n.ID+" "+u]++
		}
	}
	return count
}

// check compares what was acknowledged with what is there and with what everybody heard. dir or postgres has
// the database.
func (w *crowd) check(dir, postgres string) {
	w.t.Helper()
	heard := w.heard()
	ends := map[string]int{}
	for _, a := range w.deeds {
		w.checkAct(a, heard, ends)
	}
	w.checkTalk(heard)
	w.checkOrder()
	w.checkTimes()
	for _, end := range []string{"accept", "reject", "cancel", "timeout"} {
		if ends[end] == 0 {
			w.t.Errorf("too little happened: nothing ended by %s", end)
		}
	}
	report, err := beckon.Inspect(w.t.Context(), dir, postgres)
	if err != nil || len(report.Faults) > 0 {
		w.t.Errorf("the database: %+v, %v", report, err)
	}
	w.t.Logf("%d invitations: %v; %d messages to the group; %d events heard, late %s", len(w.deeds), ends, len(w.said),
		len(w.Notes), w.delays())
}

func (w *crowd) checkAct(a *act, heard, ends map[string]int) {
	res, err := w.people[a.caller].GetInvitation(w.t.Context(), protocol.GetInvitationRequest{InviteID: a.id})
	var e *protocol.Error
	if errors.As(err, &e) && e.Code == im.CodeOver && !a.acked {
		for what, n := range heard { // it was never acknowledged, and it never was
			if n > 0 && slices.Contains(strings.Fields(what), a.id) {
				w.t.Errorf("%s is not there, and was heard of: %s", a.id, what)
			}
		}
		return
	}
	if err != nil {
		w.t.Errorf("%s was acknowledged=%v and is not there: %v", a.id, a.acked, err)
		return
	}
	if a.refused {
		w.t.Errorf("%s was refused, and is there", a.id)
	}
	w.judge(a, res.Invitation.Invitees, heard, ends)
}

// judge compares how an invitation stands with what was acknowledged and heard.
func (w *crowd) judge(a *act, invitees []protocol.Invitee, heard, ends map[string]int) {
	word := map[invite.State]string{invite.Accepted: "accept", invite.Rejected: "reject", invite.Cancelled: "cancel",
		invite.TimedOut: "timeout"}
	listeners := append([]string{a.caller}, a.invitees...)
	for _, p := range invitees {
		final, told := word[p.State], a.ended[p.UserID]
		ends[final]++
		switch {
		case final == "":
			w.t.Errorf("%s is still open for %s", a.id, p.UserID)
		case told == "?":
		case told == "" && final != "timeout" || told != "" && told != final:
			w.t.Errorf("%s: %q was acknowledged of %s, and it stands as %s", a.id, told, p.UserID, final)
		}
		for _, who := range listeners {
			want := 1
			if who == a.by[p.UserID] {
				want = 0 // it acted, and has the acknowledgement
			}
			for _, other := range word {
				n := heard[who+" "+other+" "+a.id+" "+p.UserID]
				if a.group != "" && want == 0 && n == 1 {
					n = 0 // it came in one record with the answers of others, which its device leaves out
				}
				if other != final && n > 0 || other == final && n != want && told != "?" || n > 1 {
					w.t.Errorf("%s heard %d times that %s ended by %s for %s, which stands as %s by %s", who, n, a.id, other, p.UserID,
						final, a.by[p.UserID])
				}
			}
		}
	}
	for _, who := range a.invitees {
		if n := heard[who+" invite "+a.id]; n != 1 {
			w.t.Errorf("%s heard the invitation %s %d times", who, a.id, n)
		}
	}
}

// checkTalk: what is known to have been said to the group, everybody else has heard once.
func (w *crowd) checkTalk(heard map[string]int) {
	for id, known := range w.said {
		speaker := id[:strings.LastIndexByte(id, '-')]
		for who := range w.people {
			n := heard[who+" message "+id]
			member := who == "teacher" || strings.HasPrefix(who, "student")
			switch {
			case who == speaker, !member:
				if n > 0 {
					w.t.Errorf("%s heard %s, which was not for them", who, id)
				}
			case n > 1 || known && n == 0:
				w.t.Errorf("%s heard %s %d times", who, id, n)
			}
		}
	}
}

// checkOrder: each timeline is heard in its order, nothing twice, and by everybody alike.
func (w *crowd) checkOrder() {
	ahead := func(at float64) float64 { // by how much the server's time may be before that of this machine
		if w.punctual { // it follows a clock that is ahead
			return 1 + (slew-1)*at
		}
		return 1
	}
	last, latest := map[string]uint64{}, map[string]int64{}
	same := map[string]string{}
	once := map[note]bool{}
	for _, n := range w.Notes {
		if n.Seq == 0 {
			continue
		}
		if at := n.Who + " " + n.Timeline; n.Seq < last[at] {
			w.t.Errorf("%s heard %d of %s after %d", n.Who, n.Seq, n.Timeline, last[at])
		} else {
			last[at] = n.Seq
		}
		if at := n.Who + " " + n.Timeline; n.Sent < latest[at] {
			w.t.Errorf("%s heard %d of %s, which is %d ms before an event before it", n.Who, n.Seq, n.Timeline,
				latest[at]-n.Sent)
		} else {
			latest[at] = n.Sent
		}
		key := n
		if key.At = 0; once[key] {
			w.t.Errorf("%s heard %s of %s twice (%s, %d)", n.Who, n.What, n.ID, n.Timeline, n.Seq)
		}
		once[key] = true
		if early := float64(n.Sent-w.began.UnixMilli())/1000 - n.At; n.Sent > 0 && early > ahead(n.At) {
			w.t.Errorf("%s heard %s of %s %.0f s before the time it says", n.Who, n.What, n.ID, early)
		}
		at := fmt.Sprintf("%s %d", n.Timeline, n.Seq)
		if was, ok := same[at]; ok && was != n.ID {
			w.t.Errorf("%d of %s is %s to one and %s to another", n.Seq, n.Timeline, was, n.ID)
		}
		same[at] = n.ID
	}
}

// delays says how late events were heard, by the clock of this machine.
func (w *crowd) delays() string {
	var late []float64
	for _, n := range w.Notes {
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

// TestTheJudgeCanFail shows the judge of invitations and talk what must not be.
func TestTheJudgeCanFail(t *testing.T) {
	invited := note{Who: "b", What: "invite", ID: "i"}
	told := note{Who: "a", What: "accept", ID: "i", Invitee: "b"}
	for name, c := range map[string]struct {
		final invite.State
		ended string
		notes []note
		fine  bool
	}{
		"as it should be":    {invite.Accepted, "accept", []note{invited, told}, true},
		"an answer was lost": {invite.TimedOut, "accept", []note{invited}, false},
		"nobody was told":    {invite.Accepted, "accept", []note{invited}, false},
		"told twice":         {invite.Accepted, "accept", []note{invited, told, told}, false},
		"told another ending": {invite.Accepted, "accept",
			[]note{invited, told, {Who: "a", What: "cancel", ID: "i", Invitee: "b"}}, false},
		"it never rang":             {invite.Accepted, "accept", []note{told}, false},
		"it rang twice":             {invite.Accepted, "accept", []note{invited, invited, told}, false},
		"it is still open":          {invite.Open, "", []note{invited}, false},
		"an answer out of thin air": {invite.Accepted, "", []note{invited, told}, false},
	} {
		fake := &testing.T{}
		w := &crowd{t: fake, chronicle: &chronicle{Notes: c.notes}}
		a := &act{id: "i", caller: "a", invitees: []string{"b"}, acked: true, ended: map[string]string{},
			by: map[string]string{"b": "b"}}
		if c.ended != "" {
			a.ended["b"] = c.ended
		}
		w.judge(a, []protocol.Invitee{{UserID: "b", State: c.final}}, w.heard(), map[string]int{})
		if fake.Failed() == c.fine {
			t.Errorf("%s: judged failed=%v", name, fake.Failed())
		}
	}
	fake := &testing.T{}
	w := &crowd{t: fake, chronicle: &chronicle{}, people: map[string]*client.Client{"student0": nil, "student1": nil},
		said: map[string]bool{"student0-1": true}}
	if w.checkTalk(w.heard()); !fake.Failed() {
		t.Error("a message that a student never heard is taken")
	}
}

// TestTheCheckerCanFail shows the checker histories that must not be.
func TestTheCheckerCanFail(t *testing.T) {
	for name, notes := range map[string][]note{
		"out of order": {{Who: "a", Timeline: "user:a", Seq: 2}, {Who: "a", Timeline: "user:a", Seq: 1}},
		"twice":        {{Who: "a", Timeline: "user:a", Seq: 2, ID: "x"}, {Who: "a", Timeline: "user:a", Seq: 2, ID: "x"}},
		"too early":    {{Who: "a", Timeline: "user:a", Seq: 1, Sent: time.Now().Add(time.Hour).UnixMilli()}},
		"before its time": {{Who: "a", Timeline: "user:a", Seq: 1, Sent: 2000, At: 9}, {Who: "a", Timeline: "user:a", Seq: 2,
			Sent: 1000, At: 9}},
		"two truths": {{Who: "a", Timeline: "group:g", Seq: 2, ID: "x"}, {Who: "b", Timeline: "group:g", Seq: 2, ID: "y"}},
	} {
		fake := &testing.T{}
		w := &crowd{t: fake, chronicle: &chronicle{began: time.Now(), Notes: notes}}
		if w.checkOrder(); !fake.Failed() {
			t.Errorf("the checker takes a history in which something is heard %s", name)
		}
	}
}
