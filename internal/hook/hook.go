// Package hook calls app servers: webhooks after something happened, and before-hooks that may reject or rewrite a
// call. Webhook events are derived from committed records.
//
// The package does not implement actions, and no caller waits for a webhook.
package hook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/beckon-im/beckon/internal/hook/sink"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// Options configures the hooks. The zero value disables them.
type Options struct {
	// URL receives events: an HTTP address by POST, without following redirects, or a broker (package sink). Default: no
	// webhooks.
	URL string
	// Sink receives events instead of URL: a function of the embedding program. Default: none.
	Sink sink.Sink
	// Before is the URL called before an action. Default: no before-hooks.
	Before string
	// BeforeFunc is called before an action, and before Before. It returns the request, possibly rewritten, or an error
	// that refuses the call. Default: none.
	BeforeFunc func(ctx context.Context, method, user, device string, request []byte) ([]byte, error)
	// ObserveBefore lists the methods with a before-hook: invite, sendMessage, joinGroup, connect. Default: all of these.
	ObserveBefore []string
	// Secret signs both kinds of requests as specified by Standard Webhooks: whsec_ and base64 of 24 to 64 bytes.
	Secret string
	// SecondarySecrets add signatures to both kinds of requests, during a rotation. Default: none.
	SecondarySecrets []string
	// Kinds lists the enabled events: kinds like invitation.created, or families like invitation. Default: all.
	Kinds []string
	// Time is the timeout of an attempt to send an event. Default: 15 s.
	Time time.Duration
	// BeforeTime is the timeout of a before-hook request. Default: 2 s.
	BeforeTime time.Duration
	// RefuseUnanswered rejects the call when the before-hook fails. Default: the call proceeds.
	RefuseUnanswered bool
	// Log is the logger. Default: slog.Default().
	Log *slog.Logger
}

// Hooks sends events and before-hook requests to app servers.
type Hooks struct {
	opt          Options
	store        *store.Store
	signers      atomic.Pointer[[]*standard.Webhook] // nil = requests are not signed
	eventClient  *http.Client
	sink         sink.Sink // a broker, or the embedding program; nil = HTTP
	queue        *relay.Dispatcher
	methods      map[string]bool // methods with a before-hook
	beforeClient *http.Client
	pending      atomic.Bool // events were made since the last wake-up of the queue

	mu   sync.Mutex
	last int64 // sequence number of the last event
}

// New returns hooks; without URLs they do nothing.
func New(opt Options) (*Hooks, error) {
	opt.Time, opt.BeforeTime, opt.Log = cmp.Or(opt.Time, 15*time.Second), cmp.Or(opt.BeforeTime,
		2*time.Second), cmp.Or(opt.Log, slog.Default())
	h := &Hooks{opt: opt, eventClient: newClient(opt.Time), beforeClient: newClient(opt.BeforeTime),
		methods: map[string]bool{}}
	for name, address := range map[string]string{"webhook": opt.URL, "before-hook": opt.Before} {
		if address == "" || name == "webhook" && sink.IsBroker(address) {
			continue
		}
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("the %s URL %q must have the form https://host/path", name, address)
		}
	}
	if opt.URL != "" && opt.Sink != nil {
		return nil, errors.New("events have one receiver: set Webhook or After, which can pass them on")
	}
	if !h.sends() && opt.Before == "" && opt.BeforeFunc == nil {
		return h, nil
	}
	var err error
	if opt.URL != "" && !sink.IsBroker(opt.URL) || opt.Before != "" {
		list, err := signersOf(append([]string{opt.Secret}, opt.SecondarySecrets...))
		if err != nil {
			return nil, err
		}
		h.signers.Store(&list)
	}
	families := []string{"invitation", "message", "call", "group", "room"}
	for _, k := range opt.Kinds {
		if family, _, _ := strings.Cut(k, "."); !slices.Contains(families, family) {
			return nil, fmt.Errorf("the webhook event %q must belong to one of the families: %s", k,
				strings.Join(families, ", "))
		}
	}
	known := []string{"invite", "sendMessage", "joinGroup", "connect"}
	for _, v := range opt.ObserveBefore {
		if !slices.Contains(known, v) {
			return nil, fmt.Errorf("the before-hook method %q must be one of: %s", v, strings.Join(known, ", "))
		}
	}
	if len(opt.ObserveBefore) == 0 {
		opt.ObserveBefore = known
	}
	for _, v := range opt.ObserveBefore {
		h.methods[v] = opt.Before != "" || opt.BeforeFunc != nil
	}
	h.sink = opt.Sink
	if sink.IsBroker(opt.URL) {
		h.sink, err = sink.New(opt.URL, sink.Options{Time: opt.Time, Log: opt.Log})
	}
	return h, err
}

