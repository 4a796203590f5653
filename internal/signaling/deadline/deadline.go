// Package deadline implements the queue of deadlines of invitations, ordered by due time.
//
// It has no clock and fires nothing.
package deadline

import (
	"container/heap"
	"sync"
	"time"
)

// Queue is a queue of invitations by due time, for announcements only: an action past its deadline is refused by the
// rule, whether or not the deadline has fired, so losing the queue delays timeouts and never changes one.
type Queue struct {
	mu    sync.Mutex
	queue order
	wake  chan struct{}
}

// Wake is signalled when the first invitation in the queue changes.
func (d *Queue) Wake() <-chan struct{} { return d.wake }

// New returns an empty queue.
func New() *Queue {
	return &Queue{queue: order{place: map[string]int{}}, wake: make(chan struct{}, 1)}
}

// Set schedules an invitation at due, in milliseconds; 0 removes it.
func (d *Queue) Set(id string, due int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set(id, due)
}

// set is Set with the lock held.
func (d *Queue) set(id string, due int64) {
	i, known := d.queue.place[id]
	switch {
	case due == 0 && known:
		heap.Remove(&d.queue, i)
		return
	case due == 0:
		return
	case known:
		d.queue.items[i].due = due
		heap.Fix(&d.queue, i)
	default:
		heap.Push(&d.queue, item{id, due})
	}
	if d.queue.items[0].id == id {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// Adopt schedules an invitation that another node may have opened, later by the given duration, unless it is
// scheduled.
func (d *Queue) Adopt(id string, due int64, later time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.queue.place[id]; !known {
		d.set(id, due+later.Milliseconds())
	}
}

// Next removes and returns at most limit invitations that are due at now, or returns the wait until the next one.
func (d *Queue) Next(now int64, limit int) (ids []string, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue.items) > 0 && len(ids) < limit {
		if first := d.queue.items[0]; first.due > now {
			return ids, time.Duration(first.due-now) * time.Millisecond
		}
		ids = append(ids, heap.Pop(&d.queue).(item).id)
	}
	return ids, time.Hour
}

type item struct {
	id  string
	due int64
}

// order is a heap by due time with the index of each ID.
type order struct {
	items []item
	place map[string]int
}

func (q *order) Len() int           { return len(q.items) }
func (q *order) Less(i, j int) bool { return q.items[i].due < q.items[j].due }
func (q *order) Swap(i, j int) {
	q.items[i], q.items[j] = q.items[j], q.items[i]
	q.place[q.items[i].id], q.place[q.items[j].id] = i, j
}
func (q *order) Push(x any) {
	q.place[x.(item).id] = len(q.items)
	q.items = append(q.items, x.(item))
}
func (q *order) Pop() any {
	last := len(q.items) - 1
	x := q.items[last]
	q.items = q.items[:last]
	delete(q.place, x.id)
	return x
}
