package cells

import (
	"fmt"

	"github.com/beckon-im/beckon/invite"
)

// violations compares what users were told with what the owners decided, and with the timelines.
func (w *simulation) violations() (list []string) {
	fail := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, a := range w.actions {
		s := w.cells[w.owner[a.inviteID]].invitations[a.inviteID]
		switch {
		case a.result == unavailable:
			fail("%+v has no response at the end", *a)
		case s == nil:
			if a.kind == doInvite {
				fail("the acknowledged invitation %s is lost", a.inviteID)
			}
		case a.result == won && (a.kind == doAccept || a.kind == doReject):
			want := invite.Accepted
			if a.kind == doReject {
				want = invite.Rejected
			}
			if p := s.invitees[a.user]; p.State != want || p.By.Device != a.device {
				fail("%s of %s was told %v, and the owner has %v by %s", a.device, a.inviteID, want, p.State, p.By.Device)
			}
		}
	}
	for _, c := range w.cells {
		for to, entries := range c.outbox {
			if len(entries) > 0 {
				fail("%d entries from cell %d to %d are left", len(entries), c.id, to)
			}
		}
		for id, s := range c.invitations {
			if !s.invitation.Over() {
				fail("%s is open at the end", id)
			}
			for user, p := range s.invitees {
				w.checkCopy(s, user, p, user, fail)
				w.checkCopy(s, user, p, s.invitation.Inviter, fail)
			}
		}
	}
	return list
}

// checkCopy checks the records about an invitee on one timeline: open, then the outcome, each once.
func (w *simulation) checkCopy(s *stored, invitee string, p invite.Invitee, reader string, fail func(string, ...any)) {
	var states []invite.State
	for _, e := range w.cells[w.home[reader]].timelines[reader] {
		if e.inviteID == s.invitation.ID && e.invitee == invitee {
			states = append(states, e.state)
		}
	}
	if len(states) != 2 || states[0] != invite.Open || states[1] != p.State {
		fail("%s reads of %s in %s: %v; the owner decided %v", reader, invitee, s.invitation.ID, states, p.State)
	}
}
