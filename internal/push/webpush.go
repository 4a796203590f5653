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

// webPushSender sends pushes to browsers and UnifiedPush distributors, encrypted for the device (RFC 8291) and signed
// with the VAPID key of this server (RFC 8292).
type webPushSender struct {
	subject         string
	private, public string
	client          *http.Client
	breaker         *breaker
}

// vapidName is the name of the VAPID key in the database. All nodes share the key, and it moves with the data, because
// subscriptions are bound to it.
const vapidName = "vapid"

func newWebPush(ctx context.Context, s *store.Store, opt Options) (*webPushSender, error) {
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		return nil, err
	}
	stored, err := s.Remember(ctx, vapidName, private+" "+public)
	if err != nil {
		return nil, err
	}
	// the library adds mailto:
	w := &webPushSender{subject: strings.TrimPrefix(opt.Subject, "mailto:"), client: newProviderClient(opt.TLS, opt.Time),
		breaker: newBreaker()}
	w.private, w.public, _ = strings.Cut(stored, " ")
	if !opt.Private {
		d := &net.Dialer{Timeout: opt.Time, Control: refusePrivate}
		t := w.client.Transport.(*http.Transport)
		t.Proxy, t.DialContext = nil, d.DialContext // a proxy would bypass the check of addresses
	}
	return w, nil
}

// refusePrivate rejects connections to addresses in the operator's own network.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) {
		return fmt.Errorf("%s is a private address", address)
	}
	return nil
}

// errBreakerOpen means that a push has to wait.
var errBreakerOpen = errors.New(
	"web push: the push service does not respond or is at its limit; retry later")

// originOf returns the origin of an endpoint.
func originOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	return u.Scheme + "://" + u.Host
}

func (w *webPushSender) close() { w.client.CloseIdleConnections() }

func (w *webPushSender) send(ctx context.Context, t *token, n *notice) result {
	body, err := payload(n.push, maxPayload)
	if err != nil {
		return result{err: err, never: true}
	}
	urgency := webpush.UrgencyNormal
	if n.ring || n.quiet {
		urgency = webpush.UrgencyHigh
	}
	done, wait := w.breaker.enter(originOf(t.registration.Subscription.Endpoint))
	if done == nil {
		return result{err: errBreakerOpen, later: true, after: wait}
	}
	answered := false
	defer func() { done(answered) }()
	sub := &webpush.Subscription{Endpoint: t.registration.Subscription.Endpoint,
		Keys: webpush.Keys{Auth: t.registration.Subscription.Keys.Auth, P256dh: t.registration.Subscription.Keys.P256dh}}
	res, err := webpush.SendNotificationWithContext(ctx, body, sub, &webpush.Options{
		HTTPClient: w.client, Subscriber: w.subject, TTL: n.ttl(time.Now()), Topic: n.collapse, Urgency: urgency,
		VAPIDPublicKey: w.public, VAPIDPrivateKey: w.private,
	})
	if err != nil {
		answered = ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) // the server is stopping
		return result{err: fmt.Errorf("web push: %w", err)}
	}
	answered = true
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 300)) // for diagnostics only
	if res.StatusCode/100 == 2 {
		return result{}
	}
	v := result{err: fmt.Errorf("web push: %s %s", res.Status, strings.TrimSpace(string(text)))}
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusGone: // unsubscribed or expired
		v.dead = true
	// an error of this server's subject or clock may be fixed: retry
	case http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusForbidden:
		v.after = retryAfter(res)
	default:
		v.never = res.StatusCode < 500
		v.after = retryAfter(res)
	}
	return v
}
