package signaling

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling/offlinepush"
	"github.com/beckon-im/beckon/internal/signaling/snapshot"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Cancel ends the open invitees: all of them, or those listed. A cancel that overtakes its invite leaves a tombstone,
// so that the late invite is refused; the caller still gets 8010, because there was nothing to cancel.
func (e *Service) Cancel(ctx context.Context, by rpc.Caller,
	req protocol.CancelRequest) (rpc.Txn[protocol.ActionResponse], error) {
	if err := rpc.FirstError(im.CheckInviteID(req.InviteID), im.CheckRequestID(req.RequestID), invite.CheckData(req.Data),
		invite.CheckCancelled(req.InviteeList)); err != nil {
		return rpc.Txn[protocol.ActionResponse]{}, err
	}
	r, known, _ := e.route(ctx, req.InviteID) // if it cannot be read, the transaction finds it
	reads := txn.ReadSet{Topics: []string{im.UserTopic(by.UserID)}, Invitations: []string{req.InviteID}}
	if known {
		reads = cancelReads(r, req)
	} else {
		reads.Tombstones = []txn.InviteeKey{{InviteID: req.InviteID, UserID: by.UserID}}
	}
	early := false
	t := e.changeOr(reads, req.InviteID, func(tx *txn.Tx, v *invite.Invitation) (protocol.ActionResponse,
		invite.Invitation,
		error) {
		early = false
		return e.decideCancel(tx, v, by, req)
	}, func(tx *txn.Tx) error {
		if early = true; tx.Tombstone(req.InviteID, by.UserID) == nil {
			tx.PutTombstone(txn.Tombstone{InviteID: req.InviteID, UserID: by.UserID, ExpiresAt: tx.Now +
				tombstoneLife.Milliseconds()})
		}
		return nil
	})
	updateDeadline := t.After
	t.After = func(res protocol.ActionResponse, err error) (protocol.ActionResponse, error) {
		if res, err = updateDeadline(res, err); err == nil && early {
			err = &im.Error{Code: im.CodeOver, Field: "inviteID",
				Message: "there is no invitation with this inviteID; an invite with it within the next five minutes will " +
					"be refused"}
		}
		return res, err
	}
	return t, nil
}

// cancelReads returns the reads of a cancel: all open invitees, or those listed, and the peer of a one-to-one
// invitation.
func cancelReads(r route, req protocol.CancelRequest) txn.ReadSet {
	id := req.InviteID
	reads := txn.ReadSet{Topics: r.topics(), Invitations: []string{id}}
	for _, u := range req.InviteeList {
		reads.Invitees = append(reads.Invitees, txn.InviteeKey{InviteID: id, UserID: u})
	}
	if len(req.InviteeList) == 0 {
		reads.OpenInvitees = []string{id}
	}
	if r.peer != "" {
		reads.Invitees = append(reads.Invitees, txn.InviteeKey{InviteID: id, UserID: r.peer})
	}
	return reads
}

func (e *Service) decideCancel(tx *txn.Tx, v *invite.Invitation, by rpc.Caller,
	req protocol.CancelRequest) (protocol.ActionResponse, invite.Invitation, error) {
	r := routeOf(v)
	// the invite was committed after the route lookup: only now its reads are known
	if err := tx.RequireReads(cancelReads(r, req)); err != nil {
		return protocol.ActionResponse{}, *v, err
	}
	invitees := tx.OpenInvitees(v.ID)
	if v.Peer != "" && !v.OwnTopic {
		invitees = []*invite.Invitee{tx.Invitee(v.ID, v.Peer)} // also when decided: the error names the action that won
	}
	if len(req.InviteeList) > 0 {
		invitees = make([]*invite.Invitee, len(req.InviteeList))
		for i, u := range req.InviteeList {
			invitees[i] = tx.Invitee(v.ID, u)
		}
	}
	c, err := invite.Cancel(*v, invitees, req.InviteeList, by.Actor(req.RequestID), tx.Now)
	if err != nil {
		return protocol.ActionResponse{}, *v, snapshot.WithStanding(err, v, tx.Invitee(v.ID, v.Peer), by, tx.Now)
	}
	res := protocol.ActionResponse{InviteeList: names(c.Invitees), Repeat: c.Repeat}
	if c.Repeat {
		return res, c.Invitation, nil
	}
	return res, c.Invitation, e.end(tx, c, by, protocol.ActionCancel, "", req.Data)
}

