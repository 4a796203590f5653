// Package hook owns what leaves the house for app servers: webhooks after something happened, and the question before something
// is to happen. It reads what was committed.
//
// It never decides what an action does, and nobody waits for a webhook.
package hook

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/world"
)

// queueName is that of webhooks in the store.
const queueName = "hook"

const (
	workers   = 64                     // lines under way at once
	page      = 4 * workers            // lines that are looked at together
	run       = 50                     // events of a line that are read together
	lull      = 20 * time.Millisecond  // between two looks, and ten times what a look takes
	lookAgain = 250 * time.Millisecond // for those that are tried again, and for what other nodes leave
	lease     = time.Minute            // for how long an event is one node's
	tidyEach  = time.Hour
	noteTime  = 2 * time.Second // for what is noted while the server stops
)

// maxTries is how often an event is tried before it is given up: with the waits of backoff about three days.
const maxTries = 84

// backoff is how long to wait after a number of failures: a second, doubled each time, up to an hour, a little more or less.
func backoff(tries int64) time.Duration {
	wait := time.Hour
	if tries < 12 {
		wait = min(wait, time.Second<<max(tries-1, 0))
	}
	return wait*9/10 + rand.N(wait/5)
}

// outcome is what became of a try.
type outcome struct {
	err   error
	never bool          // it need not be tried again
	after time.Duration // the receiver said when to come again
}

// queue carries events out, one after the other for each line, until they are taken.
type queue struct {
	store *store.Store
	send  func(context.Context, *world.Outgoing) outcome
	log   *slog.Logger
	wake  chan struct{}

	mu   sync.Mutex
	busy map[string]bool // lines with an event under way

	waiting       atomic.Int64 // events of this node that wait, at least; on SQLite there are no others
	taken, failed atomic.Int64 // tries
}

func newQueue(s *store.Store, log *slog.Logger, send func(context.Context, *world.Outgoing) outcome) *queue {
	return &queue{store: s, send: send, log: log, wake: make(chan struct{}, 1), busy: map[string]bool{}}
}

// nudge says that there may be something to do.
func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default: // it is known
	}
}

// run carries events out until ctx ends. Those under way then are tried again by whoever comes next.
func (q *queue) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { q.tidy(ctx) })
	q.waiting.Store(1) // until it is known
	if n, _, err := outbox.Count(ctx, q.store, queueName, world.OutgoingWaits); err == nil {
		q.waiting.Store(n)
	}
	for ctx.Err() == nil {
		begin := time.Now()
		if q.store.Shared() || q.waiting.Load() > 0 { // a look makes SQLite write what it would rather gather
			if err := q.look(ctx, &all); err != nil && ctx.Err() == nil {
				q.log.Warn("the webhooks that are due could not be read; they are looked for again", "error", err)
			}
		}
		pause := time.NewTimer(max(lull, 10*time.Since(begin)))
		again := time.NewTimer(lookAgain)
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
}

// tidy forgets what is old.
func (q *queue) tidy(ctx context.Context) {
	t := time.NewTicker(tidyEach)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := outbox.Trim(ctx, q.store, queueName); err != nil && ctx.Err() == nil {
			q.log.Warn("old webhooks could not be removed; it is tried again", "error", err)
		}
		if n, _, err := outbox.Count(ctx, q.store, queueName, world.OutgoingWaits); err == nil {
			q.waiting.Store(n) // what was counted of commits that failed
		}
	}
}

// look begins with what is due, as far as there are workers.
func (q *queue) look(ctx context.Context, all *sync.WaitGroup) error {
	list, err := outbox.Due(ctx, q.store, queueName, q.store.Now(), page)
	if err != nil {
		return err
	}
	for i := range list {
		o := &list[i]
		if !q.begin(o.Line) {
			continue
		}
		all.Go(func() {
			defer q.nudge() // somebody else may have waited for a worker
			defer q.end(o.Line)
			q.follow(ctx, o)
		})
	}
	return nil
}

