// Package ledger owns the invitations that one device holds, and turns signaling events into callbacks: none twice, no
// other invitee's ending as the user's own, and no ringing for what was over before the device received it.
//
// It does no I/O.
package ledger

import (
	"maps"
	"slices"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Ledger holds the invitations of one device. Its user guards it with a lock.
type Ledger struct {
	me     string
	held   map[string]*entry
	ended  map[string]*entry
	order  []string            // of the ended, the oldest first
	before map[string][]string // from an earlier run of the program: invitees whose outcome it reported, by invitation
}

type entry struct {
	known    bool // the facts of the invitation are known, or the server was asked for them in vain
	inviter  string
	groupID  string
	data     string
	dataAt   int64 // the version of data
	invitees []string
	count    int
	everyone bool
	online   bool                // online-only: its events are not stored
	asked    bool                // this user is an invitee
	mine     invite.State        // of this user as an invitee
	acted    bool                // this device has decided
	stale    bool                // it was over before this device received it
	upTo     int64               // events up to this version are reported
	heard    map[int64]struct{}  // versions received: one event may come on two timelines
	done     map[string]struct{} // invitees whose outcome is reported
}

// maxEnded bounds the memory of invitations that are over: enough for an event that comes on a second timeline.
const maxEnded = 1000

// MaxHeld bounds the invitations that a device names to the server at once.
const MaxHeld = 200

// maxNames bounds the names of a list in an invitation's view.
const maxNames = 100

// New returns an empty ledger.
func New() *Ledger {
	return &Ledger{held: map[string]*entry{}, ended: map[string]*entry{}, before: map[string][]string{}}
}

// SetUser sets the user of the device.
func (l *Ledger) SetUser(me string) { l.me = me }

// User returns the user of the device.
func (l *Ledger) User() string { return l.me }

// end moves an invitation from the held to the ended, which only recognise what comes twice.
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

// find returns what is known of an invitation; over says that it has ended.
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

// Facts returns the inviter, the group and the invitees of an invitation, as far as they are known.
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
	_, twice := e.heard[m.Version]
	return !twice && m.Version > e.upTo
}

func (e *entry) hear(version int64) {
	if e.heard == nil {
		e.heard = map[int64]struct{}{}
	}
	e.heard[version] = struct{}{}
}

// report notes that the outcome of an invitee is reported.
func (e *entry) report(users ...string) {
	if e.done == nil {
		e.done = map[string]struct{}{}
	}
	for _, u := range users {
		e.done[u] = struct{}{}
	}
}

// Unknown reports whether the facts of an event's invitation must be asked for before Event takes the event in.
func (l *Ledger) Unknown(m protocol.Signaling) bool {
	e, _ := l.find(m.InviteID)
	return (e == nil || !e.known) && m.ActionType != protocol.ActionInvite
}

// Learn takes in the facts of the invitation of an event that Event takes in next; v is nil when the server did not
// say.
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
		e.mine = mine // before this event, because an ending is never taken back
	}
	if m.ActionType == protocol.ActionAdd {
		e.asked = e.asked && !slices.Contains(m.InviteeList, l.me) // the event says so, and rings
	}
}

// take copies the facts of a view, and returns the state of this user as an invitee.
func (l *Ledger) take(e *entry, v *protocol.Invitation) (mine invite.State) {
	e.known = true
	e.inviter, e.groupID, e.data, e.dataAt = v.Inviter, v.GroupID, v.Data, v.Version
	e.everyone, e.online, e.count = v.Everyone, v.OnlineUserOnly, v.InviteeCount
	e.invitees = v.InviteeList
	if len(e.invitees) == 0 { // the page of invitees is what there is
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

// Snapshot takes in a connect reply. whole says that no events of before are on their way: the outcomes of what has
// ended are reported from the reply itself.
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
			l.addEnded(v.InviteID, e) // its events are on their way
			continue
		}
		l.held[v.InviteID] = e
		todo = append(todo, l.Standing(v)...)
	}
	maps.DeleteFunc(l.before, func(id string, _ []string) bool { return l.Holds(id) })
	return todo
}

// rings makes the callback for a new invitation.
func (e *entry) rings(id string) Callback {
	return Callback{Invited, Event{InviteID: id, Inviter: e.inviter, GroupID: e.groupID, InviteeList: e.invitees,
		Everyone: e.everyone, InviteeCount: e.count, InvitationData: e.data, Data: e.data}}
}

// Event takes in one event. stale says that the snapshot is newer, so that an invitation of this user that is not in
// it is over.
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
		e.hear(m.Version)
	}
	if m.Over && !over {
		l.end(m.InviteID)
	}
	return todo
}

// about makes the event of a callback about an invitation that the device knows.
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

// modified replaces the data, unless it is newer already.
func (e *entry) modified(m protocol.Signaling) []Callback {
	if m.Version <= e.dataAt {
		return nil
	}
	e.data, e.dataAt = m.Data, m.Version
	ev := e.about(m, e.invitees)
	ev.Everyone, ev.InviteeCount = e.everyone, e.count
	return []Callback{{Modified, ev}}
}

// digested takes in the state of the answers in a large group. The inviter receives each of them.
func (l *Ledger) digested(m protocol.Signaling, e *entry) []Callback {
	if m.Digest == nil || m.Inviter == l.me {
		return nil
	}
	var todo []Callback
	tell := func(kind Kind, users []string) {
		for _, u := range users {
			if u == l.me {
				continue // on the user's own timeline, with its data
			}
			ev := e.about(m, []string{u})
			ev.Invitee, ev.Over, ev.Data = u, false, ""
			todo = append(todo, Callback{kind, ev})
		}
	}
	tell(Accepted, m.Digest.Accepted)
	tell(Rejected, m.Digest.Rejected)
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
	acted := e.acted // this device answered before the invite came: it is known now who invited whom
	e.known, e.inviter, e.groupID, e.data, e.dataAt = true, m.Inviter, m.GroupID, m.Data, m.Version
	e.invitees, e.everyone, e.online = m.InviteeList, m.Everyone, m.OnlineOnly
	e.count = max(m.InviteeCount, len(m.InviteeList))
	e.asked = m.Inviter != l.me && (m.Everyone || slices.Contains(m.InviteeList, l.me))
	e.stale = e.stale && e.asked
	if acted || m.Inviter == l.me || e.stale { // answered here, the user's own other device invited, or it is over
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
				continue // this device's own, or reported before on another timeline
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
	if len(todo) > 0 { // the last one ends it
		todo[len(todo)-1].Event.Over = m.Over
	}
	return todo
}

// closed reports a cancel or a timeout with those whom it ended. This user is among them exactly when it is final for
// them.
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
		return nil // it still rings here: another's ending must not stop it
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
