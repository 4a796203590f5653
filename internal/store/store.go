// Package store owns durability and order: it runs units of work on topics, commits them in groups, and reads what was committed.
//
// It never decides and never announces: what a unit does is the engine's, and committed records are handed on as they are.
package store

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/clock"
	"github.com/beckon-im/beckon/internal/store/postgres"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/store/sqlite"
	"github.com/beckon-im/beckon/internal/txn"
)

// Options are the choices for a store. The zero value works, in a directory of its own.
type Options struct {
	// Dir holds the SQLite database. Default: "beckon-data".
	Dir string
	// Postgres is the address of a PostgreSQL database, which many nodes may share, instead of the one in Dir. Default: none.
	Postgres string
	// Writers bounds the connections that commit to PostgreSQL side by side. With more, batches are smaller and cost more. Default: 2.
	Writers int
	// Now is this machine's clock, in milliseconds. Change it only in tests. Default: the system's. With PostgreSQL its
	// clock decides, whatever this one says.
	Now func() int64
	// MaxBatch bounds how many units share one commit. Larger batches cost less per unit and make the first wait
	// for the last. Default: 256.
	MaxBatch int
	// Queue bounds how many units wait for a commit; when it is full, Do blocks. Default: 4096.
	Queue int
	// CacheRows bounds the rows that the writer to SQLite keeps in mind from one batch to the next. Default: 65,536.
	CacheRows int
	// Patience is how long a commit is tried again when the database cannot be reached. Then its units are refused.
	// Default: 15 s.
	Patience time.Duration
	// NoSync leaves out the fsync at each commit. For measuring what it costs, never for use. Default: false.
	NoSync bool
	// CacheBytes limits the page caches of SQLite, in bytes. Default: 64 MiB for the writer and 16 MiB for each reader.
	CacheBytes int64
	// Schema is the version to which PostgreSQL is brought, for tests of upgrades. Default: the latest.
	Schema int64
	// Retention is how long records are kept. Default: for ever.
	Retention time.Duration
	// Tap says which events leave the house with the records of a batch, in the same commit. Default: none.
	Tap func(now int64, records []txn.Record) []txn.OutboxEvent
	// OnCommit is told of each batch that was committed, before anybody is answered. It must not block, or keep the world.
	// Default: nobody is.
	OnCommit func(*txn.Tx)
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

func (o *Options) fill() {
	o.Dir = cmp.Or(o.Dir, "beckon-data")
	o.MaxBatch, o.Queue, o.CacheRows = cmp.Or(o.MaxBatch, 256), cmp.Or(o.Queue, 4096), cmp.Or(o.CacheRows, 1<<16)
	o.Patience = cmp.Or(o.Patience, 15*time.Second)
	o.Log = cmp.Or(o.Log, slog.Default())
}

// backend is a database: what differs between SQLite and PostgreSQL is behind it.
type backend interface {
	sqldb.Reader
	// View runs f so that all it reads is of one moment.
	View(ctx context.Context, f func(sqldb.Reader) error) error
	// OfflineWriter opens a connection that commits, when no server runs here.
	OfflineWriter(ctx context.Context) (sqldb.Writer, error)
	// OpenWriter opens one of the writers of a server; Writers is how many there may be.
	OpenWriter(ctx context.Context) (sqldb.Writer, error)
	Writers() int
	// Shared reports whether other nodes write the same database.
	Shared() bool
	// Ping reads the clock of a shared database that takes writes.
	Ping(ctx context.Context) (now int64, err error)
	// Classify says what may help after a failure.
	Classify(err error) sqldb.ErrorClass
	// Search is the query for all words, in what one of the topics finds, before a number, and up to a limit.
	Search(words, topics []string) (query, arg string)
	// Damage says what is damaged in the database itself.
	Damage(ctx context.Context) ([]string, error)
	// Run keeps the database in order until ctx ends.
	Run(ctx context.Context) error
	Close() error
}

// Unit is one piece of work on the world.
type Unit struct {
	Reads txn.ReadSet
	// Decide looks at the world and puts what changes. An error refuses: nothing changes. It may be run again, and must
	// not block, keep the world, or do anything that cannot be repeated.
	Decide func(*txn.Tx) error
	// Done is told once, after what was decided is durable. Units are told in the order in which they were decided, and
	// before any of the batch's records is announced. It must not block.
	Done func(error)

	maintain func(context.Context, *sqldb.Session, int64) error // house-keeping in the same transaction
	tries    int                                                // how often it was put off for topics that it did not declare
}

// Announcer is told of committed records after all units of their batch were Done. Batches of different writers may be
// told in another order than that of their commits.
type Announcer func([]txn.Record)

// Store is the durable state of a server.
type Store struct {
	opt       Options
	db        backend
	clusterID string
	epoch     string
	announce  Announcer
	queues    []chan *Unit // one for each writer
	gate      sync.RWMutex
	shut      bool // under gate
	heads     headCache

	unanswered  unanswered
	clock       clock.Clock
	gaveUp      atomic.Bool // a commit gave up trying to reach the database
	unreachable atomic.Bool // the database did not answer when it was last asked
	batches     atomic.Int64
	done        atomic.Int64
}

// ErrClosed is the cause when the store is shutting down.
var ErrClosed = errors.New("store: closed")

// Open opens or creates the store. announce must be set before Run: use Announce.
func Open(ctx context.Context, opt Options) (*Store, error) {
	opt.fill()
	s := &Store{opt: opt, announce: func([]txn.Record) {}}
	var err error
	if opt.Postgres == "" {
		s.db, err = sqlite.Open(ctx, sqlite.Options{Dir: opt.Dir, NoSync: opt.NoSync, CacheBytes: opt.CacheBytes, Reads: queries.Reads(), Log: opt.Log})
	} else {
		s.db, err = postgres.Open(ctx, postgres.Options{URL: opt.Postgres, Writers: opt.Writers, NoSync: opt.NoSync, Schema: opt.Schema, Log: opt.Log})
	}
	if err != nil {
		return nil, err
	}
	s.heads.off = s.db.Shared()
	s.clock.Start(opt.Now, s.db.Shared())
	s.queues = make([]chan *Unit, s.db.Writers())
	for i := range s.queues {
		s.queues[i] = make(chan *Unit, opt.Queue/len(s.queues))
	}
	if s.Shared() {
		if err := s.ping(ctx); err != nil { // before anybody asks what time it is
			return nil, errors.Join(err, s.db.Close())
		}
	}
	if s.clusterID, err = s.Remember(ctx, "house", newEpoch()); err == nil {
		s.epoch, err = s.Remember(ctx, epochName, newEpoch())
	}
	if err == nil {
		err = s.checkComplete(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// Announce sets who is told of committed records. Call it before Run.
func (s *Store) Announce(a Announcer) { s.announce = a }

// Epoch identifies this database: positions in its timelines mean nothing in another one.
func (s *Store) Epoch() string { return s.epoch }

// ClusterID identifies this database to its nodes. Unlike the epoch it does not travel with an export.
func (s *Store) ClusterID() string { return s.clusterID }

// Shared reports whether other nodes write the same database.
func (s *Store) Shared() bool { return s.db.Shared() }

// Reachable reports whether the database could be reached when it was last tried.
func (s *Store) Reachable() bool { return !s.gaveUp.Load() && !s.unreachable.Load() }

// Stats are counts since the store was opened.
type Stats struct {
	Batches, Units        int64
	Trips, Sent, Received int64 // how often a database over the network was asked and answered, and bytes there and back
}

// Stats returns counts since the store was opened.
func (s *Store) Stats() Stats {
	st := Stats{Batches: s.batches.Load(), Units: s.done.Load()}
	if far, ok := s.db.(interface{ Stats() (int64, int64, int64) }); ok {
		st.Trips, st.Sent, st.Received = far.Stats()
	}
	return st
}

const (
	pingEvery   = time.Second
	pingTime    = 2 * time.Second
	pingsMissed = 2 // beats in a row that are missed until the database is away
)

// watch feels the pulse of a database over the network, and sets the clock by it, until ctx ends.
func (s *Store) watch(ctx context.Context) error {
	if !s.Shared() {
		return nil
	}
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for missed := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := s.ping(ctx); err != nil {
			if missed++; missed == pingsMissed && ctx.Err() == nil {
				s.unreachable.Store(true)
				s.opt.Log.Warn("the database does not answer", "error", err)
			}
			continue
		}
		missed = 0
		if s.gaveUp.Swap(false) || s.unreachable.Swap(false) {
			s.unreachable.Store(false)
			s.opt.Log.Info("the database is reached again")
		}
	}
}

func (s *Store) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	now, err := s.db.Ping(ctx)
	if err == nil {
		s.clock.Sync(now)
	}
	return err
}

// Now is the store's clock in milliseconds. It never goes back.
func (s *Store) Now() int64 { return s.clock.Read() }

// Submit queues a unit; the outcome comes through its Done. It blocks while the queue is full, and returns an error,
// without Done, only when the store is closing.
func (s *Store) Submit(u *Unit) error {
	s.gate.RLock() // held while sending, so that closing waits for whoever is about to queue something
	defer s.gate.RUnlock()
	if s.shut {
		return ErrClosed
	}
	s.queues[s.shard(u)] <- u
	return nil
}

// Backlog says how full the fullest queue is, from 0 to 1.
func (s *Store) Backlog() (most float64) {
	for _, q := range s.queues {
		most = max(most, float64(len(q))/float64(cap(q)))
	}
	return most
}

// shard picks the writer of a unit: the same for all that begin with the same topic.
func (s *Store) shard(u *Unit) int {
	if len(s.queues) == 1 || len(u.Reads.Topics) == 0 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(u.Reads.Topics[0]))
	return int(h.Sum32() % uint32(len(s.queues)))
}

// Run commits units until ctx ends; then it finishes what is queued and returns.
func (s *Store) Run(ctx context.Context) error {
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	stopped, stop := context.WithCancel(context.Background())
	defer stop()
	var g, writers errgroup.Group
	g.Go(func() error { return s.db.Run(stopped) })
	g.Go(func() error { return s.watch(stopped) })
	g.Go(func() error { return s.applyRetention(ctx) })
	shut := make(chan struct{})
	g.Go(func() error {
		<-ctx.Done()
		s.gate.Lock()
		defer s.gate.Unlock()
		s.shut = true
		close(shut)
		return nil
	})
	for _, queue := range s.queues {
		writers.Go(func() error {
			err := s.write(ctx, fail, shut, queue)
			if err != nil {
				fail() // without one of its writers the store is none
			}
			return err
		})
	}
	err := writers.Wait()
	stop()
	return errors.Join(err, g.Wait())
}

// Close releases the database. Run must have returned.
func (s *Store) Close() error { return s.db.Close() }
