// Package token has the tokens of a client, from one to the next.
package token

import (
	"context"
	"errors"
	"sync"
	"time"

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

// ErrExpired is the error of an expired token.
var ErrExpired = &protocol.Error{Code: im.CodeTokenExpired,
	Message: "the token has expired; call Renew with a new one"}

// ErrOver is the error of a token whose expiry ends the session.
var ErrOver = errors.New("the token has expired, and the time for a new one is over")

// Options configures Tokens. Token or Get is set.
type Options struct {
	Token string
	Get   func(ctx context.Context) (string, error)
	// WillExpire, Expired and Failed report the coming expiry, the expiry, and a failure of Get. They must not block.
	WillExpire func(at time.Time)
	Expired    func()
	Failed     func(err error)
}

// Tokens has the token of a client. mu guards the fields below it.
type Tokens struct {
	opt Options

	mu       sync.Mutex
	current  string
	used     string
	offered  string        // not confirmed by the server; it is used when the current one has expired
	expireAt time.Time     // of the session, by the local clock; zero: never
	grace    time.Duration // for a new token, after expireAt
	reported bool          // as expired
	over     bool          // it has ended the connection
	timer    *time.Timer
	closed   bool
}

// New returns the tokens of a client.
func New(opt Options) *Tokens { return &Tokens{opt: opt, current: opt.Token, used: opt.Token} }

// Close ends the reports of the coming expiry.
func (t *Tokens) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.stop()
}

// stop needs mu.
func (t *Tokens) stop() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

// expired needs mu.
func (t *Tokens) expired(skew time.Duration) bool {
	return !t.expireAt.IsZero() && !time.Now().Before(t.expireAt.Add(-skew))
}

// Newest returns the token for a request beside the connection: the one of the last Renew, or of Get.
func (t *Tokens) Newest(ctx context.Context) (string, error) {
	t.mu.Lock()
	newest := t.current
	if t.current == t.used && t.expired(expirySkew) {
		newest = t.offered
	}
	t.mu.Unlock()
	switch {
	case newest != "":
		return newest, nil
	case t.opt.Get == nil:
		return "", ErrExpired
	}
	return t.opt.Get(ctx)
}

// Offer begins to replace the token. Within a session the server decides: call Accept or Withdraw after its response.
// Otherwise the token is for the next connect; connects means that the last token ended the session, so that it is due.
func (t *Tokens) Offer(token string, connecting, disconnected bool) (session, connects bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	connects = t.over || connecting && t.expired(0)
	if session = !connects && !disconnected; session {
		t.offered = token
	} else {
		t.set(token)
	}
	return session, connects
}

// Withdraw drops an offered token that the server refused.
func (t *Tokens) Withdraw(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.offered == token {
		t.offered = ""
	}
}

// Accept keeps the token of the session.
func (t *Tokens) Accept(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(token)
	t.used = token
}

// set needs mu.
func (t *Tokens) set(token string) { t.current, t.offered, t.reported = token, "", false }

// Next returns a token to the transport, which asks every 10 s after the expiry of its own.
func (t *Tokens) Next(ctx context.Context, connected bool) (string, error) {
	if t.opt.Get != nil {
		token, err := t.opt.Get(ctx)
		switch {
		case err == nil:
			t.Accept(token)
		case connected:
			t.reportExpired()
		}
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			t.opt.Failed(err)
		}
		return token, err
	}
	t.mu.Lock()
	if t.offered != "" && (!connected || t.expired(expirySkew-t.grace)) {
		t.set(t.offered)
	}
	expired := connected && t.expired(expirySkew) || !connected && t.current == t.used
	over := expired && (!connected || t.expired(expirySkew-t.grace))
	if !expired {
		t.used = t.current
	}
	token := t.used
	t.mu.Unlock()
	if expired {
		t.reportExpired()
	}
	switch {
	case over:
		return "", ErrOver
	case expired:
		return "", ErrExpired
	}
	return token, nil
}

// reportExpired reports the expiry, once for a token.
func (t *Tokens) reportExpired() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.reported {
		t.opt.Expired()
	}
	t.reported = true
}

// Watch schedules the report of the coming expiry of the session, in Unix seconds; 0 = never. now is the server's time.
func (t *Tokens) Watch(expireAt int64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop()
	t.over, t.expireAt = false, time.Time{}
	if expireAt == 0 || t.closed {
		return
	}
	left := time.Unix(expireAt, 0).Sub(now)
	t.expireAt, t.grace = time.Now().Add(left), min(renewTime, max(leastGrace, left/2))
	if t.opt.Get != nil {
		return // the transport asks for a token by itself
	}
	t.timer = time.AfterFunc(left-min(warnAtMost, left/10), func() { t.opt.WillExpire(time.Unix(expireAt, 0)) })
}

// Ended records the end of the connection. by means that the token ended it: then it returns an error.
func (t *Tokens) Ended(by bool) error {
	t.mu.Lock()
	t.over = by
	t.stop()
	t.mu.Unlock()
	if !by {
		return nil
	}
	t.reportExpired()
	return ErrExpired
}
