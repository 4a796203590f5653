// Package signaling owns the verbs: it loads, decides with the pure rules, and appends. It also owns the deadlines.
//
// It never talks to a device: what it commits is announced by the store's reader, after the caller has its answer.
package signaling

import (
	"cmp"
	"context"
	"log/slog"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/signaling/deadline"
	"github.com/beckon-im/beckon/internal/signaling/offlinepush"
	"github.com/beckon-im/beckon/internal/signaling/snapshot"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// Presence counts the devices of people that are connected now, to any node. It may have to ask the others.
type Presence interface {
	Devices(userIDs ...string) []int
}

// Options are the choices for an engine. The zero value works.
type Options struct {
	// LargeGroup is how many members make a group large: onlookers in it hear digests of the answers to an invitation, at
	// most five a second, and the inviter hears every answer. Default: 500.
	LargeGroup int
	// Nodes is how many nodes there are, which share the five digests a second. Default: one.
	Nodes func() int
	// DropBlocked lets an invitation to somebody who blocks the inviter seem to succeed, and the blocker hear nothing of
	// it. Default: it is refused with 20007.
	DropBlocked bool
	// RoomPolicy says who may enter rooms, and so invite into them. Default: those who were invited.
	RoomPolicy im.RoomPolicy
	// OpenPerPair, OpenPerInvitee and OpenPerInviter bound the open invitations from one user to another without a group,
	// those that wait for one user, and those of one inviter. Negative: no bound. Defaults: 5, 500, 1,000.
	OpenPerPair, OpenPerInvitee, OpenPerInviter int
	// DefaultTimeout is the timeout, in whole seconds, of invitations that give none. Default: they never time out.
	DefaultTimeout int64
	// MaxTimeout bounds the timeout in seconds; an invitation that never times out is above every bound. Default: 0, no
	// bound.
	MaxTimeout int64
	// Posted is told that pushes are on their way, before they are committed. Default: this house sends none.
	Posted offlinepush.Post
	// Pushed is told that pushes were committed without a record to announce. Default: nobody is.
	Pushed func()
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Service runs the verbs.
type Service struct {
	store     *store.Store
	presence  Presence
	deadlines *deadline.Queue
	digests   *digests
	gone      *offlinepush.Watch
	opt       Options
	routes    *lru.Cache[string, route]
	log       *slog.Logger
}

// route is what never changes of an invitation and says which topics an action on it needs.
type route struct {
	id, inviter, peer, groupID, roomID string

	participants bool // a group's members do not hear it
}

// maxRoutes bounds the memory of routes; a route that was forgotten is read again.
const maxRoutes = 1 << 17

// New makes an engine on a store.
func New(s *store.Store, p Presence, opt Options) *Service {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Nodes == nil {
		opt.Nodes = func() int { return 1 }
	}
	if opt.Pushed == nil {
		opt.Pushed = func() {}
	}
	opt.OpenPerPair, opt.OpenPerInvitee = cmp.Or(opt.OpenPerPair, 5), cmp.Or(opt.OpenPerInvitee, 500)
	opt.OpenPerInviter = cmp.Or(opt.OpenPerInviter, 1000)
	if opt.LargeGroup == 0 {
		opt.LargeGroup = 500
	}
	watch := offlinepush.New(offlinepush.Watch{Store: s, Devices: p.Devices, Post: opt.Posted, Done: opt.Pushed,
		Topics: func(v *invite.Invitation) []string { return routeOf(v).topics() }, Log: opt.Log})
	routes, _ := lru.New[string, route](maxRoutes) // it fails only for a size below one
	return &Service{store: s, presence: p, deadlines: deadline.New(), digests: newDigests(), gone: watch, opt: opt,
		routes: routes, log: opt.Log}
}

// Restore reads the deadlines of all open invitations. Call it before Run.
func (e *Service) Restore(ctx context.Context) error {
	if e.store.Shared() {
		return nil // adoptLoop finds all that is due
	}
	late, err := e.store.DigestPending(ctx)
	if err != nil {
		return err
	}
	for _, id := range late {
		e.digests.note(id, "", 0)
	}
	return e.store.Deadlines(ctx, func(d store.Deadline) { e.deadlines.Set(d.InviteID, d.Due) })
}

// Run announces deadlines, digests and pushes for users who went offline, until ctx ends.
func (e *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.expireLoop(ctx) })
	g.Go(func() error { return e.adoptLoop(ctx) })
	g.Go(func() error { return e.digestLoop(ctx) })
	g.Go(func() error { return e.gone.Run(ctx) })
	return g.Wait()
}

// UserOffline is told that the last device of somebody went: what rings for them goes on by pushes. It does not block.
func (e *Service) UserOffline(user string) { e.gone.Gone(user) }

// NodeLost is told that another node of the house went: who does not connect to the others is rung by pushes. It does
// not block.
func (e *Service) NodeLost() { e.gone.Lost() }

// route finds the route of an invitation, in memory or in the store; ok is false when there is no such invitation.
func (e *Service) route(ctx context.Context, id string) (r route, ok bool, err error) {
	if r, ok := e.routes.Get(id); ok {
		return r, true, nil
	}
	v, err := e.store.Invitation(ctx, id)
	if err != nil || v == nil {
		return route{}, false, err
	}
	r = routeOf(v)
	e.routes.Add(id, r)
	return r, true, nil
}

// mustRoute is route for a method: an invitation that does not exist is an error.
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

// home is the topic whose lock guards an invitation and its invitees.
func (r route) home() string {
	if r.groupID != "" {
		return im.GroupTopic(r.groupID)
	}
	return im.UserTopic(r.inviter)
}

// members asks for somebody's membership, when the invitation is of a group.
func (r route) members(user string) []txn.MemberKey {
	if r.groupID == "" {
		return nil
	}
	return []txn.MemberKey{{GroupID: r.groupID, UserID: user}}
}

// contacts asks for an invitee's side of the conversation with the inviter, when the invitation is of no group.
func (r route) contacts(user string) []txn.ContactKey {
	if r.groupID != "" {
		return nil
	}
	return []txn.ContactKey{{UserID: user, Peer: r.inviter}}
}

// topics are those that nearly every action on the invitation appends to.
func (r route) topics() []string {
	if r.groupID != "" && r.participants || r.groupID == "" && r.peer == "" {
		return []string{r.home(), im.InvitationTopic(r.id)}
	}
	if r.peer != "" {
		return []string{r.home(), im.UserTopic(r.peer)}
	}
	return []string{r.home()}
}
