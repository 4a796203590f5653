// Package postgres implements the engine of PostgreSQL: connections, pipelined batches, the outcome of a broken commit,
// the search index. It uses only features that CockroachDB and YugabyteDB have too.
//
// It does not know the meaning of rows.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/beckon-im/beckon/internal/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options configures a database.
type Options struct {
	// of libpq: postgres://user@host1,host2/name?target_session_attrs=read-write; with pgbouncer=true through PgBouncer in
	// transaction mode
	URL     string
	Standby string // of standbys for ViewStandby and ReadStandby; empty = there are none
	Writers int    // connections that commit concurrently; 0 = 2
	NoSync  bool   // does not wait for the disk at each commit
	Schema  int64  // the version to migrate to; 0 = the latest. For tests of upgrades
	Log     *slog.Logger
}

// DB is a database that nodes may share.
type DB struct {
	config  *pgx.ConnConfig
	pool    *pgxpool.Pool
	standby *standby // nil = there is none
	local   string   // the statement that applies the settings to a transaction; empty = connections have them
	writers int
	log     *slog.Logger
	stats   *stats

	pings   connection // of its own, so that readers do not delay it
	members connection // so that commits that do not end do not delay it
}

// Open connects and brings the schema up to date.
func Open(ctx context.Context, opt Options) (*DB, error) {
	d, err := connect(ctx, opt)
	if err != nil {
		return nil, err
	}
	err = d.migrate(ctx, opt.Schema)
	if err == nil && opt.Standby != "" {
		err = d.openStandby(ctx, opt.Standby, opt.NoSync)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// OpenExisting connects for reading only.
func OpenExisting(ctx context.Context, url string) (*DB, error) {
	return connect(ctx, Options{URL: url, Log: slog.Default()})
}

func connect(ctx context.Context, opt Options) (*DB, error) {
	if opt.Writers == 0 {
		opt.Writers = 2
	}
	cfg, local, err := parsePrimary(opt.URL, opt.NoSync)
	if err != nil {
		return nil, err
	}
	d := &DB{writers: opt.Writers, log: opt.Log, stats: &stats{}, local: local}
	conn := cfg.ConnConfig
	conn.DialFunc = d.stats.dial
	prepare := apply(opt.NoSync)
	if local != "" {
		prepare = func(context.Context, *pgx.Conn) error { return nil }
	}
	cfg.AfterConnect = prepare
	cfg.HealthCheckPeriod = 5 * time.Second
	d.config = conn
	if d.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, err
	}
	if err := d.pool.Ping(ctx); err != nil {
		d.pool.Close()
		return nil, fmt.Errorf("PostgreSQL at %s:%d: %w", conn.Host, conn.Port, err)
	}
	d.stats.prepare = prepare
	return d, nil
}

// migrationFiles returns the directory of the migrations.
func migrationFiles() fs.FS {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is valid
	}
	return dir
}

// migrate migrates the schema; nodes that start together take turns.
func (d *DB) migrate(ctx context.Context, to int64) error {
	turns, err := lock.NewPostgresTableLocker(lock.WithTableLeaseDuration(30*time.Second),
		lock.WithTableHeartbeatInterval(5*time.Second), lock.WithTableLockTimeout(300*time.Millisecond, 400))
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(d.pool)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrationFiles(), goose.WithLocker(turns))
	if err == nil && to != 0 {
		_, err = p.UpTo(ctx, to)
		return err
	}
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx) // without the lock: a node that died with it delays the others for 30 s
	if err == nil {
		err = d.guard(ctx, have)
	}
	if err != nil {
		return err
	}
	if have < want {
		if _, err = p.Up(ctx); err == nil {
			err = d.noteVersion(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return d.SchemaFault(ctx)
}

// Writers returns the number of connections that commit concurrently.
func (d *DB) Writers() int { return d.writers }

// Shared returns true: other nodes may write.
func (d *DB) Shared() bool { return true }

// Classify reports whether a retry may help after an error.
func (d *DB) Classify(err error) sqldb.ErrorClass {
	var lost *broken
	var pg *pgconn.PgError
	var refused *pgconn.ConnectError
	var failed net.Error
	switch {
	case errors.As(err, &pg):
		return classify(pg.Code)
	case errors.As(err, &lost), errors.As(err, &refused), errors.As(err, &failed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err,
			net.ErrClosed):
		return sqldb.Unavailable
	}
	return sqldb.Permanent
}

// readOnly is the error code of a server that is, or has become, a standby.
const readOnly = "25006"

func classify(code string) sqldb.ErrorClass {
	switch code {
	case "23505": // another transaction created the row; a retry reads it
		return sqldb.Conflict
	// serialization, deadlock, outcome unknown, lock timeout, idle timeout
	case "40001", "40P01", "40003", "55P03", "25P03":
		return sqldb.Contention
	case readOnly, "53300", "55000": // a standby, too many connections, wrong state
		return sqldb.Unavailable
	}
	if class := code[:2]; class == "08" || class == "57" { // connections; an operator's intervention
		return sqldb.Unavailable
	}
	return sqldb.Permanent
}

// broken is the error of a lost connection.
type broken struct{ error }

func (b *broken) Unwrap() error { return b.error }

// readTime limits a read without a deadline, so that a network that drops all packets does not block its caller for
// long.
const readTime = 10 * time.Second

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, readTime)
}