// Modify replaces the data of an open invitation.
func (e *Service) Modify(ctx context.Context, by rpc.Caller,
	req protocol.ModifyRequest) (rpc.Txn[protocol.ActionResponse], error) {
	if err := rpc.FirstError(im.CheckInviteID(req.InviteID), im.CheckRequestID(req.RequestID),
		invite.CheckData(req.Data)); err != nil {
		return rpc.Txn[protocol.ActionResponse]{}, err
	}
	return e.onRoute(ctx, by, req.InviteID,
		func(r route) rpc.Txn[protocol.ActionResponse] { return e.modifyOn(r, by, req) })
}

// modifyOn is Modify with the route of the invitation.
func (e *Service) modifyOn(r route, by rpc.Caller, req protocol.ModifyRequest) rpc.Txn[protocol.ActionResponse] {
	id := req.InviteID
	reads := txn.ReadSet{Topics: r.topics(), Invitations: []string{id}, Members: r.members(by.UserID)}
	if r.groupID != "" {
		reads.Groups = []string{r.groupID}
	}
	return e.change(reads, id, func(tx *txn.Tx, v *invite.Invitation) (protocol.ActionResponse, invite.Invitation, error) {
		if err := maySpeak(tx, v, by); err != nil {
			return protocol.ActionResponse{}, *v, err
		}
		c, err := invite.Modify(*v, req.Data, by.Actor(req.RequestID), tx.Now)
		if err != nil || c.Repeat {
			return protocol.ActionResponse{Repeat: c.Repeat}, *v, snapshot.WithStanding(err, v, nil, by, tx.Now)
		}
		tx.PutInvitation(c.Invitation)
		m := openMessage(&c.Invitation, protocol.ActionModify, v.Deadline, tx.Now)
		return protocol.ActionResponse{}, c.Invitation, appendEvent(tx, &c.Invitation, by, m)
	})
}

// maySpeak refuses an inviter that has left the group of an invitation, or is muted there.
func maySpeak(tx *txn.Tx, v *invite.Invitation, by rpc.Caller) error {
	if v.GroupID == "" || v.Inviter != by.UserID {
		return nil
	}
	if me := tx.Member(v.GroupID, by.UserID); me.Present() {
		return tx.Group(v.GroupID).MaySpeak(me, tx.Now)
	}
	return im.Refuse(im.CodeGroupDenied, "you are no longer a member of the group of this invitation; you may only "+
		"cancel it")
}

// AddInvitees invites more users to an open invitation.
func (e *Service) AddInvitees(ctx context.Context, by rpc.Caller,
	req protocol.AddInviteesRequest) (rpc.Txn[protocol.ActionResponse], error) {
	if err := rpc.FirstError(im.CheckInviteID(req.InviteID), im.CheckRequestID(req.RequestID)); err != nil {
		return rpc.Txn[protocol.ActionResponse]{}, err
	}
	r, err := e.mustRoute(ctx, req.InviteID)
	if err != nil {
		return rpc.Txn[protocol.ActionResponse]{}, err
	}
	if err := invite.CheckInvitees(r.inviter, r.groupID, req.InviteeList); err != nil {
		return rpc.Txn[protocol.ActionResponse]{}, err
	}
	id := req.InviteID
	reads := txn.ReadSet{Topics: r.topics(), Invitations: []string{id}, Members: r.members(by.UserID)}
	if r.groupID == "" && r.peer != "" { // a one-to-one invitation becomes one to several users
		reads.Invitees = append(reads.Invitees, txn.InviteeKey{InviteID: id, UserID: r.peer})
	}
	for _, u := range req.InviteeList {
		reads.Invitees = append(reads.Invitees, txn.InviteeKey{InviteID: id, UserID: u})
		if r.groupID != "" {
			reads.Members = append(reads.Members, txn.MemberKey{GroupID: r.groupID, UserID: u})
		} else {
			reads.Topics = append(reads.Topics, im.UserTopic(u))
			reads.Contacts = append(reads.Contacts, txn.ContactKey{UserID: u, Peer: by.UserID},
				txn.ContactKey{UserID: by.UserID, Peer: u})
			reads.Users = append(reads.Users, u)
		}
	}
	if r.groupID != "" {
		reads.Groups = []string{r.groupID}
	}
	e.boundReads(&reads, by.UserID, r.groupID, req.InviteeList)
	devices := offlinepush.ConnectedOf(e.presence, req.InviteeList)
	large, err := e.largeIn(ctx, r.groupID, r.inviter, false, req.InviteeList)
	if err != nil {
		return rpc.Txn[protocol.ActionResponse]{}, err
	}
	t := e.change(reads, id, func(tx *txn.Tx, v *invite.Invitation) (protocol.ActionResponse, invite.Invitation, error) {
		return e.decideAdd(tx, v, by, req, devices, large)
	})
	updateDeadline := t.After
	t.After = func(res protocol.ActionResponse, err error) (protocol.ActionResponse, error) {
		offlinepush.Complete(res.Reach, devices)
		if err == nil {
			e.watch.Opened(id, devices)
		}
		return updateDeadline(res, err)
	}
	return t, nil
}

