// Package hook owns what leaves the house for app servers: webhooks after something happened, and the question before
// something is to happen. It reads what was committed.
//
// It never decides what an action does, and nobody waits for a webhook.
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

	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// Options are the choices for webhooks. The zero value has none.
type Options struct {
	// URL is where events are sent, by POST. Redirects are not followed. Default: nowhere.
	URL string
	// Before is where is asked before something happens. Default: nowhere.
	Before string
	// ObserveBefore are the verbs before which is asked: invite, sendMessage, joinGroup, connect. Default: all of these.
	ObserveBefore []string
	// Secret signs both, as in the Standard Webhooks specification: whsec_ and base64 of 24 to 64 bytes.
	Secret string
	// Kinds are the events that are sent: kinds like invitation.created, or families like invitation. Default: all.
	Kinds []string
	// Time is how long the receiver of an event has for its answer. Default: 15 s.
	Time time.Duration
	// BeforeTime is how long is waited for an answer before something happens. Default: 2 s.
	BeforeTime time.Duration
	// RefuseUnanswered refuses what was asked about when no answer came. Default: it goes on.
	RefuseUnanswered bool
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Hooks carries events to app servers.
type Hooks struct {
	opt        Options
	store      *store.Store
	sign       *standard.Webhook
	web        *http.Client
	queue      *relay.Dispatcher
	methods    map[string]bool // before which is asked
	postBefore *http.Client
	left       atomic.Bool // there are events that were made and not looked for yet

	mu   sync.Mutex
	last int64 // the last number of an event
}

// New makes the webhooks; without addresses they do nothing.
func New(opt Options) (*Hooks, error) {
	opt.Time, opt.BeforeTime, opt.Log = cmp.Or(opt.Time, 15*time.Second), cmp.Or(opt.BeforeTime,
		2*time.Second), cmp.Or(opt.Log, slog.Default())
	h := &Hooks{opt: opt, web: client(opt.Time), postBefore: client(opt.BeforeTime), methods: map[string]bool{}}
	for name, address := range map[string]string{"webhook": opt.URL, "before-hook": opt.Before} {
		if u, err := url.Parse(address); address != "" &&
			(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("the %s URL %q is not of the form https://host/path", name, address)
		}
	}
	if opt.URL == "" && opt.Before == "" {
		return h, nil
	}
	raw := strings.TrimPrefix(opt.Secret, "whsec_")
	var err error
	if h.sign, err = standard.NewWebhook(raw); err != nil || len(raw) < 32 || len(raw) > 88 {
		return nil, errors.New("the webhook secret is not whsec_ followed by base64 of 24 to 64 bytes; make one with: echo " +
			"whsec_$(openssl rand -base64 32)")
	}
	families := []string{"invitation", "message", "call", "group", "room"}
	for _, k := range opt.Kinds {
		if family, _, _ := strings.Cut(k, "."); !slices.Contains(families, family) {
			return nil, fmt.Errorf("the webhook event %q is of none of the families %s", k, strings.Join(families, ", "))
		}
	}
	known := []string{"invite", "sendMessage", "joinGroup", "connect"}
	for _, v := range opt.ObserveBefore {
		if !slices.Contains(known, v) {
			return nil, fmt.Errorf("the before-hook verb %q is none of %s", v, strings.Join(known, ", "))
		}
	}
	if len(opt.ObserveBefore) == 0 {
		opt.ObserveBefore = known
	}
	for _, v := range opt.ObserveBefore {
		h.methods[v] = opt.Before != ""
	}
	return h, nil
}

// connections bounds those to an app server; who is asked about waits for one within the time of the answer.
const connections = 256

// client makes a client that goes where it was told and nowhere else: an answer must not lead it into the operator's
// network.
func client(limit time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = connections, connections
	return &http.Client{Transport: t, Timeout: limit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Tap is what the store lets events leave by; nil when nobody is told.
func (h *Hooks) Tap() func(int64, []txn.Record) []txn.OutboxEvent {
	if h.opt.URL == "" {
		return nil
	}
	return h.tap
}

// Serve sets the store that the events are in.
func (h *Hooks) Serve(s *store.Store) {
	h.store = s
	h.queue = relay.New(s, relay.Options{Name: txn.QueueHook, Off: h.opt.URL == "", Log: h.opt.Log, OfOwner: ofOwner},
		h.send)
}

// ofOwner limits the conversations in which events of one user are under way at once: a quarter of what the queue sends
// at once.
const ofOwner = 16

// Queue is where the events wait.
func (h *Hooks) Queue() *relay.Dispatcher { return h.queue }

// Announce is told of committed records.
func (h *Hooks) Announce([]txn.Record) {
	if h.left.Swap(false) { // also events of a commit that failed or is under way: then one more look is made
		h.queue.Wake()
	}
}

// Run sends events until ctx ends.
func (h *Hooks) Run(ctx context.Context) error {
	err := h.queue.Run(ctx)
	h.web.CloseIdleConnections()
	h.postBefore.CloseIdleConnections()
	return err
}

// maxAnswer bounds what is read of an answer, in bytes: a request may come back, in which each byte takes six.
const maxAnswer = 8 << 20

// post sends signed JSON and returns the status and the beginning of the answer.
func (h *Hooks) post(ctx context.Context, web *http.Client, to, id string, body []byte) (*http.Response, []byte,
	error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	signature, err := h.sign.Sign(id, now, body)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Beckon")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signature)
	res, err := web.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(http.MaxBytesReader(nil, res.Body, maxAnswer))
	return res, answer, err
}

// send tries an event once.
func (h *Hooks) send(ctx context.Context, o *txn.OutboxEvent) relay.Outcome {
	res, answer, err := h.post(ctx, h.web, h.opt.URL, relay.ID(o), []byte(o.Body))
	switch {
	case res != nil && res.StatusCode/100 == 2: // whatever became of the rest of the answer
		return relay.Outcome{}
	case err != nil:
		return relay.Outcome{Err: err}
	}
	failed := relay.Outcome{Err: fmt.Errorf("the receiver answered %s: %s", res.Status, relay.Clip(string(answer))),
		Never: res.StatusCode == http.StatusGone}
	if res.StatusCode/100 == 3 {
		failed.Err = fmt.Errorf("the receiver answered %s; redirects are not followed: set the address that it leads to",
			res.Status)
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
		failed.After = min(time.Duration(s)*time.Second, time.Hour)
	}
	return failed
}
