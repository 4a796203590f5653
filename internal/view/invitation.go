// Package view makes the wire form of invitations and calls from their state.
package view

import (
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Invitation returns the wire form of an invitation and invitees at now, in Unix milliseconds.
func Invitation(v *invite.Invitation, invitees []invite.Invitee, now int64) *protocol.Invitation {
	out := &protocol.Invitation{
		InviteID: v.ID, Inviter: v.Inviter, GroupID: v.GroupID, RoomID: v.RoomID, Data: v.Data, Timeout: v.Timeout,
		Notify:      v.Notify,
		AcceptLimit: v.AcceptLimit, MinRing: v.MinRing, MergeGlare: v.MergeGlare, OnlineUserOnly: v.OnlineUserOnly,
		Everyone:  v.Everyone,
		CreatedAt: v.CreatedAt, Deadline: v.Deadline, Remaining: remaining(v.Deadline, now), Version: v.Version,
		Over:   v.Over(),
		Counts: v.Counts, ServerTime: now, Notice: v.Notice, InviteeCount: v.Counts.Total(),
	}
	for i := range invitees {
		out.Invitees = append(out.Invitees, Invitee(v, &invitees[i], now))
	}
	return out
}

// Invitee is Invitation for an invitee.
func Invitee(v *invite.Invitation, w *invite.Invitee, now int64) protocol.Invitee {
	p := protocol.Invitee{UserID: w.UserID, State: w.StateAt(now), Reason: w.Reason, Data: w.Data, Device: w.By.Device,
		RingingAt: w.RingingAt, DecidedAt: w.DecidedAt}
	if w.RingingAt != 0 || w.State == invite.Accepted || w.State == invite.Rejected {
		p.Reach = protocol.ReachAcknowledged
	}
	if w.Deadline != v.Deadline {
		p.Deadline, p.Remaining = w.Deadline, remaining(w.Deadline, now)
	}
	return p
}

func remaining(deadline, now int64) int64 {
	if deadline == 0 {
		return 0
	}
	return max(0, deadline-now)
}