func (e *Service) decideAdd(tx *txn.Tx, v *invite.Invitation, by rpc.Caller, req protocol.AddInviteesRequest,
	devices *offlinepush.Devices, large store.Large) (protocol.ActionResponse, invite.Invitation, error) {
	if err := maySpeak(tx, v, by); err != nil {
		return protocol.ActionResponse{}, *v, err
	}
	known := make([]*invite.Invitee, 0, len(req.InviteeList))
	for _, u := range req.InviteeList {
		known = append(known, tx.Invitee(v.ID, u))
	}
	c, err := invite.Add(*v, known, req.InviteeList, req.Timeout, by.Actor(req.RequestID), tx.Now)
	if err != nil || c.Repeat {
		return protocol.ActionResponse{Repeat: c.Repeat}, *v, snapshot.WithStanding(err, v, nil, by, tx.Now)
	}
	if v.GroupID != "" {
		if err := (&opening{invitees: req.InviteeList}).members(tx, v.GroupID); err != nil {
			return protocol.ActionResponse{}, *v, err
		}
	}
	if err := e.bounds(tx, v.Inviter, v.GroupID, req.InviteeList, large); err != nil {
		return protocol.ActionResponse{}, *v, err
	}
	res := protocol.ActionResponse{}
	if err := e.checkBlocked(tx, &c.Invitation, c.Invitees); err != nil {
		return res, *v, err
	}
	res.Reach = make([]protocol.Reach, len(c.Invitees))
	if err := e.opt.Pushes.Ring(tx, &c.Invitation, c.Invitees, devices, res.Reach); err != nil {
		return res, *v, err
	}
	countForInvitees(tx, &c.Invitation, c.Invitees)
	if err := announceAdded(tx, v, &c, by); err != nil {
		return res, *v, err
	}
	if !v.OwnTopic && c.Invitation.OwnTopic {
		first := tx.Invitee(v.ID, v.Peer)
		first.Follows = true
		tx.PutInvitee(*first)
	}
	if err := appendRefusals(tx, &c.Invitation, c.Invitees); err != nil {
		return res, *v, err
	}
	for _, p := range c.Invitees {
		tx.PutInvitee(p)
	}
	tx.PutInvitation(c.Invitation)
	return res, c.Invitation, nil
}

// change runs an inviter's action on an existing invitation and updates its deadline.
func (e *Service) change(reads txn.ReadSet, id string,
	decide func(*txn.Tx, *invite.Invitation) (protocol.ActionResponse, invite.Invitation,
		error)) rpc.Txn[protocol.ActionResponse] {
	return e.changeOr(reads, id, decide, func(*txn.Tx) error { return snapshot.NoInvitation() })
}

// changeOr is change with a handler for a missing invitation.
func (e *Service) changeOr(reads txn.ReadSet, id string,
	decide func(*txn.Tx, *invite.Invitation) (protocol.ActionResponse, invite.Invitation, error),
	absent func(*txn.Tx) error) rpc.Txn[protocol.ActionResponse] {
	var after *invite.Invitation
	return rpc.Txn[protocol.ActionResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.ActionResponse, error) {
		v := tx.Invitation(id)
		if v == nil {
			return protocol.ActionResponse{}, absent(tx)
		}
		if err := hold(tx, v); err != nil {
			return protocol.ActionResponse{}, err
		}
		res, v2, err := decide(tx, v)
		after = &v2
		res.InviteID, res.Version, res.Over, res.ServerTime = id, v2.Version, v2.Over(), tx.Now
		return res, err
	}, After: func(res protocol.ActionResponse, err error) (protocol.ActionResponse, error) {
		if err == nil && after != nil {
			e.updateDeadline(id, after.Over(), after.Due, false)
		}
		return res, err
	}}
}
