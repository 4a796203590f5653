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
	workers   = 16                    // events under way at once
	page      = 8 * workers           // events that are looked at together
	lull      = 20 * time.Millisecond // between two looks
	lookAgain = time.Second           // events of other nodes, and those that are tried again
	lease     = time.Minute           // for how long an event is one node's
	tidyEach  = time.Minute
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

// queue carries events out, one after the other for each topic, until they are taken.
type queue struct {
	store *store.Store
	send  func(context.Context, *world.Outgoing) outcome
	log   *slog.Logger
	wake  chan struct{}

	mu   sync.Mutex
	busy map[string]bool // topics with an event under way

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
	tidy := time.NewTicker(tidyEach)
	defer tidy.Stop()
	for ctx.Err() == nil {
		if err := q.look(ctx, &all); err != nil && ctx.Err() == nil {
			q.log.Warn("the webhooks that are due could not be read; they are looked for again", "error", err)
		}
		again := time.NewTimer(lookAgain)
		select {
		case <-q.wake:
			<-time.After(lull)
		case <-again.C:
		case <-tidy.C:
			if err := outbox.Trim(ctx, q.store, queueName); err != nil && ctx.Err() == nil {
				q.log.Warn("old webhooks could not be removed; it is tried again", "error", err)
			}
		case <-ctx.Done():
		}
		again.Stop()
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
		if !q.begin(o.Topic) {
			continue
		}
		all.Go(func() {
			defer q.nudge() // the next of the topic
			defer q.end(o.Topic)
			q.try(ctx, o)
		})
	}
	return nil
}

func (q *queue) begin(topic string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy[topic] || len(q.busy) >= workers {
		return false
	}
	q.busy[topic] = true
	return true
}

func (q *queue) end(topic string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, topic)
}

// try sends an event and notes what became of it. When that cannot be noted, it is sent again: at least once.
func (q *queue) try(ctx context.Context, o *world.Outgoing) {
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
			return
		}
	}
	res := q.send(ctx, o)
	if ctx.Err() != nil && res.err != nil {
		return // broken off
	}
	if res.err == nil {
		q.taken.Add(1)
	} else {
		q.failed.Add(1)
	}
	_, err := q.change(ctx, o.OutgoingKey, func(o *world.Outgoing, now int64) bool {
		o.Tries++
		switch {
		case res.err == nil:
			o.State, o.Error = world.OutgoingDone, ""
		case res.never || o.Tries >= maxTries:
			o.State, o.Error = world.OutgoingDead, clip(res.err.Error())
			q.log.Error("a webhook was given up; replayWebhookEvents sends it again", "kind", o.Kind, "topic", o.Topic, "seq", o.Seq, "tries", o.Tries, "error", res.err)
		default:
			o.Error, o.Due = clip(res.err.Error()), now+max(res.after, backoff(o.Tries)).Milliseconds()
		}
		return true
	})
	if err != nil && ctx.Err() == nil {
		q.log.Warn("what became of a webhook could not be noted; it is sent again", "error", err)
		<-time.After(lull)
	}
}

func clip(s string) string { return s[:min(len(s), 300)] }

// errUnchanged refuses a unit that has nothing to do.
var errUnchanged = errors.New("hook: nothing to change")

// locks is how many topics guard the events of all topics: enough that nodes seldom wait for each other.
const locks = 64

// change writes what became of an event, and reports whether there was something to write.
func (q *queue) change(ctx context.Context, k world.OutgoingKey, f func(o *world.Outgoing, now int64) bool) (bool, error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.Topic)) // it never fails
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
