// Package console owns the verbs by which operators look at a house: connections, open invitations and what became of
// one, people, groups, figures over time.
//
// It changes nothing; what operators do, they do with the verbs of those concerned.
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
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Sessions knows the connections of all nodes.
type Sessions interface {
	// List lists those of people whose id begins with a text, by person and device, after one of them.
	List(prefix, afterUser, afterDevice string, limit int) (list []protocol.Connection, total int)
}

// Presence counts the devices of people that are connected to any node.
type Presence interface {
	Devices(userIDs ...string) []int
}

// Console runs the verbs of operators.
type Console struct {
	store    *store.Store
	sessions Sessions
	presence Presence
	nodes    func() int
}

// New makes the verbs of operators.
func New(s *store.Store, sessions Sessions, presence Presence, nodes func() int) *Console {
	return &Console{store: s, sessions: sessions, presence: presence, nodes: nodes}
}

// pair reads a place that two names make.
func pair(after string) (a, b string, err error) {
	if after == "" {
		return "", "", nil
	}
	a, b, ok := strings.Cut(after, " ")
	if !ok {
		return "", "", im.Bad("after", "is not the next of a page")
	}
	return a, b, nil
}

// ListConnections lists the connections of all nodes.
func (c *Console) ListConnections(_ context.Context, _ rpc.Caller,
	req protocol.ListConnectionsRequest) (res protocol.ListConnectionsResponse, err error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	user, device, err := pair(req.After)
	if err != nil {
		return res, err
	}
	res.Nodes, res.ServerTime = c.nodes(), c.store.Now()
	res.Connections, res.Total = c.sessions.List(req.UserID, user, device, limit)
	if len(res.Connections) == limit {
		last := &res.Connections[limit-1]
		res.Next = last.UserID + " " + last.DeviceID
	}
	return res, nil
}

// ListOpenInvitations lists the invitations that are open for anybody.
func (c *Console) ListOpenInvitations(ctx context.Context, _ rpc.Caller,
	req protocol.ListOpenInvitationsRequest) (res protocol.ListOpenInvitationsResponse, err error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	inviter, id, err := pair(req.After)
	if err != nil {
		return res, err
	}
	list, count, err := admin.Open(ctx, c.store, inviter, id, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	res.Total, res.ServerTime, res.Invitations = count, c.store.Now(), make([]protocol.Invitation, len(list))
	for i := range list {
		res.Invitations[i] = *protocol.ViewInvitation(&list[i], nil, res.ServerTime)
	}
	if len(list) == limit {
		res.Next = list[limit-1].Inviter + " " + list[limit-1].ID
	}
	return res, nil
}

// traced bounds the invitees whose story is told at once.
const traced = 100

// TraceInvitation tells what became of an invitation: who was told how, and who did what when.
func (c *Console) TraceInvitation(ctx context.Context, _ rpc.Caller,
	req protocol.TraceInvitationRequest) (res protocol.TraceInvitationResponse, err error) {
	if err := im.CheckInviteID(req.InviteID); err != nil {
		return res, err
	}
	v, err := c.store.Invitation(ctx, req.InviteID)
	if err != nil {
		return res, im.Internal(err)
	}
	if v == nil {
		return res, &im.Error{Code: im.CodeOver, Field: "inviteID",
			Message: "there is no such invitation; one for connected devices alone is forgotten five minutes after its end"}
	}
	people, err := c.invitees(ctx, v, req.UserID)
	if err != nil {
		return res, err
	}
	res.ServerTime = c.store.Now()
	res.Invitation = *protocol.ViewInvitation(v, people, res.ServerTime)
	res.Events = append(res.Events, protocol.TraceEvent{At: v.CreatedAt, Event: "invited", Device: v.By.Device,
		Detail: v.Inviter})
	for i := range people {
		if res.Events, err = c.story(ctx, res.Events, v, &people[i]); err != nil {
			return res, err
		}
	}
	if !v.Over() && v.Deadline != 0 {
		res.Events = append(res.Events, protocol.TraceEvent{At: v.Deadline, Event: "deadline"})
	}
	slices.SortStableFunc(res.Events, func(a, b protocol.TraceEvent) int { return cmp.Compare(a.At, b.At) })
	return res, nil
}

func (c *Console) invitees(ctx context.Context, v *invite.Invitation, user string) ([]invite.Invitee, error) {
	if user == "" {
		list, err := c.store.Invitees(ctx, v.ID, 0, traced)
		if err != nil {
			return nil, im.Internal(err)
		}
		return list, nil
	}
	p, err := c.store.Invitee(ctx, v.ID, user)
	switch {
	case err != nil:
		return nil, im.Internal(err)
	case p == nil:
		return nil, im.Bad("userID", "is none of the invitees")
	}
	return []invite.Invitee{*p}, nil
}

// story adds what happened to one invitee.
func (c *Console) story(ctx context.Context, list []protocol.TraceEvent, v *invite.Invitation,
	p *invite.Invitee) ([]protocol.TraceEvent, error) {
	if p.RingingAt != 0 {
		list = append(list, protocol.TraceEvent{At: p.RingingAt, Event: "ringing", UserID: p.UserID})
	}
	if p.State != invite.Open {
		list = append(list, protocol.TraceEvent{At: p.DecidedAt, Event: p.State.String(), UserID: p.UserID,
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
		e := protocol.TraceEvent{At: o.At, UserID: p.UserID, Detail: o.Kind}
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

// ListUsers lists people.
func (c *Console) ListUsers(ctx context.Context, _ rpc.Caller,
	req protocol.ListUsersRequest) (res protocol.ListUsersResponse, err error) {
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
	res.Users = make([]protocol.ListedUser, len(list))
	for i := range list {
		var p protocol.Profile
		if list[i].Profile != "" {
			_ = json.Unmarshal([]byte(list[i].Profile), &p) // this program wrote it
		}
		res.Users[i] = protocol.ListedUser{UserID: ids[i], Nick: p.Nick, Devices: devices[i], Pushes: list[i].Pushes}
	}
	if len(list) == limit {
		res.Next = ids[limit-1]
	}
	return res, nil
}

// ListGroups lists groups.
func (c *Console) ListGroups(ctx context.Context, _ rpc.Caller,
	req protocol.ListGroupsRequest) (res protocol.ListGroupsResponse, err error) {
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
