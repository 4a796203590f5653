package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
)

// writer forms batches of the units in its queue and commits them one after another. One goroutine owns all fields.
type writer struct {
	s           *Store
	w           sqldb.Writer
	queue       chan *Unit
	stopping    bool      // the queue gets no more units
	gaveUp      bool      // the last batch was refused because the database could not be reached
	cached      *txn.Tx   // the transaction of the last batch, for a SingleWriter; nil = none
	broken      error     // why no commit is possible any more
	uncommitted batchMark // of the batch under way
	deferred    []*Unit   // for topics that they did not declare; first in the next batch
	large       []*Unit   // interrupted after a long load; each continues alone, with the rows that it has loaded
	yielded     bool      // others have had a batch since the last large unit
	deadline    time.Time // of the batch under way, with all its attempts
	since       *atomic.Int64
	compared    bool // the database's clock was compared with the store's for the batch under way
}

// largeAfter is the time that a unit takes by itself before it gives way to others when it needs more rows. An
// invitation of ten thousand members takes three batches of about 40 ms.
const largeAfter = 20 * time.Millisecond

// write commits the units of a queue until ctx ends, and then the rest of the queue, after shut is closed.
func (s *Store) write(ctx context.Context, fail func(), shut <-chan struct{}, queue chan *Unit,
	since *atomic.Int64) error {
	w, err := s.db.OpenWriter(context.Background())
	if err != nil {
		return err
	}
	done := make(chan *batch, 2)
	var g errgroup.Group
	g.Go(func() error {
		for b := range done {
			b.finish(s)
		}
		return nil
	})
	l := &writer{s: s, w: w, queue: queue, since: since}
	for units := l.next(ctx.Done()); units != nil; units = l.next(ctx.Done()) {
		if done <- l.commit(units); l.broken != nil {
			fail()
		}
	}
	l.stopping = true
	for units := l.next(shut); units != nil; units = l.next(shut) { // senders may still block on the queue
		done <- l.commit(units)
	}
	for units := l.rest(); len(units) > 0; units = l.rest() {
		done <- l.commit(units)
	}
	close(done)
	return errors.Join(l.broken, g.Wait(), w.Close())
}

// next waits for the next batch; nil when end comes first.
func (l *writer) next(end <-chan struct{}) []*Unit {
	if len(l.deferred) > 0 {
		return l.fill(nil)
	}
	if len(l.large) > 0 {
		return l.nextLarge()
	}
	select {
	case u := <-l.queue:
		return l.fill([]*Unit{u})
	case <-end:
		return nil
	}
}

// nextLarge returns a batch of waiting units and a large unit in turns.
func (l *writer) nextLarge() []*Unit {
	if !l.yielded {
		select {
		case u := <-l.queue:
			l.yielded = true
			return l.fill([]*Unit{u})
		default:
		}
	}
	l.yielded = false
	units := l.large[:1:1]
	l.large = l.large[1:]
	return units
}

// rest returns the remaining units after the queue was closed.
func (l *writer) rest() []*Unit {
	units := append(l.large, l.fill(nil)...)
	l.large = nil
	return units
}

// fill adds the deferred and the queued units to a batch. Units that arrive during a commit form the next batch.
func (l *writer) fill(units []*Unit) []*Unit {
	units = append(l.deferred, units...)
	l.deferred = nil
	for len(units) < l.s.opt.MaxBatch {
		select {
		case u := <-l.queue:
			units = append(units, u)
		default:
			return units
		}
	}
	return units
}
