package engine

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// deadlines remembers when invitations are due. It only announces: an action past its deadline is refused by the rule,
// whether or not this has fired, so that losing all of it would delay timeouts and never change one.
type deadlines struct {
	mu    sync.Mutex
	queue dueQueue
	wake  chan struct{}
}

func newDeadlines() *deadlines {
	return &deadlines{queue: dueQueue{place: map[string]int{}}, wake: make(chan struct{}, 1)}
}

// set notes when an invitation is due next; 0 forgets it.
func (d *deadlines) set(id string, due int64) {
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
		heap.Push(&d.queue, dueItem{id, due})
	}
	if d.queue.items[0].id == id {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// next takes the first invitation that is due at now, or says how long to wait for one.
func (d *deadlines) next(now int64) (id string, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue.items) == 0 {
		return "", time.Hour
	}
	if first := d.queue.items[0]; first.due > now {
		return "", time.Duration(first.due-now) * time.Millisecond
	}
	return heap.Pop(&d.queue).(dueItem).id, 0
}

type dueItem struct {
	id  string
	due int64
}

// dueQueue is a heap by due time that knows the place of each id.
type dueQueue struct {
	items []dueItem
	place map[string]int
}

func (q *dueQueue) Len() int           { return len(q.items) }
func (q *dueQueue) Less(i, j int) bool { return q.items[i].due < q.items[j].due }
func (q *dueQueue) Swap(i, j int) {
	q.items[i], q.items[j] = q.items[j], q.items[i]
	q.place[q.items[i].id], q.place[q.items[j].id] = i, j
}
func (q *dueQueue) Push(x any) {
	q.place[x.(dueItem).id] = len(q.items)
	q.items = append(q.items, x.(dueItem))
}
func (q *dueQueue) Pop() any {
	last := len(q.items) - 1
	x := q.items[last]
	q.items = q.items[:last]
	delete(q.place, x.id)
	return x
}

// longestWait bounds one wait for a deadline, because a wall clock may be set.
const longestWait = time.Second

// expireLoop fires what is due. The store's queue bounds how much is under way.
func (e *Engine) expireLoop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		id, wait := e.deadlines.next(e.store.Now())
		if id != "" {
			e.expire(id)
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		timer.Reset(min(wait, longestWait))
		select {
		case <-ctx.Done():
			return nil
		case <-e.deadlines.wake:
		case <-timer.C:
		}
	}
}

// retryExpire is how long a timeout that could not be written waits.
const retryExpire = time.Second

// expire times out whoever of an invitation is late, and notes when to come again.
func (e *Engine) expire(id string) {
	r, ok, err := e.route(id)
	if err != nil {
		e.deadlines.set(id, e.store.Now()+retryExpire.Milliseconds())
		return
	}
	if !ok {
		return
	}
	need := world.Need{Topics: r.topics(), Invitations: []string{id}, OpenInvitees: []string{id}}
	verb.Do(e.store, need, func(w *world.World) (int64, error) {
		v := w.Invitation(id)
		if v == nil || v.Over() {
			return 0, nil
		}
		c := invite.Expire(*v, w.OpenInvitees(id), w.Now)
		if len(c.Invitees) == 0 && c.Invitation.Due == v.Due {
			return v.Due, nil
		}
		return c.Invitation.Due, e.end(w, c, verb.Caller{}, protocol.ActionTimeout, "", "")
	}, func(due int64, err error) {
		if err != nil {
			e.log.Error("a timeout could not be written; it is tried again", "inviteID", id, "error", err)
			due = e.store.Now() + retryExpire.Milliseconds()
		}
		e.deadlines.set(id, due)
	})
}

// end puts a change that ended invitees, and tells it.
func (e *Engine) end(w *world.World, c invite.Change, by verb.Caller, action protocol.ActionType, reason, data string) error {
	v := c.Invitation
	if v.Large {
		v.Digested = v.Version // the ending says how the answers stand
	}
	w.PutInvitation(v)
	for _, p := range c.Invitees {
		w.PutInvitee(p)
	}
	if len(c.Invitees) == 0 {
		return nil
	}
	m := message(&v, action, by.UserID, w.Now)
	m.InviteeList, m.Reason, m.Data = names(c.Invitees), reason, data
	if action == protocol.ActionTimeout {
		m.Data = v.Data
	}
	return tell(w, &v, by, m, m.InviteeList)
}
