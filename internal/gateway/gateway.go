// Package gateway runs the sessions of connected devices over WebSocket, HTTP streaming and SSE: it admits them,
// dispatches their calls, delivers records and closes them.
//
// It handles topics, records and bytes. RPC methods and their parameters belong to the Handler.
package gateway

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/internal/gateway/link"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/protocol"
)

// ConnectRequest is the request of a device to open a session.
type ConnectRequest struct {
	From  netip.Addr // the zero Addr if unknown
	Token string
	Data  []byte
	Known map[string]Position // the transport's position in each topic, when it reconnects
}

// Position is a reader's position in a topic.
type Position struct {
	Seq   uint64
	Epoch string
}

// Topic is a timeline that a session subscribes to.
type Topic struct {
	Name    string
	After   uint64 // subscribe after this sequence; ignored if Recover
	Recover bool   // resume at the position in the connect request
	Ended   bool   // no records follow after the recovered ones
}

// Session is a connected device.
type Session struct {
	From     netip.Addr // the zero Addr if unknown
	UserID   string
	DeviceID string
	Platform string // as reported by the device
	At       int64  // when its link was accepted, in milliseconds
	Origin   string // hash of user and device in records; records of this origin are not delivered to it
	ExpireAt int64  // unix seconds; 0 = never
	Welcome  []byte // JSON, the data of the connect reply
	Head     uint64 // head of the user's topic when Topics was read; later subscription changes are replayed
	Topics   []Topic
}

// Handler authenticates sessions and runs their calls.
type Handler interface {
	Connect(ctx context.Context, a ConnectRequest) (*Session, error)
	// Renew checks a new token of a session and returns when it expires, in unix seconds.
	Renew(ctx context.Context, s *Session, token string) (int64, error)
	// Call runs a method and replies exactly once, with JSON. Errors are part of the JSON.
	Call(s *Session, method string, data []byte, reply func([]byte))
}

// Timelines reads stored records.
type Timelines interface {
	Records(ctx context.Context, topic string, after uint64, limit, maxBytes int) (store.Page, error)
	Pages(ctx context.Context, list []store.After, maxBytes int) ([]store.Page, error)
	Heads(ctx context.Context, topics []string) (map[string]uint64, error)
	Lasts(ctx context.Context, topics []string) (map[string]uint64, error)
	Epoch() string
}

// Feeds opens and closes the delivery of topics that have readers on this node.
type Feeds interface {
	// Open subscribes this node to a topic, and Begin starts its delivery after the head, which was read after Open.
	Open(topic string) error
	Begin(topic string, head uint64)
	Close(topic string) error
}

// Nodes sends commands between the gateways of a cluster: an HTTP request of a stream session may reach a node other
// than the one that holds the stream.
type Nodes interface {
	// SendCommand sends a command to a node, and reports whether the node knows its session. An error means that the
	// command cannot have reached the node.
	SendCommand(ctx context.Context, node string, data []byte) (known bool, err error)
	// SubscribeCommands registers this node's name and its handler of commands, which calls reply once.
	SubscribeCommands(node string, handle func(command []byte, reply func(known bool))) error
}

// Options configures a Gateway. The zero value is valid. The On… callbacks must not block.
type Options struct {
	// Ping is the interval between pings. A dead link is detected within Ping + Ping/3, plus one second to close it.
	// Default: 10 s, so within 15 s (SPEC 2).
	Ping time.Duration
	// CheckOrigin reports whether a browser page may connect. Default: only pages of the same host.
	CheckOrigin func(*http.Request) bool
	// Policy limits the connected devices of a user. Default: Many.
	Policy Policy
	// Nodes are the other nodes. Default: none.
	Nodes Nodes
	// OnPresenceChange is called when a device of a user connects or disconnects. edge marks the user's first and last
	// device.
	OnPresenceChange func(userID string, edge bool)
	// OnDisconnect is called when a device of a user disconnects.
	OnDisconnect func(userID string)
	// BeforeOnline is called before a device receives its connect reply. It returns the connect time of the link, in
	// milliseconds, ordered across all nodes.
	BeforeOnline func(userID string, d protocol.Device) (at int64)
	// OnWatched is called when a session on this node subscribes to the online status of a user.
	OnWatched func(userID string)
	// OnEnd is called for each closed link with the close code as clients see it; 3009 also when the device hung up.
	OnEnd func(code uint32)
	// OnUnauthenticatedClose is called with the address of a link that closed before its connect request, and
	// OnProtocolError with that of a link that sent invalid data.
	OnUnauthenticatedClose, OnProtocolError func(from netip.Addr)
	// MaxQueue limits the bytes queued for a slow reader. A link over the limit is closed; the device recovers when it
	// reconnects. Default: 4 MiB.
	MaxQueue int
	// Log is the logger. Default: slog.Default().
	Log *slog.Logger
}

