package signaling

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling/snapshot"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// route is the immutable part of an invitation, which determines the topics an action locks.
type route struct {
	id, inviter, peer, groupID, roomID string

	participants bool // the invitation has a topic of its own instead of the group's
}

// maxRoutes bounds the cache of routes; an evicted route is read from the store.
const maxRoutes = 1 << 17

// route returns the route of an invitation, from the cache or the store; ok is false when the invitation does not
// exist.
func (e *Service) route(ctx context.Context, id string) (r route, ok bool, err error) {
	if r, ok := e.routes.Get(id); ok {
		return r, true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, routeTime)
	defer cancel()
	v, err := e.store.Invitation(ctx, id)
	if err != nil || v == nil {
		return route{}, false, err
	}
	r = routeOf(v)
	e.routes.Add(id, r)
	return r, true, nil
}

// routeTime is the timeout for reading a route.
const routeTime = time.Second

// onRoute returns the transaction that prepare returns for the route of an invitation; prepare must not block. If the
// route cannot be read, as while the database restarts, the transaction finds it, with the patience of a write.
func (e *Service) onRoute(ctx context.Context, by rpc.Caller, id string,
	prepare func(route) rpc.Txn[protocol.ActionResponse]) (rpc.Txn[protocol.ActionResponse], error) {
	r, ok, err := e.route(ctx, id)
	switch {
	case err == nil && !ok:
		return rpc.Txn[protocol.ActionResponse]{}, snapshot.NoInvitation()
	case err == nil:
		return prepare(r), nil
	}
	var found *rpc.Txn[protocol.ActionResponse]
	reads := txn.ReadSet{Topics: []string{im.UserTopic(by.UserID)}, Invitations: []string{id}}
	return rpc.Txn[protocol.ActionResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.ActionResponse, error) {
		v := tx.Invitation(id)
		if v == nil {
			return protocol.ActionResponse{}, snapshot.NoInvitation()
		}
		if found == nil { // a route never changes
			t := prepare(routeOf(v))
			found = &t
		}
		if err := tx.RequireReads(found.Reads); err != nil {
			return protocol.ActionResponse{}, err
		}
		return found.Decide(tx)
	}, After: func(res protocol.ActionResponse, err error) (protocol.ActionResponse, error) {
		if found != nil {
			res, err = found.After(res, err)
		}
		return res, err
	}}, nil
}

// mustRoute is route for a method: a missing invitation is an error.
func (e *Service) mustRoute(ctx context.Context, id string) (route, error) {
	r, ok, err := e.route(ctx, id)
	switch {
	case err != nil:
		return r, im.Internal(err)
	case !ok:
		return r, snapshot.NoInvitation()
	}
	return r, nil
}

func routeOf(v *invite.Invitation) route {
	return route{id: v.ID, participants: v.Notify == invite.NotifyParticipants, inviter: v.Inviter, peer: v.Peer,
		groupID: v.GroupID, roomID: v.RoomID}
}

// home returns the topic that guards an invitation and its invitees by its lock.
func (r route) home() string {
	if r.groupID != "" {
		return im.GroupTopic(r.groupID)
	}
	return im.UserTopic(r.inviter)
}

// hold requires the topics of an invitation: its cached route may be that of a removed one.
func hold(tx *txn.Tx, v *invite.Invitation) error { return tx.Require(routeOf(v).topics()...) }

// members returns the membership row of a user that an action on a group invitation reads.
func (r route) members(user string) []txn.MemberKey {
	if r.groupID == "" {
		return nil
	}
	return []txn.MemberKey{{GroupID: r.groupID, UserID: user}}
}

// contacts returns the row of an invitee's conversation with the inviter that an action reads outside groups.
func (r route) contacts(user string) []txn.ContactKey {
	if r.groupID != "" {
		return nil
	}
	return []txn.ContactKey{{UserID: user, Peer: r.inviter}}
}

// topics returns the topics that nearly every action on the invitation appends to.
func (r route) topics() []string {
	if r.groupID != "" && r.participants || r.groupID == "" && r.peer == "" {
		return []string{r.home(), im.InvitationTopic(r.id)}
	}
	if r.peer != "" {
		return []string{r.home(), im.UserTopic(r.peer)}
	}
	return []string{r.home()}
}
