// Package store owns durability and order: it runs units of work on topics, commits them in groups, and reads committed
// rows.
//
// It does not decide: units do. It passes committed records to an Announcer and does not deliver them.
package store

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"os"
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
	// Postgres is the URL of a PostgreSQL database, which nodes may share, instead of the one in Dir. Default: none.
	Postgres string
	// Standby is the URL of standby servers of Postgres, which serve history, search, the console and
	// exports. Default: none; the primary serves them.
	Standby string
	// Writers limits the connections that commit to PostgreSQL concurrently. More of them make smaller batches, which cost
	// more. Default: 2.
	Writers int
	// Now is the time in milliseconds, for tests that set it. With PostgreSQL its clock decides instead. Default: the wall
	// clock at the start, followed by the monotonic clock, which follows the wall clock slowly.
	Now func() int64
	// Wall is this machine's wall clock in milliseconds, for tests that set it. Default: the system's.
	Wall func() int64
	// MaxBatch limits the units of one commit. Larger batches cost less per unit and make the first unit wait for the
	// last. Default: 256.
	MaxBatch int
	// Queue limits the units that wait for a commit; when it is full, Submit blocks. Default: 4096.
	Queue int
	// CacheRows limits the rows that the SQLite writer caches across batches. Default: 65,536.
	CacheRows int
	// Patience limits the time until each unit is done while the database cannot be reached, or does not answer. Then
	// units are refused. Default: 15 s.
	Patience time.Duration
	// NoSync skips the fsync of each commit. For measurements only: a crash loses commits. Default: false.
	NoSync bool
	// CacheBytes limits the page caches of SQLite, in bytes. Default: 64 MiB for the writer and 16 MiB for each reader.
	CacheBytes int64
	// Schema is the version to which PostgreSQL is migrated, for tests of upgrades. Default: the latest.
	Schema int64
	// Tap returns the outbox events for the records of a batch, which are written with them. Default: none.
	Tap func(now int64, records []txn.Record) []txn.OutboxEvent
	// OnCommit is called for each committed batch, before its callers get their responses. It must not block or keep the
	// transaction. Default: none.
	OnCommit func(*txn.Tx)
	// Log receives errors and state changes for operators. Default: slog.Default().
	Log *slog.Logger
}

func (o *Options) fill() {
	o.Dir = cmp.Or(o.Dir, "beckon-data")
	o.MaxBatch, o.Queue, o.CacheRows = cmp.Or(o.MaxBatch, 256), cmp.Or(o.Queue, 4096), cmp.Or(o.CacheRows, 1<<16)
	o.Patience = cmp.Or(o.Patience, 15*time.Second)
	o.Log = cmp.Or(o.Log, slog.Default())
}

// backend is a database: SQLite or PostgreSQL.
type backend interface {
	sqldb.Reader
	// View runs f with a reader of one snapshot.
	View(ctx context.Context, f func(sqldb.Reader) error) error
	// ReadAll runs queries in one snapshot, sent together.
	ReadAll(ctx context.Context, list []sqldb.Query) error
	// OfflineWriter opens a connection that commits while no server runs.
	OfflineWriter(ctx context.Context) (sqldb.Writer, error)
	// OpenWriter opens one of the writers of a server; Writers is their number.
	OpenWriter(ctx context.Context) (sqldb.Writer, error)
	Writers() int
	// Shared reports whether other nodes write the same database.
	Shared() bool
	// Classify reports whether a retry may help after an error.
	Classify(err error) sqldb.ErrorClass
	// Search returns the query of messages with all words and one of the topics as a finder, before a number, with a
	// limit.
	Search(words, topics []string) (query, arg string)
	// SchemaFault describes how the schema differs from that of this program.
	SchemaFault(ctx context.Context) error
	// Damage lists the damage of the database itself.
	Damage(ctx context.Context) ([]string, error)
	// Run maintains the database until ctx ends.
	Run(ctx context.Context) error
	Close() error
}

