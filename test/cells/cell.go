// Package cells simulates several cells: clusters that each have users, invitations and an outbox, with links between
// them that lose, repeat and reorder messages. docs/adr/0032-cells.md has the design, of which nothing else is built.
//
// Decisions are those of the package invite. Time, network, crashes and schedules come from a seed.
package cells

import (
	"fmt"
	"slices"

	"github.com/beckon-im/beckon/invite"
)

// fault is a mistake in the protocol, by which the tests show that the checks find it.
type fault int

const (
	none       fault = iota
	notAtomic        // a crash between a decision and its outbox entries loses the entries
	repeated         // a cell applies an entry again
	unordered        // each entry is sent alone, and applied in the order of arrival
	localTimer       // the cell of an invitee decides the timeout of a copy
	localVote        // the cell of an invitee decides its answer, and tells the owner later
)

// entry is a message of an outbox: the state of one invitee, for the timeline of one participant.
type entry struct {
	seq      int64 // contiguous for each pair of cells
	user     string
	inviteID string
	version  int64 // of the invitation
	invitee  string
	state    invite.State
	deadline int64 // of the owner's clock
	sentAt   int64 // of the owner's clock
}

// stored is an invitation in its owner's cell.
type stored struct {
	invitation invite.Invitation
	invitees   map[string]invite.Invitee
}

// copyKey names the copy of an invitee's state on the timeline of a participant.
type copyKey struct{ user, inviteID, invitee string }

// copied is the latest known state of an invitee on a timeline.
type copied struct {
	version int64
	state   invite.State
}

// cell is one cluster. All fields but down are durable: a commit changes them together.
type cell struct {
	id          int
	skew        int64 // of its clock, milliseconds
	down        bool
	invitations map[string]*stored
	outbox      map[int][]entry // not acknowledged, by receiving cell
	next        map[int]int64   // the next seq to each cell
	applied     map[int]int64   // the last seq of each cell
	timelines   map[string][]entry
	copies      map[copyKey]copied
}

func newCell(id int, skew int64) *cell {
	return &cell{id: id, skew: skew, invitations: map[string]*stored{}, outbox: map[int][]entry{}, next: map[int]int64{},
		applied: map[int]int64{}, timelines: map[string][]entry{}, copies: map[copyKey]copied{}}
}

// commit stores a decision with its records: of participants of this cell on their timelines, of others in the outbox.
func (c *cell) commit(w *simulation, s *stored, changed []invite.Invitee) {
	for _, p := range changed {
		s.invitees[p.UserID] = p
	}
	c.invitations[s.invitation.ID] = s
	if w.fault == notAtomic && w.rng.IntN(4) == 0 {
		return
	}
	for _, p := range changed {
		for _, user := range []string{s.invitation.Inviter, p.UserID} {
			e := entry{user: user, inviteID: s.invitation.ID, version: s.invitation.Version, invitee: p.UserID, state: p.State,
				deadline: p.Deadline, sentAt: w.now + c.skew}
			if home := w.home[user]; home == c.id {
				c.append(e)
			} else {
				c.next[home]++
				e.seq = c.next[home]
				c.outbox[home] = append(c.outbox[home], e)
				w.flush(c, home)
			}
		}
	}
}

// append adds a record to the timeline of a user of this cell, unless its state is known.
func (c *cell) append(e entry) {
	k := copyKey{e.user, e.inviteID, e.invitee}
	if known, ok := c.copies[k]; ok && known.version >= e.version {
		return
	}
	c.copies[k] = copied{e.version, e.state}
	c.timelines[e.user] = append(c.timelines[e.user], e)
}

// receive applies entries of another cell in order, and returns the last applied seq.
func (c *cell) receive(w *simulation, from int, list []entry) int64 {
	for _, e := range list {
		switch {
		case w.fault == repeated && e.seq <= c.applied[from]+1:
			c.timelines[e.user] = append(c.timelines[e.user], e)
		case w.fault == unordered:
			c.append(e)
			c.applied[from] = max(c.applied[from], e.seq)
			continue
		case e.seq != c.applied[from]+1:
			continue
		default:
			c.append(e)
		}
		c.applied[from] = max(c.applied[from], e.seq)
		if w.fault == localTimer && e.state == invite.Open && e.invitee == e.user {
			w.at(e.deadline-e.sentAt, func() { c.timeOut(e) })
		}
	}
	return c.applied[from]
}

// acknowledged drops the entries that another cell has applied.
func (c *cell) acknowledged(by int, seq int64) {
	c.outbox[by] = slices.DeleteFunc(c.outbox[by], func(e entry) bool { return e.seq <= seq })
}

// timeOut is the mistake localTimer.
func (c *cell) timeOut(e entry) {
	k := copyKey{e.user, e.inviteID, e.invitee}
	if c.copies[k].state == invite.Open {
		e.state = invite.TimedOut
		c.copies[k] = copied{e.version + 1, e.state}
		c.timelines[e.user] = append(c.timelines[e.user], e)
	}
}

// outcome is the response to an action.
type outcome int

const (
	unavailable outcome = iota // the caller repeats the action
	won
	lost
)

// act decides an action in the owner's cell.
func (c *cell) act(w *simulation, a *action) outcome {
	now := w.now + c.skew
	s := c.invitations[a.inviteID]
	if a.kind == doInvite {
		if s != nil {
			return won // a repetition
		}
		v, list := invite.New(invite.Terms{ID: a.inviteID, Inviter: a.user, Timeout: a.timeout}, a.invitees, a.actor(),
			"print", now)
		c.commit(w, &stored{v, map[string]invite.Invitee{}}, list)
		w.at(a.timeout*1000, func() { w.expire(c, a.inviteID) })
		return won
	}
	if s == nil {
		return lost
	}
	if a.kind == doCancel {
		var all []*invite.Invitee
		for _, id := range w.users {
			if p, ok := s.invitees[id]; ok && p.State == invite.Open {
				all = append(all, &p)
			}
		}
		change, err := invite.Cancel(s.invitation, all, nil, a.actor(), now)
		if err != nil {
			return lost
		}
		if !change.Repeat {
			s.invitation = change.Invitation
			c.commit(w, s, change.Invitees)
		}
		return won
	}
	p, ok := s.invitees[a.user]
	if !ok {
		panic(fmt.Sprintf("%s is no invitee of %s", a.user, a.inviteID))
	}
	act := invite.Accept
	if a.kind == doReject {
		act = invite.Reject
	}
	step, err := invite.Apply(s.invitation, &p, invite.Answer{Act: act, By: a.actor()}, now)
	if err != nil {
		return lost
	}
	if !step.Repeat {
		s.invitation = step.Invitation
		c.commit(w, s, []invite.Invitee{step.Invitee})
	}
	return won
}
