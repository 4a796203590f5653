// Package signaling implements the methods of invitations: it loads rows, decides with the pure rules of package
// invite, and appends records. It also owns deadlines and the digests of large groups.
//
// It never talks to devices: delivery announces committed records, after the caller has its response.
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
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/invite"
)

// Options configures a Service. The zero value works.
type Options struct {
	// LargeGroup is the number of members above which a group is large: in a large group, members other than the inviter
	// receive digests of the answers, at most five a second, and the inviter receives every answer. Default: 500.
	LargeGroup int
	// Share returns this node's share of the deadlines, and of the five digests a second. Default: all.
	Share func() store.Share
	// DropBlocked makes an invitation to a user that blocks the inviter appear to succeed, without any event for the
	// invitee. Default: it is refused with 20007.
	DropBlocked bool
	// RoomPolicy decides which users may enter rooms, and so invite into them. Default: invited users.
	RoomPolicy im.RoomPolicy
	// OpenPerPair, OpenPerInvitee and OpenPerInviter limit the open invitations from one user to another outside groups,
	// to one user, and from one user. Negative: no limit. Defaults: 5, 500, 1,000.
	OpenPerPair, OpenPerInvitee, OpenPerInviter int
	// DefaultTimeout is the timeout of invitations that set none, in whole seconds. Default: no timeout.
	DefaultTimeout int64
	// MaxTimeout limits the timeout in seconds; an invitation without a timeout exceeds every limit. Default: 0, no
	// limit.
	MaxTimeout int64
	// Pushes enqueues pushes. Default: pushes are off.
	Pushes offlinepush.Pushes
	// Pushed is called after a commit of pushes without a record to announce. Default: no call.
	Pushed func()
	// Log receives warnings and errors. Default: slog.Default().
	Log *slog.Logger
}

// Service implements the methods of invitations. Its fields do not change after New; deadlines, digests and routes
// have locks of their own.
type Service struct {
	store     *store.Store
	presence  offlinepush.Presence
	deadlines *deadline.Queue
	digests   *digests
	watch     *offlinepush.Watch
	opt       Options
	routes    *lru.Cache[string, route]
	log       *slog.Logger
}

// New returns a Service on a store.
func New(s *store.Store, p offlinepush.Presence, opt Options) *Service {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Share == nil {
		opt.Share = func() store.Share { return store.Share{Count: 1} }
	}
	if opt.Pushed == nil {
		opt.Pushed = func() {}
	}
	opt.OpenPerPair, opt.OpenPerInvitee = cmp.Or(opt.OpenPerPair, 5), cmp.Or(opt.OpenPerInvitee, 500)
	opt.OpenPerInviter = cmp.Or(opt.OpenPerInviter, 1000)
	if opt.LargeGroup == 0 {
		opt.LargeGroup = 500
	}
	connected := func(user string) outbox.Connected { return outbox.ConnectedOf(p.Connected(user)) }
	watch := offlinepush.New(offlinepush.Watch{Store: s, Connected: connected, Pushes: opt.Pushes, Done: opt.Pushed,
		Probe:  p.Probe,
		Topics: func(v *invite.Invitation) []string { return routeOf(v).topics() }, Log: opt.Log})
	routes, _ := lru.New[string, route](maxRoutes) // fails only for a size below one
	return &Service{store: s, presence: p, deadlines: deadline.New(), digests: newDigests(), watch: watch, opt: opt,
		routes: routes, log: opt.Log}
}

// Restore loads the deadlines of all open invitations. Call it before Run.
func (e *Service) Restore(ctx context.Context) error {
	if e.store.Shared() {
		return nil // adoptLoop finds all due invitations
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

// Run fires deadlines, digests and pushes for users that went offline, until ctx ends.
func (e *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.expireLoop(ctx) })
	g.Go(func() error { return e.adoptLoop(ctx) })
	g.Go(func() error { return e.digestLoop(ctx) })
	g.Go(func() error { return e.watch.Run(ctx) })
	return g.Wait()
}

// DeviceOffline reports that a device of a user disconnected: open invitations are pushed to it. It does not block.
func (e *Service) DeviceOffline(user string) { e.watch.DeviceOffline(user) }

// NodeLost reports the loss of another node: its users that do not reconnect elsewhere receive pushes. It does not
// block.
func (e *Service) NodeLost() { e.watch.NodeLost() }
