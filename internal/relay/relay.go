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
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
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

// nextScan returns the time until the next scan. A scan makes SQLite write rows that it would otherwise batch.
func (q *Dispatcher) nextScan() time.Duration {
	next := coldScan
	if q.store.Shared() {
		next = idleScan
	}
	if due := q.due.Load(); due > 0 {
		next = min(next, time.Duration(due-q.store.Now())*time.Millisecond)
	}
	if time.Now().UnixNano() < q.hot.Load() {
		next = hotScan
	}
	return max(next, hotScan)
}

// dispatchDue starts sending the due events and returns the time that reading them took. It waits for free workers, but
// skips non-urgent events without one, and owners at their limit.
func (q *Dispatcher) dispatchDue(ctx context.Context, all *sync.WaitGroup) (took time.Duration, err error) {
	q.mu.Lock()
	clear(q.ended)
	behind := q.behind
	q.mu.Unlock()
	now, after := q.store.Now(), outbox.BeforeDue()
	if behind {
		begin := time.Now()
		list, err := outbox.Fresh(ctx, q.store, q.opt.Name, now-freshFor.Milliseconds(), now, q.busyOwners(), freshPage)
		if took += time.Since(begin); err == nil {
			err = q.park(ctx, list)
		}
		if err != nil || !q.startAll(ctx, all, list) {
			return took, err
		}
	}
	for n := range pages {
		begin := time.Now()
		list, err := outbox.Due(ctx, q.store, q.opt.Name, now, after, q.busyOwners(), page)
		if err == nil && len(list) == 0 && n == 0 {
			var due int64
			if due, _, err = outbox.NextDue(ctx, q.store, q.opt.Name); err == nil {
				q.due.Store(due)
			}
		}
		took += time.Since(begin)
		q.setBehind(n > 0 || len(list) == page)
		if err != nil || len(list) == 0 {
			return took, err
		}
		q.due.Store(now)
		if err := q.park(ctx, list); err != nil || !q.startAll(ctx, all, list) || len(list) < page || q.saturated() {
			return took, err
		}
		last := &list[len(list)-1]
		after = outbox.DuePlace{Due: last.Due, OrderingKey: last.OrderingKey, Seq: last.Seq}
	}
	return took, nil
}

func (q *Dispatcher) setBehind(behind bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.behind = behind
}

// saturated reports whether no worker is left for events of the backlog.
func (q *Dispatcher) saturated() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.behind && q.common >= q.commonLimit()
}

// commonLimit returns the number of workers for events that are not urgent: a quarter is reserved for those that are.
func (q *Dispatcher) commonLimit() int {
	if q.behind && q.failures.Load() >= refusals {
		return probes
	}
	return workers * 3 / 4
}

