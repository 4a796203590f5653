// Package push owns how people are reached who have no connected device: their tokens, what a push says, and the
// providers that carry it (APNs, FCM, Web Push).
//
// It never decides who is rung: that is committed with the invitation. Nobody waits for a push.
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

	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Options are the choices for pushes. The zero value sends Web Pushes.
type Options struct {
	// APNs is how Apple's devices are reached. Default: not.
	APNs APNs
	// FCM is how Android's are. Default: not.
	FCM FCM
	// Subject is whom the operators of browsers' push services can write to: mailto:ops@example.com, or an https address.
	// Default: the address of this project, which helps nobody.
	Subject string
	// Private lets Web Push endpoints have private addresses, and be reached without TLS. Registering one makes this
	// server call it: say so only when all users are trusted. Default: refused.
	Private bool
	// Templates are what pushes say, over what they say by themselves: by language and kind.
	Templates Templates
	// TLS is how providers are believed. Default: by the roots of the system.
	TLS *tls.Config
	// Time is how long a provider has for its answer. Default: 10 s.
	Time time.Duration
	// AnswerToken mints what lets a device answer one invitation. Default: pushes carry none.
	AnswerToken func(user, device, inviteID string, until time.Time) (string, error)
	// Online says whether a person has a connected device, on any node. Default: nobody has.
	Online func(user string) bool
	// Observe is told of each push that a provider answered: taken, retried, deadToken or refused. It must not block.
	// Default: nobody is.
	Observe func(provider protocol.PushProvider, outcome string)
	// Trace is told of each push about an invitation that was given to a provider. It must not block. Default: nobody is.
	Trace func(user, inviteID, kind, provider, outcome string, begin time.Time, err error)
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Push carries pushes to providers.
type Push struct {
	opt      Options
	store    *store.Store
	queue    *relay.Dispatcher
	carriers map[protocol.PushProvider]carrier
	order    []protocol.PushProvider
	webKey   string // the public one of VAPID
	words    Templates
	posted   atomic.Bool // there are pushes that were not looked for yet
	some     atomic.Bool // somebody in this house has a token, as far as is known
}

// notice is a push on its way to a device.
type notice struct {
	push       protocol.PushNotice
	words      words
	title      string
	body       string
	sound      string
	thread     string // what it stands with
	collapse   string // it replaces what was shown under the same
	ring       bool   // it wakes the device up now
	quiet      bool   // it is not shown
	voip       bool   // calls may be rung by PushKit
	until      time.Time
	answerable time.Time // until when it can be answered
}

// ttl is for how long a provider keeps it for a device that cannot be reached, in whole seconds.
func (n *notice) ttl(now time.Time) int { return max(1, int(n.until.Sub(now)/time.Second)) }

// carrier is a provider.
type carrier interface {
	// send gives a push to the provider.
	send(ctx context.Context, t *token, n *notice) verdict
	close()
}

// verdict is what a provider said. The zero value is: taken.
type verdict struct {
	err   error
	dead  bool          // the token is of no use any more
	never bool          // the same push will never be taken
	later bool          // it was not tried: after says when
	after time.Duration // when to come again
}

// maxPayload bounds what a push says, in bytes: all providers take 4 KiB, of which the encryption of Web Push needs
// most for itself.
const maxPayload = 3900

// New makes the pushes of a house. ctx bounds reading the key of VAPID, which is made the first time.
func New(ctx context.Context, s *store.Store, opt Options) (*Push, error) {
	opt.Time, opt.Log, opt.Subject = cmp.Or(opt.Time, 10*time.Second), cmp.Or(opt.Log, slog.Default()), cmp.Or(opt.Subject,
		"https://github.com/beckon-im/beckon")
	if opt.Online == nil {
		opt.Online = func(string) bool { return false }
	}
	if opt.Observe == nil {
		opt.Observe = func(protocol.PushProvider, string) {}
	}
	if opt.Trace == nil {
		opt.Trace = func(string, string, string, string, string, time.Time, error) {}
	}
	p := &Push{opt: opt, store: s, carriers: map[protocol.PushProvider]carrier{}}
	var err error
	if p.words, err = merge(opt.Templates); err != nil {
		return nil, err
	}
	if err := p.providers(ctx); err != nil {
		return nil, err
	}
	p.queue = relay.New(s, relay.Options{
		Name: txn.QueuePush, Tries: maxTries, Backoff: backoff, Log: opt.Log, Renew: renew,
		Urgent: func(o *txn.OutboxEvent) bool { return o.Kind == outbox.KindInvitation || o.Kind == outbox.KindEnded },
	}, p.send)
	return p, nil
}

// providers makes those that are configured.
func (p *Push) providers(ctx context.Context) error {
	add := func(c carrier, names ...protocol.PushProvider) {
		for _, n := range names {
			p.carriers[n] = c
			p.order = append(p.order, n)
		}
	}
	if p.opt.APNs.Key != nil {
		a, err := newAPNs(p.opt.APNs, provider(p.opt.TLS, p.opt.Time))
		if err != nil {
			return err
		}
		add(a, protocol.PushAPNs, protocol.PushAPNsVoIP)
	}
	if p.opt.FCM.Credentials != nil {
		f, err := newFCM(p.opt.FCM, provider(p.opt.TLS, p.opt.Time))
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
	add(w, protocol.PushWeb)
	return nil
}

// maxTries and backoff bound how long a push of a message is tried: about two hours. One of an invitation is tried
// while it is open.
const maxTries = 30

func backoff(tries int64) time.Duration {
	wait := 5 * time.Minute
	if tries < 10 {
		wait = min(wait, 500*time.Millisecond<<max(tries-1, 0))
	}
	return wait*9/10 + rand.N(wait/5)
}

// renew lets a push go to every device once more.
func renew(body string) string {
	var order outbox.Order
	if json.Unmarshal([]byte(body), &order) != nil {
		return body
	}
	order.Taken = nil
	return string(rpc.Encode(order))
}

// Posted says that pushes are being committed, or, when there are no records to announce with them, were.
func (p *Push) Posted() { p.posted.Store(true) }

// Posts says whether anybody in this house can be pushed to, as far as this node knows; it may be ten seconds late.
func (p *Push) Posts() bool { return p.some.Load() }

// Announce is told of committed records.
func (p *Push) Announce([]txn.Record) {
	if p.posted.Swap(false) { // also for those of a commit that failed or is under way: then one more look is made
		p.queue.Wake()
	}
}

// Queue is where the pushes wait.
func (p *Push) Queue() *relay.Dispatcher { return p.queue }

// Run sends pushes until ctx ends.
func (p *Push) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return p.queue.Run(ctx) })
	g.Go(func() error { return p.lookForTokens(ctx) })
	err := g.Wait()
	for _, c := range p.carriers {
		c.close()
	}
	return err
}

