package invite

import (
	"fmt"
	"slices"

	"github.com/beckon-im/beckon/im"
)

// Act is an invitee's action.
type Act uint8

// The acts of an invitee.
const (
	Accept Act = iota
	Reject
	Ring
)

// Answer is an act with its parameters.
type Answer struct {
	Act    Act
	By     Actor
	Reason string // Reject only; empty = declined
	Data   string
}

// Step is the outcome of an invitee's act.
type Step struct {
	Invitation Invitation
	Invitee    Invitee
	Repeat     bool // a retry; nothing changed
	CloseRest  bool // acceptLimit was reached: close the open invitees with Rest
}

// Apply decides an invitee's act. w is nil if the actor was not invited (CodeNotYours). A decided invitee is CodeOver.
// For each invitee exactly one of accept, reject, cancel and timeout takes effect (SPEC 1, rule 2).
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

// ring records that a device alerts its user; only the first counts. With minRing the deadline is at least that many
// seconds later, so at most timeout + minRing, because ringing past the deadline is refused.
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

// decided returns CodeOver with the outcome, if it is final.
func (w *Invitee) decided(by Actor, now int64) error {
	switch w.StateAt(now) {
	case Accepted:
		return im.Refuse(im.CodeOver, w.answerMessage(by, "accepted"))
	case Rejected:
		return im.Refuse(im.CodeOver, w.answerMessage(by, "rejected"))
	case Cancelled:
		return im.Refuse(im.CodeOver, w.cancelMessage())
	case TimedOut:
		return im.Refuse(im.CodeOver, "the invitation has timed out")
	}
	return nil
}

func (w *Invitee) answerMessage(by Actor, outcome string) string {
	switch {
	case by.User != w.UserID:
		return w.UserID + " has already " + outcome
	case by.Device != "" && by.Device == w.By.Device:
		return "already " + outcome + " on this device"
	}
	return "already " + outcome + " on another device"
}

func (w *Invitee) cancelMessage() string {
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

// Change is the outcome of an action on several invitees: the changed ones, and the invitation after it.
type Change struct {
	Invitation Invitation
	Invitees   []Invitee
	Repeat     bool
}

// Cancel ends open invitees: all, or the named ones. invitees are the open ones, or, with names, the named ones (nil
// for a user who was not invited).
func Cancel(v Invitation, invitees []*Invitee, names []string, by Actor, now int64) (Change, error) {
	if by.User != v.Inviter {
		return Change{}, im.Refuse(im.CodeNotYours, "only the inviter may cancel this invitation")
	}
	for i, name := range names {
		if invitees[i] == nil {
			return Change{}, im.NotFound("inviteeList", "names "+name+", who is not among the invitees")
		}
	}
	c := shut(v, invitees, "", now)
	if len(c.Invitees) == 0 {
		if v.cancelledBefore(invitees, names, by) {
			return Change{Invitation: v, Repeat: true}, nil
		}
		return Change{}, errNoneOpen(&v, invitees, by, now)
	}
	c.Invitation.Cancelled.note(by)
	return c, nil
}

// cancelledBefore reports whether a cancel is a retry, which succeeds again, rather than one that lost to an answer:
// the same request, or the same device if all concerned invitees were cancelled.
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

// errNoneOpen returns the reason why no invitee can be cancelled, modified or extended.
func errNoneOpen(v *Invitation, invitees []*Invitee, by Actor, now int64) error {
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

// live returns an error unless an invitee may be open, judged by the invitation alone.
func (v *Invitation) live(by Actor, now int64) error {
	if v.Left || v.Over() || v.Last != 0 && now >= v.Last {
		return errNoneOpen(v, nil, by, now)
	}
	return nil
}

// Modify replaces the data while an invitee is open.
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

// Add invites more users while an invitee is open. known are the existing invitees among names; timeout is the new
// invitees' time to answer in seconds (0 = the invitation's deadline).
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

// Refused rejects an invitation for an invitee from the start, because this user blocks the inviter.
func Refused(v *Invitation, w Invitee, now int64) Invitee {
	return w.end(v, Rejected, ReasonDeclined, now)
}

// Expire times out open invitees past their deadline, and sets Due to the time of the next call. open are all open
// invitees. If only some of them are late, it takes at most MaxNames and leaves the rest to the next call. A late, lost
// or duplicate timer is harmless: the rule decides (SPEC 1, rule 1).
func Expire(v Invitation, open []*Invitee, now int64) Change {
	c := Change{Invitation: v}
	c.Invitation.Due = 0
	most := len(open)
	if slices.ContainsFunc(open, func(w *Invitee) bool { return !w.late(now) }) {
		most = MaxNames // the number of names in an event
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

// Rest closes the open invitees after acceptLimit was reached. Late ones are left to time out.
func Rest(v Invitation, open []*Invitee, now int64) Change { return shut(v, open, ReasonAnswered, now) }

// Leave cancels invitees who left the group, or all open ones when it was dismissed.
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

// earliest returns the earlier of two times; 0 means never.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// latest returns the later of two times; 0 means never.
func latest(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}
