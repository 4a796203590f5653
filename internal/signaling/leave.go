package signaling

import (
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
	for id, v := range list {
		v.Left, v.Due = true, tx.Now
		list[id] = v
		tx.PutInvitation(v)
		e.deadlines.Set(v.ID, tx.Now) // fires early, without effect, if this transaction is refused
	}
	return list, nil
}

// EndGroup cancels all open invitations of a dismissed group. OpenInGroup of the group must be declared.
func (e *Service) EndGroup(tx *txn.Tx, group string) error {
	open, err := openIn(tx, group)
	if err != nil {
		return err
	}
	return e.leave(tx, open)
}

// openOf returns the open invitations of users in a group. It requires all missing rows at once.
func openOf(tx *txn.Tx, group string, users []string) ([]leaving, error) {
	var more txn.ReadSet
	var order []string
	found := map[string]*leaving{}
	for _, u := range users {
		k := txn.MemberKey{GroupID: group, UserID: u}
		if !tx.HasOpenOfMember(k) {
			more.OpenOfMember = append(more.OpenOfMember, k)
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
