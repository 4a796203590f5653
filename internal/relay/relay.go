// Package relay carries events out of the house, one after the other for each line, until they are taken: webhooks,
// pushes.
//
// It never makes an event, and knows nothing of what one says or of how it is sent.
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

// Options are the choices for a queue.
type Options struct {
	// Name is that of the queue in the store. It has no default.
	Name string
	// Tries is how often an event is tried before it is given up. Default: 84, with the waits of Backoff about three days.
	Tries int64
	// Backoff is how long to wait after a number of failures. Default: a second, doubled each time, up to an hour, a
	// little more or less.
	Backoff func(tries int64) time.Duration
	// Urgent says what has workers of its own, and is waited for when there is none. Default: everything.
	Urgent func(*txn.OutboxEvent) bool
	// OfOwner limits the lines of the same owner that are under way at once. Default: 2.
	OfOwner int
	// Renew is what an event says when it is sent once more from the beginning. Default: the same.
	Renew func(body string) string
	// Off says that there is nobody to send to: what is left of a time when there was is tidied, and nothing is sent.
	Off bool
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

const (
	workers   = 64                     // lines under way at once
	page      = 16 * workers           // lines that are looked at together
	run       = 50                     // events of a line that are read together
	ofOwner   = 2                      // the default of Options.OfOwner
	pages     = 64                     // that one look reads at most, past owners who have enough under way
	lull      = 20 * time.Millisecond  // between two looks, and ten times what a look takes
	lookAgain = 250 * time.Millisecond // for those that are tried again, and for what other nodes leave
	// for which is looked so after something happened: it may be committed a little later
	hotFor   = 2 * time.Second
	coldLook = 5 * time.Second // between two looks when nothing is known to wait
	lease    = time.Minute     // for how long an event is one node's
	tidyEach = time.Hour
	noteTime = 2 * time.Second // for what is noted while the server stops
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

// Outcome is what became of a try. The zero value is: taken.
type Outcome struct {
	Err   error
	Never bool          // it need not be tried again
	After time.Duration // the receiver said when to come again
	Later bool          // it is not its time yet: with After, and an Err that says why; no try is counted
	Body  string        // what the event says from now on, where a part of it was taken; empty = as before
}

// Send tries an event once.
type Send func(context.Context, *txn.OutboxEvent) Outcome

// Dispatcher carries the events of one kind of receiver.
type Dispatcher struct {
	opt   Options
	store *store.Store
	send  Send
	wake  chan struct{}

	mu     sync.Mutex
	busy   map[string]bool // lines with an event under way
	owners map[string]int  // how many of them are of the same owner
	common int             // how many of them are not urgent
	ended  map[string]bool // lines that were under way since the last look: what it read of them is old

	free          chan struct{} // one for each worker that has nothing to do
	hot           atomic.Int64  // until when something may have been committed, unix nanoseconds
	waits         atomic.Bool   // something is known to wait
	taken, failed atomic.Int64  // tries
}

// New makes a queue. Its events are in s.
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

// ID names an event, the same at each try and in each database that it is moved to, by which receivers know it again.
func ID(o *txn.OutboxEvent) string {
	sum := sha256.Sum256([]byte(o.OrderingKey + "\n" + strconv.FormatInt(o.Seq, 10) + "\n" + o.Body))
	return "evt_" + hex.EncodeToString(sum[:12])
}

// Stats are counts since the start.
type Stats struct{ Taken, Failed int64 }

// Stats counts the tries of events that were taken, and that failed.
func (q *Dispatcher) Stats() Stats { return Stats{q.taken.Load(), q.failed.Load()} }

// Waiting counts the events that wait, for as long as ctx.
func (q *Dispatcher) Waiting(ctx context.Context) (int64, error) {
	n, _, err := outbox.Count(ctx, q.store, q.opt.Name, txn.OutgoingWaits)
	return n, err
}

// Wake says that there may be something to do: events were committed, or will be in a moment.
func (q *Dispatcher) Wake() {
	q.hot.Store(time.Now().Add(hotFor).UnixNano())
	q.rescan()
}

// rescan asks for another look.
func (q *Dispatcher) rescan() {
	select {
	case q.wake <- struct{}{}:
	default: // it is known
	}
}

// Run carries events out until ctx ends. Those under way then are tried again by whoever comes next.
func (q *Dispatcher) Run(ctx context.Context) error {
	if q.opt.Off {
		q.applyRetention(ctx)
		return nil
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { q.applyRetention(ctx) })
	for ctx.Err() == nil {
		took, err := q.dispatchDue(ctx, &all)
		if err != nil && ctx.Err() == nil {
			q.opt.Log.Warn("the events that are due could not be read; they are looked for again", "queue", q.opt.Name, "error",
				err)
		}
		next := coldLook // a look makes SQLite write what it would rather gather
		if q.store.Shared() || q.waits.Load() || err != nil || time.Now().UnixNano() < q.hot.Load() {
			next = lookAgain
		}
		pause := time.NewTimer(min(max(lull, 10*took), lookAgain))
		again := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-pause.C:
			select {
			case <-q.wake:
			case <-again.C:
			case <-ctx.Done():
			}
		}
		pause.Stop()
		again.Stop()
	}
	return nil
}

// applyRetention forgets what is old.
func (q *Dispatcher) applyRetention(ctx context.Context) {
	t := time.NewTicker(tidyEach)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := outbox.Trim(ctx, q.store, q.opt.Name); err != nil && ctx.Err() == nil {
			q.opt.Log.Warn("old events could not be removed; it is tried again", "queue", q.opt.Name, "error", err)
		}
	}
}

