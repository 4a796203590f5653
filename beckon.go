// Package beckon is the whole server as a library: New opens it, Run serves until its context ends, and Handler is for
// the HTTP server of the program.
//
//	server, err := beckon.New(ctx, beckon.Config{DataDir: "data", Authenticate: sessions.Identity, After: events.Save})
//	go func() { done <- server.Run(ctx) }()
//	mux.Handle("/chat/", http.StripPrefix("/chat", server.Handler()))
//	<-server.Ready()
//	err = server.Call(ctx, beckon.Caller{UserID: "alice"}, "invite", protocol.InviteRequest{Invitee: "bob"}, nil)
//
// Config.Authenticate, Before and After connect it with the users and the data of the program; docs/embedding.md
// describes them. The package constructs the packages below internal and connects them; it has no rules of its own.
// ARCHITECTURE.md follows a call through them.
package beckon

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/address"
	"github.com/beckon-im/beckon/internal/api"
	"github.com/beckon-im/beckon/internal/chat"
	"github.com/beckon-im/beckon/internal/console"
	"github.com/beckon-im/beckon/internal/delivery"
	"github.com/beckon-im/beckon/internal/files"
	"github.com/beckon-im/beckon/internal/gateway"
	"github.com/beckon-im/beckon/internal/group"
	"github.com/beckon-im/beckon/internal/hook"
	"github.com/beckon-im/beckon/internal/media"
	"github.com/beckon-im/beckon/internal/presence"
	"github.com/beckon-im/beckon/internal/privacy"
	"github.com/beckon-im/beckon/internal/push"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/signaling/offlinepush"
	"github.com/beckon-im/beckon/internal/signaling/snapshot"
	"github.com/beckon-im/beckon/internal/stats"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/admin"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/internal/trace"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/internal/user"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

// Server is a Beckon server: one node of a cluster, or the only one. Its fields are set by New and do not change,
// except draining (atomic).
type Server struct {
	cfg       Config
	node      string // the unique name of this run
	addresses *address.Limits
	store     *store.Store
	delivery  *delivery.Delivery
	signaling *signaling.Service
	users     *user.Users
	files     *files.Files
	media     *media.Media
	groups    *group.Groups
	gateway   *gateway.Gateway
	hooks     *hook.Hooks
	pushes    *push.Push
	stats     *stats.Stats
	retention *retention.Retention
	privacy   *privacy.Privacy
	tracer    *trace.Tracer // nil = no traces
	audit     *logFile      // nil = no audit log
	api       *api.API
	metrics   *registry
	meters    meters
	bus       *delivery.NATS // nil = single node
	members   *delivery.Members
	presence  *presence.Presence
	ready     chan struct{}
	draining  atomic.Bool
	drained   chan struct{}
	leave     sync.Once
	life      lifecycle
}

