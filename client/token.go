package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Times around the expiry of a token.
const (
	warnAtMost = 5 * time.Minute  // a tenth of a short life
	renewTime  = 20 * time.Second // half of a short life; the server ends the session after 25 s
	leastGrace = 3 * time.Second
	expirySkew = 1500 * time.Millisecond // the transport counts seconds
)

// codeUnauthorized is the transport's code for an expired token.
const codeUnauthorized = 1

var errExpired = &protocol.Error{Code: im.CodeTokenExpired, Message: "the token has expired; call Renew with a new one"}

// tokens has the token of a client. mu guards the fields below it.
type tokens struct {
	mu       sync.Mutex
	current  string
	used     string
	offered  string        // not confirmed by the server; it is used when the current one has expired
	expireAt time.Time     // of the session, by the local clock; zero: never
	grace    time.Duration // for a new token, after expireAt
	reported bool          // by OnTokenExpired
	over     bool          // it has ended the connection
	timer    *time.Timer
	getting  context.Context // of calls of GetToken
	stopGet  context.CancelFunc
}

func newTokens(token string) *tokens {
	t := &tokens{current: token, used: token}
	t.allowGetting()
	return t
}

// allowGetting needs mu, or a new t.
func (t *tokens) allowGetting() { t.getting, t.stopGet = context.WithCancel(context.Background()) }

// context returns the context of the next call of GetToken.
func (t *tokens) context() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.getting
}

// stopGetting ends the calls of GetToken that run, and with for good also later ones.
func (t *tokens) stopGetting(forGood bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopGet(); !forGood {
		t.allowGetting()
	}
}

// expired needs mu.
func (t *tokens) expired(skew time.Duration) bool {
	return !t.expireAt.IsZero() && !time.Now().Before(t.expireAt.Add(-skew))
}

// Renew replaces the token of the session; a refused one changes nothing. It reopens a session that its token ended.
func (c *Client) Renew(ctx context.Context, token string) error {
	t := c.tokens
	if user, me := im.UserOfToken(token), c.me(); user != "" && me != "" && user != me {
		return &protocol.Error{Code: im.CodeTokenUser, Field: "token", Message: "the new token is for another user"}
	}
	state := c.conn.State()
	t.mu.Lock()
	connects := t.over || state == centrifuge.StateConnecting && t.expired(0)
	session := !connects && state != centrifuge.StateDisconnected
	if session {
		t.offered = token
	}
	t.mu.Unlock()
	if !session {
		t.set(token, false)
		c.conn.SetToken(token)
		if connects {
			return c.Connect(ctx)
		}
		return nil
	}
	var res struct {
		ExpireAt int64 `json:"expireAt"`
	}
	if err := c.Call(ctx, "renewToken", map[string]string{"token": token}, &res); err != nil {
		if refused := (*protocol.Error)(nil); errors.As(err, &refused) && refused != errExpired {
			t.mu.Lock()
			if t.offered == token {
				t.offered = ""
			}
			t.mu.Unlock()
		}
		return err
	}
	t.set(token, true)
	c.conn.SetToken(token)
	c.watchToken(res.ExpireAt)
	return nil
}

// set keeps a token.
func (t *tokens) set(token string, inUse bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current, t.offered, t.reported = token, "", false
	if inUse {
		t.used = token
	}
}

// nextToken returns a token to the transport, which asks every 10 s after the expiry of its own.
func (c *Client) nextToken(ctx context.Context) (string, error) {
	connected := c.conn.State() == centrifuge.StateConnected
	t := c.tokens
	if c.opt.GetToken != nil {
		token, err := c.opt.GetToken(ctx)
		switch {
		case err == nil:
			t.set(token, true)
		case connected:
			c.reportExpired()
		}
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			c.events.Put(func() { call1(c.opt.Listener.OnTokenError, err) })
		}
		return token, err
	}
	t.mu.Lock()
	if t.offered != "" && (!connected || t.expired(expirySkew-t.grace)) {
		t.current, t.offered, t.reported = t.offered, "", false
	}
	expired := connected && t.expired(expirySkew) || !connected && t.current == t.used
	over := expired && (!connected || t.expired(expirySkew-t.grace))
	if !expired {
		t.used = t.current
	}
	token := t.used
	t.mu.Unlock()
	if expired {
		c.reportExpired()
	}
	switch {
	case over:
		return "", centrifuge.ErrUnauthorized
	case expired:
		return "", errExpired
	}
	return token, nil
}

// reportExpired calls OnTokenExpired, once for a token.
func (c *Client) reportExpired() {
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	if !c.tokens.reported {
		c.events.Put(func() { call2(c.opt.Listener.OnTokenExpired, errExpired.Code, errExpired.Message) })
	}
	c.tokens.reported = true
}

// watchToken schedules a warning; 0 = none.
func (c *Client) watchToken(expireAt int64) {
	t := c.tokens
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop()
	t.over, t.expireAt = false, time.Time{}
	if expireAt == 0 {
		return
	}
	left := time.Unix(expireAt, 0).Sub(c.Now())
	t.expireAt, t.grace = time.Now().Add(left), min(renewTime, max(leastGrace, left/2))
	if c.opt.GetToken != nil {
		return // the transport asks for a token by itself
	}
	lead := min(warnAtMost, left/10)
	t.timer = time.AfterFunc(left-lead, func() {
		c.events.Put(func() { call1(c.opt.Listener.OnTokenWillExpire, time.Unix(expireAt, 0)) })
	})
}

// stop needs mu.
func (t *tokens) stop() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

// tokenEnded returns an error if the token ended the connection.
func (c *Client) tokenEnded(code uint32) error {
	over := code == codeUnauthorized
	c.tokens.mu.Lock()
	c.tokens.over = over
	c.tokens.stop()
	c.tokens.mu.Unlock()
	if !over {
		return nil
	}
	c.reportExpired()
	return errExpired
}
