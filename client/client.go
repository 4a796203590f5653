// Package client is the Go SDK of Beckon: typed methods, a listener with Tencent Chat's callback names, and a
// connection that reconnects by itself and recovers missed events.
//
// A Client is one device of one user. Its methods are safe for concurrent use. Callbacks run one at a time, in order,
// on a goroutine of the client, and may call its methods except Close.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"github.com/beckon-im/beckon/client/hold"
	"github.com/beckon-im/beckon/client/inbox"
	"github.com/beckon-im/beckon/client/ledger"
	"github.com/beckon-im/beckon/client/mailbox"
	"github.com/beckon-im/beckon/client/pushes"
	"github.com/beckon-im/beckon/protocol"
)

// Options configures a Client. Server and one of Token and GetToken are required.
type Options struct {
	// Server is the address of the server: http://host:port; the schemes https, ws and wss are accepted too.
	Server string
	// Token authenticates the user: a JWT or a UserSig.
	Token string
	// GetToken returns a token. It is called on connecting if Token is empty, and when a token expires. Without it, call
	// Renew on OnTokenWillExpire: the connection ends 20 s after the expiry, or half of a shorter life.
	GetToken func(ctx context.Context) (string, error)
	// DeviceID identifies this device among the user's; keep it over restarts. At most 64 bytes. Default: minted by the
	// server for each connection.
	DeviceID string
	// Platform is reported to the server: ios, android, web, cli… Default: "go".
	Platform string
	// Epoch and Positions are the result of Client.Positions before a restart of the program; events since then are
	// delivered. Default: start with the open invitations.
	Epoch     string
	Positions map[string]uint64
	// Store keeps positions and open invitations between runs of the program, as FileStore, so that events since the last
	// run are delivered; Epoch and Positions take precedence. Use one per device, with a DeviceID. Default: none.
	Store Store
	// JSON selects JSON framing instead of Protobuf. Default: false.
	JSON bool
	// Inbox maintains the user's conversations for Client.Conversations. Default: false.
	Inbox bool
	// Listener receives events. Default: none.
	Listener Listener
	// CallTimeout is the timeout of calls with a context without deadline, retries included. Default: 20 s.
	CallTimeout time.Duration
	// NoRepeat returns refusals with 9506 (too often, or overload) and 10002 (the server failed) at once. By default, a
	// call that only reads or has a request or message ID is repeated after the retryAfter of the refusal, at most 20
	// times and until its context ends. Online-only messages are never repeated.
	NoRepeat bool
}

// Client is one device of one user. mu guards the fields below it, except saved.
type Client struct {
	pushes.Methods // of push tokens

	opt     Options
	conn    *centrifuge.Client
	events  *mailbox.Mailbox
	closing chan struct{} // closed by Close
	once    sync.Once     // of Close
	done    chan struct{}
	inbox   *inbox.Inbox
	tokens  *tokens

	mu        sync.Mutex
	ledger    *ledger.Ledger
	doubt     []string  // invitations with a failed state request, repeated on the next connect
	greeted   bool      // a connect reply was received
	resumed   bool      // the first connect sent positions
	saved     string    // the last saved text; owned by the callback goroutine
	pending   hold.Keys // calls in flight: events of their invitations wait for the response
	welcome   protocol.Welcome
	snapshot  protocol.Welcome // the welcome before the current events in the queue
	seen      map[string]uint64
	epoch     string
	skew      time.Duration // server time minus local time
	up        chan struct{} // closed while connected, or after a permanent disconnect
	down      chan struct{} // closed when the current connection is lost
	terminal  error
	lastError error // error of the last connect attempt
}

// ErrClosed is the error of Connect and of calls after Close, and of those that Close ends. A call that was sent before
// may have taken effect.
var ErrClosed = errors.New("beckon: the client was closed")

// New returns a disconnected client; call Connect next. It starts a goroutine for callbacks: call Close to stop it.
// Errors: an invalid Server, a missing token, or an unreadable Store.
func New(opt Options) (*Client, error) {
	endpoint, err := endpoint(opt.Server)
	if err != nil {
		return nil, err
	}
	if opt.Token == "" && opt.GetToken == nil {
		return nil, errors.New("beckon: a token is required: set Token or GetToken")
	}
	if opt.Platform == "" {
		opt.Platform = "go"
	}
	if opt.CallTimeout == 0 {
		opt.CallTimeout = 20 * time.Second
	}
	c := &Client{
		opt: opt, events: mailbox.New(), done: make(chan struct{}), ledger: ledger.New(),
		inbox: inbox.New(opt.Inbox), closing: make(chan struct{}), tokens: newTokens(opt.Token),
		seen: map[string]uint64{}, up: make(chan struct{}), down: make(chan struct{}),
	}
	c.Methods = pushes.New(c.Call)
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
		return nil, err
	}
	cfg := centrifuge.Config{
		Token: opt.Token, Data: data, Name: "beckon-go", Version: protocol.Version,
		ReadTimeout: 10 * time.Second, WriteTimeout: 5 * time.Second, HandshakeTimeout: 10 * time.Second,
		MinReconnectDelay: 100 * time.Millisecond, MaxReconnectDelay: 5 * time.Second,
		MaxServerPingDelay: 5 * time.Second, // a dead connection is noticed within 15 s
	}
	cfg.GetToken = func(centrifuge.ConnectionTokenEvent) (string, error) {
		ctx, cancel := context.WithTimeout(c.tokens.context(), opt.CallTimeout)
		defer cancel()
		return c.nextToken(ctx)
	}
	if opt.JSON {
		c.conn = centrifuge.NewJsonClient(endpoint, cfg)
	} else {
		c.conn = centrifuge.NewProtobufClient(endpoint, cfg)
	}
	c.hook()
	go c.dispatch()
	return c, nil
}

