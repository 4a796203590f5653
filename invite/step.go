package invite

import (
	"fmt"
	"slices"

	"github.com/beckon-im/beckon/im"
)

// Act is what an invitee may do.
type Act uint8

// The acts of an invitee.
const (
	Accept Act = iota
	Reject
	Ring
)

// Answer is an act with what comes along.
type Answer struct {
	Act    Act
	By     Actor
	Reason string // Reject only; empty = declined
	Data   string
}

// Step is the outcome of one invitee's act.
type Step struct {
	Invitation Invitation
	Invitee    Invitee
	Repeat     bool // nothing changed: this was done before
	CloseRest  bool // acceptLimit was reached: the invitees still open are to be closed with Rest
}

// Apply decides an invitee's act. w is nil when the actor was never invited.
// For one invitee exactly one of accept, reject, cancel and timeout takes effect (SPEC 1, rule 2).
func Apply(v Invitation, w *Invitee, a Answer, now int64) (Step, error) {
	if w == nil {
		return Step{}, im.Refuse(im.CodeNotYours, "you are not among the invitees of this invitation")
	}
	if a.Act == Ring {
		return ring(v, *w, a.By, now)
	}
	to := Accepted
	if a.Act == Reject {
		to = Rejected
	}
	if w.State == to && w.By.Is(a.By) {
		return Step{Invitation: v, Invitee: *w, Repeat: true}, nil
	}
	if err := w.decided(a.By, now); err != nil {
		return Step{}, err
	}
	reason := ""
	if a.Act == Reject {
		reason = a.Reason
		if reason == "" {
			reason = ReasonDeclined
		}
	}
	done := w.end(&v, to, reason, now)
	done.Data, done.By = a.Data, actionIDOf(a.By)
	v.Version++
	return Step{Invitation: v, Invitee: done, CloseRest: to == Accepted && v.Counts.Accepted == v.AcceptLimit &&
		v.Counts.Open > 0}, nil
}

// ring notes that a device alerts its person; only the first counts. With minRing the person gets
// that many seconds from then, which is at most timeout + minRing, because nobody rings past the deadline.
func ring(v Invitation, w Invitee, by Actor, now int64) (Step, error) {
	if err := w.decided(by, now); err != nil {
		return Step{}, err
	}
	if w.RingingAt != 0 {
		return Step{Invitation: v, Invitee: w, Repeat: true}, nil
	}
	w.RingingAt = now
	if fair := now + v.MinRing*1000; w.Deadline != 0 && fair > w.Deadline {
		w.Deadline = fair
		v.Last = latest(v.Last, fair)
	}
	v.Version++
	return Step{Invitation: v, Invitee: w}, nil
}

// decided refuses to change an invitee whose outcome is final, and says what it was.
func (w *Invitee) decided(by Actor, now int64) error {
	switch w.StateAt(now) {
	case Accepted:
		return im.Refuse(im.CodeOver, w.whoAnswered(by, "accepted"))
	case Rejected:
		return im.Refuse(im.CodeOver, w.whoAnswered(by, "rejected"))
	case Cancelled:
		return im.Refuse(im.CodeOver, w.whyCancelled())
	case TimedOut:
		return im.Refuse(im.CodeOver, "the invitation has timed out")
	}
	return nil
}

func (w *Invitee) whoAnswered(by Actor, what string) string {
	switch {
	case by.User != w.UserID:
		return w.UserID + " has already " + what
	case by.Device != "" && by.Device == w.By.Device:
		return "already " + what + " on this device"
	}
	return "already " + what + " on another device"
}

func (w *Invitee) whyCancelled() string {
	switch w.Reason {
	case ReasonAnswered:
		return "others answered first, so the invitation was closed for " + w.UserID
	case ReasonNotice:
		return "this invitation is a notice, which takes no answer"
	case ReasonLeft:
		return "the inviter or " + w.UserID + " is no longer in the group of this invitation"
	}
	return "the inviter has cancelled the invitation"
}

