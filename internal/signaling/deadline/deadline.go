// Package deadline owns the order in which invitations are due.
//
// It has no clock and fires nothing.
package deadline

import (
	"container/heap"
	"sync"
	"time"
)

// Queue remembers when invitations are due. It only announces: an action past its deadline is refused by the rule,
// whether or not this has fired, so that losing all of it would delay timeouts and never change one.
type Queue struct {
	mu    sync.Mutex
	queue order
	wake  chan struct{}
}

// Wake is signalled when another invitation than before is due first.
func (d *Queue) Wake() <-chan struct{} { return d.wake }

// New makes an empty queue.
func New() *Queue {
	return &Queue{queue: order{place: map[string]int{}}, wake: make(chan struct{}, 1)}
}

// Set notes when an invitation is due next; 0 forgets it.
func (d *Queue) Set(id string, due int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
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

// Adopt notes when an invitation is due that another node may have opened; this one looks after it a little later.
func (d *Queue) Adopt(id string, due int64, later time.Duration) {
	d.mu.Lock()
	_, known := d.queue.place[id]
	d.mu.Unlock()
	if !known {
		d.Set(id, due+later.Milliseconds())
	}
}

// Next takes the invitations that are due at now, at most limit, or says how long to wait for one.
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

// order is a heap by due time that knows the place of each id.
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