func endpoint(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("beckon: server address %q must have the form http://host:port", server)
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", fmt.Errorf("beckon: the scheme of server address %q must be one of: http, https, ws, wss", server)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/connection/websocket"
	return u.String(), nil
}

func (c *Client) hook() {
	c.conn.OnConnecting(func(e centrifuge.ConnectingEvent) {
		c.setUp(false, nil)
		c.events.Put(func() { call2(c.opt.Listener.OnConnecting, int(e.Code), e.Reason) })
	})
	c.conn.OnConnected(func(e centrifuge.ConnectedEvent) {
		var w protocol.Welcome
		if err := json.Unmarshal(e.Data, &w); err != nil {
			return // not a Beckon server: calls will fail
		}
		c.welcomeReceived(w)
		c.watchToken(w.ExpireAt)
		c.events.Put(func() { c.onWelcome(w) })
		c.setUp(true, nil)
	})
	c.conn.OnError(func(e centrifuge.ErrorEvent) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lastError = e.Error
	})
	c.conn.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		gone := fmt.Errorf("beckon: disconnected permanently: %s (%d)", e.Reason, e.Code)
		if err := c.tokenEnded(e.Code); err != nil {
			gone = fmt.Errorf("beckon: disconnected permanently: %w", err)
		}
		c.setUp(false, gone)
		c.events.Put(func() {
			if e.Code == protocol.CloseKicked && c.opt.Listener.OnKickedOffline != nil {
				c.opt.Listener.OnKickedOffline(e.Reason)
			}
			call2(c.opt.Listener.OnDisconnected, int(e.Code), e.Reason)
		})
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

// setUp records the state of the connection and wakes waiting calls; terminal is the error of a permanent disconnect.
func (c *Client) setUp(up bool, terminal error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.terminal = terminal
	if up {
		c.lastError = nil
		c.down = make(chan struct{})
	} else {
		c.lose()
	}
	open := true // calls are waiting on the current channel
	select {
	case <-c.up:
		open = false
	default:
	}
	switch wake := up || terminal != nil; {
	case wake && open:
		close(c.up)
	case !wake && !open:
		c.up = make(chan struct{})
	}
}

// lose wakes the calls that wait for a response on the lost connection.
func (c *Client) lose() {
	select {
	case <-c.down:
	default:
		close(c.down)
	}
}

// Connect connects, and waits for the connect reply or the end of ctx. Afterwards the client reconnects by itself. It
// returns an error after a permanent disconnect (a refused token), ErrClosed after Close, and the error of ctx when
// that ends: then the client is disconnected, unless it was connected before and reconnects.
func (c *Client) Connect(ctx context.Context) error {
	begins := c.conn.State() == centrifuge.StateDisconnected
	started := make(chan error, 1)
	go func() { started <- c.conn.Connect() }() // it returns after the first attempt
	select {
	case err := <-started: // other errors concern the first attempt only, which is retried
		if errors.Is(err, centrifuge.ErrClientClosed) {
			return ErrClosed
		}
	case <-ctx.Done():
	case <-c.closing:
	}
	_, err := c.wait(ctx)
	if err != nil && begins && ctx.Err() != nil {
		err = errors.Join(err, c.conn.Disconnect())
		c.tokens.stopGetting(false)
	}
	return err
}

// wait waits for a connection, and returns a channel that is closed on its loss.
func (c *Client) wait(ctx context.Context) (lost <-chan struct{}, err error) {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
	case <-c.closing:
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.lastError != nil {
			return nil, fmt.Errorf("beckon: not connected: %w: %w", ctx.Err(), c.lastError)
		}
		return nil, fmt.Errorf("beckon: not connected: %w", ctx.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closing:
		return nil, ErrClosed
	default:
		return c.down, c.terminal
	}
}

// Close disconnects permanently and waits for the last callback. It must not be called from a callback.
func (c *Client) Close() {
	c.once.Do(func() { close(c.closing) })
	c.tokens.stopGetting(true)
	c.conn.Close()
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
