package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
)

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

// attempt sends an event, stores the outcome and reports whether the event is finished. If the outcome cannot be
// stored, the event is sent again: at least once.
func (q *Dispatcher) attempt(ctx context.Context, o *txn.OutboxEvent) bool {
	due := o.Due
	if !q.claim(ctx, o) {
		return false
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
		q.apply(&res, o, now)
		finished = o.State != txn.OutgoingWaits
		return true
	})
	if err != nil && ctx.Err() == nil {
		q.opt.Log.Warn("storing an event outcome failed", "queue", q.opt.Name, "retry_in", hotScan, "error", err)
		pause := time.NewTimer(hotScan)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	return err == nil && finished
}

// claim takes the lease on an event, and reports whether this node may send it.
func (q *Dispatcher) claim(ctx context.Context, o *txn.OutboxEvent) bool {
	if !q.store.Shared() { // this node is the only sender
		return true
	}
	due := o.Due
	claimed, err := q.update(ctx, o.OutboxKey, func(o *txn.OutboxEvent, now int64) bool {
		if o.State != txn.OutgoingWaits || o.Due != due && o.Due > now {
			return false // another node has it
		}
		o.Due = now + lease.Milliseconds()
		return true
	})
	return err == nil && claimed
}

// apply changes an event by the outcome of an attempt.
func (q *Dispatcher) apply(res *Outcome, o *txn.OutboxEvent, now int64) {
	o.Body = cmp.Or(res.Body, o.Body)
	if !res.Later {
		o.Tries++
	}
	switch {
	case res.Err == nil:
		o.State, o.Error = txn.OutgoingDone, ""
	case res.Later:
		o.Error, o.Due = Clip(res.Err.Error()), now+res.After.Milliseconds()
	case res.Never || o.Tries >= q.opt.Tries:
		o.State, o.Error = txn.OutgoingDead, Clip(res.Err.Error())
		q.opt.Log.Error("event delivery gave up", "queue", q.opt.Name, "kind", o.Kind, "ordering_key", o.OrderingKey,
			"tries", o.Tries, "error", o.Error, "hint", "replayHookEvents sends it again")
	default:
		o.Error, o.Due = Clip(res.Err.Error()), now+max(res.After, q.opt.Backoff(o.Tries)).Milliseconds()
	}
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
