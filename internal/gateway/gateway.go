// Package gateway owns the sessions of devices: connect, call, disconnect, over WebSocket and its fall-backs.
//
// It knows topics, records and bytes, and no verb: what a call means is behind the Door.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/centrifugal/centrifuge"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/protocol"
)

// Attempt is a device that wants to connect.
type Attempt struct {
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
	UserID   string
	DeviceID string
	Platform string // as the device calls it
	At       int64  // when it connected, milliseconds
	Origin   string // how records name this device; it is not told of those
	ExpireAt int64  // unix seconds; 0 = never
	Welcome  []byte // JSON, the data of the connect reply
	Head     uint64 // of the user's own topic when Topics was read: listen orders after it are caught up with
	Topics   []Topic
}

// Door decides who comes in and what a call does.
type Door interface {
	Connect(ctx context.Context, a Attempt) (*Session, error)
	// Renew checks a new token of a session and returns when it expires, in unix seconds.
	Renew(ctx context.Context, s *Session, token string) (int64, error)
	// Call runs a verb and replies once, with JSON; never an error of the transport.
	Call(s *Session, verb string, data []byte, reply func([]byte))
}

// Timelines is what the gateway reads records from.
type Timelines interface {
	Records(ctx context.Context, topic string, after uint64, limit, maxBytes int) (store.Page, error)
	Head(ctx context.Context, topic string) (uint64, error)
	Epoch() string
}

// Feeds are told which topics have readers on this node.
type Feeds interface {
	Open(ctx context.Context, topic string) error
	Close(topic string) error
}

// Nodes carries words between the gateways of a house: a fall-back's requests may reach another node than its stream.
type Nodes interface {
	// Command sends a word to a node, or, without one, to all.
	Command(node string, data []byte) error
	// Obey says who this node is, and what takes the words to it.
	Obey(node string, take func([]byte)) error
}

// Options are the choices for a gateway. The zero value works.
type Options struct {
	// Ping is how often a link is checked; a dead one is noticed within Ping + Ping/3 and the 5 s that the transport gives it
	// to close. Default: 7 s, so within 15 s (SPEC 2).
	Ping time.Duration
	// CheckOrigin says whether a browser page may connect. Default: pages of the same host only.
	CheckOrigin func(*http.Request) bool
	// Policy says how many devices a user may have connected. Default: many.
	Policy Policy
	// Nodes are the other nodes. Default: none.
	Nodes Nodes
	// OnMoved is told when a device of a user connected or went; edge says that it was the first or the last. It must not
	// block. Default: nobody is.
	OnMoved func(userID string, edge bool)
	// OnComing is told of a device that is let in, before it hears so. Default: nobody is.
	OnComing func(userID string, d protocol.Device)
	// OnWatched is told that somebody here began to listen to who comes and goes of a user. It must not block. Default:
	// nobody is.
	OnWatched func(userID string)
	// MaxQueue bounds the bytes that wait for one slow reader; past it the reader is dropped and catches up when it
	// returns. Default: 4 MiB.
	MaxQueue int
	// Metrics receives the transport's metrics. Default: a registry of its own.
	Metrics *prometheus.Registry
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
	node      *centrifuge.Node
	stopReads context.CancelFunc // ends what sessions read, when they are about to end
	door      Door
	opt       Options
	broker    *broker
	present   presence
	parties   parties
	orders    orders
	stood     *lru.Cache[string, map[string]Position] // where connecting clients stood, by client id, from the command to the handler
}

