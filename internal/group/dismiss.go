package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// A small group is dismissed in one transaction. A large one is closed at once, and its row remains in the index of
// dismissed groups with members until its invitations have been cancelled and its members have left, in transactions
// of a bounded size.
const (
	dismissAtOnce  = 500             // members of a small group
	dismissPage    = 200             // members, or invitations, in a transaction
	dismissEvery   = 5 * time.Second // interval of the search for dismissals that another node, or a crash, interrupted
	dismissGroups  = 8               // groups in progress
	dismissTime    = 5 * time.Second // for the cancellation of a group's invitations, until the next search
	dismissPollMin = 20 * time.Millisecond
)

// DismissGroup ends a group and its open invitations.
func (g *Groups) DismissGroup(ctx context.Context, by rpc.Caller,
	req protocol.GroupRequest) (rpc.Txn[protocol.GroupResponse], error) {
	var open []string
	known, err := g.isMember(ctx, by, req.GroupID)
	if err == nil && known { // the transaction refuses others
		open, err = g.store.OpenInGroup(ctx, req.GroupID, "", dismissPage)
	}
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, im.Internal(err)
	}
	later := false
	t, err := onGroup(g, by, req.GroupID, nil, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		if err := s.MayDismiss(s.me); err != nil {
			return protocol.GroupResponse{}, err
		}
		all, err := false, error(nil)
		if s.Members <= dismissAtOnce && len(open) < dismissPage {
			all, err = g.dismiss(s)
		}
		if err != nil {
			return protocol.GroupResponse{}, err
		}
		if later, s.Dismissed = !all, true; later && by.UserID == "" {
			s.Owner = "" // the sender of the members' events
		}
		return s.respond(nil), nil
	})
	if err != nil {
		return t, err
	}
	t.After = func(res protocol.GroupResponse, err error) (protocol.GroupResponse, error) {
		if later && err == nil {
			select {
			case g.dismissed <- struct{}{}:
			default: // already signaled
			}
		}
		return res, err
	}
	return t, nil
}

// isMember reports whether the caller is a member, or an app server for itself.
func (g *Groups) isMember(ctx context.Context, by rpc.Caller, id string) (bool, error) {
	if by.UserID == "" {
		return true, nil
	}
	me, err := g.store.Member(ctx, id, by.UserID)
	return me.Present(), err
}

// dismiss cancels the invitations of a group and removes its members, unless the invitations are too many.
func (g *Groups) dismiss(s *scene) (all bool, err error) {
	if !s.tx.HasRoster(s.ID) || !s.tx.HasOpenInGroup(s.ID) {
		return false, &txn.NeedReads{Reads: txn.ReadSet{AllMembers: []string{s.ID}, OpenInGroup: []string{s.ID}}}
	}
	roster := s.tx.Roster(s.ID)
	users := make([]string, len(roster))
	for i, m := range roster {
		users[i] = m.UserID
	}
	if err := s.requireUsers(users); err != nil {
		return false, err
	}
	if all, err := g.invitations.EndGroup(s.tx, s.ID); err != nil || !all {
		return false, err
	}
	for _, m := range roster {
		s.remove(m)
	}
	s.Members = 0
	return true, nil
}

// remove ends a membership in a dismissed group.
func (s *scene) remove(m im.Member) {
	m.Gone = true
	s.tx.PutMember(m)
	s.notifyUser(m.UserID, protocol.GroupEvent{Tip: protocol.TipDismissed}, listen.Stop(s.topic))
}

// Run completes the dismissal of large groups until ctx ends.
func (g *Groups) Run(ctx context.Context) error {
	t := time.NewTicker(dismissEvery)
	defer t.Stop()
	for {
		if err := g.completeDismissals(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn("dismissing groups failed", "error", err, "retry_in", dismissEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-g.dismissed:
		case <-t.C:
		}
	}
}

func (g *Groups) completeDismissals(ctx context.Context) error {
	var work errgroup.Group
	work.SetLimit(dismissGroups)
	for after := ""; ; {
		ids, err := g.store.GroupsEnding(ctx, after, dismissPage)
		if err != nil {
			return errors.Join(err, work.Wait())
		}
		for _, id := range ids {
			after = id
			work.Go(func() error { return g.completeDismissal(ctx, id) })
		}
		if len(ids) < dismissPage {
			return work.Wait()
		}
	}
}

func (g *Groups) completeDismissal(ctx context.Context, id string) error {
	for after := ""; ; {
		ids, err := g.store.OpenInGroup(ctx, id, after, dismissPage)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		if err := g.invitations.EndGroupLater(ctx, id, ids); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
	if err := g.waitForInvitations(ctx, id); err != nil {
		return err
	}
	for more := true; more; {
		list, err := g.store.Members(ctx, id, "", dismissPage)
		if err != nil {
			return err
		}
		if err := g.removePage(ctx, id, list); err != nil {
			return err
		}
		more = len(list) > 0
	}
	return nil
}

// waitForInvitations waits until no invitation of a dismissed group is open: removed members do not receive its
// events.
func (g *Groups) waitForInvitations(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, dismissTime)
	defer cancel()
	for pause := dismissPollMin; ; pause = min(2*pause, time.Second) {
		open, err := g.store.OpenInGroup(ctx, id, "", 1)
		if err != nil || len(open) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("invitations of the group %s are still open: %w", id, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// removePage removes members of a dismissed group. The group keeps at least one, and so its place in the index, until a
// page is empty.
func (g *Groups) removePage(ctx context.Context, id string, list []im.Member) error {
	reads := txn.ReadSet{Topics: []string{im.GroupTopic(id)}, Groups: []string{id}}
	for i := range list {
		reads.Topics = append(reads.Topics, im.UserTopic(list[i].UserID))
		reads.Members = append(reads.Members, txn.MemberKey{GroupID: id, UserID: list[i].UserID})
	}
	return rpc.Write(ctx, g.store, reads, func(tx *txn.Tx) error {
		s := &scene{Group: tx.Group(id), tx: tx, topic: im.GroupTopic(id)}
		s.by.UserID = s.Owner
		for i := range list {
			if m := s.member(list[i].UserID); m.Present() {
				s.remove(*m)
				s.Members--
			}
		}
		if s.Members = max(1, s.Members); len(list) == 0 {
			s.Members = 0
		}
		tx.PutGroup(*s.Group)
		return nil
	})
}