// lookForTokens finds out, until ctx ends, whether anybody has a token: while nobody has, messages of groups leave
// nothing to do.
func (p *Push) lookForTokens(ctx context.Context) error {
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	for !p.some.Load() {
		if some, err := outbox.HasTokens(ctx, p.store); err == nil && some {
			p.some.Store(true)
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

// encode encodes one of our own types as it is: < and > are not made longer, as they would be for web pages.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // types of strings and numbers always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// payload is what the app reads, within limit bytes: what is too long is left out, and the app can ask for it.
func payload(push protocol.PushNotice, limit int) ([]byte, error) {
	b := encode(push)
	if len(b) > limit && push.Signaling != nil {
		s := *push.Signaling
		s.Data, s.InviteeList = "", nil
		push.Signaling, push.Cut = &s, true
		b = encode(push)
	}
	for _, most := range []int{500, 200, 60} {
		if len(b) > limit {
			push.Ext, push.Cut, push.Body, push.Title = "", true, short(push.Body, most), short(push.Title, most/2)
			b = encode(push)
		}
	}
	if len(b) > limit {
		return nil, fmt.Errorf("the push would have %d bytes, of at most %d", len(b), limit)
	}
	return b, nil
}

// digest makes a short name of a long one, as every provider takes it.
func digest(parts ...string) string {
	h := sha256.New()
	for _, s := range parts {
		_, _ = h.Write(append([]byte(s), 0)) // it never fails
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}