// Read runs a query that sees all commits before it.
func (d *DB) Read(ctx context.Context, query string, scan func(sqldb.Row) error, args ...any) error {
	return read(ctx, d.pool, d.stats, query, scan, args)
}

// ReadIn runs a template for any number of keys.
func (d *DB) ReadIn(ctx context.Context, template string, keys []string, scan func(sqldb.Row) error) error {
	return read(ctx, d.pool, d.stats, inArray(template), scan, []any{keys})
}

var snapshot = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

// View runs f with a reader of one snapshot.
func (d *DB) View(ctx context.Context, f func(sqldb.Reader) error) error {
	until, atLength := ctx.Deadline()
	ctx, cancel := bounded(ctx)
	defer cancel()
	d.stats.trips.Add(2)
	return pgx.BeginTxFunc(ctx, d.pool, snapshot,
		func(tx pgx.Tx) error {
			if d.local != "" {
				if _, err := tx.Exec(ctx, d.local); err != nil {
					return err
				}
			}
			if atLength && time.Until(until) > 10*readTime { // an export; its receiver may be slow
				if _, err := tx.Exec(ctx, long); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL "+
					"enable_mergejoin = on"); err != nil {
					return err
				}
			}
			return f(view{tx, d.stats})
		})
}

// ReadAll runs queries in one snapshot and one round trip.
func (d *DB) ReadAll(ctx context.Context, list []sqldb.Query) (err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // after a failed transaction it closes the connection
	var queue pgx.Batch
	queue.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if d.local != "" {
		queue.Queue(d.local)
	}
	for _, q := range list {
		queue.Queue(q.Text, escaped(q.Args)...)
	}
	queue.Queue("COMMIT")
	d.stats.trips.Add(1)
	results := conn.SendBatch(ctx, &queue)
	defer func() { err = errors.Join(err, results.Close()) }()
	for range queue.Len() - len(list) - 1 {
		if err := take(results, nil); err != nil {
			return err
		}
	}
	for _, q := range list {
		if err := take(results, q.Scan); err != nil {
			return err
		}
	}
	return nil
}

// view reads through a transaction or a connection.
type view struct {
	tx    querier
	stats *stats
}

func (m view) Read(ctx context.Context, query string, scan func(sqldb.Row) error, args ...any) error {
	return read(ctx, m.tx, m.stats, query, scan, args)
}

func (m view) ReadIn(ctx context.Context, template string, keys []string, scan func(sqldb.Row) error) error {
	return read(ctx, m.tx, m.stats, inArray(template), scan, []any{keys})
}

type querier interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
}

func read(ctx context.Context, q querier, s *stats, query string, scan func(sqldb.Row) error, args []any) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s.trips.Add(1)
	rows, err := q.Query(ctx, query, escaped(args)...)
	if err != nil {
		return err
	}
	return drain(rows, scan)
}

// drain scans all rows, or until ErrStopScan.
func drain(rows pgx.Rows, scan func(sqldb.Row) error) error {
	defer rows.Close()
	r := row{rows}
	for rows.Next() {
		if err := scan(r); err != nil {
			if errors.Is(err, sqldb.ErrStopScan) {
				return nil
			}
			return err
		}
	}
	return rows.Err()
}

// Damage finds nothing: PostgreSQL checks its own pages.
func (d *DB) Damage(context.Context) ([]string, error) { return nil, nil }

// long allows a transaction to be idle.
const long = "SELECT set_config('idle_in_transaction_session_timeout', '0', true), set_config('tcp_user_timeout', " +
	"'0', true)"

// forgetWriters is the age in milliseconds at which the row of an idle writer is removed.
const forgetWriters = "86400000"

// Run removes the rows of dead writers every hour, until ctx ends.
func (d *DB) Run(ctx context.Context) error {
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		if _, err := d.pool.Exec(ctx, "DELETE FROM writer WHERE at < "+rawClock+" - "+forgetWriters); err != nil &&
			ctx.Err() == nil {
			d.log.Warn("removal of dead writers failed, retrying", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Close closes all connections.
func (d *DB) Close() error {
	d.pings.close()
	d.members.close()
	d.pool.Close()
	if d.standby != nil {
		d.standby.pool.Close()
	}
	return nil
}

// stats counts round trips and bytes.
type stats struct {
	trips, sent, received atomic.Int64
	prepare               func(context.Context, *pgx.Conn) error
}

// Stats returns the number of round trips, and the bytes in each direction.
func (d *DB) Stats() (trips, sent, received int64) {
	return d.stats.trips.Load(), d.stats.sent.Load(), d.stats.received.Load()
}

func (s *stats) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{KeepAlive: 5 * time.Second}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &counted{c, s}, nil
}

// counted is a connection that counts its bytes.
type counted struct {
	net.Conn
	s *stats
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.received.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.s.sent.Add(int64(n))
	return n, err
}
