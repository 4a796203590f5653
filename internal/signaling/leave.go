package signaling

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// leaving is an invitation with its open invitees that leave the group.
type leaving struct {
	invitation invite.Invitation
	invitees   []*invite.Invitee
}

// LeaveGroup cancels the open invitees of users that leave a group, and the open invitations of inviters among them.
func (e *Service) LeaveGroup(tx *txn.Tx, group string, users []string) error {
	open, err := openOf(tx, group, users)
	if err != nil {
		return err
	}
	abandoned, err := e.cancelAll(tx, group, users)
	if err != nil {
		return err
	}
	for i := range open { // the inviter leaves in the same call: one row takes both changes
		if v, ok := abandoned[open[i].invitation.ID]; ok {
			open[i].invitation = v
		}
	}
	return e.leave(tx, open)
}

// cancelAll ends the open invitations in a group of inviters that leave it: from now on answers are refused, and each
// invitation is cancelled in a transaction of its own, so that one call does not write the invitees of a thousand
// invitations. It returns these invitations as written.
func (e *Service) cancelAll(tx *txn.Tx, group string, inviters []string) (map[string]invite.Invitation, error) {
	var more txn.ReadSet
	list := map[string]invite.Invitation{}
	for _, u := range inviters {
		if !tx.HasOpenBy(u) {
			more.OpenBy = append(more.OpenBy, u)
			continue
		}
		for _, id := range tx.OpenBy(u) {
			switch v := tx.Invitation(id); {
			case v == nil && !tx.HasInvitation(id):
				more.Invitations = append(more.Invitations, id)
			case v != nil && v.GroupID == group && !v.Over() && !v.Left:
				list[id] = *v
			}
		}
	}
	if len(more.OpenBy)+len(more.Invitations) > 0 {
		return nil, &txn.NeedReads{Reads: more}
	}
	return list, e.cancelLater(tx, list)
}

// cancelLater refuses further answers to invitations, and schedules a transaction for each that cancels it.
func (e *Service) cancelLater(tx *txn.Tx, list map[string]invite.Invitation) error {
	var topics []string
	for _, v := range list {
		topics = append(topics, audience(&v)...)
	}
	if err := tx.Require(topics...); err != nil {
		return err
	}
	for id, v := range list {
		v.Left, v.Due = true, tx.Now
		list[id] = v
		tx.PutInvitation(v)
		e.deadlines.Set(v.ID, tx.Now) // fires early, without effect, if this transaction is refused
	}
	return nil
}

// Limits of the invitations and invitees that one transaction ends when a group is dismissed.
const maxEnded, maxEndedInvitees = 100, 1000

// EndGroup cancels all open invitations of a dismissed group, or none of them if they are too many for one
// transaction: then EndGroupLater cancels them. OpenInGroup of the group must be declared.
func (e *Service) EndGroup(tx *txn.Tx, group string) (all bool, err error) {
	ids, invitees := tx.OpenInGroup(group), 0
	for _, id := range ids {
		invitees += tx.Invitation(id).Counts.Open
	}
	if len(ids) > maxEnded || invitees > maxEndedInvitees {
		return false, nil
	}
	open, err := openIn(tx, group)
	if err != nil {
		return false, err
	}
	return true, e.leave(tx, open)
}

// EndGroupLater cancels open invitations of a dismissed group, each in a transaction of its own.
func (e *Service) EndGroupLater(ctx context.Context, group string, ids []string) error {
	reads := txn.ReadSet{Topics: []string{im.GroupTopic(group)}, Invitations: ids}
	return rpc.Write(ctx, e.store, reads, func(tx *txn.Tx) error {
		list := map[string]invite.Invitation{}
		for _, id := range ids {
			if v := tx.Invitation(id); v != nil && !v.Over() && !v.Left {
				list[id] = *v
			}
		}
		return e.cancelLater(tx, list)
	})
}

// openOf returns the open invitations of users in a group. It requires all missing rows at once.
func openOf(tx *txn.Tx, group string, users []string) ([]leaving, error) {
	var more txn.ReadSet
	var order []string
	pairs := 0
	found := map[string]*leaving{}
	for _, u := range users {
		k := txn.MemberKey{GroupID: group, UserID: u}
		if !tx.HasOpenOfMember(k) {
			more.OpenOfMember = append(more.OpenOfMember, k)
		}
		if pairs += len(tx.OpenOfMember(k)); pairs > im.MaxLeavingInvitees && len(users) > 1 {
			return nil, im.TooManyLeave()
		}
		for _, id := range tx.OpenOfMember(k) {
			v, p := tx.Invitation(id), tx.Invitee(id, u)
			if v == nil || p == nil {
				more.Invitations = append(more.Invitations, id)
				more.Invitees = append(more.Invitees, txn.InviteeKey{InviteID: id, UserID: u})
				continue
			}
			if found[id] == nil {
				found[id], order = &leaving{invitation: *v}, append(order, id)
			}
			found[id].invitees = append(found[id].invitees, p)
		}
	}
	if len(more.OpenOfMember)+len(more.Invitations) > 0 {
		return nil, &txn.NeedReads{Reads: more}
	}
	list := make([]leaving, len(order))
	for i, id := range order {
		list[i] = *found[id]
	}
	return list, nil
}

// openIn returns all open invitations in a group. It requires all missing rows at once.
func openIn(tx *txn.Tx, group string) ([]leaving, error) {
	var more txn.ReadSet
	var list []leaving
	for _, id := range tx.OpenInGroup(group) {
		if !tx.HasOpen(id) {
			more.OpenInvitees = append(more.OpenInvitees, id)
			continue
		}
		list = append(list, leaving{*tx.Invitation(id), tx.OpenInvitees(id)})
	}
	if len(more.OpenInvitees) > 0 {
		return nil, &txn.NeedReads{Reads: more}
	}
	return list, nil
}

// leave cancels invitees, each invitation once, after requiring all topics of their audiences.
func (e *Service) leave(tx *txn.Tx, list []leaving) error {
	changes := make([]invite.Change, len(list))
	var topics []string
	for i, l := range list {
		changes[i] = invite.Leave(l.invitation, l.invitees, tx.Now)
		topics = append(topics, audience(&changes[i].Invitation)...)
	}
	if err := tx.Require(topics...); err != nil {
		return err
	}
	for _, c := range changes {
		if len(c.Invitees) == 0 {
			continue
		}
		if err := e.end(tx, c, rpc.Caller{}, protocol.ActionCancel, invite.ReasonLeft, ""); err != nil {
			return err
		}
	}
	return nil
}