// Unit is one piece of work in a batch.
type Unit struct {
	Reads txn.ReadSet
	// Decide reads the transaction and puts the changes. With an error nothing changes. It may run again, and must not
	// block, keep the transaction, or have other effects.
	Decide func(*txn.Tx) error
	// Done is called once, after the commit, in the order of decisions and before any record of the batch is announced. It
	// must not block.
	Done func(error)

	maintain func(context.Context, *sqldb.Session, *txn.Tx) error // maintenance in the same transaction
	tries    int                                                  // deferrals
	queued   time.Time
}

// Announcer receives committed records after all units of their batch were Done. Batches of different writers may
// arrive in another order than that of their commits.
type Announcer func([]txn.Record)

// Store is the durable state of a server.
type Store struct {
	opt       Options
	db        backend
	clusterID string
	epoch     string
	temporary string // directory of a copy that Close removes; empty = none
	announce  Announcer
	queues    []chan *Unit // one for each writer
	opened    time.Time
	since     []atomic.Int64 // by writer: when its commit under way began, in milliseconds since opened; 0 = there is none
	gate      sync.RWMutex
	shut      bool // under gate
	heads     headCache

	unanswered  unanswered
	clock       clock.Clock
	shared      sharedClock // nil on SQLite
	clockMu     sync.Mutex  // one correction at a time
	corrected   correction  // the last one of this node; under clockMu
	unstored    int64       // the step without a stored correction, in milliseconds; under clockMu
	gaveUp      atomic.Bool // the last commit timed out because the database could not be reached
	unreachable atomic.Bool // the last pings failed
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
		s.db, err = sqlite.Open(ctx, sqlite.Options{Dir: opt.Dir, NoSync: opt.NoSync, CacheBytes: opt.CacheBytes,
			Reads: queries.Reads(), Log: opt.Log})
	} else {
		s.db, err = postgres.Open(ctx, postgres.Options{URL: opt.Postgres, Standby: opt.Standby, Writers: opt.Writers,
			NoSync: opt.NoSync, Schema: opt.Schema, Log: opt.Log})
	}
	if err != nil {
		return nil, err
	}
	s.heads.off = s.db.Shared()
	s.shared, _ = s.db.(sharedClock)
	if err := s.startClock(ctx); err != nil { // before the first use of the clock
		return nil, errors.Join(err, s.db.Close())
	}
	s.queues, s.since, s.opened = make([]chan *Unit, s.db.Writers()), make([]atomic.Int64, s.db.Writers()), time.Now()
	for i := range s.queues {
		s.queues[i] = make(chan *Unit, opt.Queue/len(s.queues))
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

// CheckURLs reports whether the addresses of a PostgreSQL database and of its standby are valid; empty = none.
func CheckURLs(primary, standby string) error { return postgres.CheckURLs(primary, standby) }

// Announce sets the receiver of committed records. Call it before Run.
func (s *Store) Announce(a Announcer) { s.announce = a }

// Epoch identifies this database: positions in its timelines are not valid in another one.
func (s *Store) Epoch() string { return s.epoch }

// ClusterID identifies this database to its nodes. Unlike the epoch it is not part of an export.
func (s *Store) ClusterID() string { return s.clusterID }

// Shared reports whether other nodes write the same database.
func (s *Store) Shared() bool { return s.db.Shared() }

// Register returns the list of the nodes that share the database; nil = nodes do not share it.
func (s *Store) Register() *postgres.DB {
	d, _ := s.db.(*postgres.DB)
	return d
}

// Reachable reports whether the last attempt to reach the database succeeded.
func (s *Store) Reachable() bool { return !s.gaveUp.Load() && !s.unreachable.Load() }

// CommitAge returns the age of the oldest commit under way; 0 when there is none.
func (s *Store) CommitAge() (age time.Duration) {
	now := time.Since(s.opened).Milliseconds()
	for i := range s.since {
		if since := s.since[i].Load(); since > 0 {
			age = max(age, time.Duration(now-since)*time.Millisecond)
		}
	}
	return age
}

// Stats holds counters since the store was opened.
type Stats struct {
	Batches, Units        int64
	Trips, Sent, Received int64 // round trips to a database over the network, and bytes in each direction
	// reads that a standby served, or the primary because it was behind, or because it could not be read
	Standby, StandbyBehind, StandbyFailed int64
}

// Stats returns the counters since the store was opened.
func (s *Store) Stats() Stats {
	st := Stats{Batches: s.batches.Load(), Units: s.done.Load()}
	if far, ok := s.db.(interface{ Stats() (int64, int64, int64) }); ok {
		st.Trips, st.Sent, st.Received = far.Stats()
	}
	if d, ok := s.db.(*postgres.DB); ok {
		st.Standby, st.StandbyBehind, st.StandbyFailed = d.StandbyReads()
	}
	return st
}

// FileStats describes the files of SQLite.
type FileStats = sqlite.FileStats

// Files describes the files of SQLite; ok is false on PostgreSQL.
func (s *Store) Files() (stats FileStats, ok bool) {
	d, ok := s.db.(*sqlite.DB)
	if ok {
		stats = d.Files()
	}
	return stats, ok
}

const (
	pingEvery   = time.Second
	pingTime    = 2 * time.Second
	pingsMissed = 2 // failed pings in a row after which the database counts as unreachable
)

// watch pings a database over the network and sets the clock by it, until ctx ends.
func (s *Store) watch(ctx context.Context) error {
	if !s.Shared() {
		return nil
	}
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for missed, refused := 0, 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := s.ping(ctx); err != nil {
			if missed++; missed == pingsMissed && ctx.Err() == nil {
				s.unreachable.Store(true)
				s.opt.Log.Warn("database unreachable", "error", err)
			}
			continue
		}
		missed = 0
		if err := s.noteTime(ctx); err != nil {
			if refused++; refused == pingsMissed && ctx.Err() == nil {
				s.gaveUp.Store(true)
				s.opt.Log.Warn("database takes no commits", "error", err)
			}
			continue
		}
		refused = 0
		if gaveUp, unreachable := s.gaveUp.Swap(false), s.unreachable.Swap(false); gaveUp || unreachable {
			s.opt.Log.Info("database reachable again")
		}
	}
}

