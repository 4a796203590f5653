// Package push notifies the devices of users that are not connected. It stores push tokens, composes notifications and
// sends them to APNs, FCM, Web Push and UnifiedPush.
//
// It does not decide who receives an invitation; that is committed with the invitation. No caller waits for a push.
package push

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/push/health"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Options configures a Push. The zero value sends only Web Push and UnifiedPush.
type Options struct {
	// APNs configures Apple devices. Default: disabled.
	APNs APNs
	// FCM configures Firebase Cloud Messaging. Default: disabled.
	FCM FCM
	// Subject is the contact for operators of browser push services: mailto:ops@example.com or an https URL. Set it; the
	// default is the address of this project.
	Subject string
	// Private permits Web Push and UnifiedPush endpoints with private addresses and without TLS. A registered endpoint
	// makes this server send requests to it: enable it only if all users are trusted. Default: rejected.
	Private bool
	// Templates override the built-in texts, by language and kind.
	Templates Templates
	// TLS configures connections to providers. Default: the system's root certificates.
	TLS *tls.Config
	// Time is the timeout of a request to a provider. Default: 10 s.
	Time time.Duration
	// AnswerToken mints tokens that permit a device to answer one invitation. Default: pushes contain none.
	AnswerToken func(user, device, inviteID string, until time.Time) (string, error)
	// AckToken mints tokens that permit a device to acknowledge one test push. Default: test pushes contain none.
	AckToken func(user, device, testID string, until time.Time) (string, error)
	// Connected returns the connected devices of a user, on any node. Default: none.
	Connected func(user string) []protocol.Device
	// MessageDelay is the time that a user with a connected device has to read a message there, before it is pushed to
	// the other devices. Default: 10 s.
	MessageDelay time.Duration
	// Observe is called for each push that a provider has answered, with the outcome: taken, retried, deadToken or
	// refused. It must not block. Default: nothing.
	Observe func(provider protocol.PushProvider, outcome string)
	// Trace is called for each push about an invitation that was sent to a provider. It must not block. Default: nothing.
	Trace func(user, inviteID, kind, provider, outcome string, begin time.Time, err error)
	// Rang is called for the first ring of each invitee; see health.Options. Default: nothing.
	Rang func(platform, via string, took time.Duration)
	// Log is the logger. Default: slog.Default().
	Log *slog.Logger
}

// Push sends pushes to providers.
type Push struct {
	opt       Options
	store     *store.Store
	queue     *relay.Dispatcher
	health    *health.Health
	senders   map[protocol.PushProvider]sender
	order     []protocol.PushProvider
	webKey    string // public VAPID key
	templates Templates
	devices   outbox.Devices
	pending   atomic.Bool // pushes were committed since the last wake-up of the queue
	hasTokens atomic.Bool // a push token exists, as far as this node knows
}

// notice is a push for one user.
type notice struct {
	push       protocol.PushNotice
	content    content
	title      string
	body       string
	sound      string
	thread     string // conversation that it is grouped with
	collapse   string // replaces earlier notifications with the same value
	ring       bool   // wakes up the device immediately
	quiet      bool   // silent
	voip       bool   // calls may ring by PushKit
	until      time.Time
	answerable time.Time // end of the period in which it can be answered
}

// shift moves the times of a notice.
func (n *notice) shift(d time.Duration) {
	n.until, n.answerable = n.until.Add(d), n.answerable.Add(d)
}

// ttl returns how long a provider keeps the push for an unreachable device, in whole seconds.
func (n *notice) ttl(now time.Time) int { return max(1, int(n.until.Sub(now)/time.Second)) }

// sender sends pushes to a provider.
type sender interface {
	// send sends a push to a device.
	send(ctx context.Context, t *token, n *notice) result
	close()
}

// result is the response of a provider. The zero value means accepted.
type result struct {
	err   error
	dead  bool          // the token is invalid
	never bool          // permanent failure
	later bool          // not attempted: retry after the given delay
	after time.Duration // minimum delay before a retry
}

// maxPayload limits the content of a push, in bytes. All providers accept 4 KiB; Web Push encryption has the largest
// overhead.
const maxPayload = 3900

// New returns a Push. ctx limits reading the VAPID key, which is generated on first use.
func New(ctx context.Context, s *store.Store, opt Options) (*Push, error) {
	opt.Time, opt.Log, opt.Subject = cmp.Or(opt.Time, 10*time.Second), cmp.Or(opt.Log, slog.Default()), cmp.Or(opt.Subject,
		"https://github.com/beckon-im/beckon")
	opt.MessageDelay = cmp.Or(opt.MessageDelay, 10*time.Second)
	if opt.Connected == nil {
		opt.Connected = func(string) []protocol.Device { return nil }
	}
	if opt.Observe == nil {
		opt.Observe = func(protocol.PushProvider, string) {}
	}
	if opt.Trace == nil {
		opt.Trace = func(string, string, string, string, string, time.Time, error) {}
	}
	p := &Push{opt: opt, store: s, senders: map[protocol.PushProvider]sender{}, devices: outbox.NewDevices()}
	var err error
	if p.templates, err = merge(opt.Templates); err != nil {
		return nil, err
	}
	if err := p.providers(ctx); err != nil {
		return nil, err
	}
	p.queue = relay.New(s, relay.Options{
		Name: txn.QueuePush, Tries: maxTries, Backoff: backoff, Log: opt.Log, Renew: renew,
		Urgent: func(o *txn.OutboxEvent) bool {
			return o.Kind == outbox.KindInvitation || o.Kind == outbox.KindEnded || o.Kind == outbox.KindTest
		},
	}, p.send)
	p.health = health.New(s, health.Options{Connected: opt.Connected, Enqueued: p.queue.Wake, Rang: opt.Rang,
		Log: opt.Log})
	return p, nil
}

