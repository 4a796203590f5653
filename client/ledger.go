package client

import (
	"slices"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// ledger knows the invitations that this device holds, and turns events into notices: no doubles, nobody else's ending
// for one's own, and no ringing for what was over before it was heard. It does no I/O.
type ledger struct {
	me    string
	held  map[string]*entry
	ended map[string]*entry
	order []string // of the ended, the oldest first
}

type entry struct {
	inviter  string
	groupID  string
	invitees []string // empty when everyone was invited
	everyone bool
	online   bool               // online-only: its end is not kept for who was away
	mine     invite.State       // when this user is an invitee
	acted    bool               // this device has decided
	stale    bool               // it was over before this device heard of it
	live     bool               // heard of after the last connect's snapshot
	heard    map[int64]struct{} // the versions that were heard: one event may come on two timelines
}

// maxEnded bounds the memory of invitations that are over: long enough for an event that comes on a second timeline.
const maxEnded = 1000

// end moves an invitation from the held to the ended, which answer only what comes twice.
func (l *ledger) end(id string) {
	e := l.held[id]
	if e == nil {
		return
	}
	delete(l.held, id)
	l.ended[id] = e
	l.order = append(l.order, id)
	if len(l.order) > maxEnded {
		delete(l.ended, l.order[0])
		l.order = l.order[1:]
	}
}

// find returns what is known of an invitation; over says that it has ended.
func (l *ledger) find(id string) (e *entry, over bool) {
	if e := l.held[id]; e != nil {
		return e, false
	}
	return l.ended[id], l.ended[id] != nil
}

// first reports whether an event is heard for the first time.
func (l *ledger) first(m protocol.Signaling) bool {
	e, _ := l.find(m.InviteID)
	if e == nil || m.ActionType == protocol.ActionDigest {
		return true
	}
	_, twice := e.heard[m.Version]
	return !twice
}

func (e *entry) hear(version int64) {
	if e.heard == nil {
		e.heard = map[int64]struct{}{}
	}
	e.heard[version] = struct{}{}
}

type noticeKind int

const (
	noticeNew noticeKind = iota
	noticeAccepted
	noticeRejected
	noticeCancelled
	noticeTimeout
	noticeModified
	noticeRinging
	noticeElsewhere
)

type notice struct {
	kind                          noticeKind
	inviteID, user, groupID, data string
	list                          []string
}

func newLedger() *ledger { return &ledger{held: map[string]*entry{}, ended: map[string]*entry{}} }

// isInvitee reports whether this user was asked.
func (l *ledger) isInvitee(e *entry) bool {
	return e.inviter != l.me && (e.everyone || slices.Contains(e.invitees, l.me))
}

// snapshot takes in what is open at connect.
func (l *ledger) snapshot(w protocol.Welcome) []notice {
	var todo []notice
	open := map[string]bool{}
	for i := range w.Invitations {
		v := &w.Invitations[i]
		open[v.InviteID] = true
		if known, _ := l.find(v.InviteID); known != nil {
			continue
		}
		e := &entry{inviter: v.Inviter, groupID: v.GroupID, everyone: v.Everyone, online: v.OnlineUserOnly}
		for _, p := range v.Invitees {
			e.invitees = append(e.invitees, p.UserID)
		}
		l.held[v.InviteID] = e
		if l.isInvitee(e) {
			todo = append(todo, notice{kind: noticeNew, inviteID: v.InviteID, user: v.Inviter, groupID: v.GroupID, list: e.invitees, data: v.Data})
		}
	}
	for id, e := range l.held {
		e.live = false
		if e.online && !w.More && !open[id] && e.mine == invite.Open && l.isInvitee(e) {
			todo = append(todo, l.lost(id)...) // its end was never kept for us
		}
	}
	return todo
}

// doubtful lists what this user still held open when it connected, and the snapshot did not know any more.
func (l *ledger) doubtful(w protocol.Welcome) []string {
	var list []string
	for id, e := range l.held {
		open := w.More || slices.ContainsFunc(w.Invitations, func(v protocol.Invitation) bool { return v.InviteID == id })
		if l.isInvitee(e) && e.mine == invite.Open && !e.stale && !e.live && !open {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// lost ends an invitation whose end was missed for good.
func (l *ledger) lost(id string) []notice {
	e := l.held[id]
	l.end(id)
	return []notice{{kind: noticeCancelled, inviteID: id, user: e.inviter}}
}

// event takes in one event. stale says that the snapshot is newer, so that an invitation of this user that is not in it is over.
func (l *ledger) event(m protocol.Signaling, stale bool) []notice {
	if !l.first(m) {
		return nil
	}
	if m.ActionType == protocol.ActionDigest {
		return l.digested(m)
	}
	if m.Everyone && m.Inviter == l.me && m.ActionType != protocol.ActionInvite {
		return nil // what onlookers hear; the inviter hears all names on their own timeline
	}
	e, over := l.find(m.InviteID)
	var todo []notice
	switch m.ActionType {
	case protocol.ActionInvite:
		todo = l.invited(m, e, stale)
	case protocol.ActionAdd:
		todo = l.added(m, e, stale)
	default:
		if e == nil {
			e = &entry{inviter: m.Inviter, groupID: m.GroupID}
			l.held[m.InviteID] = e
		}
		todo = l.changed(m, e)
	}
	if e, _ := l.find(m.InviteID); e != nil {
		e.hear(m.Version)
		e.live = e.live || !stale
	}
	if m.Over && !over {
		l.end(m.InviteID)
	}
	return todo
}

// digested takes in how the answers stand in a large group. The inviter has heard each of them.
func (l *ledger) digested(m protocol.Signaling) []notice {
	var todo []notice
	if m.Digest != nil && m.Inviter != l.me {
		for _, u := range m.Digest.Accepted {
			todo = append(todo, notice{kind: noticeAccepted, inviteID: m.InviteID, user: u})
		}
		for _, u := range m.Digest.Rejected {
			todo = append(todo, notice{kind: noticeRejected, inviteID: m.InviteID, user: u})
		}
		todo = slices.DeleteFunc(todo, func(n notice) bool { return n.user == l.me })
	}
	if m.Over && m.Inviter != l.me {
		l.end(m.InviteID)
	}
	return todo
}

func (l *ledger) changed(m protocol.Signaling, e *entry) []notice {
	if len(m.Answers) > 0 {
		return l.answered(m, e)
	}
	if e.stale {
		return nil
	}
	switch m.ActionType {
	case protocol.ActionCancel, protocol.ActionTimeout:
		return l.closed(m, e)
	case protocol.ActionModify:
		return []notice{{kind: noticeModified, inviteID: m.InviteID, data: m.Data}}
	case protocol.ActionRinging:
		var todo []notice
		for _, u := range m.InviteeList {
			todo = append(todo, notice{kind: noticeRinging, inviteID: m.InviteID, user: u})
		}
		return todo
	}
	return nil
}

func (l *ledger) invited(m protocol.Signaling, e *entry, stale bool) []notice {
	if e != nil {
		if e.inviter == "" { // this device answered before the invite came: it is known now who asked whom
			e.inviter, e.groupID, e.invitees, e.everyone, e.online = m.Inviter, m.GroupID, m.InviteeList, m.Everyone, m.OnlineOnly
		}
		return nil
	}
	e = &entry{inviter: m.Inviter, groupID: m.GroupID, invitees: m.InviteeList, everyone: m.Everyone, online: m.OnlineOnly}
	e.stale = stale && l.isInvitee(e)
	l.held[m.InviteID] = e
	if m.Inviter == l.me || e.stale { // one's own other device called, or it is over
		return nil
	}
	return []notice{{kind: noticeNew, inviteID: m.InviteID, user: m.Inviter, groupID: m.GroupID, list: m.InviteeList, data: m.Data}}
}

func (l *ledger) added(m protocol.Signaling, e *entry, stale bool) []notice {
	if e == nil {
		return l.invited(m, nil, stale)
	}
	asked := l.isInvitee(e)
	e.invitees = append(slices.Clone(e.invitees), m.InviteeList...)
	if asked || !l.isInvitee(e) {
		return nil
	}
	return []notice{{kind: noticeNew, inviteID: m.InviteID, user: m.Inviter, groupID: m.GroupID, list: m.InviteeList, data: m.Data}}
}

func (l *ledger) answered(m protocol.Signaling, e *entry) []notice {
	var todo []notice
	for _, a := range m.Answers {
		kind, word, state := noticeAccepted, "accept", invite.Accepted
		if a.ActionType == protocol.ActionReject {
			kind, word, state = noticeRejected, "reject", invite.Rejected
		}
		if a.Invitee == l.me {
			if e.acted || e.mine != invite.Open {
				continue // this device's own, or told before on another timeline
			}
			e.mine = state
			todo = append(todo, notice{kind: noticeElsewhere, inviteID: m.InviteID, data: word})
		}
		if !e.stale {
			todo = append(todo, notice{kind: kind, inviteID: m.InviteID, user: a.Invitee, data: a.Data})
		}
	}
	return todo
}

// closed tells a cancel or timeout to those whom it concerns. Nobody whose own answer is final takes another's ending for
// their own.
func (l *ledger) closed(m protocol.Signaling, e *entry) []notice {
	concerned := slices.Contains(m.InviteeList, l.me) || m.Everyone && l.isInvitee(e) && e.mine == invite.Open
	if concerned {
		if e.mine != invite.Open {
			return nil
		}
		e.mine = invite.Cancelled
		if m.ActionType == protocol.ActionTimeout {
			e.mine = invite.TimedOut
		}
	}
	if m.ActionType == protocol.ActionTimeout {
		if l.isInvitee(e) && !concerned {
			return nil
		}
		return []notice{{kind: noticeTimeout, inviteID: m.InviteID, list: m.InviteeList}}
	}
	switch {
	case m.Inviter == l.me && m.From == l.me:
		return []notice{{kind: noticeElsewhere, inviteID: m.InviteID, data: "cancel"}}
	case m.Inviter == l.me && m.Reason != invite.ReasonLeft, l.isInvitee(e) && !concerned:
		return nil // the inviter knows of the limit from the accept that reached it
	}
	return []notice{{kind: noticeCancelled, inviteID: m.InviteID, user: m.Inviter, data: m.Data}}
}

// acted notes that this device decided for its user; over says that nobody is open any more.
func (l *ledger) acted(id string, state invite.State, over bool) {
	e, _ := l.find(id)
	if e == nil {
		e = &entry{}
		l.held[id] = e
	}
	e.acted, e.mine = true, state
	if over {
		l.end(id)
	}
}

// opened notes an invitation that this device made, or, when it was merged, the other person's that it accepted.
func (l *ledger) opened(res *protocol.InviteResponse, invitees []string) {
	v := res.Invitation
	if res.Merged {
		l.acted(v.InviteID, invite.Accepted, true)
		return
	}
	if known, _ := l.find(v.InviteID); known == nil && !v.Over {
		l.held[v.InviteID] = &entry{inviter: v.Inviter, groupID: v.GroupID, invitees: invitees, everyone: v.Everyone, live: true}
	}
}
