// Package store owns durability and order: it runs units of work on topics, commits them in groups, and reads what was committed.
//
// It never decides and never announces: what a unit does is the engine's, and committed records are handed on as they are.
package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/world"
)

// Options are the choices for a store. The zero value works, in a directory of its own.
type Options struct {
	// Dir holds the SQLite database. Default: "beckon-data".
	Dir string
	// Now is the clock, in milliseconds. Change it only in tests. Default: the system's.
	Now func() int64
	// MaxBatch bounds how many units share one commit. Larger batches cost less per unit and make the first wait
	// for the last. Default: 256.
	MaxBatch int
	// Queue bounds how many units wait for a commit; when it is full, Do blocks. Default: 4096.
	Queue int
	// NoSync leaves out the fsync at each commit. For measuring what it costs, never for use. Default: false.
	NoSync bool
	// Retention is how long records are kept. Default: for ever.
	Retention time.Duration
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Unit is one piece of work on the world.
type Unit struct {
	Need world.Need
	// Decide looks at the world and puts what changes. An error refuses: nothing changes. It may be run again, and must
	// not block, keep the world, or do anything that cannot be repeated.
	Decide func(*world.World) error
	// Done is told once, after what was decided is durable. Units are told in the order in which they were decided, and
	// before any of the batch's records is announced. It must not block.
	Done func(error)

	sweep func(context.Context, *world.Session, int64) error // house-keeping in the same transaction
}

// Announcer is told of committed records, in the order of each topic, after all units of their batch were Done.
type Announcer func([]world.Record)

// Store is the durable state of a server.
type Store struct {
	opt      Options
	write    *sql.DB
	read     *sql.DB
	reads    statements
	dialect  world.Dialect
	epoch    string
	announce Announcer
	units    chan *Unit
	gate     sync.RWMutex
	shut     bool // under gate
	heads    headCache
	clock    clock
	longLog  atomic.Bool
}

// ErrClosed is the cause when the store is shutting down.
var ErrClosed = errors.New("store: closed")

// Open opens or creates the store. announce must be set before Run: use Announce.
func Open(ctx context.Context, opt Options) (*Store, error) {
	if opt.Dir == "" {
		opt.Dir = "beckon-data"
	}
	if opt.MaxBatch == 0 {
		opt.MaxBatch = 256
	}
	if opt.Queue == 0 {
		opt.Queue = 4096
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	s := &Store{opt: opt, units: make(chan *Unit, opt.Queue), announce: func([]world.Record) {}}
	s.clock.now = opt.Now
	if err := s.openSQLite(ctx); err != nil {
		return nil, err
	}
	if err := s.loadEpoch(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Announce sets who is told of committed records. Call it before Run.
func (s *Store) Announce(a Announcer) { s.announce = a }

// Epoch identifies this database: positions in its timelines mean nothing in another one.
func (s *Store) Epoch() string { return s.epoch }

// Now is the store's clock in milliseconds. It never goes back.
func (s *Store) Now() int64 { return s.clock.read() }

// Do queues a unit; the outcome comes through its Done. It blocks while the queue is full, and returns an error,
// without Done, only when the store is closing.
func (s *Store) Do(u *Unit) error {
	s.gate.RLock() // held while sending, so that closing waits for whoever is about to queue something
	defer s.gate.RUnlock()
	if s.shut {
		return ErrClosed
	}
	s.units <- u
	return nil
}

// Run commits units until ctx ends; then it finishes what is queued and returns.
func (s *Store) Run(ctx context.Context) error {
	sess, err := world.NewSession(context.Background(), s.write, s.dialect)
	if err != nil {
		return err
	}
	done := make(chan *batch, 2)
	var g errgroup.Group
	g.Go(func() error {
		for b := range done {
			b.finish(s.announce)
		}
		return nil
	})
	stopped, stop := context.WithCancel(context.Background())
	g.Go(func() error { return s.checkpoint(stopped) })
	s.commitLoop(ctx, sess, done)
	stop()
	close(done)
	return errors.Join(g.Wait(), sess.Close())
}

// commitLoop forms batches: what arrives while one is being committed is the next one.
func (s *Store) commitLoop(ctx context.Context, sess *world.Session, done chan<- *batch) {
	for {
		var first *Unit
		select {
		case first = <-s.units:
		case <-ctx.Done():
			s.drain(sess, done)
			return
		}
		done <- s.commit(sess, s.fill(first))
		s.restartLog(context.Background(), sess)
	}
}

// drain closes the queue and commits what is in it.
func (s *Store) drain(sess *world.Session, done chan<- *batch) {
	closed := make(chan struct{})
	go func() {
		s.gate.Lock()
		defer s.gate.Unlock()
		s.shut = true
		close(closed)
	}()
	for empty := false; !empty; {
		select {
		case u := <-s.units:
			done <- s.commit(sess, s.fill(u))
			continue
		case <-closed: // nobody queues any more
		}
		select {
		case u := <-s.units:
			done <- s.commit(sess, s.fill(u))
		default:
			empty = true
		}
	}
}

func (s *Store) fill(first *Unit) []*Unit {
	units := []*Unit{first}
	for len(units) < s.opt.MaxBatch {
		select {
		case u := <-s.units:
			units = append(units, u)
		default:
			return units
		}
	}
	return units
}

// Close releases the database. Run must have returned.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.write.Close())
}