// New makes a gateway. The door must be set with Serve before it runs.
func New(t Timelines, f Feeds, opt Options) (*Gateway, error) {
	if opt.Ping == 0 {
		opt.Ping = 7 * time.Second
	}
	if opt.MaxQueue == 0 {
		opt.MaxQueue = 4 << 20
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.OnMoved == nil {
		opt.OnMoved = func(string, bool) {}
	}
	if opt.OnComing == nil {
		opt.OnComing = func(string, protocol.Device) {}
	}
	if opt.OnWatched == nil {
		opt.OnWatched = func(string) {}
	}
	if opt.Metrics == nil {
		opt.Metrics = prometheus.NewRegistry()
	}
	stood, _ := lru.New[string, map[string]Position](maxConnecting) // it fails only for a size below one
	reads, stopReads := context.WithCancel(context.Background())
	g := &Gateway{stopReads: stopReads, opt: opt, orders: orders{some: make(chan struct{}, 1)}, stood: stood, broker: &broker{reads: reads, timelines: t, feeds: f, log: opt.Log}}
	node, err := centrifuge.New(centrifuge.Config{
		LogLevel:              centrifuge.LogLevelWarn,
		LogHandler:            g.logEntry,
		ClientQueueMaxSize:    opt.MaxQueue,
		ClientChannelLimit:    maxTopics,
		ClientStaleCloseDelay: 10 * time.Second,
		Metrics:               centrifuge.MetricsConfig{MetricsNamespace: "beckon_transport", RegistererGatherer: opt.Metrics},
	})
	if err != nil {
		return nil, err
	}
	node.SetBroker(g.broker)
	if opt.Nodes != nil {
		node.SetController(&controller{nodes: opt.Nodes, self: node.ID()})
	}
	node.OnCommandRead(g.noteStood)
	node.OnConnecting(g.connecting)
	node.OnConnect(g.connected)
	g.node = node
	return g, nil
}

// maxConnecting bounds the clients between the connect command and its handler; more than that are treated as new.
const maxConnecting = 16_384

// maxTopics bounds how many timelines one session reads: groups and open invitations.
const maxTopics = 10_000

// Serve sets the door.
func (g *Gateway) Serve(d Door) { g.door = d }

// Start makes the gateway ready for sessions.
func (g *Gateway) Start() error { return g.node.Run() }

// Run carries out orders until ctx ends, then closes all sessions.
func (g *Gateway) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, g.stopReads)
	defer stop()
	for {
		select {
		case <-g.orders.some:
			for _, o := range g.orders.take() {
				if ctx.Err() == nil { // else the sessions are about to end
					g.obey(o)
				}
			}
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return g.node.Shutdown(end)
		}
	}
}

