// Package media implements the methods of media rooms: admission and roles, LiveKit tokens, and call records, which
// follow the events of LiveKit.
//
// It is outside the path of invitations: no response to an invitation waits for LiveKit. It never handles media
// itself.
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
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// Options configures media rooms. Without a Key media is off, and the methods refuse.
type Options struct {
	// URL is the address at which clients reach LiveKit: wss://media.example.com. Default: this server, which proxies
	// /rtc.
	URL string
	// API is the address at which this server reaches LiveKit: http://127.0.0.1:7880. Default: URL.
	API string
	// Key and Secret are an API key of LiveKit.
	Key, Secret string
	// UDPPort and TCPPort are LiveKit's ports of audio and video, for clients that cannot reach them. Default: unknown.
	UDPPort, TCPPort int
	// Packets returns the number of packets of audio and video that LiveKit has received from a user in a room; 0 = none,
	// or unknown. Default: unknown.
	Packets func(room, user string) uint64
	// Policy decides which users may enter rooms. Default: invited users.
	Policy im.RoomPolicy
	// TokenLife is the time within which a token admits to a room; it does not limit the stay. Default: 60 s.
	TokenLife time.Duration
	// Client is the HTTP client for LiveKit. Default: a client with a timeout of 5 s.
	Client *http.Client
	// Log receives warnings and errors. Default: slog.Default().
	Log *slog.Logger
}

// Media implements the methods of media rooms. mu guards expected; the other fields do not change after New.
type Media struct {
	store      *store.Store
	live       *liveKit
	proxy      http.Handler
	opt        Options
	log        *slog.Logger
	tasks      errgroup.Group // calls to LiveKit
	grantLocks [64]sync.Mutex // held while a role is applied in LiveKit, by a hash of room and user
	roomLocks  [64]sync.Mutex // held while a room is created or closed in LiveKit, by its hash
	ends       chan struct{}  // closed when Run ends
	connected  atomic.Int64   // proxied signaling connections
	noting     atomic.Bool    // a note of the time is under way
	aliveAt    atomic.Int64   // when the previous run last had one, until calls were compared; 0: unknown

	mu       sync.Mutex
	expected map[txn.SeatKey]checkSchedule // users about to enter, without a join event yet
}

// maxTasks bounds concurrent calls to LiveKit.
const maxTasks = 256

// New returns a Media on a store.
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
	m := &Media{store: s, opt: opt, log: opt.Log, ends: make(chan struct{}), expected: map[txn.SeatKey]checkSchedule{}}
	m.tasks.SetLimit(maxTasks)
	if opt.Key == "" {
		return m, nil
	}
	if opt.API == "" {
		opt.API = opt.URL
	}
	api, err := url.Parse(opt.API)
	if err != nil || api.Host == "" {
		return nil, errors.New("the LiveKit address is missing or not a URL; example: http://127.0.0.1:7880")
	}
	api.Scheme = strings.Replace(api.Scheme, "ws", "http", 1)
	if len(opt.Secret) < 32 {
		return nil, errors.New("the LiveKit secret must have at least 32 characters")
	}
	m.live = newLiveKit(api.String(), opt, s.Now)
	m.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(api); r.SetXForwarded() },
		// This server decides which origins may call; a second set of headers makes browsers refuse the response.
		ModifyResponse: func(res *http.Response) error {
			for name := range res.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					res.Header.Del(name)
				}
			}
			return nil
		},
		ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			m.log.Warn("LiveKit unreachable", "error", err)
			http.Error(w, "the media server cannot be reached", http.StatusBadGateway)
		},
	}
	return m, nil
}

// Paths of this server for LiveKit.
const (
	PathHook   = "/livekit/webhook" // webhooks of LiveKit
	PathSignal = "/rtc"             // proxy to LiveKit's signaling, for clients, when LiveKit has no public address
)

// Handler serves the webhooks of LiveKit, and proxies its signaling. It is nil when media is off.
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

// Run ends rooms and calls that are due, and compares ongoing calls with LiveKit, until ctx ends.
func (m *Media) Run(ctx context.Context) error {
	defer func() { _ = m.tasks.Wait() }() // each task is bounded by apiTime
	defer close(m.ends)
	if m.live == nil {
		<-ctx.Done()
		return nil
	}
	due, check, soon := time.NewTicker(dueEvery), time.NewTicker(checkEvery), time.NewTicker(expectEvery)
	alive := time.NewTicker(aliveEvery)
	defer due.Stop()
	defer check.Stop()
	defer soon.Stop()
	defer alive.Stop()
	m.readAlive(ctx)
	m.checkLiveKit(ctx)
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
			m.findExpected(ctx)
		case <-alive.C:
			m.noteAlive(ctx)
		}
	}
}

// checkLiveKit reads LiveKit's clock, and warns about a setting that must be off.
func (m *Media) checkLiveKit(ctx context.Context) {
	err := m.live.probe(ctx)
	creates := false
	if err == nil {
		creates, err = m.live.createsRooms(ctx)
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("LiveKit unreachable", "error", err)
	}
	if creates {
		m.log.Warn("LiveKit creates rooms by itself", "effect", "a disconnected user may return into a call that has ended",
			"setting", "room.auto_create: false")
	}
}

// callLiveKit runs a call to LiveKit with the timeout apiTime. It continues when the caller of a method disconnects.
func (m *Media) callLiveKit(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiTime)
	defer cancel()
	return reached(f(ctx))
}

// background runs a task in a goroutine, because the caller may be the writer of the store. It drops the task when too
// many run.
func (m *Media) background(f func()) {
	m.tasks.TryGo(func() error { f(); return nil })
}

// reached turns a failure of LiveKit into an error for API callers.
func reached(err error) error {
	var ours *im.Error
	if err == nil || errors.As(err, &ours) { // an error of this server, not of LiveKit
		return err
	}
	return &im.Error{Code: im.CodeNoMedia, Message: "the media server cannot be reached; the decision is stored; " +
		"retry", Cause: err, RetryAfter: 1000}
}

// off refuses when media is off.
func (m *Media) off() error {
	if m.live != nil {
		return nil
	}
	return im.Refuse(im.CodeNoMedia, "this server has no media server: start it with --media embedded, or set "+
		"--livekit-url, --livekit-key and --livekit-secret")
}

// checkSchedule is the schedule of checks for an expected participant.
type checkSchedule struct {
	at    int64
	tries int
}

// An expected participant is checked after expectFirst, and expectTries times at growing intervals, unless a join
// event arrives. expectMost bounds the expected participants.
const (
	expectEvery = 250 * time.Millisecond
	expectFirst = 700 * time.Millisecond
	expectTries = 5
	expectMost  = 10_000
)

// expect schedules checks for a user that is about to enter a room: LiveKit's event about it may be late.
func (m *Media) expect(roomID, user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.expected) < expectMost {
		m.expected[txn.SeatKey{RoomID: roomID, UserID: user}] = checkSchedule{at: m.store.Now() + expectFirst.Milliseconds()}
	}
}

// findExpected queries LiveKit for the expected participants without a join event.
func (m *Media) findExpected(ctx context.Context) {
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
		participants, err := m.store.PresentIn(ctx, c.ID, maxSeats)
		if err != nil {
			return
		}
		for i := range participants {
			in[participants[i].UserID] = true
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
