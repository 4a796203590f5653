package gateway

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	wire "github.com/centrifugal/protocol"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/gateway/link"
	"github.com/beckon-im/beckon/protocol"
)

// client is a device at the other end of a link, let in or about to be.
type client struct {
	g     *Gateway
	link  *link.Link
	id    string
	timer *time.Timer // sends away who does not connect, or was refused and stays
	late  bool        // it has not tried to connect yet
	order uint64      // grows with each link of this node
	begun time.Time   // when the link came

	*Session             // nil until it is let in
	entered  bool        // it counts as present; guarded by people.mu
	ready    atomic.Bool // it carries out orders
	expireAt atomic.Int64
	pinged   atomic.Bool  // a ping is not answered yet
	working  atomic.Bool  // a command is under way, behind which an answer to a ping may wait
	budget   atomic.Int64 // bytes of what was missed that connecting may still bring
	slot     int          // of the ring

	mu      sync.Mutex
	gone    bool
	reading map[string]*reader

	carried  map[uint64]bool // orders that were carried out while the client connected, by sequence; nil once it has
	caughtUp uint64          // orders up to this sequence were carried out before

	pending pending
}

// The errors of the transport's protocol.
var (
	errInternal     = &wire.Error{Code: 100, Message: "internal server error", Temporary: true}
	errNotAvailable = &wire.Error{Code: 108, Message: "not available"}
	errTokenExpired = &wire.Error{Code: 109, Message: "token expired"}
	errExpired      = &wire.Error{Code: 110, Message: "expired"}
)

const codeTooOften = 111 // as the transport's protocol numbers it

// connectTime is how long a link may be silent before it connects, and refreshTime how long after a token has expired a
// new one may come.
const (
	connectTime = 10 * time.Second
	refreshTime = 25 * time.Second
)

// accept makes the client of a new link.
func (g *Gateway) accept(l *link.Link) link.Device {
	c := &client{g: g, link: l, id: uuid.NewString(), late: true, carried: map[uint64]bool{}, order: g.links.Add(1),
		begun: time.Now()}
	c.timer = time.AfterFunc(connectTime, func() { l.Close(link.Stale) })
	c.budget.Store(min(maxRecoverBytes, int64(g.opt.MaxQueue)/2))
	g.coming.Store(l, struct{}{})
	if g.reads.Err() != nil {
		l.Close(link.Shutdown)
	}
	return c
}

// Receive carries a command out.
func (c *client) Receive(cmd *wire.Command) {
	c.working.Store(true)
	defer c.working.Store(false)
	switch {
	case cmd.Connect != nil && c.late:
		c.connect(cmd.Id, cmd.Connect)
	case !c.late && c.Session == nil: // it was refused: what it sent along is not answered
	case cmd.Connect != nil || c.Session == nil:
		c.link.Close(link.BadRequest)
	case cmd.Rpc != nil:
		id, about := cmd.Id, calledID(cmd.Rpc.Method, cmd.Rpc.Data)
		if about != nil {
			c.pending.begin(about)
		}
		c.g.handler.Call(c.Session, cmd.Rpc.Method, cmd.Rpc.Data, func(b []byte) {
			c.reply(&wire.Reply{Id: id, Rpc: &wire.RPCResult{Data: b}})
			if about != nil {
				c.pending.end(about)
			}
		})
	case cmd.Refresh != nil:
		c.refresh(cmd.Id, cmd.Refresh.Token)
	case cmd.Id != 0: // what one listens to is decided here, and everything else is a verb
		c.reply(&wire.Reply{Id: cmd.Id, Error: errNotAvailable})
	default:
		c.link.Close(link.BadRequest)
	}
}

// Pong takes the answer to a ping.
func (c *client) Pong() { c.pinged.Store(false) }

// Gone takes the client out of everything.
func (c *client) Gone() {
	code := c.link.Ended()
	c.timer.Stop()
	c.link.Known()
	switch {
	case code == link.BadRequest:
		c.g.opt.OnProtocolError(c.link.From)
	case c.late && code != link.Shutdown:
		c.g.opt.OnUnauthenticatedClose(c.link.From)
	}
	c.g.coming.Delete(c.link)
	c.g.streams.Delete(c.id)
	c.g.opt.OnEnd(uint32(code))
	if c.Session == nil {
		return
	}
	c.out()
}

