package group

import (
	"context"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// apply files applications and notifies the administrators. Pending applications stay unchanged.
func (s *scene) apply(applicants []string, inviter, reason string) (protocol.GroupResponse, error) {
	applicants = slices.DeleteFunc(slices.Clone(applicants), func(u string) bool {
		a := s.tx.Application(s.ID, u)
		return a != nil && a.State == txn.Waiting
	})
	res := s.respond(nil)
	if res.Applied, res.Repeat = true, len(applicants) == 0; res.Repeat {
		return res, nil
	}
	if !s.tx.HasAdmins(s.ID) {
		return protocol.GroupResponse{}, &txn.NeedReads{Reads: txn.ReadSet{Admins: []string{s.ID}}}
	}
	admins := s.tx.Admins(s.ID)
	users := make([]string, len(admins))
	for i, m := range admins {
		users[i] = m.UserID
	}
	if err := s.requireUsers(users); err != nil {
		return protocol.GroupResponse{}, err
	}
	for _, u := range applicants {
		s.tx.PutApplication(txn.Application{GroupID: s.ID, UserID: u, Inviter: inviter, Reason: reason, AppliedAt: s.tx.Now})
	}
	for some := range slices.Chunk(applicants, invite.MaxNames) {
		for _, admin := range users {
			s.notifyUser(admin, protocol.GroupEvent{Tip: protocol.TipApplication, Members: some, Reason: reason}, "")
		}
	}
	return res, nil
}

// AcceptApplication accepts an application.
func (g *Groups) AcceptApplication(ctx context.Context, by rpc.Caller,
	req protocol.HandleApplicationRequest) (rpc.Txn[protocol.GroupResponse], error) {
	return g.handle(ctx, by, req, true)
}

// RefuseApplication refuses an application.
func (g *Groups) RefuseApplication(ctx context.Context, by rpc.Caller,
	req protocol.HandleApplicationRequest) (rpc.Txn[protocol.GroupResponse], error) {
	return g.handle(ctx, by, req, false)
}

func (g *Groups) handle(_ context.Context, by rpc.Caller, req protocol.HandleApplicationRequest,
	agreed bool) (rpc.Txn[protocol.GroupResponse], error) {
	if err := rpc.FirstError(im.CheckUserID("userID", req.UserID),
		im.CheckText("reason", req.Reason, maxReason)); err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	more := txn.ReadSet{Applications: []txn.MemberKey{{GroupID: req.GroupID, UserID: req.UserID}}}
	return onGroup(g, by, req.GroupID, []string{req.UserID}, more, func(s *scene) (protocol.GroupResponse, error) {
		if err := s.MayAdminister(s.me); err != nil {
			return protocol.GroupResponse{}, err
		}
		a := s.tx.Application(s.ID, req.UserID)
		if a == nil || a.State != txn.Waiting {
			return protocol.GroupResponse{}, im.NotFound("userID", "is "+req.UserID+", who has no pending application")
		}
		present := s.member(req.UserID).Present()
		if agreed && !present {
			if err := s.Room(1); err != nil {
				return protocol.GroupResponse{}, err
			}
		}
		a.State, a.Handler, a.Answer, a.HandledAt = txn.Refused, by.UserID, req.Reason, s.tx.Now
		var applicants []string
		if agreed {
			a.State = txn.Agreed
		}
		s.tx.PutApplication(*a)
		s.notifyUser(req.UserID, protocol.GroupEvent{Tip: protocol.TipProcessed, Agreed: agreed, Reason: req.Reason}, "")
		if agreed && !present {
			applicants = []string{req.UserID}
			how := protocol.TipEnter
			if a.Inviter != "" {
				how = protocol.TipInvited
			}
			s.addMembers(applicants, how)
		}
		return s.respond(applicants), nil
	})
}

// ListApplications returns a page of the applications to the groups that the caller administers, including handled
// ones.
func (g *Groups) ListApplications(ctx context.Context, by rpc.Caller,
	req protocol.ApplicationsRequest) (protocol.ApplicationsResponse, error) {
	var res protocol.ApplicationsResponse
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	list, err := g.store.Applications(ctx, by.UserID, req.AfterGroup, req.AfterUser, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	res.Applications, res.More = make([]protocol.Application, len(list)), len(list) == limit
	for i, a := range list {
		res.Applications[i] = protocol.Application{GroupID: a.GroupID, UserID: a.UserID, Inviter: a.Inviter, Reason: a.Reason,
			State:     stateName(a.State),
			AppliedAt: a.AppliedAt, Handler: a.Handler, Answer: a.Answer, HandledAt: a.HandledAt}
	}
	return res, nil
}

func stateName(s txn.Handling) string {
	switch s {
	case txn.Agreed:
		return "agreed"
	case txn.Refused:
		return "refused"
	}
	return "waiting"
}