// Policy limits the connected devices of a user. The newest devices stay; surplus sessions are closed.
type Policy string

// The policies.
const (
	Many           Policy = "many"
	OnePerPlatform Policy = "one-per-platform"
	Single         Policy = "single"
)

// Gateway holds the sessions of this node. Each field synchronizes itself.
type Gateway struct {
	id         string
	reads      context.Context    // canceled when the sessions are about to close
	stopReads  context.CancelFunc // cancels reads
	handler    Handler
	opt        Options
	timelines  Timelines
	feeds      Feeds
	sessions   userSessions
	topics     topics
	wheel      pingWheel
	probes     chan probe
	changes    subscriptionChanges
	links      atomic.Uint64 // links accepted so far
	connecting sync.Map      // *link.Link without a session yet
	streams    sync.Map      // *link.Link by session ID: streams, whose commands arrive in separate requests
}

// New returns a gateway. Serve must set its handler before Run.
func New(t Timelines, f Feeds, opt Options) *Gateway {
	if opt.Ping == 0 {
		opt.Ping = 10 * time.Second
	}
	if opt.MaxQueue == 0 {
		opt.MaxQueue = 4 << 20
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.OnPresenceChange == nil {
		opt.OnPresenceChange = func(string, bool) {}
	}
	if opt.OnDisconnect == nil {
		opt.OnDisconnect = func(string) {}
	}
	if opt.BeforeOnline == nil {
		opt.BeforeOnline = func(_ string, d protocol.Device) int64 { return d.ConnectedAt }
	}
	if opt.OnUnauthenticatedClose == nil {
		opt.OnUnauthenticatedClose = func(netip.Addr) {}
	}
	if opt.OnProtocolError == nil {
		opt.OnProtocolError = func(netip.Addr) {}
	}
	if opt.OnEnd == nil {
		opt.OnEnd = func(uint32) {}
	}
	if opt.OnWatched == nil {
		opt.OnWatched = func(string) {}
	}
	g := &Gateway{id: uuid.NewString(), opt: opt, timelines: t, feeds: f, topics: topics{seed: maphash.MakeSeed()},
		changes: subscriptionChanges{stops: map[subscription]uint64{}, wake: make(chan struct{}, 1)},
		probes:  make(chan probe, maxProbes)}
	g.reads, g.stopReads = context.WithCancel(context.Background())
	return g
}

// maxTopics limits the timelines of one session: groups and open invitations.
const maxTopics = 10_000

// Serve sets the handler.
func (g *Gateway) Serve(h Handler) { g.handler = h }

// Start subscribes to commands from other nodes.
func (g *Gateway) Start() error {
	if g.opt.Nodes == nil {
		return nil
	}
	return g.opt.Nodes.SubscribeCommands(g.id, g.receiveCommand)
}

// Run applies subscription changes and sends pings until ctx ends, then closes all sessions.
func (g *Gateway) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, g.stopReads)
	defer stop()
	var pings sync.WaitGroup
	pings.Go(func() { g.wheel.run(ctx, g.opt.Ping) })
	pings.Go(func() { g.runProbes(ctx) })
	defer pings.Wait()
	for {
		select {
		case <-g.changes.wake:
			for _, change := range g.changes.drain() {
				if ctx.Err() == nil { // else the sessions are about to close
					g.apply(change)
				}
			}
		case <-ctx.Done():
			g.end()
			return nil
		}
	}
}

// end closes all sessions and waits up to five seconds until they are gone.
func (g *Gateway) end() {
	timeout := time.NewTimer(5 * time.Second)
	defer timeout.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		list := g.sessions.all() // includes sessions that are just connecting
		waiting := false
		g.connecting.Range(func(l, _ any) bool {
			l.(*link.Link).Close(link.Shutdown)
			waiting = true
			return true
		})
		if len(list) == 0 && !waiting {
			return
		}
		for _, c := range list {
			c.link.Close(link.Shutdown)
		}
		select {
		case <-timeout.C:
			return
		case <-poll.C:
		}
	}
}

// Drain closes all sessions, evenly spread over a period, so that their devices do not reconnect to other nodes all at
// once.
func (g *Gateway) Drain(ctx context.Context, over time.Duration) {
	clients := g.sessions.all()
	if len(clients) == 0 {
		return
	}
	t := time.NewTicker(max(over/time.Duration(len(clients)), time.Microsecond))
	defer t.Stop()
	for _, c := range clients {
		c.link.Close(link.Shutdown)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Sessions returns the number of sessions on this node.
func (g *Gateway) Sessions() int { return len(g.sessions.all()) }