// kick sends a device away. It is out at once, whenever it hangs up.
func (c *client) kick(reason string) {
	c.link.Dismiss(protocol.CloseKicked, reason)
	c.out()
}

// out takes the client out of everything, once.
func (c *client) out() {
	c.mu.Lock()
	list := slices.Collect(maps.Values(c.reading))
	c.gone, c.reading = true, nil
	c.mu.Unlock()
	c.g.ring.remove(c)
	for _, r := range list {
		c.g.leave(r)
	}
	if less, offline := c.g.sessions.leave(c); less {
		c.g.opt.OnPresenceChange(c.UserID, offline)
	}
}

func (c *client) reply(r *wire.Reply) { c.link.Send(c.link.Framing.Encode(r)) }

func (c *client) push(p *wire.Push) { c.reply(&wire.Reply{Push: p}) }

// refuse tells a device that it is not let in: to refresh its token, to come again, or to stop.
func (c *client) refuse(id uint32, err error) {
	e := (*im.Error)(nil)
	switch {
	case !errors.As(err, &e) || e.Code == im.CodeInternal:
		c.reply(&wire.Reply{Id: id, Error: errInternal})
	case e.Code == im.CodeTokenExpired:
		c.reply(&wire.Reply{Id: id, Error: errTokenExpired})
	case e.Code == im.CodeTooOften: // an answer, because some clients wait long for one where the link is closed instead
		c.reply(&wire.Reply{Id: id, Error: &wire.Error{Code: codeTooOften, Message: clip(e.Message), Temporary: true}})
	case e.Code == im.CodeBadParameter || e.Code == im.CodeTooLong:
		c.link.Dismiss(protocol.CloseBadHello, clip(e.Message))
	default:
		c.link.Dismiss(protocol.CloseRefused, clip(e.Message))
	}
}

// clip keeps a reason within a WebSocket close frame.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 120)], "") }

// connect lets a device in.
func (c *client) connect(id uint32, req *wire.ConnectRequest) {
	g := c.g
	if !c.timer.Stop() {
		return // it came too late, and was told
	}
	c.late = false // it may try once: what follows a refusal is a new link
	attempt := ConnectRequest{From: c.link.From, Token: req.Token, Data: req.Data, Known: map[string]Position{}}
	for topic, sub := range req.Subs {
		if sub.GetRecover() {
			attempt.Known[topic] = Position{Seq: sub.GetOffset(), Epoch: sub.GetEpoch()}
		}
	}
	s, err := g.handler.Connect(g.reads, attempt)
	c.link.Known()
	if err != nil {
		c.refuse(id, err)
		c.timer.Reset(connectTime) // clients hang up by themselves
		return
	}
	ttl := s.ExpireAt - time.Now().Unix()
	if s.ExpireAt != 0 && ttl < 0 {
		c.timer.Reset(connectTime)
		c.reply(&wire.Reply{Id: id, Error: errExpired})
		return
	}
	if len(s.Topics) > maxTopics {
		c.link.Close(link.TooMany)
		return
	}
	g.coming.Delete(c.link)
	// of two links of a device the later is the newer, whichever is let in first
	s.At -= time.Since(c.begun).Milliseconds()
	c.Session = s
	c.expireAt.Store(s.ExpireAt)
	s.At = g.opt.BeforeOnline(s.UserID, s.device())
	g.sessions.add(c) // from now on it can be sent away
	res := &wire.ConnectResult{Client: c.id, Data: s.Welcome, Ping: uint32(g.opt.Ping.Seconds()), Pong: true}
	if s.ExpireAt != 0 {
		res.Expires, res.Ttl = true, uint32(min(ttl, maxTTL))
	}
	if c.link.Stream {
		g.streams.Store(c.id, c.link)
		res.Session, res.Node = c.id, g.id
	}
	readers, err := c.resume(res, attempt.Known)
	if err != nil {
		g.opt.Log.Warn("a device could not read its timelines and is sent away to come again", "user", s.UserID, "error", err)
		c.link.Close(link.ServerError)
		return
	}
	online, in := g.sessions.enter(c) // before the response: who has it is counted as connected
	if !in {
		return
	}
	c.reply(&wire.Reply{Id: id, Connect: res})
	for _, r := range readers {
		r.live()
	}
	c.mu.Lock()
	if !c.gone { // it may have been sent away meanwhile
		g.ring.add(c)
	}
	c.mu.Unlock()
	c.finishConnect(online)
}

// maxTTL is the longest time that the transport's clients are told of, in seconds.
const maxTTL = 365 * 24 * 3600