// Change is the outcome of an action on several invitees: those that changed, with the invitation after it.
type Change struct {
	Invitation Invitation
	Invitees   []Invitee
	Repeat     bool
}

// Cancel ends the invitees that are still open: all of them, or those named. invitees are the open ones,
// or, when names are given, the named ones (nil for a name that was never invited).
func Cancel(v Invitation, invitees []*Invitee, names []string, by Actor, now int64) (Change, error) {
	if by.User != v.Inviter {
		return Change{}, im.Refuse(im.CodeNotYours, "only the inviter may cancel this invitation")
	}
	for i, name := range names {
		if invitees[i] == nil {
			return Change{}, im.Bad("inviteeList", "names "+name+", who is not among the invitees")
		}
	}
	c := shut(v, invitees, "", now)
	if len(c.Invitees) == 0 {
		if v.cancelledBefore(invitees, names, by) {
			return Change{Invitation: v, Repeat: true}, nil
		}
		return Change{}, nobodyOpen(&v, invitees, by, now)
	}
	c.Invitation.Cancelled.note(by)
	return c, nil
}

// cancelledBefore tells a repeated cancel, which succeeded and succeeds again, from one that lost to an answer: the
// same request, or the same device when a cancel is what became of everybody concerned.
func (v *Invitation) cancelledBefore(invitees []*Invitee, names []string, by Actor) bool {
	if v.Cancelled.sent(by) {
		return true
	}
	if by.Device == "" || v.Cancelled.Device != by.Device {
		return false
	}
	if len(names) == 0 {
		return v.Counts.Cancelled == v.Counts.Total()
	}
	for _, w := range invitees {
		if w.State != Cancelled || w.Reason != "" {
			return false
		}
	}
	return true
}

// nobodyOpen says why there is nothing left to cancel, modify or extend.
func nobodyOpen(v *Invitation, invitees []*Invitee, by Actor, now int64) error {
	if len(invitees) == 1 {
		if err := invitees[0].decided(by, now); err != nil {
			return err
		}
	}
	switch {
	case v.Counts.Total() == v.Counts.Accepted:
		return im.Refuse(im.CodeOver, "the invitation was accepted")
	case v.Counts.Total() == v.Counts.Rejected:
		return im.Refuse(im.CodeOver, "the invitation was rejected")
	case v.Counts.Total() == v.Counts.Cancelled:
		return im.Refuse(im.CodeOver, "the invitation was cancelled")
	case v.Counts.Total() == v.Counts.TimedOut || v.Counts.Open > 0:
		return im.Refuse(im.CodeOver, "the invitation has timed out")
	}
	return im.Refuse(im.CodeOver, fmt.Sprintf(
		"the invitation is over: %d accepted, %d rejected, %d cancelled, %d timed out",
		v.Counts.Accepted, v.Counts.Rejected, v.Counts.Cancelled, v.Counts.TimedOut))
}

// live refuses what needs an invitation with somebody open, from the header alone.
func (v *Invitation) live(by Actor, now int64) error {
	if v.Left || v.Over() || v.Last != 0 && now >= v.Last {
		return nobodyOpen(v, nil, by, now)
	}
	return nil
}

// Modify replaces the data while somebody is open.
func Modify(v Invitation, data string, by Actor, now int64) (Change, error) {
	if by.User != v.Inviter {
		return Change{}, im.Refuse(im.CodeNotYours, "only the inviter may modify this invitation")
	}
	if v.Modified.sent(by) {
		return Change{Invitation: v, Repeat: true}, nil
	}
	if err := v.live(by, now); err != nil {
		return Change{}, err
	}
	v.Data = data
	v.Modified.note(by)
	v.Version++
	return Change{Invitation: v}, nil
}

