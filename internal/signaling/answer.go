package signaling

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/room"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling/snapshot"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Accept accepts an invitation for the caller.
func (e *Service) Accept(ctx context.Context, by rpc.Caller,
	req protocol.AnswerRequest) (rpc.Txn[protocol.ActionResponse], error) {
	return e.answer(ctx, by, req.InviteID, invite.Answer{Act: invite.Accept, By: by.Actor(req.RequestID), Data: req.Data})
}

// Reject rejects an invitation for the caller.
func (e *Service) Reject(ctx context.Context, by rpc.Caller,
	req protocol.RejectRequest) (rpc.Txn[protocol.ActionResponse], error) {
	return e.answer(ctx, by, req.InviteID, invite.Answer{Act: invite.Reject, By: by.Actor(req.RequestID), Data: req.Data,
		Reason: req.Reason})
}

// Ring records that a device of the caller alerts its user.
func (e *Service) Ring(ctx context.Context, by rpc.Caller, req protocol.RingRequest) (rpc.Txn[protocol.ActionResponse],
	error) {
	return e.answer(ctx, by, req.InviteID, invite.Answer{Act: invite.Ring, By: by.Actor(req.RequestID)})
}

func (e *Service) answer(ctx context.Context, by rpc.Caller, id string,
	a invite.Answer) (rpc.Txn[protocol.ActionResponse], error) {
	if err := rpc.FirstError(im.CheckInviteID(id), im.CheckRequestID(a.By.RequestID), invite.CheckData(a.Data),
		invite.CheckReason(a.Reason)); err != nil {
		return rpc.Txn[protocol.ActionResponse]{}, err
	}
	return e.onRoute(ctx, by, id, func(r route) rpc.Txn[protocol.ActionResponse] { return e.answerOn(r, by, id, a) })
}

// answerOn is answer with the route of the invitation.
func (e *Service) answerOn(r route, by rpc.Caller, id string, a invite.Answer) rpc.Txn[protocol.ActionResponse] {
	reads := txn.ReadSet{Topics: r.topics(), Invitations: []string{id},
		Invitees: []txn.InviteeKey{{InviteID: id, UserID: by.UserID}}}
	if a.Act == invite.Ring && r.groupID != "" {
		reads.Topics = append(reads.Topics, im.UserTopic(r.inviter))
	}
	if a.Act != invite.Ring {
		reads.Members, reads.Contacts = r.members(by.UserID), r.contacts(by.UserID)
	}
	if a.Act == invite.Accept && r.roomID != "" {
		room.SeatReads(&reads, r.roomID, r.inviter, by.UserID)
	}
	var after invite.Invitation
	return rpc.Txn[protocol.ActionResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.ActionResponse, error) {
		v := tx.Invitation(id)
		if v == nil {
			return protocol.ActionResponse{}, snapshot.NoInvitation()
		}
		if err := hold(tx, v); err != nil {
			return protocol.ActionResponse{}, err
		}
		me := tx.Invitee(id, by.UserID)
		if me != nil && me.Dropped {
			return protocol.ActionResponse{}, snapshot.NoInvitation()
		}
		me = v.AsLeft(me, tx.Now)
		s, err := invite.Apply(*v, me, a, tx.Now)
		if err != nil {
			return protocol.ActionResponse{}, snapshot.WithStanding(err, v, me, by, tx.Now)
		}
		after = s.Invitation
		res := protocol.ActionResponse{InviteID: id, Version: after.Version, Over: after.Over(), Repeat: s.Repeat,
			ServerTime: tx.Now}
		if a.Act == invite.Ring {
			res.Deadline = s.Invitee.Deadline
		}
		if s.Repeat {
			return res, nil
		}
		if a.Act == invite.Ring {
			e.putRing(tx, s, by)
			return res, nil
		}
		if a.Act == invite.Accept {
			if err := room.Grant(tx, e.opt.RoomPolicy, &s.Invitation, by, by.UserID); err != nil {
				return res, err
			}
		}
		if err := e.putAnswer(tx, s, a, by, ""); err != nil || !s.CloseRest {
			return res, err
		}
		after, err = e.closeRest(tx, s)
		res.Over = after.Over()
		return res, err
	}, After: func(res protocol.ActionResponse, err error) (protocol.ActionResponse, error) {
		if err == nil {
			e.updateDeadline(id, after.Over(), 0, true)
			if after.Large && !res.Repeat && a.Act != invite.Ring {
				e.digests.note(id, by.UserID, a.Act)
			}
		}
		return res, err
	}}
}

// putAnswer writes and announces an accept or reject. Its cost does not depend on the number of invitees.
func (e *Service) putAnswer(tx *txn.Tx, s invite.Step, a invite.Answer, by rpc.Caller, merged string) error {
	action := protocol.ActionAccept
	if a.Act == invite.Reject {
		action = protocol.ActionReject
	}
	m := message(&s.Invitation, action, by.UserID, tx.Now)
	m.Merged = merged
	m.Answers = []protocol.Answer{{Invitee: s.Invitee.UserID, ActionType: action, Data: a.Data, Reason: s.Invitee.Reason,
		Time: tx.Now}}
	if err := read(tx, &s.Invitation, &s.Invitee); err != nil {
		return err
	}
	if err := appendEvent(tx, &s.Invitation, by, m); err != nil {
		return err
	}
	tx.PutInvitation(s.Invitation)
	tx.PutInvitee(s.Invitee)
	e.opt.Pushes.Decided(tx, &s.Invitee)
	return nil
}

// closeRest cancels the invitees that are still open after the last possible accept.
func (e *Service) closeRest(tx *txn.Tx, s invite.Step) (invite.Invitation, error) {
	id := s.Invitation.ID
	if !tx.HasOpen(id) {
		return s.Invitation, &txn.NeedReads{Reads: txn.ReadSet{OpenInvitees: []string{id}}}
	}
	var rest []*invite.Invitee
	for _, p := range tx.OpenInvitees(id) {
		if p.UserID != s.Invitee.UserID {
			rest = append(rest, p)
		}
	}
	c := invite.Rest(s.Invitation, rest, tx.Now)
	return c.Invitation, e.end(tx, c, rpc.Caller{}, protocol.ActionCancel, invite.ReasonAnswered, "")
}

// putRing notifies the inviter that the first device alerts its user.
func (e *Service) putRing(tx *txn.Tx, s invite.Step, by rpc.Caller) {
	v := &s.Invitation
	t := im.UserTopic(v.Inviter)
	m := message(v, protocol.ActionRinging, by.UserID, tx.Now)
	m.InviteeList = []string{s.Invitee.UserID}
	if d := s.Invitee.Deadline; d != 0 {
		m.Deadline, m.Remaining = d, max(0, d-tx.Now)
	}
	tx.Append(t, txn.Draft{Online: v.OnlineUserOnly, Body: newSignal(m)})
	tx.PutInvitation(*v)
	tx.PutInvitee(s.Invitee)
}
