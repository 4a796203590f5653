package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"github.com/beckon-im/beckon/client/internal/failure"
	"github.com/beckon-im/beckon/client/internal/hold"
	"github.com/beckon-im/beckon/client/internal/inbox"
	"github.com/beckon-im/beckon/client/internal/ledger"
	"github.com/beckon-im/beckon/client/internal/mailbox"
	"github.com/beckon-im/beckon/client/internal/token"
	"github.com/beckon-im/beckon/client/internal/transport"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Client is one device of one user. mu guards the fields below it, except saved.
type Client struct {
	opt    Options
	conn   *transport.Transport
	files  *http.Client
	events *mailbox.Mailbox
	done   chan struct{} // closed after the last callback
	inbox  *inbox.Inbox
	loader *inbox.Loader // of inbox
	tokens *token.Tokens

	mu       sync.Mutex
	ledger   *ledger.Ledger
	doubt    []string  // invitations with a failed state request, repeated on the next connect
	greeted  bool      // a connect reply was received
	resumed  bool      // the first connect sent positions
	saved    string    // the last saved text; owned by the callback goroutine
	pending  hold.Keys // calls in flight: events of their invitations wait for the response
	welcome  protocol.Welcome
	snapshot protocol.Welcome // the welcome before the current events in the queue
	seen     map[string]uint64
	epoch    string
	skew     time.Duration // server time minus local time
}

// New returns a disconnected client; call Connect next. It starts goroutines: call Close to stop them.
// Errors: an invalid Server, a missing token, or an unreadable Store.
func New(opt Options) (*Client, error) {
	if opt.Token == "" && opt.GetToken == nil {
		return nil, failure.Bad("Token", "a token is required: set Token or GetToken")
	}
	opt.defaults()
	c := &Client{
		opt: opt, events: mailbox.New(), done: make(chan struct{}), ledger: ledger.New(),
		inbox: inbox.New(opt.Inbox), seen: map[string]uint64{},
	}
	c.tokens, c.loader = c.newTokens(), &inbox.Loader{Inbox: c.inbox, Source: c, Later: c.events.Put}
	hello := protocol.Hello{DeviceID: opt.DeviceID, Platform: opt.Platform, Epoch: opt.Epoch, Positions: opt.Positions}
	if err := c.restore(&hello); err != nil {
		return nil, err
	}
	c.epoch, c.resumed = hello.Epoch, len(hello.Positions) > 0
	for t, seq := range hello.Positions {
		c.seen[t] = seq
	}
	data, err := json.Marshal(hello)
	if err != nil {
		return nil, failure.New("new", err)
	}
	how := c.transport(data)
	if c.conn, err = transport.New(how); err != nil {
		return nil, err
	}
	if c.files = opt.HTTP; opt.HTTP == nil {
		c.files = transport.HTTP(how)
	}
	c.hook()
	go c.dispatch()
	return c, nil
}

func (c *Client) hook() {
	c.conn.OnConnecting(func(e centrifuge.ConnectingEvent) {
		c.logEnd("connecting", e.Code, e.Reason)
		c.events.Put(func() { call2(c.opt.Listener.OnConnecting, int(e.Code), e.Reason) })
	})
	c.conn.OnConnected(func(e centrifuge.ConnectedEvent) bool {
		var w protocol.Welcome
		if err := json.Unmarshal(e.Data, &w); err != nil {
			c.opt.Log.Warn("connect reply is invalid", "server", c.opt.Server, "error", err)
			return false
		}
		c.opt.Log.Debug("connected", "user", w.UserID, "device", w.DeviceID)
		c.welcomeReceived(w)
		c.tokens.Watch(w.ExpireAt, c.Now())
		c.events.Put(func() { c.onWelcome(w) })
		return true
	})
	c.conn.OnError(func(err error) {
		if c.conn.Life().Err() == nil {
			c.opt.Log.Warn("connection failed", "server", c.opt.Server, "error", err)
		}
	})
	c.conn.OnDisconnected(func(e centrifuge.DisconnectedEvent) error {
		c.logEnd("disconnected permanently", e.Code, e.Reason)
		c.events.Put(func() {
			if e.Code == protocol.CloseKicked && c.opt.Listener.OnKickedOffline != nil {
				c.opt.Listener.OnKickedOffline(e.Reason)
			}
			call2(c.opt.Listener.OnDisconnected, int(e.Code), e.Reason)
		})
		return c.ended(e)
	})
	c.conn.OnSubscribed(func(e centrifuge.ServerSubscribedEvent) {
		if e.WasRecovering && !e.Recovered {
			c.events.Put(func() { c.reload([]string{e.Channel}) })
		}
	})
	c.conn.OnUnsubscribed(func(e centrifuge.ServerUnsubscribedEvent) {
		c.events.Put(func() {
			if c.conn.State() == centrifuge.StateConnected { // else the connection ended, and the position remains valid
				c.forget(e.Channel)
			}
		})
	})
	c.conn.OnMessage(func(e centrifuge.MessageEvent) {
		var n protocol.Notice
		if json.Unmarshal(e.Data, &n) == nil && n.Type == protocol.TypeReload {
			c.events.Put(func() { c.reload(n.Timelines) })
		}
	})
	c.conn.OnPublication(func(e centrifuge.ServerPublicationEvent) {
		c.events.Put(func() { c.received(e.Channel, e.Offset, e.Data) })
	})
}

// logEnd logs the end of a connection; the code 0 is that of Connect and Close.
func (c *Client) logEnd(message string, code uint32, reason string) {
	level := slog.LevelWarn
	if code == 0 {
		level = slog.LevelDebug
	}
	c.opt.Log.Log(c.conn.Life(), level, message, "code", code, "reason", reason)
}

// ended returns the cause of a permanent disconnect.
func (c *Client) ended(e centrifuge.DisconnectedEvent) error {
	if err := c.tokens.Ended(e.Code == codeUnauthorized); err != nil {
		return err
	}
	text := fmt.Sprintf("disconnected permanently: %s (%d)", e.Reason, e.Code)
	if e.Code == protocol.CloseRefused {
		return &Error{Code: im.CodeTokenRefused, Message: text}
	}
	return errors.New(text)
}

// Connect connects, and waits for the connect reply or the end of ctx. Afterwards the client reconnects by itself.
// Errors: ErrNotConnected after a permanent disconnect (a refused token); ErrClosed after Close; that of ctx when ctx
// ends: then the client is disconnected, unless it was connected before and reconnects.
func (c *Client) Connect(ctx context.Context) error {
	if err := c.conn.Connect(ctx); err != nil {
		return failure.New("connect", err)
	}
	return nil
}

// Close disconnects permanently and waits for the last callback and for all goroutines of the client, among them a call
// of Options.GetToken. It must not be called from a callback.
func (c *Client) Close() {
	c.conn.Close()
	c.tokens.Close()
	if c.opt.HTTP == nil {
		c.files.CloseIdleConnections()
	}
	c.events.Close()
	<-c.done
}

// Welcome returns the last connect reply.
func (c *Client) Welcome() protocol.Welcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.welcome
}

// Now returns the server's clock. Compare deadlines with it instead of the local clock.
func (c *Client) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.skew)
}

// forget drops the position in a timeline that this device no longer subscribes to.
func (c *Client) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, topic)
}

// Positions returns the last processed sequence of each timeline, for Options after a restart of the program.
func (c *Client) Positions() (epoch string, positions map[string]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	positions = make(map[string]uint64, len(c.seen))
	for t, seq := range c.seen {
		positions[t] = seq
	}
	return c.epoch, positions
}
