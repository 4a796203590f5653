// Package client is the Go SDK of Beckon: typed calls, a listener with the original's callback names, and a connection
// that comes back by itself and misses nothing.
//
// A Client is one device of one user. Its methods may be called from any goroutine; its callbacks come one at a time,
// in order, on a goroutine of its own, and may call its methods.
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

	"github.com/beckon-im/beckon/client/inbox"
	"github.com/beckon-im/beckon/client/ledger"
	"github.com/beckon-im/beckon/protocol"
)

// Options are the choices for a client. Server and one of Token and GetToken are needed.
type Options struct {
	// Server is the address of the server: http://host:port, or https, ws, wss.
	Server string
	// Token proves who the user is: a JWT or a UserSig.
	Token string
	// GetToken is asked for a token at the start when Token is empty, and for a new one when it is about to expire.
	// Without it the connection ends when the token expires.
	GetToken func(ctx context.Context) (string, error)
	// DeviceID names this device among the user's. Keep it over restarts. Default: one for each connection.
	DeviceID string
	// Platform is told to the server: ios, android, web, cli… Default: "go".
	Platform string
	// Epoch and Positions are what Client.Positions returned before the program was restarted: what was missed meanwhile
	// is delivered. Default: begin with what is open now.
	Epoch     string
	Positions map[string]uint64
	// Store keeps the positions and the open invitations between runs of the program, so that what happened meanwhile is
	// delivered; Epoch and Positions, where given, come before it. FileStore is one. Use one store for one device, with a
	// DeviceID. Default: nothing is kept.
	Store Store
	// JSON uses the JSON framing instead of Protobuf. Default: false.
	JSON bool
	// Inbox keeps this user's conversations in step with what happens: Client.Conversations lists them. Default: false.
	Inbox bool
	// Listener is told what happens. Default: nothing is told.
	Listener Listener
	// CallTimeout bounds a call whose context has no deadline, retries included. Default: 20 s.
	CallTimeout time.Duration
}

// Client is one device of one user.
type Client struct {
	opt    Options
	conn   *centrifuge.Client
	events *mailbox
	done   chan struct{}
	inbox  *inbox.Inbox

	mu        sync.Mutex
	ledger    *ledger.Ledger
	doubt     []string         // invitations of which the server could not be asked
	greeted   bool             // there was a connect reply
	resumed   bool             // the first connect named positions
	saved     string           // what the store has; of the goroutine of the callbacks
	pending   map[string]*held // calls whose answer is awaited: the events of their invitations wait for it
	welcome   protocol.Welcome
	snapshot  protocol.Welcome // the welcome that the events heard now came after
	seen      map[string]uint64
	epoch     string
	skew      time.Duration // server time minus ours
	up        chan struct{} // closed while connected
	down      chan struct{} // closed when the present connection is lost
	terminal  error
	lastError error // why the last attempt to connect failed
}

// New makes a client. Connect begins.
func New(opt Options) (*Client, error) {
	endpoint, err := endpoint(opt.Server)
	if err != nil {
		return nil, err
	}
	if opt.Token == "" && opt.GetToken == nil {
		return nil, errors.New("beckon: a token is needed: set Token or GetToken")
	}
	if opt.Platform == "" {
		opt.Platform = "go"
	}
	if opt.CallTimeout == 0 {
		opt.CallTimeout = 20 * time.Second
	}
	c := &Client{
		opt: opt, events: newMailbox(), done: make(chan struct{}), ledger: ledger.New(), pending: map[string]*held{},
		inbox: inbox.New(opt.Inbox),
		seen:  map[string]uint64{}, up: make(chan struct{}), down: make(chan struct{}),
	}
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
	}
	if opt.GetToken != nil {
		cfg.GetToken = func(centrifuge.ConnectionTokenEvent) (string, error) {
			ctx, cancel := context.WithTimeout(context.Background(), opt.CallTimeout)
			defer cancel()
			return opt.GetToken(ctx)
		}
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
		return "", fmt.Errorf("beckon: the server address %q is not of the form http://host:port", server)
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", fmt.Errorf("beckon: the server address %q begins with neither http nor ws", server)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/connection/websocket"
	return u.String(), nil
}