// resume reads on where the device stood.
func (c *client) resume(res *wire.ConnectResult, known map[string]Position) ([]*reader, error) {
	var (
		mu      sync.Mutex
		readers []*reader
		group   errgroup.Group
	)
	group.SetLimit(4) // a device of many groups must not take all readers of the store
	for _, t := range c.Topics {
		if !t.Recover {
			continue
		}
		group.Go(func() error {
			r, err := c.open(t.Name)
			if err != nil {
				return err
			}
			var from *Position
			if p, ok := known[t.Name]; ok {
				from = &p
			}
			missed, recovered, err := c.missed(t.Name, from)
			if err != nil {
				return err
			}
			sub := &wire.SubscribeResult{
				Recoverable: true, Positioned: true, Epoch: c.g.timelines.Epoch(), Offset: missed.Head,
				WasRecovering: from != nil, Recovered: recovered,
			}
			for i := range missed.Records {
				if rec := &missed.Records[i]; c.isReader(rec) {
					sub.Publications = append(sub.Publications, publication(rec))
				}
			}
			r.seq = missed.Head
			mu.Lock()
			defer mu.Unlock()
			if res.Subs == nil {
				res.Subs = map[string]*wire.SubscribeResult{}
			}
			res.Subs[t.Name], readers = sub, append(readers, r)
			return nil
		})
	}
	return readers, group.Wait()
}

// finishConnect brings a device that was let in to where everybody else is.
func (c *client) finishConnect(online bool) {
	g, s := c.g, c.Session
	g.replace(c)
	g.evictReplaced(s)
	for _, t := range s.Topics {
		if !t.Recover {
			c.listen(t.Name, t.After)
		}
	}
	c.mu.Lock()
	c.caughtUp = c.Head // the session's topics include the changes up to here
	c.mu.Unlock()
	after := c.catchUp(c.Head)
	c.ready.Store(true)
	after = c.catchUp(after)
	c.mu.Lock()
	c.carried, c.caughtUp = nil, after
	c.mu.Unlock()
	for _, t := range s.Topics {
		if t.Ended {
			c.stop(t.Name)
		}
	}
	s.Topics, s.Welcome = nil, nil
	// Also a device that returned before its old link ended has come.
	// only now does this node follow the user's topic, so that others find it there
	g.opt.OnPresenceChange(s.UserID, online)
}

// catchUp carries out the listen orders that came after the session's topics were read and before this node knew the
// session, and returns how far it came.
func (c *client) catchUp(after uint64) uint64 {
	topic := im.UserTopic(c.UserID)
	for {
		head, err := c.g.timelines.Head(c.g.reads, topic)
		if err == nil && head <= after {
			return after
		}
		page, err := c.g.timelines.Records(c.g.reads, topic, after, maxRecover, maxRecoverBytes)
		if err != nil {
			c.link.Close(link.ServerError) // it comes again, and reads its topics anew
			return after
		}
		for _, r := range page.Records {
			after = r.Seq
			if l, ok := im.ParseListen(r.Listen); ok && !l.End {
				c.change(r.Seq, l)
			}
		}
		if len(page.Records) == 0 {
			return after
		}
	}
}

// refresh takes a new token.
func (c *client) refresh(id uint32, token string) {
	exp, err := c.g.handler.Renew(c.g.reads, c.Session, token)
	if err != nil {
		c.refuse(id, err)
		return
	}
	c.expireAt.Store(exp)
	res := &wire.RefreshResult{Client: c.id}
	if exp != 0 {
		ttl := exp - time.Now().Unix()
		if ttl <= 0 {
			c.reply(&wire.Reply{Id: id, Error: errExpired})
			return
		}
		res.Expires, res.Ttl = true, uint32(min(ttl, maxTTL))
	}
	c.reply(&wire.Reply{Id: id, Refresh: res})
}

// ping asks the device whether it is there, unless its token has long expired.
func (c *client) ping(now time.Time) {
	if exp := c.expireAt.Load(); exp != 0 && now.After(time.Unix(exp, 0).Add(refreshTime)) {
		c.link.Close(link.Expired)
		return
	}
	c.pinged.Store(true)
	c.link.Ping()
}

// checkPong ends the link of a device that did not answer.
func (c *client) checkPong() {
	if c.pinged.Load() && !c.working.Load() {
		c.link.Close(link.NoPong)
	}
}