// Add invites more people while somebody is open. known are the invitees among names, timeout the new ones' own
// time to answer in seconds (0 = the invitation's deadline).
func Add(v Invitation, known []*Invitee, names []string, timeout int64, by Actor, now int64) (Change, error) {
	if by.User != v.Inviter {
		return Change{}, im.Refuse(im.CodeNotYours, "only the inviter may add invitees")
	}
	if v.Added.sent(by) {
		return Change{Invitation: v, Repeat: true}, nil
	}
	if timeout < 0 || timeout > MaxTimeout {
		return Change{}, im.Bad("timeout", fmt.Sprintf("is %d; it is whole seconds from 0 (the same deadline) to %d", timeout,
			MaxTimeout))
	}
	if err := v.live(by, now); err != nil {
		return Change{}, err
	}
	for _, w := range known {
		if w != nil {
			return Change{}, &im.Error{Code: im.CodeExists, Field: "inviteeList", Message: w.UserID +
				" is already among the invitees, and is " + w.StateAt(now).String()}
		}
	}
	limit := MaxInvitees
	if v.GroupID != "" {
		limit = MaxGroupInvitees
	}
	if v.Counts.Total()+len(names) > limit {
		return Change{}, im.Bad("inviteeList",
			fmt.Sprintf("would make %d invitees; the limit is %d", v.Counts.Total()+len(names), limit))
	}
	deadline := v.Deadline
	if timeout > 0 {
		deadline = now + timeout*1000
	}
	if deadline != 0 && now >= deadline {
		return Change{}, im.Refuse(im.CodeOver,
			"the deadline of this invitation has passed; give the new invitees a timeout of their own")
	}
	v.Due, v.Last = earliest(v.Due, deadline), latest(v.Last, deadline)
	v.OwnTopic = v.OwnTopic || v.GroupID == ""
	added := v.open(names, v.Counts.Total(), deadline)
	v.Added.note(by)
	v.Version++
	return Change{Invitation: v, Invitees: added}, nil
}

// Refused is an invitee who refuses an invitation from its beginning, because this user blocks the inviter.
func Refused(v *Invitation, w Invitee, now int64) Invitee {
	return w.end(v, Rejected, ReasonDeclined, now)
}

// Expire times out every open invitee whose deadline has passed, and says in Due when to come again. open are all open
// invitees. When only some of them are late, it takes at most MaxNames and leaves the others to the next call. A late,
// lost or doubled timer changes nothing here: the rule decides (SPEC 1, rule 1).
func Expire(v Invitation, open []*Invitee, now int64) Change {
	c := Change{Invitation: v}
	c.Invitation.Due = 0
	most := len(open)
	if slices.ContainsFunc(open, func(w *Invitee) bool { return !w.late(now) }) {
		most = MaxNames // the event names them: the rest is for the next call
	}
	for _, w := range open {
		if w.late(now) && len(c.Invitees) < most {
			c.Invitees = append(c.Invitees, w.end(&c.Invitation, TimedOut, "", now))
		} else {
			c.Invitation.Due = earliest(c.Invitation.Due, w.Deadline)
		}
	}
	if len(c.Invitees) > 0 {
		c.Invitation.Version++
	}
	return c
}

// Rest closes the invitees still open once acceptLimit was reached. Who is already late is left to time out.
func Rest(v Invitation, open []*Invitee, now int64) Change { return shut(v, open, ReasonAnswered, now) }

// Leave cancels the invitees who left the group, or all open ones when it was dismissed.
func Leave(v Invitation, open []*Invitee, now int64) Change { return shut(v, open, ReasonLeft, now) }

func shut(v Invitation, open []*Invitee, reason string, now int64) Change {
	c := Change{Invitation: v}
	for _, w := range open {
		if w.StateAt(now) == Open {
			c.Invitees = append(c.Invitees, w.end(&c.Invitation, Cancelled, reason, now))
		}
	}
	if len(c.Invitees) > 0 {
		c.Invitation.Version++
	}
	return c
}

// earliest is the earlier of two times of which 0 means never.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// latest is the later of two times of which 0 means never.
func latest(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}