// follow sends the events of a line, one after the other, until one fails or there are no more.
func (q *queue) follow(ctx context.Context, o *world.Outgoing) {
	for q.try(ctx, o) {
		list, err := outbox.Next(ctx, q.store, o.OutgoingKey, run)
		if err != nil || len(list) == 0 {
			return
		}
		for i := range list {
			if o = &list[i]; i < len(list)-1 && !q.try(ctx, o) {
				return
			}
		}
	}
}

func (q *queue) begin(line string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy[line] || len(q.busy) >= workers {
		return false
	}
	q.busy[line] = true
	return true
}

func (q *queue) end(line string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, line)
}

// try sends an event and notes what became of it, and reports whether it was taken. When that cannot be noted, it is sent again:
// at least once.
func (q *queue) try(ctx context.Context, o *world.Outgoing) bool {
	due := o.Due
	if q.store.Shared() { // else nobody else sends
		mine, err := q.change(ctx, o.OutgoingKey, func(o *world.Outgoing, now int64) bool {
			if o.State != world.OutgoingWaits || o.Due != due {
				return false // another node has it
			}
			o.Due = now + lease.Milliseconds()
			return true
		})
		if err != nil || !mine {
			return false
		}
	}
	res := q.send(ctx, o)
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if ctx.Err() != nil && res.err != nil { // broken off: the next node need not wait
		_, _ = q.change(noting, o.OutgoingKey, func(o *world.Outgoing, _ int64) bool { o.Due = due; return true }) // else the lease ends
		return false
	}
	if res.err == nil {
		q.taken.Add(1)
	} else {
		q.failed.Add(1)
	}
	over := false
	_, err := q.change(noting, o.OutgoingKey, func(o *world.Outgoing, now int64) bool {
		over = true
		switch o.Tries++; {
		case res.err == nil:
			o.State, o.Error = world.OutgoingDone, ""
		case res.never || o.Tries >= maxTries:
			o.State, o.Error = world.OutgoingDead, clip(res.err.Error())
			q.log.Error("a webhook was given up; replayHookEvents sends it again", "kind", o.Kind, "line", o.Line, "tries", o.Tries, "error", o.Error)
		default:
			over = false
			o.Error, o.Due = clip(res.err.Error()), now+max(res.after, backoff(o.Tries)).Milliseconds()
		}
		return true
	})
	if err != nil {
		if ctx.Err() == nil {
			q.log.Warn("what became of a webhook could not be noted; it is sent again", "error", err)
			<-time.After(lookAgain)
		}
		return false
	}
	if over {
		q.waiting.Add(-1)
	}
	return over
}

// clip makes a text short, and such as every database takes.
func clip(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), 300)], "?"), "\x00", "?")
}

// errUnchanged refuses a unit that has nothing to do.
var errUnchanged = errors.New("hook: nothing to change")

// locks is how many topics guard the events of all lines: enough that nodes seldom wait for each other.
const locks = 64

// change writes what became of an event, and reports whether there was something to write.
func (q *queue) change(ctx context.Context, k world.OutgoingKey, f func(o *world.Outgoing, now int64) bool) (bool, error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.Line)) // it never fails
	done := make(chan error, 1)
	err := q.store.Do(&store.Unit{
		Need: world.Need{Topics: []string{im.HookTopic(int(h.Sum32() % locks))}, Outgoing: []world.OutgoingKey{k}},
		Decide: func(w *world.World) error {
			o := w.Outgoing(k)
			if o == nil || !f(o, w.Now) {
				return errUnchanged
			}
			w.PutOutgoing(*o)
			return nil
		},
		Done: func(err error) { done <- err },
	})
	if err == nil {
		select {
		case err = <-done:
		case <-ctx.Done(): // the store may have ended before
			err = ctx.Err()
		}
	}
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	return err == nil, err
}
