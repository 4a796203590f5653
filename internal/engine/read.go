package engine

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// GetInvitation reads an invitation with a page of its invitees. The inviter, the invitees, and the members of its group may.
func (e *Engine) GetInvitation(ctx context.Context, by verb.Caller, req protocol.GetInvitationRequest) (protocol.GetInvitationResponse, error) {
	var res protocol.GetInvitationResponse
	limit, err := verb.Page(req.Limit)
	if err == nil && req.Offset < 0 {
		err = im.Bad("offset", "is negative")
	}
	if err := verb.FirstError(err, im.CheckInviteID(req.InviteID)); err != nil {
		return res, err
	}
	v, err := e.store.Invitation(ctx, req.InviteID)
	if err != nil || v == nil {
		return res, unknownOr(err)
	}
	mine, err := e.store.Invitee(ctx, v.ID, by.UserID)
	if err != nil {
		return res, im.Internal(err)
	}
	if err := e.maySee(ctx, v, mine, by); err != nil {
		return res, err
	}
	list, err := e.store.Invitees(ctx, v.ID, req.Offset, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	for i := range list {
		list[i] = seenBy(list[i], v, by)
	}
	now := e.store.Now()
	res.Invitation = protocol.ViewInvitation(v, list, now)
	if mine != nil {
		view := protocol.ViewInvitee(v, mine, now)
		res.Mine = &view
	}
	if next := req.Offset + len(list); next < v.Counts.Total() {
		res.Next = next
	}
	return res, nil
}

func (e *Engine) maySee(ctx context.Context, v *invite.Invitation, mine *invite.Invitee, by verb.Caller) error {
	if mine != nil && mine.Deaf {
		return unknownOr(nil)
	}
	if v.Inviter == by.UserID || mine != nil {
		return nil
	}
	if v.GroupID != "" && v.Notify == invite.NotifyMembers {
		m, err := e.store.Member(ctx, v.GroupID, by.UserID)
		if err != nil {
			return im.Internal(err)
		}
		if m.Present() {
			return nil
		}
	}
	return im.Refuse(im.CodeNotYours, "this invitation is not yours to see")
}

// ListInvitations reads the open invitations of the caller.
func (e *Engine) ListInvitations(ctx context.Context, by verb.Caller, req protocol.ListInvitationsRequest) (protocol.ListInvitationsResponse, error) {
	limit, err := verb.Page(req.Limit)
	if err != nil {
		return protocol.ListInvitationsResponse{}, err
	}
	if req.Limit == 0 {
		limit = store.MaxSnapshot
	}
	open, err := e.store.OpenInvitations(ctx, by.UserID, limit)
	if err != nil {
		return protocol.ListInvitationsResponse{}, im.Internal(err)
	}
	now := e.store.Now()
	return protocol.ListInvitationsResponse{Invitations: viewOpen(open, limit, now), ServerTime: now}, nil
}

func viewOpen(open []store.OpenInvitation, limit int, now int64) []protocol.Invitation {
	list := make([]protocol.Invitation, 0, min(len(open), limit))
	for i := range open {
		var mine []invite.Invitee
		if w := open[i].Mine; w != nil {
			if w.StateAt(now) != invite.Open {
				continue // the rule has decided; the announcement is under way
			}
			mine = []invite.Invitee{*w}
		}
		if len(list) < limit {
			list = append(list, *protocol.ViewInvitation(&open[i].Invitation, mine, now))
		}
	}
	return list
}