// dispatchDue begins with what is due, and says how long it took to find out. It waits for workers, but not for what is
// not urgent, and passes by those whose owners have enough under way.
func (q *Dispatcher) dispatchDue(ctx context.Context, all *sync.WaitGroup) (took time.Duration, err error) {
	q.mu.Lock()
	clear(q.ended)
	q.mu.Unlock()
	now, place := q.store.Now(), outbox.BeforeDue()
	for n := range pages {
		begin := time.Now()
		list, err := outbox.Due(ctx, q.store, q.opt.Name, now, place, q.busyOwners(), page)
		if err == nil && len(list) == 0 && n == 0 {
			var waiting int64
			if waiting, err = q.Waiting(ctx); err == nil {
				q.waits.Store(waiting > 0)
			}
		}
		took += time.Since(begin)
		if err != nil || len(list) == 0 {
			return took, err
		}
		q.waits.Store(true)
		for i := range list {
			if !q.start(ctx, all, &list[i]) {
				return took, nil
			}
		}
		if len(list) < page {
			break
		}
		last := &list[len(list)-1]
		place = outbox.DuePlace{Due: last.Due, OrderingKey: last.OrderingKey, Seq: last.Seq}
	}
	return took, nil
}

// busyOwners lists the owners who have enough under way.
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

// start gives the line of an event to a worker, if it may go now. It is false when the server stops.
func (q *Dispatcher) start(ctx context.Context, all *sync.WaitGroup, o *txn.OutboxEvent) bool {
	owner, urgent := o.Owner, q.opt.Urgent(o)
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
		defer q.rescan() // somebody else may have waited for this worker
		defer func() { q.free <- struct{}{} }()
		defer q.end(o.OrderingKey, owner, urgent)
		q.sendInOrder(ctx, o)
	})
	return true
}

