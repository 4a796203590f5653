// Package ledger tracks the invitations of one device and turns signaling events into callbacks, with three guarantees:
// no callback is repeated, the ending of another invitee is not reported as the user's own, and an invitation that was
// over before it was received does not ring.
//
// It does no I/O and is not safe for concurrent use.
package ledger

import (
	"maps"
	"slices"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Ledger tracks the invitations of one device. Its caller guards it with a lock.
type Ledger struct {
	me     string
	held   map[string]*entry
	ended  map[string]*entry
	order  []string            // IDs of ended, oldest first
	before map[string][]string // from an earlier run of the program: invitees with a reported outcome, by invitation
}

type entry struct {
	known    bool // the facts of the invitation are known, or requesting them has failed
	inviter  string
	groupID  string
	data     string
	dataAt   int64 // the version of data
	invitees []string
	count    int
	everyone bool
	online   bool                // online-only: events are not stored
	asked    bool                // this user is an invitee
	mine     invite.State        // this user's state as an invitee
	acted    bool                // decided by this device
	stale    bool                // over before this device received it
	upTo     int64               // events up to this version are reported
	received map[int64]struct{}  // received versions: an event may arrive on two timelines
	done     map[string]struct{} // invitees with a reported outcome
}

// maxEnded limits the ended invitations in memory: enough to recognize an event that also arrives on a second timeline.
const maxEnded = 1000

// MaxHeld limits the invitations in one request to the server.
const MaxHeld = 200

// maxNames limits the invitees of one invitation in Held.
const maxNames = 100

// New returns an empty ledger.
func New() *Ledger {
	return &Ledger{held: map[string]*entry{}, ended: map[string]*entry{}, before: map[string][]string{}}
}

// SetUser sets the user of the device.
func (l *Ledger) SetUser(me string) { l.me = me }

// User returns the user of the device.
func (l *Ledger) User() string { return l.me }

// end moves an invitation to the ended ones, which only serve to recognize duplicate events.
func (l *Ledger) end(id string) {
	e := l.held[id]
	if e == nil {
		return
	}
	delete(l.held, id)
	e.done = nil
	l.addEnded(id, e)
}

func (l *Ledger) addEnded(id string, e *entry) {
	l.ended[id] = e
	l.order = append(l.order, id)
	if len(l.order) > maxEnded {
		delete(l.ended, l.order[0])
		l.order = l.order[1:]
	}
}

// find returns an invitation, or nil; over reports whether it has ended.
func (l *Ledger) find(id string) (e *entry, over bool) {
	if e := l.held[id]; e != nil {
		return e, false
	}
	return l.ended[id], l.ended[id] != nil
}

// Holds reports whether the device knows an invitation.
func (l *Ledger) Holds(id string) bool {
	e, _ := l.find(id)
	return e != nil
}

// Facts returns the inviter, the group and the invitees of an invitation, as far as known.
func (l *Ledger) Facts(id string) (inviter, groupID string, invitees []string) {
	e, _ := l.find(id)
	if e == nil {
		return "", "", nil
	}
	return e.inviter, e.groupID, e.invitees
}

// First reports whether an event is received for the first time.
func (l *Ledger) First(m protocol.Signaling) bool {
	e, _ := l.find(m.InviteID)
	if e == nil || m.ActionType == protocol.ActionDigest {
		return true
	}
	_, twice := e.received[m.Version]
	return !twice && m.Version > e.upTo
}

func (e *entry) receive(version int64) {
	if e.received == nil {
		e.received = map[int64]struct{}{}
	}
	e.received[version] = struct{}{}
}

// report records invitees as reported.
func (e *entry) report(users ...string) {
	if e.done == nil {
		e.done = map[string]struct{}{}
	}
	for _, u := range users {
		e.done[u] = struct{}{}
	}
}

// Unknown reports whether the facts of an event's invitation must be requested before Event.
func (l *Ledger) Unknown(m protocol.Signaling) bool {
	e, _ := l.find(m.InviteID)
	return (e == nil || !e.known) && m.ActionType != protocol.ActionInvite
}

// Learn records the facts of the invitation of an event, before Event; v is nil if the request failed.
func (l *Ledger) Learn(m protocol.Signaling, v *protocol.Invitation) {
	e, _ := l.find(m.InviteID)
	if e == nil {
		e = &entry{inviter: m.Inviter, groupID: m.GroupID}
		if v != nil && v.Over {
			l.addEnded(m.InviteID, e)
		} else {
			l.held[m.InviteID] = e
		}
	}
	e.known = true
	if v == nil {
		return
	}
	mine := l.take(e, v)
	if final := mine == invite.Accepted || mine == invite.Rejected; final && len(m.Answers) == 0 {
		e.mine = mine // decided before this event, because outcomes are final
	}
	if m.ActionType == protocol.ActionAdd {
		e.asked = e.asked && !slices.Contains(m.InviteeList, l.me) // the event itself adds this user, and rings
	}
}

// take copies the facts of an invitation, and returns the state of this user as an invitee.
func (l *Ledger) take(e *entry, v *protocol.Invitation) (mine invite.State) {
	e.known = true
	e.inviter, e.groupID, e.data, e.dataAt = v.Inviter, v.GroupID, v.Data, v.Version
	e.everyone, e.online, e.count = v.Everyone, v.OnlineUserOnly, v.InviteeCount
	e.invitees = v.InviteeList
	if len(e.invitees) == 0 { // use the page of invitees
		for _, p := range v.Invitees {
			e.invitees = append(e.invitees, p.UserID)
		}
	}
	e.count = max(e.count, len(e.invitees))
	e.asked = slices.Contains(e.invitees, l.me)
	for _, p := range v.Invitees {
		if p.UserID == l.me {
			e.asked, mine = true, p.State
		}
	}
	return mine
}

// Snapshot applies a connect reply. whole means that no earlier events follow: outcomes of ended invitations are
// reported from the reply.
func (l *Ledger) Snapshot(w protocol.Welcome, whole bool) []Callback {
	var todo []Callback
	for i := range w.Invitations {
		v := &w.Invitations[i]
		if l.Holds(v.InviteID) {
			continue
		}
		e := &entry{}
		e.mine = l.take(e, v)
		l.held[v.InviteID] = e
		if e.asked && e.inviter != l.me && e.mine == invite.Open {
			todo = append(todo, e.rings(v.InviteID))
		}
		e.report(l.before[v.InviteID]...)
	}
	for i := range w.Ended {
		v := &w.Ended[i]
		if l.Holds(v.InviteID) {
			continue
		}
		e := &entry{}
		l.take(e, v)
		e.report(l.before[v.InviteID]...)
		if !whole && !e.online {
			l.addEnded(v.InviteID, e) // its events follow
			continue
		}
		l.held[v.InviteID] = e
		todo = append(todo, l.Standing(v)...)
	}
	maps.DeleteFunc(l.before, func(id string, _ []string) bool { return l.Holds(id) })
	return todo
}

// rings returns the callback for a new invitation.
func (e *entry) rings(id string) Callback {
	return Callback{Invited, Event{InviteID: id, Inviter: e.inviter, GroupID: e.groupID, InviteeList: e.invitees,
		Everyone: e.everyone, InviteeCount: e.count, InvitationData: e.data, Data: e.data}}
}

// Event applies an event. stale means that the snapshot is newer, so that an invitation of this user that is not in it
// is over.
func (l *Ledger) Event(m protocol.Signaling, stale bool) []Callback {
	if !l.First(m) {
		return nil
	}
	e, over := l.find(m.InviteID)
	var todo []Callback
	switch m.ActionType {
	case protocol.ActionInvite:
		todo = l.invited(m, e, stale)
	default:
		if e == nil {
			e = &entry{inviter: m.Inviter, groupID: m.GroupID, known: true}
			l.held[m.InviteID] = e
		}
		todo = l.changed(m, e, stale)
	}
	if e, _ := l.find(m.InviteID); e != nil && m.ActionType != protocol.ActionDigest {
		e.receive(m.Version)
	}
	if m.Over && !over {
		l.end(m.InviteID)
	}
	return todo
}

// about returns the callback argument for an event of a known invitation.
func (e *entry) about(m protocol.Signaling, list []string) Event {
	return Event{InviteID: m.InviteID, Inviter: m.Inviter, GroupID: e.groupID, InviteeList: list, Everyone: m.Everyone,
		InviteeCount: max(m.InviteeCount, len(list)), Reason: m.Reason, Over: m.Over,
		InvitationData: e.data, Data: m.Data}
}

func (l *Ledger) changed(m protocol.Signaling, e *entry, stale bool) []Callback {
	switch {
	case m.ActionType == protocol.ActionDigest:
		return l.digested(m, e)
	case m.ActionType == protocol.ActionAdd:
		return l.added(m, e, stale)
	case len(m.Answers) > 0:
		return l.answered(m, e)
	case e.stale:
		return nil
	}
	switch m.ActionType {
	case protocol.ActionCancel, protocol.ActionTimeout:
		return l.closed(m, e)
	case protocol.ActionModify:
		return e.modified(m)
	case protocol.ActionRinging:
		var todo []Callback
		for _, u := range m.InviteeList {
			ev := e.about(m, []string{u})
			ev.Invitee = u
			todo = append(todo, Callback{Ringing, ev})
		}
		return todo
	}
	return nil
}

// modified applies new data, unless the known data are newer.
func (e *entry) modified(m protocol.Signaling) []Callback {
	if m.Version <= e.dataAt {
		return nil
	}
	e.data, e.dataAt = m.Data, m.Version
	ev := e.about(m, e.invitees)
	ev.Everyone, ev.InviteeCount = e.everyone, e.count
	return []Callback{{Modified, ev}}
}

// digested applies a digest of a large group. The inviter receives each answer instead.
func (l *Ledger) digested(m protocol.Signaling, e *entry) []Callback {
	if m.Digest == nil || m.Inviter == l.me {
		return nil
	}
	var todo []Callback
	add := func(kind Kind, users []string) {
		for _, u := range users {
			if u == l.me {
				continue // on the user's own timeline, with its data
			}
			ev := e.about(m, []string{u})
			ev.Invitee, ev.Over, ev.Data = u, false, ""
			todo = append(todo, Callback{kind, ev})
		}
	}
	add(Accepted, m.Digest.Accepted)
	add(Rejected, m.Digest.Rejected)
	if len(todo) > 0 {
		todo[len(todo)-1].Event.Over = m.Over
	}
	return todo
}

func (l *Ledger) invited(m protocol.Signaling, e *entry, stale bool) []Callback {
	if e != nil && e.known {
		return nil
	}
	if e == nil {
		e = &entry{}
		if m.Over { // a notice
			l.addEnded(m.InviteID, e)
		} else {
			l.held[m.InviteID] = e
		}
		e.stale = stale && !m.Notice
	}
	acted := e.acted // answered by this device before the invite event arrived
	e.known, e.inviter, e.groupID, e.data, e.dataAt = true, m.Inviter, m.GroupID, m.Data, m.Version
	e.invitees, e.everyone, e.online = m.InviteeList, m.Everyone, m.OnlineOnly
	e.count = max(m.InviteeCount, len(m.InviteeList))
	e.asked = m.Inviter != l.me && (m.Everyone || slices.Contains(m.InviteeList, l.me))
	e.stale = e.stale && e.asked
	if acted || m.Inviter == l.me || e.stale { // answered here, invited by the user's other device, or over
		return nil
	}
	ring := e.rings(m.InviteID)
	ring.Event.Notice, ring.Event.Over = m.Notice, m.Over
	return []Callback{ring}
}

func (l *Ledger) added(m protocol.Signaling, e *entry, stale bool) []Callback {
	list := slices.Clone(e.invitees)
	for _, u := range m.InviteeList {
		if !slices.Contains(list, u) {
			list = append(list, u)
			e.count = max(e.count+1, len(list))
		}
	}
	e.invitees = list
	if e.asked || m.Inviter == l.me || !slices.Contains(m.InviteeList, l.me) {
		return nil
	}
	e.asked, e.stale = true, stale
	if stale {
		return nil
	}
	return []Callback{e.rings(m.InviteID)}
}

func (l *Ledger) answered(m protocol.Signaling, e *entry) []Callback {
	var todo []Callback
	for _, a := range m.Answers {
		ev := e.about(m, []string{a.Invitee})
		ev.Invitee, ev.Data, ev.Reason, ev.Over = a.Invitee, a.Data, a.Reason, false
		kind, word, state := Accepted, "accept", invite.Accepted
		if a.ActionType == protocol.ActionReject {
			kind, word, state = Rejected, "reject", invite.Rejected
		}
		e.report(a.Invitee)
		if a.Invitee == l.me {
			if e.acted || e.mine != invite.Open {
				continue // this device's own, or reported before from another timeline
			}
			e.mine = state
			elsewhere := ev
			elsewhere.Action = word
			todo = append(todo, Callback{OtherDevice, elsewhere})
		}
		if !e.stale {
			todo = append(todo, Callback{kind, ev})
		}
	}
	if len(todo) > 0 { // only the last one ends it
		todo[len(todo)-1].Event.Over = m.Over
	}
	return todo
}

// closed reports a cancel or a timeout with the ended invitees. This user is among them exactly if it is final for this
// user.
func (l *Ledger) closed(m protocol.Signaling, e *entry) []Callback {
	named := slices.Contains(m.InviteeList, l.me)
	concerned := e.mine == invite.Open && (named || m.Everyone && e.asked)
	list := m.InviteeList
	switch {
	case concerned:
		e.mine = invite.Cancelled
		if m.ActionType == protocol.ActionTimeout {
			e.mine = invite.TimedOut
		}
		if !named {
			list = append(slices.Clone(list), l.me)
		}
	case named && len(list) == 1 && !m.Everyone:
		return nil // reported before
	case named:
		list = slices.DeleteFunc(slices.Clone(list), func(u string) bool { return u == l.me })
	}
	e.report(m.InviteeList...)
	if !concerned && !m.Over && e.asked && e.mine == invite.Open {
		return nil // this user is still ringing: the ending of another invitee must not stop it
	}
	ev := e.about(m, list)
	switch {
	case m.ActionType == protocol.ActionTimeout:
		return []Callback{{Timeout, ev}}
	case m.Inviter == l.me && m.From == l.me:
		ev.Action = "cancel"
		return []Callback{{OtherDevice, ev}}
	}
	return []Callback{{Cancelled, ev}}
}
