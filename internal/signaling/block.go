package signaling

import (
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Block ends the open invitations outside groups from inviters to a user that now blocks them: as the user's reject,
// or, with DropBlocked, for the user alone. It returns, by inviter, the counts of invitations that no longer count as
// unread: the caller writes these conversations.
func (e *Service) Block(tx *txn.Tx, by rpc.Caller, inviters []string) (counts map[string][]int64, err error) {
	if err := tx.RequireReads(txn.ReadSet{OpenFor: []string{by.UserID}}); err != nil {
		return nil, err
	}
	counts = map[string][]int64{}
	var more txn.ReadSet
	var list []string
	for _, o := range tx.OpenFor(by.UserID) {
		if !slices.Contains(inviters, o.Inviter) {
			continue
		}
		k := txn.InviteeKey{InviteID: o.InviteID, UserID: by.UserID}
		more.Invitations, more.Invitees = append(more.Invitations, o.InviteID), append(more.Invitees, k)
		list = append(list, o.InviteID)
	}
	if err := tx.RequireReads(more); err != nil {
		return nil, err
	}
	for _, id := range list {
		v, me := tx.Invitation(id), tx.Invitee(id, by.UserID)
		if v == nil || me == nil || v.GroupID != "" || me.Dropped || me.StateAt(tx.Now) != invite.Open {
			continue
		}
		if me.Counted > 0 {
			counts[v.Inviter] = append(counts[v.Inviter], me.Counted)
			me.Counted = 0
		}
		end := e.refuse
		if e.opt.DropBlocked {
			end = e.mute
		}
		if err := end(tx, v, me, by); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// refuse rejects an invitation for a user that blocks its inviter.
func (e *Service) refuse(tx *txn.Tx, v *invite.Invitation, me *invite.Invitee, by rpc.Caller) error {
	a := invite.Answer{Act: invite.Reject, By: by.Actor("")}
	s, err := invite.Apply(*v, me, a, tx.Now)
	if err != nil {
		return nil // already decided
	}
	if v.OwnTopic {
		if err := tx.Require(im.UserTopic(by.UserID)); err != nil {
			return err
		}
		tx.Append(im.UserTopic(by.UserID), txn.Draft{Device: by.Origin(), Listen: listen.Stop(im.InvitationTopic(v.ID)),
			Online: v.OnlineUserOnly, Body: participant(tx, v)})
	}
	s.Invitee.Dropped = true
	return e.putAnswer(tx, s, a, by, "")
}

// mute stops the ringing of a user's devices, without an event for the inviter: the invitation stays open until its
// timeout.
func (e *Service) mute(tx *txn.Tx, v *invite.Invitation, me *invite.Invitee, by rpc.Caller) error {
	topic := im.UserTopic(by.UserID)
	if err := tx.Require(topic); err != nil {
		return err
	}
	v.Version++
	m := message(v, protocol.ActionCancel, "", tx.Now)
	m.InviteeList, m.Over = []string{by.UserID}, true
	d := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: newSignal(m)}
	if v.OwnTopic {
		d.Listen = listen.Stop(im.InvitationTopic(v.ID))
	}
	tx.Append(topic, d)
	me.Dropped = true
	v.Dropped = v.Dropped || v.Peer != "" && !v.OwnTopic
	tx.PutInvitation(*v)
	tx.PutInvitee(*me)
	e.opt.Pushes.Muted(tx, me)
	return nil
}