// sendInOrder sends the events of a line, one after the other, until one fails or there are no more.
func (q *Dispatcher) sendInOrder(ctx context.Context, o *txn.OutboxEvent) {
	for q.attempt(ctx, o) {
		list, err := outbox.Next(ctx, q.store, o.OutboxKey, run)
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

// begin takes a line, unless it is under way, or its owner has enough under way. A quarter of the workers is for what
// is urgent.
func (q *Dispatcher) begin(line, owner string, urgent bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy[line] || q.ended[line] || owner != "" && q.owners[owner] >= q.opt.OfOwner || !urgent &&
		q.common >= workers*3/4 {
		return false
	}
	q.busy[line] = true
	q.owners[owner]++
	if !urgent {
		q.common++
	}
	return true
}

func (q *Dispatcher) end(line, owner string, urgent bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, line)
	q.ended[line] = true
	if q.owners[owner]--; q.owners[owner] == 0 {
		delete(q.owners, owner)
	}
	if !urgent {
		q.common--
	}
}

// attempt sends an event and notes what became of it, and reports whether it was taken. When that cannot be noted, it
// is sent again: at least once.
func (q *Dispatcher) attempt(ctx context.Context, o *txn.OutboxEvent) bool {
	due := o.Due
	if q.store.Shared() { // else nobody else sends
		mine, err := q.update(ctx, o.OutboxKey, func(o *txn.OutboxEvent, now int64) bool {
			if o.State != txn.OutgoingWaits || o.Due != due {
				return false // another node has it
			}
			o.Due = now + lease.Milliseconds()
			return true
		})
		if err != nil || !mine {
			return false
		}
	}
	res := q.sendRecovered(ctx, o)
	// however slow the store is: what is not noted is sent again
	noting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(noteTime, cancel) })()
	if ctx.Err() != nil && res.Err != nil { // broken off: the next node need not wait
		// else the lease ends
		_, _ = q.update(noting, o.OutboxKey, func(o *txn.OutboxEvent, _ int64) bool { o.Due = due; return true })
		return false
	}
	switch {
	case res.Err == nil:
		q.taken.Add(1)
	case !res.Later:
		q.failed.Add(1)
	}
	over := false
	_, err := q.update(noting, o.OutboxKey, func(o *txn.OutboxEvent, now int64) bool {
		over = true
		o.Body = cmp.Or(res.Body, o.Body)
		if !res.Later {
			o.Tries++
		}
		switch {
		case res.Err == nil:
			o.State, o.Error = txn.OutgoingDone, ""
		case res.Later:
			over, o.Error, o.Due = false, Clip(res.Err.Error()), now+res.After.Milliseconds()
		case res.Never || o.Tries >= q.opt.Tries:
			o.State, o.Error = txn.OutgoingDead, Clip(res.Err.Error())
			q.opt.Log.Error("an event was given up; replayHookEvents sends it again", "queue", q.opt.Name, "kind", o.Kind,
				"line", o.OrderingKey, "tries", o.Tries, "error", o.Error)
		default:
			over = false
			o.Error, o.Due = Clip(res.Err.Error()), now+max(res.After, q.opt.Backoff(o.Tries)).Milliseconds()
		}
		return true
	})
	if err != nil {
		if ctx.Err() == nil {
			q.opt.Log.Warn("what became of an event could not be noted; it is sent again", "queue", q.opt.Name, "error", err)
			<-time.After(lookAgain)
		}
		return false
	}
	return over
}

// sendRecovered turns a panic over one event into its failure, for good: the others go on.
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

// Clip makes a text short, and such as every database takes.
func Clip(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), 300)], "?"), "\x00", "?")
}

// errUnchanged refuses a unit that has nothing to do.
var errUnchanged = errors.New("courier: nothing to change")

// locks is how many topics guard the events of all lines: enough that nodes seldom wait for each other.
const locks = 64

// lockTopic names one of the locks under which nodes update events. It has no records.
func lockTopic(n uint32) string { return "hook:" + strconv.FormatUint(uint64(n), 10) }

// update writes what became of an event, and reports whether there was something to write.
func (q *Dispatcher) update(ctx context.Context, k txn.OutboxKey, f func(o *txn.OutboxEvent, now int64) bool) (bool,
	error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.OrderingKey)) // it never fails
	reads := txn.ReadSet{Topics: []string{lockTopic(h.Sum32() % locks)}, Outbox: []txn.OutboxKey{k}}
	err := rpc.Write(ctx, q.store, reads, func(tx *txn.Tx) error {
		o := tx.OutboxEvent(k)
		if o == nil || !f(o, tx.Now) {
			return errUnchanged
		}
		tx.PutOutboxEvent(*o)
		if o.State == txn.OutgoingWaits && o.Error != "" && o.Due > tx.Now {
			outbox.Rest(tx, k)
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	return err == nil, err
}