// Drain sends all sessions away to come again, evenly over a time, so that they do not all come to the next node at once.
func (g *Gateway) Drain(ctx context.Context, over time.Duration) {
	clients := slices.Collect(maps.Values(g.node.Hub().Connections()))
	if len(clients) == 0 {
		return
	}
	t := time.NewTicker(max(over/time.Duration(len(clients)), time.Microsecond))
	defer t.Stop()
	for _, c := range clients {
		c.Disconnect(centrifuge.DisconnectShutdown)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Sessions returns how many sessions this node holds.
func (g *Gateway) Sessions() int { return g.node.Hub().NumClients() }

// kept is how a session travels through the transport's storage.
const kept = "session"

// noteStood remembers where a reconnecting client stood: the transport tells its handler the topics alone, and a
// person who left a group and came back must not catch up on what was said meanwhile.
func (g *Gateway) noteStood(c *centrifuge.Client, e centrifuge.CommandReadEvent) error {
	if req := e.Command.Connect; req != nil && len(req.Subs) > 0 && c.UserID() == "" {
		stood := make(map[string]Position, len(req.Subs))
		for topic, sub := range req.Subs {
			if sub.GetRecover() {
				stood[topic] = Position{Seq: sub.GetOffset(), Epoch: sub.GetEpoch()}
			}
		}
		g.stood.Add(c.ID(), stood)
	}
	return nil
}

func (g *Gateway) connecting(ctx context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
	at := Attempt{Token: e.Token, Data: e.Data}
	at.Known, _ = g.stood.Get(e.ClientID)
	g.stood.Remove(e.ClientID)
	s, err := g.door.Connect(ctx, at)
	if err != nil {
		return centrifuge.ConnectReply{}, refusal(err)
	}
	g.opt.OnComing(s.UserID, s.device())
	reply := centrifuge.ConnectReply{
		Credentials:       &centrifuge.Credentials{UserID: s.UserID, ExpireAt: s.ExpireAt},
		ClientSideRefresh: true,
		Data:              s.Welcome,
		Subscriptions:     map[string]centrifuge.SubscribeOptions{},
		Storage:           map[string]any{kept: s},
	}
	for _, t := range s.Topics {
		if t.Recover {
			reply.Subscriptions[t.Name] = options(s, t.Name)
		}
	}
	return reply, nil
}

// options are those of every timeline that a session reads. The acting device has its answer already: records that it
// caused pass it by, as do those that are for others, and its position moves on all the same.
func options(s *Session, topic string) centrifuge.SubscribeOptions {
	o := centrifuge.SubscribeOptions{EnableRecovery: true, EnablePositioning: true}
	var passBy *centrifuge.FilterNode
	if s.Origin != "" {
		passBy = &centrifuge.FilterNode{Key: tagOrigin, Cmp: "neq", Val: s.Origin}
	}
	if o.ServerTagsFilter = passBy; im.TopicGroup(topic) == "" {
		return o // only a group's timeline has what is for some of its readers
	}
	mine := &centrifuge.FilterNode{Op: "or", Nodes: []*centrifuge.FilterNode{
		{Key: tagAudience, Cmp: "nex"}, {Key: tagAudience, Cmp: "ct", Val: " " + s.UserID + " "},
	}}
	if o.ServerTagsFilter = mine; passBy != nil {
		o.ServerTagsFilter = &centrifuge.FilterNode{Op: "and", Nodes: []*centrifuge.FilterNode{passBy, mine}}
	}
	return o
}

// refusal turns a refused connect into what the transport's clients understand: refresh the token, come again, or stop.
func refusal(err error) error {
	var e *im.Error
	if !errors.As(err, &e) {
		return centrifuge.ErrorInternal
	}
	switch e.Code {
	case im.CodeTokenExpired:
		return centrifuge.ErrorTokenExpired
	case im.CodeTooOften:
		return centrifuge.Disconnect{Code: protocol.CloseTooOften, Reason: e.Message}
	case im.CodeInternal:
		return centrifuge.ErrorInternal
	case im.CodeBadParameter, im.CodeTooLong:
		return centrifuge.Disconnect{Code: protocol.CloseBadHello, Reason: clip(e.Message)}
	}
	return centrifuge.Disconnect{Code: protocol.CloseRefused, Reason: clip(e.Message)}
}

// clip keeps a reason within a WebSocket close frame.
func clip(s string) string { return s[:min(len(s), 120)] }

func (g *Gateway) connected(c *centrifuge.Client) {
	s := g.session(c)
	_, online := g.present.enter(s.UserID, s.DeviceID)
	c.OnDisconnect(func(centrifuge.DisconnectEvent) {
		if less, offline := g.present.leave(s.UserID, s.DeviceID); less {
			g.opt.OnMoved(s.UserID, offline)
		}
		g.parties.drop(c)
	})
	g.makeRoom(s)
	c.OnRPC(func(e centrifuge.RPCEvent, cb centrifuge.RPCCallback) {
		g.door.Call(s, e.Method, e.Data, func(b []byte) { cb(centrifuge.RPCReply{Data: b}, nil) })
	})
	c.OnRefresh(func(e centrifuge.RefreshEvent, cb centrifuge.RefreshCallback) {
		exp, err := g.door.Renew(c.Context(), s, e.Token)
		if err != nil {
			cb(centrifuge.RefreshReply{}, refusal(err))
			return
		}
		cb(centrifuge.RefreshReply{ExpireAt: exp}, nil)
	})
	for _, t := range c.Channels() {
		g.parties.join(t, c)
	}
	for _, t := range s.Topics {
		if !t.Recover {
			g.listen(c, s, t.Name, t.After)
		}
	}
	g.catchUp(c, s)
	for _, t := range s.Topics {
		if t.Ended {
			c.Unsubscribe(t.Name)
		}
	}
	s.Topics, s.Welcome = nil, nil
	// Also a device that returned before its old link ended has come.
	g.opt.OnMoved(s.UserID, online) // only now does this node follow the user's topic, so that others find it there
}

func (g *Gateway) session(c *centrifuge.Client) *Session {
	store, release := c.AcquireStorage()
	s := store[kept].(*Session)
	release(store)
	return s
}

// catchUp carries out the listen orders that came after the session's topics were read and before this node knew the
// session. From here on they find it.
func (g *Gateway) catchUp(c *centrifuge.Client, s *Session) {
	topic := im.UserTopic(s.UserID)
	for after := s.Head; ; {
		head, err := g.broker.timelines.Head(c.Context(), topic)
		if err == nil && head <= after {
			return
		}
		page, err := g.broker.timelines.Records(c.Context(), topic, after, maxRecover, maxRecoverBytes)
		if err != nil {
			c.Disconnect(centrifuge.DisconnectServerError) // it comes again, and reads its topics anew
			return
		}
		for _, r := range page.Records {
			after = r.Seq
			if l, ok := world.ParseListen(r.Listen); ok && !l.End {
				g.turn(c, s, l)
			}
		}
		if len(page.Records) == 0 {
			return
		}
	}
}

// reachable reports whether a reader at a sequence can be brought up to date, or has missed too much.
func (g *Gateway) reachable(ctx context.Context, topic string, after uint64) (head uint64, ok bool, err error) {
	head, err = g.broker.timelines.Head(ctx, topic)
	if err != nil || head <= after {
		return head, err == nil, err
	}
	page, err := g.broker.timelines.Records(ctx, topic, after, maxRecover, maxRecoverBytes)
	if err != nil {
		return head, false, err
	}
	n := len(page.Records)
	return page.Head, n > 0 && page.Records[0].Seq == after+1 && page.Records[n-1].Seq == page.Head, nil
}

// listen makes a session read one more timeline, after a sequence. Who has missed too much begins at the head, and is told.
func (g *Gateway) listen(c *centrifuge.Client, s *Session, topic string, after uint64) {
	if head, ok, err := g.reachable(c.Context(), topic, after); err == nil && !ok {
		after = head
		if err := c.Send(protocol.ReloadNotice(topic)); err != nil {
			return // the session is closing
		}
	}
	o := options(s, topic)
	err := c.Subscribe(topic, func(so *centrifuge.SubscribeOptions) {
		*so = o
		so.RecoverSince = &centrifuge.StreamPosition{Offset: after, Epoch: g.broker.timelines.Epoch()}
	})
	switch {
	case err == nil:
		g.parties.join(topic, c)
		if user := im.TopicStatus(topic); user != "" {
			g.opt.OnWatched(user) // who came or went since the statuses were read
		}
	case errors.Is(err, centrifuge.ErrorAlreadySubscribed):
	default:
		// A session that misses one timeline would not know what it missed: it comes again and recovers.
		g.opt.Log.Warn("a session could not read a timeline and is sent away to come again", "topic", topic, "error", err)
		c.Disconnect(centrifuge.DisconnectServerError)
	}
}

func (g *Gateway) logEntry(e centrifuge.LogEntry) {
	level := slog.LevelWarn
	if e.Level >= centrifuge.LogLevelError {
		level = slog.LevelError
	}
	args := make([]any, 0, 2*len(e.Fields))
	for k, v := range e.Fields {
		args = append(args, k, v)
	}
	g.opt.Log.Log(context.Background(), level, "transport: "+e.Message, args...)
}