// Health returns the record of whether pushes arrive.
func (p *Push) Health() *health.Health { return p.health }

// connected returns the connected devices of a user.
func (p *Push) connected(user string) outbox.Connected {
	return outbox.ConnectedOf(p.opt.Connected(user))
}

// providers sets up the configured providers.
func (p *Push) providers(ctx context.Context) error {
	add := func(c sender, names ...protocol.PushProvider) {
		for _, n := range names {
			p.senders[n] = c
			p.order = append(p.order, n)
		}
	}
	if p.opt.APNs.Key != nil {
		a, err := newAPNs(p.opt.APNs, newProviderClient(p.opt.TLS, p.opt.Time))
		if err != nil {
			return err
		}
		add(a, protocol.PushAPNs, protocol.PushAPNsVoIP)
	}
	if p.opt.FCM.Credentials != nil {
		f, err := newFCM(p.opt.FCM, newProviderClient(p.opt.TLS, p.opt.Time))
		if err != nil {
			return err
		}
		add(f, protocol.PushFCM)
	}
	w, err := newWebPush(ctx, p.store, p.opt)
	if err != nil {
		return err
	}
	p.webKey = w.public
	add(w, protocol.PushWeb, protocol.PushUnified)
	return nil
}

// maxTries and backoff limit the attempts for a message to about two hours. Pushes of invitations are retried while the
// invitation is open.
const maxTries = 30

func backoff(tries int64) time.Duration {
	wait := 5 * time.Minute
	if tries < 10 {
		wait = min(wait, 500*time.Millisecond<<max(tries-1, 0))
	}
	return wait*9/10 + rand.N(wait/5)
}

// renew resets a replayed push, so that it is sent to all devices again.
func renew(body string) string {
	var order outbox.Order
	if json.Unmarshal([]byte(body), &order) != nil {
		return body
	}
	order.Taken = nil
	return string(rpc.Encode(order))
}

// Posted notes that pushes are being committed, or were committed without records to announce.
func (p *Push) Posted() { p.pending.Store(true) }

// HasTokens reports whether any user has a push token, as far as this node knows. It lags by up to a second.
func (p *Push) HasTokens() bool { return p.hasTokens.Load() }

// Devices returns the cache of devices with push tokens.
func (p *Push) Devices() outbox.Devices { return p.devices }

// MessageDelay is the time that a user with a connected device has to read a message before it is pushed.
func (p *Push) MessageDelay() time.Duration { return p.opt.MessageDelay }

// Announce wakes the queue after a commit.
func (p *Push) Announce([]txn.Record) {
	if p.pending.Swap(false) { // also set by commits that fail or are in progress; these cost one needless scan
		p.queue.Wake()
	}
}

// Queue returns the dispatcher of pushes.
func (p *Push) Queue() *relay.Dispatcher { return p.queue }

// Run sends pushes until ctx ends.
func (p *Push) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return p.queue.Run(ctx) })
	g.Go(func() error { return p.health.Run(ctx) })
	g.Go(func() error { return p.watchTokens(ctx) })
	err := g.Wait()
	for _, c := range p.senders {
		c.close()
	}
	return err
}

// watchTokens polls until a push token exists, or ctx ends. Without tokens, group messages need no pushes.
func (p *Push) watchTokens(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for !p.hasTokens.Load() {
		if hasTokens, err := outbox.HasTokens(ctx, p.store); err == nil && hasTokens {
			p.hasTokens.Store(true)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
	<-ctx.Done()
	return nil
}

// encode encodes a value as JSON without HTML escapes.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // our own types always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// payload encodes the notice for the app in at most limit bytes. Optional parts are removed if necessary and Cut is
// set; the app can fetch them.
func payload(push protocol.PushNotice, limit int) ([]byte, error) {
	b := encode(push)
	if len(b) > limit && push.Signaling != nil {
		s := *push.Signaling
		s.Data, s.InviteeList = "", nil
		push.Signaling, push.Cut = &s, true
		b = encode(push)
	}
	for _, size := range []int{500, 200, 60} {
		if len(b) > limit {
			push.Ext, push.Cut, push.Body, push.Title = "", true, short(push.Body, size), short(push.Title, size/2)
			b = encode(push)
		}
	}
	if len(b) > limit {
		return nil, fmt.Errorf("push has %d bytes; the maximum is %d", len(b), limit)
	}
	return b, nil
}

// digest returns a short identifier that all providers accept.
func digest(parts ...string) string {
	h := sha256.New()
	for _, s := range parts {
		_, _ = h.Write(append([]byte(s), 0)) // never fails
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}
