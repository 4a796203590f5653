package snapshot

import (
	"context"
	"log/slog"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/userstate"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/internal/view"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Reader reads invitations. Both fields are required.
type Reader struct {
	Store *store.Store
	Log   *slog.Logger
}

// NoInvitation returns the error for an inviteID that does not exist, or that the caller may not see.
func NoInvitation() error {
	return &im.Error{Code: im.CodeOver, Field: "inviteID", Message: "there is no invitation with this inviteID"}
}

// SeenBy removes the answering device, unless the caller is the invitee or the inviter.
func SeenBy(p invite.Invitee, v *invite.Invitation, by rpc.Caller) invite.Invitee {
	if by.UserID != p.UserID && by.UserID != v.Inviter {
		p.By = invite.ActionID{}
	}
	return p
}

// GetInvitation returns an invitation with a page of its invitees, to the inviter, the invitees, and the members of
// its group.
func (r *Reader) GetInvitation(ctx context.Context, by rpc.Caller,
	req protocol.GetInvitationRequest) (protocol.GetInvitationResponse, error) {
	var res protocol.GetInvitationResponse
	limit, err := rpc.Page(req.Limit)
	if err == nil && req.Offset < 0 {
		err = im.Bad("offset", "is negative")
	}
	if err := rpc.FirstError(err, im.CheckInviteID(req.InviteID)); err != nil {
		return res, err
	}
	v, err := r.Store.Invitation(ctx, req.InviteID)
	if err != nil {
		return res, im.Internal(err)
	}
	if v == nil {
		return res, NoInvitation()
	}
	mine, err := r.Store.Invitee(ctx, v.ID, by.UserID)
	if err != nil {
		return res, im.Internal(err)
	}
	if err := r.maySee(ctx, v, mine, by); err != nil {
		return res, err
	}
	list, err := r.Store.Invitees(ctx, v.ID, req.Offset, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	shown := list
	if mine != nil {
		shown = append(slices.Clip(list), *mine)
	}
	v, now, err := r.decided(ctx, v, shown)
	if err != nil {
		return res, im.Internal(err)
	}
	for i := range list {
		shown[i] = SeenBy(shown[i], v, by)
	}
	res.Invitation = view.Invitation(v, shown[:len(list)], now)
	if mine != nil {
		view := view.Invitee(v, &shown[len(list)], now)
		res.Mine = &view
	}
	if next := req.Offset + len(list); next < v.Counts.Total() {
		res.Next = next
	}
	return res, nil
}

func (r *Reader) maySee(ctx context.Context, v *invite.Invitation, mine *invite.Invitee, by rpc.Caller) error {
	if mine != nil && mine.Dropped {
		return NoInvitation()
	}
	if v.Inviter == by.UserID || mine != nil {
		return nil
	}
	if v.GroupID != "" && v.Notify == invite.NotifyMembers {
		m, err := r.Store.Member(ctx, v.GroupID, by.UserID)
		if err != nil {
			return im.Internal(err)
		}
		if m.Present() {
			return nil
		}
	}
	return im.Refuse(im.CodeNotYours, "you are not part of this invitation")
}

// maxListed bounds the invitations of one call by their IDs.
const maxListed = 200

// ListInvitations returns the open invitations of the caller, or those with the given IDs in any state.
func (r *Reader) ListInvitations(ctx context.Context, by rpc.Caller,
	req protocol.ListInvitationsRequest) (protocol.ListInvitationsResponse, error) {
	var res protocol.ListInvitationsResponse
	limit, err := rpc.Page(req.Limit)
	if err == nil && len(req.InviteIDs) > maxListed {
		err = im.Bad("inviteIDs", "has more than 200 invitations; use several calls")
	}
	for _, id := range req.InviteIDs {
		err = rpc.FirstError(err, im.CheckInviteID(id))
	}
	if err != nil {
		return res, err
	}
	res.ServerTime = r.Store.Now()
	if len(req.InviteIDs) > 0 {
		found, err := r.Store.Invitations(ctx, req.InviteIDs)
		if err == nil {
			res.Invitations, res.More, err = r.viewWhole(ctx, by, found)
		}
		return res, internal(err)
	}
	if req.Limit == 0 {
		limit = userstate.MaxSnapshot
	}
	open, err := userstate.OpenInvitations(ctx, r.Store, by.UserID, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	open = slices.DeleteFunc(open, func(o userstate.OpenInvitation) bool { return o.Invitation.OnlineUserOnly })
	list, whole := viewOpen(open, limit, res.ServerTime)
	res.Invitations, res.More = list, !whole
	return res, nil
}

// decided updates invitees that were read past their deadline, and returns their invitation with the time of that. An
// answer decided before the deadline may still be in a batch while the timeout is not stored yet: only a transaction,
// which runs after it, determines which of the two won.
func (r *Reader) decided(ctx context.Context, v *invite.Invitation, invitees []invite.Invitee) (*invite.Invitation,
	int64, error) {
	now := r.Store.Now()
	late := func(p invite.Invitee) bool { return p.StateAt(now) != p.State }
	if !slices.ContainsFunc(invitees, late) {
		return v, now, nil
	}
	home := im.UserTopic(v.Inviter) // its lock guards the invitation
	if v.GroupID != "" {
		home = im.GroupTopic(v.GroupID)
	}
	reads := txn.ReadSet{Topics: []string{home}, Invitations: []string{v.ID}}
	for _, p := range invitees {
		reads.Invitees = append(reads.Invitees, txn.InviteeKey{InviteID: v.ID, UserID: p.UserID})
	}
	type read struct {
		v        *invite.Invitation
		invitees []invite.Invitee
		now      int64
	}
	at, err := rpc.Run(ctx, r.Store, rpc.Txn[read]{Reads: reads, Decide: func(tx *txn.Tx) (read, error) {
		at := read{v: tx.Invitation(v.ID), invitees: slices.Clone(invitees), now: tx.Now}
		for i, k := range reads.Invitees {
			if p := tx.Invitee(k.InviteID, k.UserID); p != nil {
				at.invitees[i] = *p
			}
		}
		return at, nil
	}})
	if err != nil || at.v == nil {
		return v, now, err
	}
	copy(invitees, at.invitees)
	return at.v, at.now, nil
}

func internal(err error) error {
	if err == nil {
		return nil
	}
	return im.Internal(err)
}

// maxWelcome bounds the bytes of the invitations in one response.
const maxWelcome = 64 << 10

// viewOpen returns the views of open invitations, and reports whether these are all of them.
func viewOpen(open []userstate.OpenInvitation, limit int, now int64) (list []protocol.Invitation, whole bool) {
	size := 0
	list = make([]protocol.Invitation, 0, min(len(open), limit))
	for i := range open {
		var mine []invite.Invitee
		if w := open[i].Mine; w != nil {
			if w.State == invite.Open && w.StateAt(now) != invite.Open {
				continue // past its deadline; the announcement follows
			}
			mine = []invite.Invitee{*w}
		}
		view := view.Invitation(&open[i].Invitation, mine, now)
		view.InviteeList = open[i].Invitation.FirstNames()
		if size += sizeOf(view); len(list) == limit || size > maxWelcome {
			return list, false
		}
		list = append(list, *view)
	}
	return list, len(open) < limit
}

// sizeOf estimates the size of an invitation as JSON, in bytes.
func sizeOf(v *protocol.Invitation) int {
	size := 400 + len(v.Data) + len(v.Data)/8
	for _, u := range v.InviteeList {
		size += len(u) + 3
	}
	for i := range v.Invitees {
		size += 150 + len(v.Invitees[i].Data) + len(v.Invitees[i].UserID)
	}
	return size
}
