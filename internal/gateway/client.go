package gateway

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	wire "github.com/centrifugal/protocol"
	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/gateway/link"
	"github.com/beckon-im/beckon/protocol"
)

// clientState is where a client is in its life.
//
//	from                     event                                     to
//	waiting                  a connect request arrives                 refused, until it is accepted
//	refused                  the connect request is accepted           joining
//	joining                  it has caught up with its timelines       online
//	joining, online          it is kicked                              closed
//	any                      its link closes                           closed
type clientState int32

const (
	stateWaiting clientState = iota // no connect request yet
	stateRefused                    // one request per link: further commands are dropped
	stateJoining                    // has a session; reads subscription changes from the log
	stateOnline                     // applies subscription changes as they arrive
	stateClosed                     // left all topics, and takes no more
)

// client is the device at the other end of a link, before and after it connects.
//
// Receive, Gone and the methods they call run on one goroutine at a time; timer belongs to them. slot is guarded by
// pingWheel.mu.
type client struct {
	g     *Gateway
	link  *link.Link
	id    string
	state atomic.Int32 // a clientState; it becomes closed under mu
	timer *time.Timer  // closes a link that does not connect, or stays open after a refusal
	order uint64       // accept order of the links of this node
	begun time.Time    // when the link was accepted

	*Session      // nil until the connect request is accepted
	entered  bool // counts as present; guarded by userSessions.mu
	expireAt atomic.Int64
	pinged   atomic.Bool   // a ping is unanswered
	working  atomic.Bool   // a command is running, and a pong may be queued behind it
	heard    atomic.Uint32 // frames received
	budget   atomic.Int64  // bytes of missed records that the connect reply may still include
	slot     int           // in the ping wheel

	mu      sync.Mutex
	reading []*reader // sorted by the names of their topics

	delivering sync.Mutex // guards the state of the readers; locked after the topic's mu
	unapplied  unapplied  // guarded by delivering

	// Guarded by mu: the order of subscription changes.
	catchingUp bool                 // changes are still read from the log
	later      []subscriptionChange // arrived meanwhile
	caughtUp   uint64               // all changes up to this sequence are applied

	ended []string // the last topics that ended; guarded by mu

	pending pending
}

// Errors of the transport protocol.
var (
	errInternal     = &wire.Error{Code: 100, Message: "internal server error", Temporary: true}
	errNotAvailable = &wire.Error{Code: 108, Message: "not available"}
	errTokenExpired = &wire.Error{Code: 109, Message: "token expired"}
	errExpired      = &wire.Error{Code: 110, Message: "expired"}
)

const codeTooOften = 111 // number in the transport protocol

// connectTime is the timeout for the connect request of a new link. refreshTime is the grace period for a new token
// after the old one has expired.
const (
	connectTime = 10 * time.Second
	refreshTime = 25 * time.Second
)

// accept returns the client of a new link.
func (g *Gateway) accept(l *link.Link) link.Device {
	c := &client{g: g, link: l, id: uuid.NewString(), catchingUp: true, order: g.links.Add(1),
		begun: time.Now()}
	c.timer = time.AfterFunc(connectTime, func() { l.Close(link.Stale) })
	c.budget.Store(min(maxRecoverBytes, int64(g.opt.MaxQueue)/2))
	g.connecting.Store(l, struct{}{})
	if g.reads.Err() != nil {
		l.Close(link.Shutdown)
	}
	return c
}

func (c *client) is(s clientState) bool { return clientState(c.state.Load()) == s }

// Receive runs a command.
func (c *client) Receive(cmd *wire.Command) {
	c.heard.Add(1)
	c.working.Store(true)
	defer c.working.Store(false)
	switch {
	case cmd.Connect != nil && c.is(stateWaiting):
		c.connect(cmd.Id, cmd.Connect)
	case c.is(stateRefused): // commands sent along with the connect request
	case cmd.Connect != nil || c.Session == nil:
		c.link.Close(link.BadRequest)
	case cmd.Rpc != nil && cmd.Rpc.Method == MethodRenew:
		c.renew(cmd.Id, cmd.Rpc.Data)
	case cmd.Rpc != nil:
		id, inviteID := cmd.Id, calledID(cmd.Rpc.Method, cmd.Rpc.Data)
		if inviteID != nil {
			c.pending.begin(inviteID)
		}
		c.g.handler.Call(c.Session, cmd.Rpc.Method, cmd.Rpc.Data, func(b []byte) {
			c.reply(&wire.Reply{Id: id, Rpc: &wire.RPCResult{Data: b}})
			if inviteID != nil {
				c.pending.end(inviteID)
			}
		})
	case cmd.Refresh != nil:
		c.refresh(cmd.Id, cmd.Refresh.Token)
	case cmd.Id != 0: // the server decides subscriptions, and everything else is an RPC
		c.reply(&wire.Reply{Id: cmd.Id, Error: errNotAvailable})
	default:
		c.link.Close(link.BadRequest)
	}
}

