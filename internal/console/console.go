// Package console implements the methods by which operators inspect a cluster: connections, open invitations and their
// history, users, groups, and statistics over time.
//
// It is read-only. Operators make changes with the ordinary methods.
package console

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/group"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/admin"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/internal/view"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

// Sessions lists the connections on all nodes.
type Sessions interface {
	// List returns connections of users with an ID prefix, sorted by user and device, starting after a given device, and
	// the total number of connections.
	List(prefix, afterUser, afterDevice string, limit int) (list []protocol.Connection, total int)
}

// Presence returns the number of devices of each user that are connected to any node.
type Presence interface {
	Devices(userIDs ...string) []int
}

// Console implements the methods of operators.
type Console struct {
	store    *store.Store
	sessions Sessions
	presence Presence
	nodes    func() int
}

// New returns the methods of operators.
func New(s *store.Store, sessions Sessions, presence Presence, nodes func() int) *Console {
	return &Console{store: s, sessions: sessions, presence: presence, nodes: nodes}
}

// splitCursor splits a page cursor that consists of two names.
func splitCursor(after string) (a, b string, err error) {
	if after == "" {
		return "", "", nil
	}
	a, b, ok := strings.Cut(after, " ")
	if !ok {
		return "", "", im.Bad("after", "must be the next value of a previous page")
	}
	return a, b, nil
}

// ListConnections returns a page of the connections on all nodes.
func (c *Console) ListConnections(_ context.Context, _ rpc.Caller,
	req operator.ListConnectionsRequest) (res operator.ListConnectionsResponse, err error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	user, device, err := splitCursor(req.After)
	if err != nil {
		return res, err
	}
	res.Nodes, res.ServerTime = c.nodes(), c.store.Now()
	list, total := c.sessions.List(req.UserID, user, device, limit)
	res.Connections, res.Total = append([]protocol.Connection{}, list...), total // never null
	if len(res.Connections) == limit {
		last := &res.Connections[limit-1]
		res.Next = last.UserID + " " + last.DeviceID
	}
	return res, nil
}

