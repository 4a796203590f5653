package relay

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
)

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
		if took, err = q.dispatchFresh(ctx, all, now); err != nil || ctx.Err() != nil {
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

// dispatchFresh starts sending due events that happened a moment ago, and returns the time that reading them took.
func (q *Dispatcher) dispatchFresh(ctx context.Context, all *sync.WaitGroup, now int64) (took time.Duration,
	err error) {
	begin := time.Now()
	list, err := outbox.Fresh(ctx, q.store, q.opt.Name, now-freshFor.Milliseconds(), now, q.busyOwners(), freshPage)
	took = time.Since(begin)
	if err == nil {
		err = q.park(ctx, list)
	}
	if err == nil {
		q.startAll(ctx, all, list)
	}
	return took, err
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