// park defers the events of a page that are behind others.
func (q *Dispatcher) park(ctx context.Context, list []outbox.Event) error {
	var behind []outbox.Event
	for i := range list {
		if !list[i].IsFirst() {
			behind = append(behind, list[i])
		}
	}
	slices.SortStableFunc(behind, func(a, b outbox.Event) int {
		return strings.Compare(lockOf(a.OrderingKey), lockOf(b.OrderingKey)) // so that a transaction takes few locks
	})
	for some := range slices.Chunk(behind, parkPage) {
		var reads txn.ReadSet
		for i := range some {
			first := some[i].OutboxKey
			first.Seq = some[i].First
			reads.Topics = append(reads.Topics, lockOf(first.OrderingKey))
			reads.Outbox = append(reads.Outbox, some[i].OutboxKey, first)
		}
		reads.Topics = slices.Compact(reads.Topics)
		if err := rpc.Write(ctx, q.store, reads, func(tx *txn.Tx) error {
			outbox.Park(tx, some)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// startAll starts sending the first events of a list. It returns false when ctx has ended.
func (q *Dispatcher) startAll(ctx context.Context, all *sync.WaitGroup, list []outbox.Event) bool {
	for i := range list {
		if list[i].IsFirst() && !q.start(ctx, all, &list[i].OutboxEvent) {
			return false
		}
	}
	return true
}

// busyOwners returns the owners at their limit.
func (q *Dispatcher) busyOwners() (list []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for owner, n := range q.owners {
		if owner != "" && n >= q.opt.OfOwner {
			list = append(list, owner)
		}
	}
	return list
}

// start passes the ordering key of an event to a worker, if permitted now. It returns false when ctx has ended.
func (q *Dispatcher) start(ctx context.Context, all *sync.WaitGroup, o *txn.OutboxEvent) bool {
	owner, urgent := o.Owner, q.opt.Urgent(o) && !q.old(o)
	if !q.begin(o.OrderingKey, owner, urgent) {
		return true
	}
	select {
	case <-q.free:
	case <-ctx.Done():
		q.end(o.OrderingKey, owner, urgent)
		return false
	}
	all.Go(func() {
		defer q.rescan() // another ordering key may have waited for this worker
		defer func() { q.free <- struct{}{} }()
		defer q.end(o.OrderingKey, owner, urgent)
		q.sendInOrder(ctx, o)
	})
	return true
}

// old reports whether an event gives way to fresh ones.
func (q *Dispatcher) old(o *txn.OutboxEvent) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.behind && q.store.Now()-o.At > freshFor.Milliseconds()
}

// sendInOrder sends the events of an ordering key in order, until one fails or none is left.
func (q *Dispatcher) sendInOrder(ctx context.Context, o *txn.OutboxEvent) {
	for q.attempt(ctx, o) {
		list, err := outbox.Next(ctx, q.store, o.OutboxKey, keyPage)
		if err != nil || len(list) == 0 {
			return
		}
		for i := range list {
			if o = &list[i]; i < len(list)-1 && !q.attempt(ctx, o) {
				return
			}
		}
	}
}

// begin claims an ordering key, unless it is being sent, or its owner or the events that are not urgent are at their
// limit.
func (q *Dispatcher) begin(key, owner string, urgent bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy[key] || q.ended[key] || owner != "" && q.owners[owner] >= q.opt.OfOwner || !urgent &&
		q.common >= q.commonLimit() {
		return false
	}
	q.busy[key] = true
	q.owners[owner]++
	if !urgent {
		q.common++
	}
	return true
}

func (q *Dispatcher) end(key, owner string, urgent bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, key)
	q.ended[key] = true
	if q.owners[owner]--; q.owners[owner] == 0 {
		delete(q.owners, owner)
	}
	if !urgent {
		q.common--
	}
}

// attempt sends an event, stores the outcome and reports whether the event is finished. If the outcome cannot be
// stored, the event is sent again: at least once.
func (q *Dispatcher) attempt(ctx context.Context, o *txn.OutboxEvent) bool {
	due := o.Due
	if q.store.Shared() { // otherwise this node is the only sender
		claimed, err := q.update(ctx, o.OutboxKey, func(o *txn.OutboxEvent, now int64) bool {
			if o.State != txn.OutgoingWaits || o.Due != due && o.Due > now {
				return false // another node has it
			}
			o.Due = now + lease.Milliseconds()
			return true
		})
		if err != nil || !claimed {
			return false
		}
	}
	res := q.sendRecovered(ctx, o)
	// no timeout before shutdown, even if the store is slow: an outcome that is not stored causes a duplicate
	storing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(storeTime, cancel) })()
	if ctx.Err() != nil && res.Err != nil { // canceled: release the lease, so that the next node need not wait
		// on failure the lease expires
		_, _ = q.update(storing, o.OutboxKey, func(o *txn.OutboxEvent, now int64) bool { o.Due = min(due, now); return true })
		return false
	}
	switch {
	case res.Err == nil:
		q.taken.Add(1)
		q.failures.Store(0)
	case !res.Later:
		q.failed.Add(1)
		q.failures.Add(1)
	}
	finished := false
	_, err := q.update(storing, o.OutboxKey, func(o *txn.OutboxEvent, now int64) bool {
		finished = true
		o.Body = cmp.Or(res.Body, o.Body)
		if !res.Later {
			o.Tries++
		}
		switch {
		case res.Err == nil:
			o.State, o.Error = txn.OutgoingDone, ""
		case res.Later:
			finished, o.Error, o.Due = false, Clip(res.Err.Error()), now+res.After.Milliseconds()
		case res.Never || o.Tries >= q.opt.Tries:
			o.State, o.Error = txn.OutgoingDead, Clip(res.Err.Error())
			q.opt.Log.Error("event delivery gave up", "queue", q.opt.Name, "kind", o.Kind, "ordering_key", o.OrderingKey,
				"tries", o.Tries, "error", o.Error, "hint", "replayHookEvents sends it again")
		default:
			finished = false
			o.Error, o.Due = Clip(res.Err.Error()), now+max(res.After, q.opt.Backoff(o.Tries)).Milliseconds()
		}
		return true
	})
	if err != nil {
		if ctx.Err() == nil {
			q.opt.Log.Warn("storing an event outcome failed", "queue", q.opt.Name, "retry_in", hotScan, "error", err)
			pause := time.NewTimer(hotScan)
			defer pause.Stop()
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
		return false
	}
	return finished
}

// sendRecovered turns a panic into a permanent failure of the event, so that the others continue.
func (q *Dispatcher) sendRecovered(ctx context.Context, o *txn.OutboxEvent) (res Outcome) {
	defer func() {
		if r := recover(); r != nil {
			q.opt.Log.Error("sending an event panicked", "queue", q.opt.Name, "kind", o.Kind, "panic", r, "stack",
				string(debug.Stack()))
			res = Outcome{Err: fmt.Errorf("panic: %v", r), Never: true}
		}
	}()
	return q.send(ctx, o)
}

// Clip truncates a text to 300 bytes and replaces bytes that some databases refuse.
func Clip(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), 300)], "?"), "\x00", "?")
}

// errUnchanged aborts a transaction that has nothing to write.
var errUnchanged = errors.New("relay: nothing to change")

// locks is the number of topics that serialize updates of events: enough that nodes rarely wait for each other.
const locks = 64

// lockTopic returns the name of a lock topic. It has no records.
func lockTopic(n uint32) string { return "hook:" + strconv.FormatUint(uint64(n), 10) }

// lockOf returns the lock topic of an ordering key.
func lockOf(key string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return lockTopic(h.Sum32() % locks)
}

// update changes an event in a transaction, and reports whether f changed it.
func (q *Dispatcher) update(ctx context.Context, k txn.OutboxKey, f func(o *txn.OutboxEvent, now int64) bool) (bool,
	error) {
	reads := txn.ReadSet{Topics: []string{lockOf(k.OrderingKey)}, Outbox: []txn.OutboxKey{k}}
	err := rpc.Write(ctx, q.store, reads, func(tx *txn.Tx) error {
		o := tx.OutboxEvent(k)
		if o == nil || !f(o, tx.Now) {
			return errUnchanged
		}
		tx.PutOutboxEvent(*o)
		if o.State != txn.OutgoingWaits {
			outbox.Unpark(tx, k)
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	return err == nil, err
}
