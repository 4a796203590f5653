package store

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
)

// writer is one writer with its queue: it forms batches and commits them one after another.
type writer struct {
	s           *Store
	w           sqldb.Writer
	queue       chan *Unit
	stopping    bool      // nothing new is coming
	gaveUp      bool      // the last batch was given up because the database could not be reached
	cached      *txn.Tx   // what a lasting world knows; nil = nothing
	broken      error     // nothing can be committed any more
	uncommitted batchMark // of the batch that is being committed
	deferred    []*Unit   // put off for topics that they did not declare; they go first into the next batch
}

// write commits what comes in a queue until ctx ends, and then what is left in it, once nobody queues any more.
func (s *Store) write(ctx context.Context, fail func(), shut <-chan struct{}, queue chan *Unit) error {
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
	l := &writer{s: s, w: w, queue: queue}
	for units := l.next(ctx.Done()); units != nil; units = l.next(ctx.Done()) {
		if done <- l.commit(units); l.broken != nil {
			fail()
		}
	}
	l.stopping = true
	for units := l.next(shut); units != nil; units = l.next(shut) { // whoever is queueing still is taken from
		done <- l.commit(units)
	}
	for units := l.fill(nil); len(units) > 0; units = l.fill(nil) {
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
	select {
	case u := <-l.queue:
		return l.fill([]*Unit{u})
	case <-end:
		return nil
	}
}

// fill adds to a batch what was put off, and what has arrived: what comes while one batch is committed is the next one.
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
