// Package media owns the media rooms: who may enter and speak, tokens for LiveKit, and the records of calls, written
// from what LiveKit says happened.
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
	"github.com/beckon-im/beckon/internal/txn"
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
	// TokenLife is for how long one may enter with a token; who is in stays in. Default: 60 s.
	TokenLife time.Duration
	// Client calls LiveKit. Default: one that gives up after 5 s.
	Client *http.Client
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Media keeps the rooms.
type Media struct {
	store     *store.Store
	live      *liveKit
	proxy     http.Handler
	opt       Options
	log       *slog.Logger
	tasks     errgroup.Group // calls to LiveKit for which somebody waits
	turns     [64]sync.Mutex // who changes what somebody may do in a room, by a hash of the two
	roomLocks [64]sync.Mutex // who makes or closes a room, by its hash
	ends      chan struct{}  // closed when Run ends

	mu       sync.Mutex
	expected map[txn.SeatKey]coming // who is on the way into a room, and was not seen there yet
}

// maxTasks bounds the calls to LiveKit at once.
const maxTasks = 256

// New prepares the rooms.
func New(s *store.Store, opt Options) (*Media, error) {
	if opt.Policy == "" {
		opt.Policy = im.RoomInvited
	}
	if opt.TokenLife == 0 {
		opt.TokenLife = time.Minute
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	m := &Media{store: s, opt: opt, log: opt.Log, ends: make(chan struct{}), expected: map[txn.SeatKey]coming{}}
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
	m.live = newLiveKit(api.String(), opt, s.Now)
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
		mux.HandleFunc(PathSignal, m.signal)
		mux.HandleFunc(PathSignal+"/", m.signal)
	}
	return mux
}

// Run ends the calls that have ended and asks LiveKit whether the others still go on, until ctx ends.
func (m *Media) Run(ctx context.Context) error {
	defer func() { _ = m.tasks.Wait() }() // each is bounded by apiTime
	defer close(m.ends)
	if m.live == nil {
		<-ctx.Done()
		return nil
	}
	due, check, soon := time.NewTicker(dueEvery), time.NewTicker(checkEvery), time.NewTicker(expectEvery)
	defer due.Stop()
	defer check.Stop()
	defer soon.Stop()
	if err := m.live.probe(ctx); err != nil && ctx.Err() == nil {
		m.log.Warn("LiveKit cannot be reached", "error", err)
	}
	m.checkCalls(ctx, true)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-due.C:
			m.endDue(ctx)
		case <-check.C:
			m.checkCalls(ctx, false)
		case <-soon.C:
			m.lookFor(ctx)
		}
	}
}

// callLiveKit runs a call to LiveKit within apiTime, also when the caller of a method has gone.
func (m *Media) callLiveKit(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiTime)
	defer cancel()
	return reached(f(ctx))
}

// background runs a task beside the caller, who may be the writer of the store; ok is false when too many run already.
func (m *Media) background(f func()) (ok bool) {
	return m.tasks.TryGo(func() error { f(); return nil })
}

// reached turns a failure of LiveKit into what callers are told.
func reached(err error) error {
	var ours *im.Error
	if err == nil || errors.As(err, &ours) { // of our own store, not of LiveKit
		return err
	}
	return &im.Error{Code: im.CodeNoMedia, Message: "the media server cannot be reached; what was decided is kept, " +
		"try again", Cause: err, RetryAfter: 1000}
}

// off refuses when there is no media server.
func (m *Media) off() error {
	if m.live != nil {
		return nil
	}
	return im.Refuse(im.CodeNoMedia, "this server has no media server: start it with --media embedded, or give it "+
		"--livekit-url, --livekit-key and --livekit-secret")
}

// coming is when to look whether somebody has come into a room, and how often that was done.
type coming struct {
	at    int64
	tries int
}

// Somebody on the way in is looked for after expectFirst, and expectTries times at doubled intervals, unless LiveKit
// has told of them.
const (
	expectEvery = 250 * time.Millisecond
	expectFirst = 700 * time.Millisecond
	expectTries = 5
	expectMost  = 10_000
)

// expect notes that somebody is on the way into a room: LiveKit's event about it may be late.
func (m *Media) expect(roomID, user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.expected) < expectMost {
		m.expected[txn.SeatKey{RoomID: roomID, UserID: user}] = coming{at: m.store.Now() + expectFirst.Milliseconds()}
	}
}

// lookFor asks LiveKit for the expected participants of which no join event has arrived.
func (m *Media) lookFor(ctx context.Context) {
	m.mu.Lock()
	now, rooms := m.store.Now(), map[string][]string{}
	for k, e := range m.expected {
		if e.at > now {
			continue
		}
		rooms[k.RoomID] = append(rooms[k.RoomID], k.UserID)
		if e.tries++; e.tries >= expectTries {
			delete(m.expected, k)
			continue
		}
		e.at = now + expectFirst.Milliseconds()<<e.tries/2
		m.expected[k] = e
	}
	m.mu.Unlock()
	for room, users := range rooms {
		m.tasks.TryGo(func() error {
			ctx, cancel := context.WithTimeout(ctx, apiTime)
			defer cancel()
			m.find(ctx, room, users)
			return nil
		})
	}
}

func (m *Media) find(ctx context.Context, room string, users []string) {
	c, err := m.store.CallIn(ctx, room)
	if err != nil {
		return
	}
	in := map[string]bool{}
	if c != nil {
		people, err := m.store.PresentIn(ctx, c.ID, maxSeats)
		if err != nil {
			return
		}
		for i := range people {
			in[people[i].UserID] = true
		}
	}
	missing := false
	m.mu.Lock()
	for _, u := range users {
		if in[u] {
			delete(m.expected, txn.SeatKey{RoomID: room, UserID: u})
		}
		missing = missing || !in[u]
	}
	m.mu.Unlock()
	if missing {
		m.compare(ctx, room, true, m.store.Now())
	}
}
