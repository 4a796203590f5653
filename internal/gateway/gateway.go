// Package gateway owns the sessions of devices: connect, call, disconnect, over WebSocket and its fall-backs.
//
// It knows topics, records and bytes, and no verb: what a call means is behind the Door.
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

// ConnectRequest is a device that wants to connect.
type ConnectRequest struct {
	From  netip.Addr // the zero Addr when it is not known
	Token string
	Data  []byte
	Known map[string]Position // where the transport stood, by topic, when the connection before broke
}

// Position is how far a reader has come in a topic.
type Position struct {
	Seq   uint64
	Epoch string
}

// Topic is a timeline that a session reads.
type Topic struct {
	Name    string
	After   uint64 // the last sequence that is not to be read, unless Recover
	Recover bool   // the transport goes on from where it stood
	Ended   bool   // nothing will follow what is recovered
}

// Session is a connected device.
type Session struct {
	From     netip.Addr // the zero Addr when it is not known
	UserID   string
	DeviceID string
	Platform string // as the device calls it
	At       int64  // when its link came, milliseconds
	Origin   string // how records name this device; it is not told of those
	ExpireAt int64  // unix seconds; 0 = never
	Welcome  []byte // JSON, the data of the connect reply
	Head     uint64 // of the user's own topic when Topics was read: listen orders after it are caught up with
	Topics   []Topic
}

// Handler decides who comes in and what a call does.
type Handler interface {
	Connect(ctx context.Context, a ConnectRequest) (*Session, error)
	// Renew checks a new token of a session and returns when it expires, in unix seconds.
	Renew(ctx context.Context, s *Session, token string) (int64, error)
	// Call runs a verb and replies once, with JSON; never an error of the transport.
	Call(s *Session, verb string, data []byte, reply func([]byte))
}

// Timelines is what the gateway reads records from.
type Timelines interface {
	Records(ctx context.Context, topic string, after uint64, limit, maxBytes int) (store.Page, error)
	Head(ctx context.Context, topic string) (uint64, error)
	Reaches(ctx context.Context, topic string, seq uint64) (bool, error)
	Epoch() string
}

// Feeds are told which topics have readers on this node.
type Feeds interface {
	Open(ctx context.Context, topic string) error
	Close(topic string) error
}

// Nodes carries words between the gateways of a house: a fall-back's requests may reach another node than its stream.
type Nodes interface {
	// PublishCommand sends a word to a node, or, without one, to all.
	PublishCommand(node string, data []byte) error
	// SubscribeCommands says who this node is, and what takes the words to it.
	SubscribeCommands(node string, take func([]byte)) error
}

// Options are the choices for a gateway. The zero value works.
type Options struct {
	// Ping is how often a link is checked; a dead one is noticed within Ping + Ping/3 and the second that it has to close.
	// Default: 10 s, so within 15 s (SPEC 2).
	Ping time.Duration
	// CheckOrigin says whether a browser page may connect. Default: pages of the same host only.
	CheckOrigin func(*http.Request) bool
	// Policy says how many devices a user may have connected. Default: many.
	Policy Policy
	// Nodes are the other nodes. Default: none.
	Nodes Nodes
	// OnPresenceChange is told when a device of a user connected or went; edge says that it was the first or the last. It
	// must not block. Default: nobody is.
	OnPresenceChange func(userID string, edge bool)
	// BeforeOnline is told of a device that is let in, before it hears so, and returns when its link came, in the order of
	// all nodes. Default: nobody is.
	BeforeOnline func(userID string, d protocol.Device) (at int64)
	// OnWatched is told that somebody here began to listen to who comes and goes of a user. It must not block. Default:
	// nobody is.
	OnWatched func(userID string)
	// OnEnd is told of each link that ended, with the code that clients see; 3009 also when the device hung up. It must
	// not block. Default: nobody is.
	OnEnd func(code uint32)
	// OnUnauthenticatedClose is told where a link came from that ended before its device had tried to connect, and
	// OnNonsense where one came from that made no sense. They must not block. Default: nobody is.
	OnUnauthenticatedClose, OnProtocolError func(from netip.Addr)
	// MaxQueue bounds the bytes that wait for one slow reader; past it the reader is dropped and catches up when it
	// returns. Default: 4 MiB.
	MaxQueue int
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Policy says how many devices a user may have connected. Whoever is too many is sent away for the newest.
type Policy string

// The policies.
const (
	Many           Policy = "many"
	OnePerPlatform Policy = "one-per-platform"
	Single         Policy = "single"
)

// Gateway holds the sessions of this node.
type Gateway struct {
	id        string
	reads     context.Context    // ends when sessions are about to end
	stopReads context.CancelFunc // ends what sessions read
	handler   Handler
	opt       Options
	timelines Timelines
	feeds     Feeds
	sessions  userSessions
	topics    topics
	ring      pingWheel
	orders    subscriptionChanges
	links     atomic.Uint64 // how many came so far
	coming    sync.Map      // links that have not connected yet
	streams   sync.Map      // *link.Link by session: those whose commands come in requests of their own
}

// New makes a gateway. The door must be set with Serve before it runs.
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
		orders: subscriptionChanges{some: make(chan struct{}, 1)}}
	g.reads, g.stopReads = context.WithCancel(context.Background())
	return g
}

// maxTopics bounds how many timelines one session reads: groups and open invitations.
const maxTopics = 10_000

// Serve sets the door.
func (g *Gateway) Serve(d Handler) { g.handler = d }

// Start makes the gateway ready for sessions.
func (g *Gateway) Start() error {
	if g.opt.Nodes == nil {
		return nil
	}
	return g.opt.Nodes.SubscribeCommands(g.id, g.take)
}

// Run carries out orders and pings until ctx ends, then closes all sessions.
func (g *Gateway) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, g.stopReads)
	defer stop()
	var pings sync.WaitGroup
	pings.Go(func() { g.ring.run(ctx, g.opt.Ping) })
	defer pings.Wait()
	for {
		select {
		case <-g.orders.some:
			for _, o := range g.orders.take() {
				if ctx.Err() == nil { // else the sessions are about to end
					g.apply(o)
				}
			}
		case <-ctx.Done():
			g.end()
			return nil
		}
	}
}

// end says goodbye to all sessions and waits for them for a moment.
func (g *Gateway) end() {
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		list := g.sessions.all() // also those that were just coming in
		waiting := false
		g.coming.Range(func(l, _ any) bool {
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
		case <-limit.C:
			return
		case <-again.C:
		}
	}
}

// Drain sends all sessions away to come again, evenly over a time, so that they do not all come to the next node at
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

// Sessions returns how many sessions this node holds.
func (g *Gateway) Sessions() int { return len(g.sessions.all()) }
