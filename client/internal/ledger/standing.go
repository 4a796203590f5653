package ledger

import (
	"cmp"
	"maps"
	"slices"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Held is an open invitation, as stored for the next run of the program.
type Held struct {
	InviteID string   `json:"inviteID"`
	Done     []string `json:"done,omitempty"` // invitees with a reported outcome
}

// Held lists the open invitations, at most MaxHeld: online-only ones first, because their events are not stored, then
// the newest.
func (l *Ledger) Held() []Held {
	ids := l.Open()
	slices.SortStableFunc(ids, func(a, b string) int {
		if x, y := l.held[a].online, l.held[b].online; x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(b, a)
	})
	var list []Held
	for _, id := range ids[:min(len(ids), MaxHeld)] {
		h := Held{InviteID: id}
		for u := range l.held[id].done {
			h.Done = append(h.Done, u)
		}
		slices.Sort(h.Done)
		h.Done = h.Done[:min(len(h.Done), maxNames)]
		list = append(list, h)
	}
	return list
}

// Restore records the invitations of an earlier run, for the first snapshot.
func (l *Ledger) Restore(list []Held) {
	for _, h := range list {
		l.before[h.InviteID] = h.Done
	}
}

// Rest lists the invitations of an earlier run that the first snapshot did not contain: a connect reply is limited in
// size.
func (l *Ledger) Rest() []string {
	return slices.Sorted(maps.Keys(l.before))
}

// Open lists the open invitations.
func (l *Ledger) Open() []string {
	ids := make([]string, 0, len(l.held))
	for id := range l.held {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Online lists the open online-only invitations: their events are not stored, so missed ones must be requested.
func (l *Ledger) Online() []string {
	return slices.DeleteFunc(l.Open(), func(id string) bool { return !l.held[id].online })
}

// Standing applies the state of an invitation from the server, and reports missed events. Later events up to its
// version are ignored.
func (l *Ledger) Standing(v *protocol.Invitation) []Callback {
	e, over := l.find(v.InviteID)
	if e == nil || over || v.Version <= e.upTo {
		return nil
	}
	data, dataAt, asked := e.data, e.dataAt, e.asked
	mine := l.take(e, v)
	e.asked = e.asked || asked
	var todo []Callback
	switch {
	case !asked && e.asked && mine == invite.Open && e.inviter != l.me:
		todo = append(todo, e.rings(v.InviteID))
	case data != v.Data && dataAt < v.Version:
		e.dataAt = dataAt
		m := protocol.Signaling{InviteID: v.InviteID, Inviter: v.Inviter, Data: v.Data, Version: v.Version}
		todo = append(todo, e.modified(m)...)
	}
	missed := e.missed(v)
	for i, m := range missed {
		m.Over = v.Over && i == len(missed)-1
		todo = append(todo, l.changed(m, e, false)...)
	}
	e.upTo = v.Version
	if v.Over {
		l.end(v.InviteID)
	}
	return todo
}

// missed returns events that lead to the state of an invitation, for the invitees without a reported outcome.
func (e *entry) missed(v *protocol.Invitation) []protocol.Signaling {
	base := protocol.Signaling{InviteID: v.InviteID, Inviter: v.Inviter, GroupID: v.GroupID, Time: v.ServerTime,
		Version: v.Version}
	answers, timeout := base, base
	answers.ActionType, timeout.ActionType = protocol.ActionAccept, protocol.ActionTimeout
	var cancels []protocol.Signaling // one per reason
	for _, p := range v.Invitees {
		if _, done := e.done[p.UserID]; done {
			continue
		}
		switch p.State {
		case invite.Accepted:
			answers.Answers = append(answers.Answers, answer(&p, protocol.ActionAccept))
		case invite.Rejected:
			answers.Answers = append(answers.Answers, answer(&p, protocol.ActionReject))
		case invite.TimedOut:
			timeout.InviteeList = append(timeout.InviteeList, p.UserID)
		case invite.Cancelled:
			i := slices.IndexFunc(cancels, func(m protocol.Signaling) bool { return m.Reason == p.Reason })
			if i < 0 {
				m := base
				m.ActionType, m.Reason, m.Data = protocol.ActionCancel, p.Reason, p.Data
				if p.Reason == "" {
					m.From = v.Inviter
				}
				i, cancels = len(cancels), append(cancels, m)
			}
			cancels[i].InviteeList = append(cancels[i].InviteeList, p.UserID)
		}
	}
	var list []protocol.Signaling
	if len(answers.Answers) > 0 {
		list = append(list, answers)
	}
	list = append(list, cancels...)
	if len(timeout.InviteeList) > 0 {
		list = append(list, timeout)
	}
	if v.Over && len(list) == 0 { // the ended invitees are not on this page
		timeout.Everyone, timeout.InviteeCount = true, v.Counts.TimedOut
		if v.Counts.TimedOut == 0 {
			timeout.ActionType, timeout.InviteeCount = protocol.ActionCancel, v.Counts.Cancelled
		}
		list = append(list, timeout)
	}
	return list
}

func answer(p *protocol.Invitee, action protocol.ActionType) protocol.Answer {
	return protocol.Answer{Invitee: p.UserID, ActionType: action, Data: p.Data, Reason: p.Reason, Time: p.DecidedAt}
}

// Lost ends an invitation that is unknown to the server.
func (l *Ledger) Lost(id string) []Callback {
	e := l.held[id]
	if e == nil {
		return nil
	}
	l.end(id)
	if !e.known || e.inviter != l.me && (!e.asked || e.mine != invite.Open || e.stale) {
		return nil
	}
	ev := e.about(protocol.Signaling{InviteID: id, Inviter: e.inviter, Over: true}, e.invitees)
	ev.InviteeCount = e.count
	return []Callback{{Cancelled, ev}}
}

// Acted records a decision by this device; over means that no invitee is open any more.
func (l *Ledger) Acted(id string, state invite.State, over bool) {
	e, _ := l.find(id)
	if e == nil {
		e = &entry{}
		l.held[id] = e
	}
	e.acted, e.mine = true, state
	e.report(l.me)
	if over {
		l.end(id)
	}
}

// Cancelled records a cancel by this device.
func (l *Ledger) Cancelled(id string, invitees []string, over bool) {
	if e := l.held[id]; e != nil {
		e.report(invitees...)
	}
	if over {
		l.end(id)
	}
}

// Changed records data and invitees replaced or added by this device.
func (l *Ledger) Changed(id string, data *string, added []string, version int64) {
	e := l.held[id]
	if e == nil {
		return
	}
	if data != nil && version > e.dataAt {
		e.data, e.dataAt = *data, version
	}
	if len(added) > 0 {
		e.invitees = append(slices.Clone(e.invitees), added...)
		e.count += len(added)
	}
}

// Opened records an invitation by this device, or, if merged, the other user's invitation that it accepted.
func (l *Ledger) Opened(res *protocol.InviteResponse, invitees []string) {
	v := res.Invitation
	if res.Merged {
		l.Acted(v.InviteID, invite.Accepted, true)
		return
	}
	if known, _ := l.find(v.InviteID); known == nil && !v.Over {
		e := &entry{}
		l.take(e, v)
		e.invitees = invitees
		if v.Everyone {
			e.invitees = v.InviteeList
		}
		e.count = max(e.count, len(e.invitees))
		l.held[v.InviteID] = e
	}
}