// Submit queues a unit; Done gets the result. It blocks while the queue is full, and returns an error, without
// Done, only when the store is closing.
func (s *Store) Submit(u *Unit) error {
	s.gate.RLock() // held while sending, so that closing waits for senders
	defer s.gate.RUnlock()
	if s.shut {
		return ErrClosed
	}
	u.queued = time.Now()
	s.queues[s.shard(u)] <- u
	return nil
}

// Backlog returns the load of the fullest queue, from 0 to 1.
func (s *Store) Backlog() (most float64) {
	for _, q := range s.queues {
		most = max(most, float64(len(q))/float64(cap(q)))
	}
	return most
}

// shard returns the index of a unit's writer: the same for units with the same first topic.
func (s *Store) shard(u *Unit) int {
	if len(s.queues) == 1 || len(u.Reads.Topics) == 0 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(u.Reads.Topics[0]))
	return int(h.Sum32() % uint32(len(s.queues)))
}

// Run commits units until ctx ends; then it commits the queued units and returns.
func (s *Store) Run(ctx context.Context) error {
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	stopped, stop := context.WithCancel(context.Background())
	defer stop()
	var g, writers errgroup.Group
	g.Go(func() error {
		err := s.db.Run(stopped)
		if err != nil {
			fail() // until the next start, a power cut may lose pages of the database
		}
		return err
	})
	g.Go(func() error { return s.watch(stopped) })
	shut := make(chan struct{})
	g.Go(func() error {
		<-ctx.Done()
		s.gate.Lock()
		defer s.gate.Unlock()
		s.shut = true
		close(shut)
		return nil
	})
	for i, queue := range s.queues {
		writers.Go(func() error {
			err := s.write(ctx, fail, shut, queue, &s.since[i])
			if err != nil {
				fail() // the topics of this writer cannot be committed any more
			}
			return err
		})
	}
	err := writers.Wait()
	stop()
	return errors.Join(err, g.Wait())
}

// Close releases the database. Run must have returned.
func (s *Store) Close() error {
	err := s.db.Close()
	if s.temporary != "" {
		err = errors.Join(err, os.RemoveAll(s.temporary))
	}
	return err
}