func (c *Client) hook() {
	c.conn.OnConnecting(func(e centrifuge.ConnectingEvent) {
		c.setUp(false, nil)
		c.events.put(func() { call2(c.opt.Listener.OnConnecting, int(e.Code), e.Reason) })
	})
	c.conn.OnConnected(func(e centrifuge.ConnectedEvent) {
		var w protocol.Welcome
		if err := json.Unmarshal(e.Data, &w); err != nil {
			return // not a Beckon server: calls will say so
		}
		c.arrived(w)
		c.events.put(func() { c.welcomed(w) })
		c.setUp(true, nil)
	})
	c.conn.OnError(func(e centrifuge.ErrorEvent) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lastError = e.Error
	})
	c.conn.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		c.setUp(false, fmt.Errorf("beckon: disconnected for good: %s (%d)", e.Reason, e.Code))
		c.events.put(func() {
			if e.Code == protocol.CloseKicked && c.opt.Listener.OnKickedOffline != nil {
				c.opt.Listener.OnKickedOffline(e.Reason)
			}
			call2(c.opt.Listener.OnDisconnected, int(e.Code), e.Reason)
		})
	})
	c.conn.OnSubscribed(func(e centrifuge.ServerSubscribedEvent) {
		if e.WasRecovering && !e.Recovered {
			c.events.put(func() { c.reload([]string{e.Channel}) })
		}
	})
	c.conn.OnUnsubscribed(func(e centrifuge.ServerUnsubscribedEvent) {
		c.events.put(func() {
			if c.conn.State() == centrifuge.StateConnected { // else the connection ended, and the position holds
				c.forget(e.Channel)
			}
		})
	})
	c.conn.OnMessage(func(e centrifuge.MessageEvent) {
		var n protocol.Notice
		if json.Unmarshal(e.Data, &n) == nil && n.Type == protocol.TypeReload {
			c.events.put(func() { c.reload(n.Timelines) })
		}
	})
	c.conn.OnPublication(func(e centrifuge.ServerPublicationEvent) {
		c.events.put(func() { c.received(e.Channel, e.Offset, e.Data) })
	})
}

// setUp notes whether calls can be made; terminal is why they never will be again.
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
	open := true // those who wait still do
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

// lose wakes the calls that wait for an answer over the connection that is lost.
func (c *Client) lose() {
	select {
	case <-c.down:
	default:
		close(c.down)
	}
}

// Connect connects and waits until the server has answered, or ctx ends. Afterwards the client reconnects by itself.
func (c *Client) Connect(ctx context.Context) error {
	if err := c.conn.Connect(); errors.Is(err, centrifuge.ErrClientClosed) {
		return err
	} // any other failure is of the first attempt, and the next is on its way
	_, err := c.wait(ctx)
	return err
}

// wait waits for a connection, and returns what tells its loss.
func (c *Client) wait(ctx context.Context) (lost <-chan struct{}, err error) {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.down, c.terminal
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.lastError != nil {
			return nil, fmt.Errorf("beckon: not connected: %w", c.lastError)
		}
		return nil, fmt.Errorf("beckon: not connected: %w", ctx.Err())
	}
}

// Close disconnects for good and waits until the last callback has returned. It must not be called from a callback.
func (c *Client) Close() {
	c.conn.Close()
	c.events.close()
	<-c.done
}

// Welcome returns what the server said when the client last connected.
func (c *Client) Welcome() protocol.Welcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.welcome
}

// Now is the server's clock: deadlines count against it, never against this machine's.
func (c *Client) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.skew)
}

// forget drops the position in a timeline that this device does not read any more.
func (c *Client) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, topic)
}

// Positions returns how far this device has come in each timeline, for Options when the program is started again.
func (c *Client) Positions() (epoch string, positions map[string]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	positions = make(map[string]uint64, len(c.seen))
	for t, seq := range c.seen {
		positions[t] = seq
	}
	return c.epoch, positions
}
