// Package relay sends events from the outbox to external receivers: webhooks and pushes. It retries until they are
// accepted, and keeps the order of events with the same ordering key.
//
// It does not create events, and the content and transport belong to its users.
package relay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
)

// Options configures a Dispatcher.
type Options struct {
	// Name is the queue in the outbox. Required.
	Name string
	// Tries is the maximum number of attempts per event, after which it is dead. Default: 84, about three days with the
	// default Backoff.
	Tries int64
	// Backoff returns the delay after a number of failed attempts. Default: one second, doubled each time, up to an hour,
	// ±10 %.
	Backoff func(tries int64) time.Duration
	// Urgent reports whether an event may use the workers reserved for urgent events. Default: all events are urgent.
	Urgent func(*txn.OutboxEvent) bool
	// OfOwner limits the ordering keys of one owner that are sent concurrently. Default: 2.
	OfOwner int
	// Renew returns the body of an event that is replayed. Default: unchanged.
	Renew func(body string) string
	// Off disables sending.
	Off bool
	// Log is the logger. Default: slog.Default().
	Log *slog.Logger
}

// Lease is a node's exclusive claim on an event: its Due is that far ahead while it is being sent.
const Lease = time.Minute

const (
	workers  = 64           // ordering keys sent concurrently
	page     = 16 * workers // events per read of due events
	keyPage  = 50           // events per read of one ordering key
	parkPage = 128          // events that one transaction parks

	freshPage = 4 * workers // events per read of fresh events

	ofOwner = 2 // default of Options.OfOwner
	// With a backlog, a receiver that refused as many attempts one after another gets few more until it accepts one.
	refusals, probes = 100, 4

	pages    = 64                     // most pages per scan, when owners at their limit are skipped
	minPause = 20 * time.Millisecond  // minimum pause between scans; also ten times the duration of a scan
	hotScan  = 250 * time.Millisecond // scan interval while events are due, and shortest interval before a retry
	idleScan = time.Second            // longest scan interval with several nodes, for events that others left
	// hotFor is how long that interval is kept after a wake-up: the events may be committed a little later.
	hotFor   = 2 * time.Second
	coldScan = 5 * time.Second // longest scan interval
	// freshFor is the age up to which an event precedes older ones, when more are due than one read returns.
	freshFor  = 10 * time.Second
	lease     = Lease
	storeTime = 2 * time.Second // timeout to store outcomes during shutdown
)

// maxTries is the default of Options.Tries.
const maxTries = 84

// backoff is the default of Options.Backoff.
func backoff(tries int64) time.Duration {
	wait := time.Hour
	if tries < 12 {
		wait = min(wait, time.Second<<max(tries-1, 0))
	}
	return wait*9/10 + rand.N(wait/5)
}

// Outcome is the result of an attempt. The zero value means accepted.
type Outcome struct {
	Err   error
	Never bool          // permanent failure: do not retry
	After time.Duration // minimum delay requested by the receiver
	Later bool          // not due yet: retry after After without counting an attempt; Err is the reason
	Body  string        // new body, if a part was accepted; empty = unchanged
}

// Send makes one attempt to send an event.
type Send func(context.Context, *txn.OutboxEvent) Outcome

// Dispatcher sends the events of one queue. mu guards the fields that count the active ordering keys.
type Dispatcher struct {
	opt   Options
	store *store.Store
	send  Send
	wake  chan struct{}

	mu     sync.Mutex
	busy   map[string]bool // ordering keys being sent
	owners map[string]int  // ordering keys being sent, by owner
	common int             // non-urgent ordering keys being sent
	ended  map[string]bool // ordering keys sent since the last scan began: its rows of them are stale
	behind bool            // more events are due than one read returns

	free          chan struct{} // tokens of idle workers
	hot           atomic.Int64  // end of the period of frequent scans, in Unix nanoseconds
	due           atomic.Int64  // time of the next due event, milliseconds; 0 = none is known
	taken, failed atomic.Int64  // attempts
	failures      atomic.Int64  // attempts that failed since the last success
}

// New returns a dispatcher of the events in s.
func New(s *store.Store, opt Options, send Send) *Dispatcher {
	opt.Tries, opt.OfOwner, opt.Log = cmp.Or(opt.Tries, maxTries), cmp.Or(opt.OfOwner, ofOwner), cmp.Or(opt.Log,
		slog.Default())
	if opt.Backoff == nil {
		opt.Backoff = backoff
	}
	if opt.Urgent == nil {
		opt.Urgent = func(*txn.OutboxEvent) bool { return true }
	}
	q := &Dispatcher{opt: opt, store: s, send: send, wake: make(chan struct{}, 1), busy: map[string]bool{},
		owners: map[string]int{}, ended: map[string]bool{}, free: make(chan struct{}, workers)}
	for range workers {
		q.free <- struct{}{}
	}
	return q
}

// ID returns the ID of an event, by which receivers detect duplicates. It is the same for all attempts, and survives a
// move to another database.
func ID(o *txn.OutboxEvent) string {
	sum := sha256.Sum256([]byte(o.OrderingKey + "\n" + strconv.FormatInt(o.Seq, 10) + "\n" + o.Body))
	return "evt_" + hex.EncodeToString(sum[:12])
}

// Stats are counters since the start.
type Stats struct{ Taken, Failed int64 }

// Stats returns the number of successful and failed attempts.
func (q *Dispatcher) Stats() Stats { return Stats{q.taken.Load(), q.failed.Load()} }

// Waiting counts the waiting events, up to outbox.MaxCount, and returns the age of the oldest; 0 without events.
func (q *Dispatcher) Waiting(ctx context.Context) (n int64, age time.Duration, err error) {
	n, oldest, err := outbox.Count(ctx, q.store, q.opt.Name, txn.OutgoingWaits)
	if n > 0 {
		age = time.Duration(max(q.store.Now()-oldest, 0)) * time.Millisecond
	}
	return n, age, err
}

// Wake requests a scan: events were committed, or will be in a moment.
func (q *Dispatcher) Wake() {
	q.hot.Store(time.Now().Add(hotFor).UnixNano())
	q.rescan()
}

// rescan requests a scan.
func (q *Dispatcher) rescan() {
	select {
	case q.wake <- struct{}{}:
	default: // already signaled
	}
}

// Run sends events until ctx ends. Attempts that are canceled are repeated by another node, or after a restart.
func (q *Dispatcher) Run(ctx context.Context) error {
	if q.opt.Off {
		return nil
	}
	var all sync.WaitGroup
	defer all.Wait()
	for ctx.Err() == nil {
		took, err := q.dispatchDue(ctx, &all)
		if err != nil && ctx.Err() == nil {
			q.opt.Log.Warn("reading due events failed", "queue", q.opt.Name, "retry_in", hotScan, "error", err)
		}
		next := q.nextScan()
		if err != nil {
			next = hotScan
		}
		pause := time.NewTimer(min(max(minPause, 10*took), hotScan))
		rescan := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-pause.C:
			select {
			case <-q.wake:
			case <-rescan.C:
			case <-ctx.Done():
			}
		}
		pause.Stop()
		rescan.Stop()
	}
	return nil
}