// Pong handles the answer to a ping.
func (c *client) Pong() {
	c.heard.Add(1)
	c.pinged.Store(false)
}

// Gone removes the client after its link has closed.
func (c *client) Gone() {
	code := c.link.Ended()
	c.timer.Stop()
	c.link.Release()
	switch {
	case code == link.BadRequest:
		c.g.opt.OnProtocolError(c.link.From)
	case c.is(stateWaiting) && code != link.Shutdown:
		c.g.opt.OnUnauthenticatedClose(c.link.From)
	}
	c.g.connecting.Delete(c.link)
	c.g.streams.Delete(c.id)
	c.g.opt.OnEnd(uint32(code))
	if c.Session == nil {
		c.state.Store(int32(stateClosed))
		return
	}
	c.remove()
}

// kick closes the link of a device and removes the client at once, even if the device stays on the link.
func (c *client) kick(reason string) {
	c.link.CloseWithReason(protocol.CloseKicked, reason)
	c.remove()
}

// remove removes the client from all topics and sessions, once.
func (c *client) remove() {
	c.mu.Lock()
	list := c.reading
	c.reading = nil
	c.state.Store(int32(stateClosed))
	c.mu.Unlock()
	c.g.wheel.remove(c)
	for _, r := range list {
		c.g.leave(r)
	}
	if gone, offline := c.g.sessions.leave(c); gone {
		c.g.opt.OnDisconnect(c.UserID)
		c.g.opt.OnPresenceChange(c.UserID, offline)
	}
}

func (c *client) reply(r *wire.Reply) { c.link.Send(c.link.Framing.Encode(r)) }

func (c *client) push(p *wire.Push) { c.reply(&wire.Reply{Push: p}) }

// refuse rejects a connect or refresh request: the client refreshes its token, retries, or stops.
func (c *client) refuse(id uint32, err error) {
	e := (*im.Error)(nil)
	switch {
	case !errors.As(err, &e) || e.Code == im.CodeInternal:
		c.reply(&wire.Reply{Id: id, Error: errInternal})
	case e.Code == im.CodeTokenExpired:
		c.reply(&wire.Reply{Id: id, Error: errTokenExpired})
	case e.Code == im.CodeTooOften: // a reply: some clients wait long before they reconnect to a closed link
		c.reply(&wire.Reply{Id: id, Error: &wire.Error{Code: codeTooOften, Message: clip(e.Message), Temporary: true}})
	case e.Code == im.CodeBadParameter || e.Code == im.CodeTooLong:
		c.link.CloseWithReason(protocol.CloseBadHello, clip(e.Message))
	default:
		c.link.CloseWithReason(protocol.CloseRefused, clip(e.Message))
	}
}

// clip shortens a reason to fit into a WebSocket close frame.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 120)], "") }

// refresh replaces the token of the session.
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

// MethodRenew is the RPC that replaces the token of a session. A refused token does not end the session.
const MethodRenew = "renewToken"

// renew replaces the token of the session, or replies with the error of the new one.
func (c *client) renew(id uint32, data []byte) {
	exp, err := c.renewed(data)
	var res any = map[string]int64{"expireAt": exp}
	if err != nil {
		var e *im.Error
		if !errors.As(err, &e) {
			e = im.Internal(err)
		}
		res = protocol.Error{Code: e.Code, Message: e.Message, Field: e.Field, RetryAfter: e.RetryAfter}
	}
	body, err := json.Marshal(res)
	if err != nil {
		c.reply(&wire.Reply{Id: id, Error: errInternal})
		return
	}
	c.reply(&wire.Reply{Id: id, Rpc: &wire.RPCResult{Data: body}})
}

// renewed checks the token of a renewal, and returns its expiry.
func (c *client) renewed(data []byte) (exp int64, err error) {
	var req struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(data, &req) != nil {
		return 0, im.Bad("token", "must be a string in a JSON object")
	}
	if exp, err = c.g.handler.Renew(c.g.reads, c.Session, req.Token); err == nil {
		c.expireAt.Store(exp)
	}
	return exp, err
}

// ping sends a ping, or closes the link if its token expired more than refreshTime ago.
func (c *client) ping(now time.Time) {
	if exp := c.expireAt.Load(); exp != 0 && now.After(time.Unix(exp, 0).Add(refreshTime)) {
		c.link.Close(link.Expired)
		return
	}
	c.pinged.Store(true)
	c.link.Ping()
}

// checkPong closes the link if its last ping is unanswered.
func (c *client) checkPong() {
	if c.pinged.Load() && !c.working.Load() {
		c.link.Close(link.NoPong)
	}
}