// NewSecrets checks signing secrets, and returns a function that replaces the current ones by them.
func (h *Hooks) NewSecrets(secret string, secondary []string) (apply func(), err error) {
	if h.signers.Load() == nil {
		return func() {}, nil
	}
	list, err := signersOf(append([]string{secret}, secondary...))
	return func() { h.signers.Store(&list) }, err
}

// signersOf returns the signers with some secrets.
func signersOf(secrets []string) (list []*standard.Webhook, err error) {
	for _, secret := range secrets {
		raw := strings.TrimPrefix(secret, "whsec_")
		signer, err := standard.NewWebhook(raw)
		if err != nil || len(raw) < 32 || len(raw) > 88 {
			return nil, errors.New(
				"a webhook secret must be whsec_ followed by base64 of 24 to 64 bytes; create one with: echo " +
					"whsec_$(openssl rand -base64 32)")
		}
		list = append(list, signer)
	}
	return list, nil
}

// connections limits the concurrent connections to an app server. A before-hook waits for one within its timeout.
const connections = 256

// newClient returns a client that follows no redirects, so that a response cannot direct requests into the operator's
// network.
func newClient(timeout time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = connections, connections
	return &http.Client{Transport: t, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// sends reports whether events have a receiver.
func (h *Hooks) sends() bool { return h.opt.URL != "" || h.opt.Sink != nil }

// Tap returns the function that makes outbox events from committed records; nil without a receiver.
func (h *Hooks) Tap() func(int64, []txn.Record) []txn.OutboxEvent {
	if !h.sends() {
		return nil
	}
	return h.events
}

// Serve sets the store with the outbox.
func (h *Hooks) Serve(s *store.Store) {
	h.store = s
	h.queue = relay.New(s, relay.Options{Name: txn.QueueHook, Off: !h.sends(), Log: h.opt.Log, OfOwner: ofOwner},
		h.send)
}

// ofOwner limits the conversations of one user with events being sent: a quarter of the queue's workers.
const ofOwner = 16

// Queue returns the dispatcher of webhook events.
func (h *Hooks) Queue() *relay.Dispatcher { return h.queue }

// Announce wakes the queue after a commit.
func (h *Hooks) Announce([]txn.Record) {
	if h.pending.Swap(false) { // also set by commits that fail or are in progress; these cost one needless scan
		h.queue.Wake()
	}
}

// Run sends events until ctx ends.
func (h *Hooks) Run(ctx context.Context) error {
	if h.sink != nil {
		if err := h.sink.Connect(); err != nil {
			return err
		}
		defer h.sink.Close()
	}
	err := h.queue.Run(ctx)
	h.eventClient.CloseIdleConnections()
	h.beforeClient.CloseIdleConnections()
	return err
}

// maxResponse limits the bytes read of a response. It may contain the request, with up to six bytes per byte.
const maxResponse = 8 << 20

// post sends signed JSON and returns the response and its body.
func (h *Hooks) post(ctx context.Context, client *http.Client, target, id string, body []byte) (*http.Response, []byte,
	error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	var signatures []string
	for _, s := range *h.signers.Load() {
		signature, err := s.Sign(id, now, body)
		if err != nil {
			return nil, nil, err
		}
		signatures = append(signatures, signature)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Beckon")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", strings.Join(signatures, " "))
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(http.MaxBytesReader(nil, res.Body, maxResponse))
	return res, text, err
}

// send makes one attempt to send an event.
func (h *Hooks) send(ctx context.Context, o *txn.OutboxEvent) relay.Outcome {
	if h.sink != nil {
		ctx, cancel := context.WithTimeout(ctx, h.opt.Time)
		defer cancel()
		return relay.Outcome{Err: h.sink.Publish(ctx, &sink.Event{ID: relay.ID(o), Key: o.OrderingKey, Kind: o.Kind,
			Body: []byte(o.Body)})}
	}
	res, body, err := h.post(ctx, h.eventClient, h.opt.URL, relay.ID(o), []byte(o.Body))
	switch {
	case res != nil && res.StatusCode/100 == 2: // even if the body could not be read
		return relay.Outcome{}
	case err != nil:
		return relay.Outcome{Err: err}
	}
	failed := relay.Outcome{Err: fmt.Errorf("response status %s: %s", res.Status, relay.Clip(string(body))),
		Never: res.StatusCode == http.StatusGone}
	if res.StatusCode/100 == 3 {
		failed.Err = fmt.Errorf("response status %s: redirects are not followed; set the URL of the redirect target",
			res.Status)
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
		failed.After = min(time.Duration(s)*time.Second, time.Hour)
	}
	return failed
}
