// Package media owns the media rooms: who may enter and speak, tokens for LiveKit, and the records of calls, written from what
// LiveKit says happened.
//
// It stands beside the path of invitations: no answer to one waits for it. It never handles sound or pictures itself.
package media

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
)

// Options are the choices for media rooms. Without a Key there is no media: the verbs say so.
type Options struct {
	// URL is where people reach LiveKit: wss://media.example.com. Default: through this server, which passes on /rtc.
	URL string
	// API is where this server reaches LiveKit: http://127.0.0.1:7880. Default: URL.
	API string
	// Key and Secret are one of LiveKit's API keys.
	Key, Secret string
	// Policy says who may enter rooms. Default: those who were invited.
	Policy im.RoomPolicy
	// TokenLife is for how long one may enter with a token; who is in stays in. Default: 10 min.
	TokenLife time.Duration
	// Client calls LiveKit. Default: one that gives up after 5 s.
	Client *http.Client
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Media keeps the rooms.
type Media struct {
	store *store.Store
	live  *liveKit
	proxy http.Handler
	opt   Options
	log   *slog.Logger
	tasks errgroup.Group // calls to LiveKit for which somebody waits
	turns [64]sync.Mutex // who changes what somebody may do in a room, by a hash of the two
}

// maxTasks bounds the calls to LiveKit at once.
const maxTasks = 256

// New prepares the rooms.
func New(s *store.Store, opt Options) (*Media, error) {
	if opt.Policy == "" {
		opt.Policy = im.RoomInvited
	}
	if opt.TokenLife == 0 {
		opt.TokenLife = 10 * time.Minute
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	m := &Media{store: s, opt: opt, log: opt.Log}
	m.tasks.SetLimit(maxTasks)
	if opt.Key == "" {
		return m, nil
	}
	if opt.API == "" {
		opt.API = opt.URL
	}
	api, err := url.Parse(opt.API)
	if err != nil || api.Host == "" {
		return nil, errors.New("the address of LiveKit is missing or no URL; give it as http://127.0.0.1:7880")
	}
	api.Scheme = strings.Replace(api.Scheme, "ws", "http", 1)
	if len(opt.Secret) < 32 {
		return nil, errors.New("the LiveKit secret is shorter than 32 characters, which can be guessed; use a longer one")
	}
	m.live = newLiveKit(api.String(), opt)
	m.proxy = &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(api); r.SetXForwarded() },
		ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			m.log.Warn("LiveKit cannot be reached", "error", err)
			http.Error(w, "the media server cannot be reached", http.StatusBadGateway)
		},
	}
	return m, nil
}

// The paths of this server's own that concern LiveKit.
const (
	PathHook   = "/livekit/webhook" // LiveKit tells here what happens
	PathSignal = "/rtc"             // people reach LiveKit's signaling here, when it has no address of its own
)

// Handler serves what LiveKit says, and passes on its signaling. It is nil when there is no media.
func (m *Media) Handler() http.Handler {
	if m.live == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathHook, m.hook)
	if m.opt.URL == "" {
		mux.Handle(PathSignal, m.proxy)
		mux.Handle(PathSignal+"/", m.proxy)
	}
	return mux
}

// Run ends the calls that have ended and asks LiveKit whether the others still go on, until ctx ends.
func (m *Media) Run(ctx context.Context) error {
	defer func() { _ = m.tasks.Wait() }() // each is bounded by apiTime
	if m.live == nil {
		<-ctx.Done()
		return nil
	}
	due, check := time.NewTicker(dueEvery), time.NewTicker(checkEvery)
	defer due.Stop()
	defer check.Stop()
	m.checkCalls(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-due.C:
			m.endDue(ctx)
		case <-check.C:
			m.checkCalls(ctx)
		}
	}
}

// ask calls LiveKit beside the caller, who may be the writer of the store or a session's reader, and answers then.
func (m *Media) ask(f func(context.Context) error, done func(error)) {
	if !m.tasks.TryGo(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), apiTime)
		defer cancel()
		done(reached(f(ctx)))
		return nil
	}) {
		done(reached(errors.New("too many calls to LiveKit wait already")))
	}
}

// reached turns a failure of LiveKit into what callers are told.
func reached(err error) error {
	var ours *im.Error
	if err == nil || errors.As(err, &ours) { // of our own store, not of LiveKit
		return err
	}
	return &im.Error{Code: im.CodeNoMedia, Message: "the media server cannot be reached; what was decided is kept, try again", Cause: err, RetryAfter: 1000}
}

// off refuses when there is no media server.
func (m *Media) off() error {
	if m.live != nil {
		return nil
	}
	return im.Refuse(im.CodeNoMedia, "this server has no media server: start it with --media embedded, or give it --livekit-url, --livekit-key and --livekit-secret")
}
