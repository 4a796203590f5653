package client

import (
	"slices"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// ledger knows the invitations that this device holds, and turns events into notices: no doubles, nobody else's ending
// for one's own, and no ringing for what was over before it was heard. It does no I/O.
type ledger struct {
	me   string
	held map[string]*entry
}

type entry struct {
	inviter  string
	groupID  string
	invitees []string // empty when everyone was invited
	everyone bool
	mine     invite.State // when this user is an invitee
	acted    bool         // this device has decided
	stale    bool         // it was over before this device heard of it
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

func newLedger() *ledger { return &ledger{held: map[string]*entry{}} }

// isInvitee reports whether this user was asked.
func (l *ledger) isInvitee(e *entry) bool {
	return e.inviter != l.me && (e.everyone || slices.Contains(e.invitees, l.me))
}

// snapshot takes in what is open at connect.
func (l *ledger) snapshot(w protocol.Welcome) []notice {
	var todo []notice
	for i := range w.Invitations {
		v := &w.Invitations[i]
		if l.held[v.InviteID] != nil {
			continue
		}
		e := &entry{inviter: v.Inviter, groupID: v.GroupID, everyone: v.Everyone}
		for _, p := range v.Invitees {
			e.invitees = append(e.invitees, p.UserID)
		}
		l.held[v.InviteID] = e
		if l.isInvitee(e) {
			todo = append(todo, notice{kind: noticeNew, inviteID: v.InviteID, user: v.Inviter, groupID: v.GroupID, list: e.invitees, data: v.Data})
		}
	}
	return todo
}

// doubtful lists what this user still held open and the snapshot does not know any more.
func (l *ledger) doubtful(w protocol.Welcome) []string {
	var list []string
	for id, e := range l.held {
		open := slices.ContainsFunc(w.Invitations, func(v protocol.Invitation) bool { return v.InviteID == id })
		if l.isInvitee(e) && e.mine == invite.Open && !e.stale && !open {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// lost ends an invitation whose end was missed for good.
func (l *ledger) lost(id string) []notice {
	e := l.held[id]
	delete(l.held, id)
	return []notice{{kind: noticeCancelled, inviteID: id, user: e.inviter}}
}

// event takes in one event. stale says that the snapshot is newer, so that an invitation of this user that is not in it is over.
func (l *ledger) event(m protocol.Signaling, stale bool) []notice {
	e := l.held[m.InviteID]
	switch m.ActionType {
	case protocol.ActionInvite:
		return l.invited(m, e, stale)
	case protocol.ActionAdd:
		return l.added(m, e, stale)
	case protocol.ActionAccept, protocol.ActionReject:
		return l.answered(m, e)
	}
	if e == nil {
		e = &entry{inviter: m.Inviter, groupID: m.GroupID}
	}
	if m.Over {
		delete(l.held, m.InviteID)
	}
	if e.stale {
		return nil
	}
	switch m.ActionType {
	case protocol.ActionCancel, protocol.ActionTimeout:
		return l.ended(m, e)
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
		return nil
	}
	e = &entry{inviter: m.Inviter, groupID: m.GroupID, invitees: m.InviteeList, everyone: m.Everyone}
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
	if e == nil {
		e = &entry{inviter: m.Inviter, groupID: m.GroupID}
	}
	if m.Over {
		delete(l.held, m.InviteID)
	}
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

// ended tells a cancel or timeout to those whom it concerns. Nobody whose own answer is final takes another's ending for
// their own.
func (l *ledger) ended(m protocol.Signaling, e *entry) []notice {
	concerned := slices.Contains(m.InviteeList, l.me)
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
	case m.Inviter == l.me, l.isInvitee(e) && !concerned:
		return nil
	}
	return []notice{{kind: noticeCancelled, inviteID: m.InviteID, user: m.Inviter, data: m.Data}}
}

// acted notes that this device decided for its user.
func (l *ledger) acted(id string, state invite.State) {
	if e := l.held[id]; e != nil {
		e.acted, e.mine = true, state
	}
}

// opened notes an invitation that this device made.
func (l *ledger) opened(v *protocol.Invitation, invitees []string) {
	if !v.Over && l.held[v.InviteID] == nil {
		l.held[v.InviteID] = &entry{inviter: v.Inviter, groupID: v.GroupID, invitees: invitees, everyone: v.Everyone}
	}
}