// ListOpenInvitations returns a page of the open invitations of all users.
func (c *Console) ListOpenInvitations(ctx context.Context, _ rpc.Caller,
	req operator.ListOpenInvitationsRequest) (res operator.ListOpenInvitationsResponse, err error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	inviter, id, err := splitCursor(req.After)
	if err != nil {
		return res, err
	}
	list, count, err := admin.Open(ctx, c.store, inviter, id, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	res.Total, res.ServerTime, res.Invitations = count, c.store.Now(), make([]protocol.Invitation, len(list))
	for i := range list {
		res.Invitations[i] = *view.Invitation(&list[i], nil, res.ServerTime)
	}
	if len(list) == limit {
		res.Next = list[limit-1].Inviter + " " + list[limit-1].ID
	}
	return res, nil
}

// maxTraced limits the invitees in one trace.
const maxTraced = 100

// TraceInvitation returns the history of an invitation: deliveries, pushes and answers with their times.
func (c *Console) TraceInvitation(ctx context.Context, _ rpc.Caller,
	req operator.TraceInvitationRequest) (res operator.TraceInvitationResponse, err error) {
	if err := im.CheckInviteID(req.InviteID); err != nil {
		return res, err
	}
	v, err := c.store.Invitation(ctx, req.InviteID)
	if err != nil {
		return res, im.Internal(err)
	}
	if v == nil {
		return res, &im.Error{Code: im.CodeOver, Field: "inviteID",
			Message: "no such invitation; invitations only for connected devices are deleted five minutes after their end"}
	}
	invitees, err := c.readInvitees(ctx, v, req.UserID)
	if err != nil {
		return res, err
	}
	res.ServerTime = c.store.Now()
	res.Invitation = *view.Invitation(v, invitees, res.ServerTime)
	res.Events = append(res.Events, operator.TraceEvent{At: v.CreatedAt, Event: "invited", Device: v.By.Device,
		Detail: v.Inviter})
	for i := range invitees {
		if res.Events, err = c.appendTrace(ctx, res.Events, v, &invitees[i]); err != nil {
			return res, err
		}
	}
	if !v.Over() && v.Deadline != 0 {
		res.Events = append(res.Events, operator.TraceEvent{At: v.Deadline, Event: "deadline"})
	}
	slices.SortStableFunc(res.Events, func(a, b operator.TraceEvent) int { return cmp.Compare(a.At, b.At) })
	return res, nil
}

func (c *Console) readInvitees(ctx context.Context, v *invite.Invitation, user string) ([]invite.Invitee, error) {
	if user == "" {
		list, err := c.store.Invitees(ctx, v.ID, 0, maxTraced)
		if err != nil {
			return nil, im.Internal(err)
		}
		return list, nil
	}
	if err := im.CheckUserID("userID", user); err != nil {
		return nil, err
	}
	p, err := c.store.Invitee(ctx, v.ID, user)
	switch {
	case err != nil:
		return nil, im.Internal(err)
	case p == nil:
		return nil, im.NotFound("userID", "must be an invitee of this invitation")
	}
	return []invite.Invitee{*p}, nil
}

// appendTrace appends the events of one invitee.
func (c *Console) appendTrace(ctx context.Context, list []operator.TraceEvent, v *invite.Invitation,
	p *invite.Invitee) ([]operator.TraceEvent, error) {
	if p.RingingAt != 0 {
		list = append(list, operator.TraceEvent{At: p.RingingAt, Event: "ringing", UserID: p.UserID})
	}
	if p.State != invite.Open {
		list = append(list, operator.TraceEvent{At: p.DecidedAt, Event: p.State.String(), UserID: p.UserID,
			Device: p.By.Device, Detail: p.Reason})
	}
	if !p.Pushed {
		return list, nil
	}
	pushes, err := outbox.RingPushes(ctx, c.store, v.ID, p.UserID)
	if err != nil {
		return nil, im.Internal(err)
	}
	for i := range pushes {
		o := &pushes[i]
		e := operator.TraceEvent{At: o.At, UserID: p.UserID, Detail: o.Kind}
		switch o.State {
		case txn.OutgoingDone:
			e.Event = "pushed"
		case txn.OutgoingDead:
			e.Event = "pushFailed"
		default:
			e.Event = "pushWaits"
		}
		if o.Error != "" {
			e.Detail += ": " + o.Error
		}
		list = append(list, e)
	}
	return list, nil
}

// ListUsers returns a page of users.
func (c *Console) ListUsers(ctx context.Context, _ rpc.Caller,
	req operator.ListUsersRequest) (res operator.ListUsersResponse, err error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	list, err := admin.Users(ctx, c.store, req.UserID, req.After, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	devices := c.presence.Devices(ids...)
	res.Users = make([]operator.ListedUser, len(list))
	for i := range list {
		var p protocol.Profile
		if list[i].Profile != "" {
			_ = json.Unmarshal([]byte(list[i].Profile), &p) // written by this server
		}
		res.Users[i] = operator.ListedUser{UserID: ids[i], Nick: p.Nick, Devices: devices[i], Pushes: list[i].Pushes}
	}
	if len(list) == limit {
		res.Next = ids[limit-1]
	}
	return res, nil
}

// ListGroups returns a page of groups.
func (c *Console) ListGroups(ctx context.Context, _ rpc.Caller,
	req operator.ListGroupsRequest) (res operator.ListGroupsResponse, err error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	list, err := admin.Groups(ctx, c.store, req.Find, req.After, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	res.Groups = make([]protocol.Group, len(list))
	for i := range list {
		res.Groups[i] = group.View(&list[i])
	}
	if len(list) == limit {
		res.Next = list[limit-1].ID
	}
	return res, nil
}
