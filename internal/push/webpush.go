package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"github.com/beckon-im/beckon/internal/store"
)

// web carries pushes to browsers: encrypted for the browser (RFC 8291), signed by this house (RFC 8292).
type web struct {
	subject         string
	private, public string
	client          *http.Client
	breaker         *breaker
}

// vapidName is the name under which the database keeps the key, so that all nodes have the same, and a house that was
// moved too: subscriptions are made for it.
const vapidName = "vapid"

func newWebPush(ctx context.Context, s *store.Store, opt Options) (*web, error) {
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		return nil, err
	}
	kept, err := s.Remember(ctx, vapidName, private+" "+public)
	if err != nil {
		return nil, err
	}
	// the library puts mailto: before
	w := &web{subject: strings.TrimPrefix(opt.Subject, "mailto:"), client: provider(opt.TLS, opt.Time),
		breaker: newBreaker()}
	w.private, w.public, _ = strings.Cut(kept, " ")
	if !opt.Private {
		d := &net.Dialer{Timeout: opt.Time, Control: refusePrivate}
		t := w.client.Transport.(*http.Transport)
		t.Proxy, t.DialContext = nil, d.DialContext // a proxy would go where this must not
	}
	return w, nil
}

// refusePrivate keeps a name that leads to the operator's own network from being called.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) {
		return fmt.Errorf("%s is a private address", address)
	}
	return nil
}

// errLeftAlone is why a push is not sent yet.
var errLeftAlone = errors.New(
	"web push: the push service does not answer, or has enough to do, and is left alone for a while")

// originOf is where an endpoint is.
func originOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	return u.Scheme + "://" + u.Host
}

func (w *web) close() { w.client.CloseIdleConnections() }

func (w *web) send(ctx context.Context, t *token, n *notice) verdict {
	body, err := payload(n.push, maxPayload)
	if err != nil {
		return verdict{err: err, never: true}
	}
	urgency := webpush.UrgencyNormal
	if n.ring || n.quiet {
		urgency = webpush.UrgencyHigh
	}
	done, wait := w.breaker.enter(originOf(t.at.Subscription.Endpoint))
	if done == nil {
		return verdict{err: errLeftAlone, later: true, after: wait}
	}
	answered := false
	defer func() { done(answered) }()
	sub := &webpush.Subscription{Endpoint: t.at.Subscription.Endpoint,
		Keys: webpush.Keys{Auth: t.at.Subscription.Keys.Auth, P256dh: t.at.Subscription.Keys.P256dh}}
	res, err := webpush.SendNotificationWithContext(ctx, body, sub, &webpush.Options{
		HTTPClient: w.client, Subscriber: w.subject, TTL: n.ttl(time.Now()), Topic: n.collapse, Urgency: urgency,
		VAPIDPublicKey: w.public, VAPIDPrivateKey: w.private,
	})
	if err != nil {
		answered = ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) // the server stops
		return verdict{err: fmt.Errorf("web push: %w", err)}
	}
	answered = true
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 300)) // only for people to read
	if res.StatusCode/100 == 2 {
		return verdict{}
	}
	v := verdict{err: fmt.Errorf("web push: %s %s", res.Status, strings.TrimSpace(string(text)))}
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusGone: // the person took it back, or it expired
		v.dead = true
	// the subject or the clock of this server: it may be mended
	case http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusForbidden:
		v.after = retryAfter(res)
	default:
		v.never = res.StatusCode < 500
		v.after = retryAfter(res)
	}
	return v
}