// New opens the database and prepares a server. ctx bounds the opening and the lifetime of background key refreshes.
// Call Run next, once; call Close instead if Run is never called.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, node: uuid.NewString()[:8], metrics: &registry{Registry: prometheus.NewRegistry()},
		ready: make(chan struct{}), drained: make(chan struct{}),
		life: lifecycle{ended: make(chan struct{})}}
	var err error
	if s.addresses, err = address.New(cfg.addresses()); err != nil {
		return nil, err
	}
	if s.hooks, err = hook.New(cfg.hooks()); err != nil {
		return nil, err
	}
	s.stats = stats.New(cfg.Log)
	s.store, err = store.Open(ctx, store.Options{Dir: cfg.DataDir, Postgres: cfg.Postgres,
		Standby: cfg.PostgresRead, Writers: cfg.Writers, Now: cfg.Now, Wall: cfg.Wall, MaxBatch: cfg.MaxBatch,
		NoSync: cfg.NoSync, CacheBytes: cfg.DatabaseCache, Tap: s.hooks.Tap(),
		OnCommit: s.stats.Observe, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	if cfg.Traces != "" {
		if s.tracer, err = trace.New(ctx, cfg.Traces, s.store.ClusterID(), cfg.Log); err != nil {
			return nil, errors.Join(err, s.free())
		}
	}
	s.hooks.Serve(s.store)
	s.stats.Serve(s.store)
	if err := s.cfg.fillKeys(ctx, s.store); err != nil {
		return nil, errors.Join(err, s.free())
	}
	if err := s.connectServices(ctx); err != nil {
		return nil, errors.Join(err, s.free())
	}
	s.retention = retention.New(s.store, retention.Options{Age: cfg.Retention, RemoveFiles: s.files.Remove, Log: cfg.Log})
	if err := s.metrics.publish(cfg.Registerer); err != nil {
		return nil, errors.Join(err, s.free())
	}
	return s, nil
}

// connectServices constructs the services and connects them to each other.
func (s *Server) connectServices(ctx context.Context) (err error) {
	s.meters = newMeters(s.metrics)
	s.register()
	bus, err := s.connectBus()
	if err != nil {
		return err
	}
	s.delivery = delivery.New(s.store, bus, delivery.Options{Sweep: s.cfg.Sweep, Complete: s.busComplete, Log: s.cfg.Log})
	var nodes gateway.Nodes
	if s.bus != nil {
		nodes = s.bus
	}
	s.gateway = gateway.New(s.store, s.delivery, gateway.Options{
		Nodes: nodes,
		Ping:  s.cfg.Ping, Log: s.cfg.Log,
		CheckOrigin:            func(r *http.Request) bool { return s.api.AllowOrigin(r) },
		Policy:                 s.cfg.DevicePolicy,
		OnPresenceChange:       s.presenceChanged,
		OnDisconnect:           func(user string) { s.signaling.DeviceOffline(user) },
		OnEnd:                  s.meters.ended,
		OnUnauthenticatedClose: s.addresses.Futile,
		OnProtocolError:        s.addresses.Wrong,
		BeforeOnline: func(user string, d protocol.Device) int64 {
			if s.presence != nil {
				return s.presence.BeforeOnline(user, d)
			}
			return d.ConnectedAt
		},
		OnWatched: func(user string) { s.users.PresenceChanged(user, false) },
	})
	sessions := s.sessions()
	s.files, err = files.New(ctx, s.store, files.Options{
		Dir: filepath.Join(s.cfg.DataDir, filesDir), URL: s.cfg.FilesURL, Keys: s.cfg.linkKeys(),
		LinkLife: s.cfg.LinkLife,
		MaxImage: s.cfg.MaxImage, MaxSound: s.cfg.MaxSound, MaxVideo: s.cfg.MaxVideo, MaxFile: s.cfg.MaxFile,
		DecodeMemory: s.cfg.DecodeMemory, KeepLocation: s.cfg.KeepLocation,
	})
	if err != nil {
		return err
	}
	if s.pushes, err = push.New(ctx, s.store, s.pushOptions(sessions)); err != nil {
		return err
	}
	s.signaling = signaling.New(s.store, sessions,
		signaling.Options{LargeGroup: s.cfg.LargeGroup, OpenPerPair: s.cfg.OpenPerPair, OpenPerInvitee: s.cfg.OpenPerInvitee,
			OpenPerInviter: s.cfg.OpenPerInviter, DefaultTimeout: int64(s.cfg.DefaultTimeout / time.Second),
			MaxTimeout: int64(s.cfg.MaxTimeout / time.Second), Share: s.share, DropBlocked: s.cfg.DropBlocked,
			RoomPolicy: s.cfg.RoomPolicy,
			Pushes:     offlinepush.Pushes{Posted: s.pushes.Posted, Devices: s.pushes.Devices(), HasTokens: s.pushes.HasTokens},
			Pushed:     s.pushes.Queue().Wake, Log: s.cfg.Log})
	s.users = user.New(s.store, sessions)
	s.users.Invitations = s.signaling
	s.media, err = media.New(s.store, media.Options{
		URL: s.cfg.LiveKitURL, API: s.cfg.LiveKitAPI, Key: s.cfg.LiveKitKey, Secret: s.cfg.LiveKitSecret,
		UDPPort: s.cfg.MediaUDPPort, TCPPort: s.cfg.MediaTCPPort, Packets: s.cfg.MediaPackets,
		Policy: s.cfg.RoomPolicy, TokenLife: s.cfg.RoomTokenLife, Log: s.cfg.Log,
	})
	if err != nil {
		return err
	}
	if s.api, err = s.routes(ctx, s.methods(sessions)); err != nil {
		return err
	}
	s.store.Announce(func(records []txn.Record) {
		s.delivery.Announce(records)
		s.media.Announce(records)
		s.hooks.Announce(records)
		s.pushes.Announce(records)
	})
	s.delivery.Serve(s.gateway)
	s.gateway.Serve(s.api)
	return nil
}

// sessions returns the connected devices of this node or, with a bus, of all nodes.
func (s *Server) sessions() sessions {
	if s.bus == nil {
		return s.gateway
	}
	s.presence = presence.New(presence.Options{Node: s.node, Wire: s.bus, Keepers: s.members,
		Local: s.gateway, Watched: func(user string) bool { return s.delivery.Reads(im.StatusTopic(user)) },
		OnChange: func(user string, online bool) {
			s.users.PresenceChanged(user, online)
			if !online {
				s.signaling.DeviceOffline(user) // its node may have died with its sessions
			}
		}})
	return s.presence
}

// sessions are the connected devices of users.
type sessions interface {
	user.Sessions
	offlinepush.Presence
}

func (s *Server) pushOptions(sessions sessions) push.Options {
	c := &s.cfg.Push
	return push.Options{
		APNs:    push.APNs{Key: c.APNsKey, KeyID: c.APNsKeyID, TeamID: c.APNsTeamID, App: c.APNsApp, URL: c.APNsURL},
		FCM:     push.FCM{Credentials: c.FCMCredentials, URL: c.FCMURL},
		Subject: c.Subject, Private: c.Private, Templates: c.Templates,
		AnswerToken: func(user, device, inviteID string, until time.Time) (string, error) {
			return s.api.Authenticator().MintAnswer(user, device, inviteID, until)
		},
		AckToken: func(user, device, testID string, until time.Time) (string, error) {
			return s.api.Authenticator().MintAck(user, device, testID, until)
		},
		Connected:    sessions.Connected,
		MessageDelay: c.MessageDelay,
		Observe:      s.meters.pushed,
		Rang:         s.meters.rang,
		Trace:        s.tracePush,
		Log:          s.cfg.Log,
	}
}

// tracePush adds a push to the trace of its invitation.
func (s *Server) tracePush(user, inviteID, kind, provider, outcome string, begin time.Time, err error) {
	span := trace.Span{InviteID: inviteID, Name: "push", Begin: begin,
		With: []string{"user", user, "kind", kind, "provider", provider, "outcome", outcome}}
	if err != nil {
		span.Failed = err.Error()
	}
	s.tracer.Record(span)
}

// sample records the gauges of the statistics: connections of this node and open calls.
func (s *Server) sample(ctx context.Context) {
	now := s.store.Now()
	s.stats.Most(now, stats.Connections, int64(s.gateway.Sessions()))
	if n, err := admin.OpenCalls(ctx, s.store); err == nil {
		s.stats.Most(now, stats.Calls, n)
	}
}

// methods constructs the services that implement the methods.
func (s *Server) methods(sessions sessions) api.Services {
	groups := group.New(s.store, s.signaling, sessions,
		group.Options{PerDay: s.cfg.GroupsPerDay, MembersPerDay: s.cfg.MembersPerDay, Log: s.cfg.Log})
	s.groups = groups
	s.privacy = privacy.New(privacy.Deps{Store: s.store, Invitations: s.signaling, Groups: groups, Users: s.users,
		Files: s.files, Log: s.cfg.Log})
	var connections console.Sessions = s.gateway
	if s.presence != nil {
		connections = s.presence
	}
	return api.Services{
		Store:       s.store,
		Invitations: s.signaling,
		Snapshots:   &snapshot.Reader{Store: s.store, Log: s.cfg.Log},
		Chat: chat.New(s.store, sessions,
			chat.Options{RevokeWithin: s.cfg.RevokeWithin, DropBlocked: s.cfg.DropBlocked, Posted: s.pushes.Posted,
				HasTokens: s.pushes.HasTokens, Devices: s.pushes.Devices(), PushDelay: s.pushes.MessageDelay(),
				Here: func(user string) outbox.Connected { return outbox.ConnectedOf(s.gateway.Connected(user)) }}),
		Groups:     groups,
		Users:      s.users,
		Files:      s.files,
		Rooms:      s.media,
		Hooks:      s.hooks,
		Pushes:     s.pushes,
		PushHealth: s.pushes.Health(),
		Privacy:    s.privacy,
		Console:    console.New(s.store, connections, sessions, s.nodes),
		Events: relay.NewAdmin(map[operator.Queue]*relay.Dispatcher{operator.QueueWebhook: s.hooks.Queue(),
			operator.QueuePush: s.pushes.Queue()}),
	}
}

// busyAt is the fill level of the store's queue (0 to 1) at which new actions are refused; the rest is reserved for
// answers and endings.
const busyAt = 0.25

// Run serves until ctx ends. Then it drains devices to other nodes (with NATS), completes pending actions, and closes
// the database. A server runs once: a second Run returns ErrRunning, or ErrClosed after the first one or Close.
func (s *Server) Run(ctx context.Context) error {
	if err := s.life.start(); err != nil {
		return err
	}
	defer s.release()
	err := s.gateway.Start()
	if err == nil {
		err = s.signaling.Restore(ctx)
	}
	if err == nil {
		err = s.run(ctx)
	}
	return errors.Join(err, s.life.end(s.free))
}

// run runs the parts of the server until ctx ends or one of them fails.
func (s *Server) run(ctx context.Context) error {
	// Shutdown order: drain devices, stop sessions and deadlines, then the store, which completes their transactions, then
	// the bus.
	stopStore, cancel := context.WithCancel(context.Background())
	defer cancel()
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	var storing errgroup.Group
	storing.Go(func() error {
		defer fail() // the server cannot run without the store
		return s.store.Run(stopStore)
	})
	leaveCluster := s.joinCluster(context.WithoutCancel(ctx))
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	g, gctx := errgroup.WithContext(serving)
	g.Go(func() error {
		defer stop()
		defer s.release()
		select {
		case <-ctx.Done():
			s.draining.Store(true)
			if s.cfg.Drain > 0 {
				s.gateway.Drain(gctx, s.cfg.Drain)
			}
		case <-gctx.Done():
		}
		return nil
	})
	g.Go(func() error { return s.delivery.Run(gctx) })
	g.Go(func() error { return s.signaling.Run(gctx) })
	g.Go(func() error { return s.gateway.Run(gctx) })
	g.Go(func() error { return s.groups.Run(gctx) })
	g.Go(func() error { return s.media.Run(gctx) })
	g.Go(func() error { return s.hooks.Run(gctx) })
	g.Go(func() error { return s.pushes.Run(gctx) })
	g.Go(func() error { return s.stats.Run(gctx, s.sample) })
	g.Go(func() error { return s.retention.Run(gctx) })
	g.Go(func() error { return s.privacy.Run(gctx) })
	g.Go(func() error { return s.users.Run(gctx, s.delivery.Reads, s.delivery.DeliverLocal) })
	if s.presence != nil {
		g.Go(func() error { return s.presence.Run(gctx, s.delivery.Watched, s.signaling.NodeLost) })
	}
	g.Go(func() error {
		if s.members != nil {
			s.members.Await(gctx) // otherwise its answers would lack the devices of other nodes
		}
		close(s.ready)
		return nil
	})
	err := g.Wait()
	s.life.stop()
	cancel()
	err = errors.Join(err, storing.Wait(), leaveCluster())
	s.life.calls.Wait()
	s.api.Wait() // pending calls have been refused by now
	return err
}

// release ends the wait for Drained.
func (s *Server) release() { s.leave.Do(func() { close(s.drained) }) }

// Drained is closed when a stopping server has drained its devices: keep HTTP listeners open until then.
func (s *Server) Drained() <-chan struct{} { return s.drained }

// slowCommit is the age of a commit at which the server is not ready.
const slowCommit = 5 * time.Second

// state returns the reason why the server is not ready; empty = ready. With without "nats", a lost NATS connection does
// not count: events of other nodes are then delayed until the next reconcile.
func (s *Server) state(without string) string {
	select {
	case <-s.ready:
	default:
		return "starting"
	}
	switch {
	case s.draining.Load():
		return "stopping"
	case !s.store.Reachable():
		return "the database cannot be reached"
	case s.store.CommitAge() > slowCommit:
		return "the database has not answered a commit for 5 s"
	case s.bus != nil && !s.bus.Connected() && without != "nats":
		return "NATS cannot be reached"
	}
	return ""
}

// traceTime is the timeout for sending the last traces.
const traceTime = 2 * time.Second

// Close releases the data directory of a server that was never run. It returns ErrRunning while Run runs, and does
// nothing after Run or another Close. Run returns ErrClosed afterwards.
func (s *Server) Close() error {
	return s.life.close(func() error {
		s.release()
		return s.free()
	})
}

// free releases the resources of the server.
func (s *Server) free() error {
	s.metrics.withdraw()
	if s.bus != nil {
		s.bus.Close()
	}
	var err error
	if s.files != nil {
		err = s.files.Close()
	}
	last, cancel := context.WithTimeout(context.Background(), traceTime)
	defer cancel()
	if failed := s.tracer.Close(last); failed != nil {
		s.cfg.Log.Warn("sending last traces failed", "error", failed)
	}
	if s.audit != nil {
		err = errors.Join(err, s.audit.Close())
	}
	return errors.Join(err, s.store.Close())
}

// Trim applies retention now. A running server does so every minute; records may stay 15 minutes longer.
func (s *Server) Trim(ctx context.Context) error { return s.retention.Apply(ctx) }

// Ready is closed when the server accepts calls.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Token mints a token for a device of a user; a ttl of 0 never expires.
func (s *Server) Token(userID, deviceID string, ttl time.Duration) (string, error) {
	return s.api.Authenticator().Mint(userID, deviceID, ttl)
}

// APIKey returns an API key for app servers.
func (s *Server) APIKey() string { return s.cfg.APIKeys[0] }

// PathLiveKitHook is the path for LiveKit's webhooks.
const PathLiveKitHook = media.PathHook

// OpenAPI returns the OpenAPI 3.1 document of all methods.
func OpenAPI() []byte { return api.Contract().JSON() }

// OpenAPI30 returns the same as OpenAPI 3.0, without webhooks and rules about fields that exclude each other.
func OpenAPI30() []byte { return api.Contract().JSON30() }
