package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// rawClock reads the database's own clock, in milliseconds.
const rawClock = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

// clock reads the time, the same for all nodes: the database's clock with the correction that was stored when that
// clock was set. A correction decreases by 5 % of the time since then.
const clock = "(SELECT r.ms + coalesce((SELECT CASE WHEN c.ahead > 0 " +
	"THEN greatest(0, c.ahead - (r.ms - c.since) / 20) ELSE least(0, c.ahead + (r.ms - c.since) / 20) END " +
	"FROM (SELECT split_part(value, ' ', 1)::bigint AS ahead, split_part(value, ' ', 2)::bigint AS since " +
	"FROM meta WHERE name = 'clock') c), 0) FROM (SELECT " + rawClock + " AS ms) r)"

// writer is a connection that commits. It buffers statements until Sync sends them together: a batch costs two round
// trips, one that locks and loads, one that writes and commits.
//
// Each transaction begins by writing its number to the writer's own row, which it so locks until it ends. When the
// connection breaks during a commit, the next connection waits for that row, and reads there whether the commit took
// effect.
type writer struct {
	db    *DB
	id    string
	batch int64
	conn  *pgx.Conn // nil = not open
	sess  *sqldb.Session
	held  bool // the transaction has locked the writer's row

	queue  pgx.Batch
	scans  []func(sqldb.Row) error
	failed error // of a statement, after which this transaction sends no more
}

// OpenWriter makes one of the writers of a server.
func (d *DB) OpenWriter(ctx context.Context) (sqldb.Writer, error) { return d.OfflineWriter(ctx) }

// OfflineWriter makes a writer, which connects in Begin.
func (d *DB) OfflineWriter(context.Context) (sqldb.Writer, error) {
	w := &writer{db: d, id: uuid.NewString()}
	w.sess = &sqldb.Session{Conn: w, Dialect: sqldb.Dialect{
		ForUpdate: " FOR UPDATE", Clock: "SELECT " + clock, NoTimeout: long, LockNeedsRow: true, Fill: texts{}.fill,
		Index: indexPhrase,
	}}
	return w, nil
}

// open connects, when there is no connection, and creates the writer's row.
func (w *writer) open(ctx context.Context) error {
	if w.conn != nil && !w.conn.IsClosed() {
		return nil
	}
	conn, err := pgx.ConnectConfig(ctx, w.db.config.Copy())
	if err != nil {
		return &broken{err}
	}
	if err := w.db.stats.prepare(ctx, conn); err != nil {
		return errors.Join(&broken{err}, conn.Close(ctx))
	}
	if _, err := conn.Exec(ctx, "INSERT INTO writer (id, batch, at) VALUES ($1, 0, "+rawClock+
		") ON CONFLICT (id) DO NOTHING", w.id); err != nil {
		_ = conn.Close(ctx)
		return &broken{err}
	}
	w.conn = conn
	return nil
}

// Begin starts a transaction; nothing is sent before the first Sync.
func (w *writer) Begin(ctx context.Context) (*sqldb.Session, error) {
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	w.reset()
	w.batch++
	// the locks serialize it; each statement sees the commits of the holders before
	w.queue.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
	w.scans = append(w.scans, nil)
	if w.db.local != "" {
		w.queue.Queue(w.db.local)
		w.scans = append(w.scans, nil)
	}
	w.held = false
	return w.sess, w.Query(ctx, "UPDATE writer SET batch = $2, at = "+rawClock+" WHERE id = $1 RETURNING id",
		[]any{w.id, w.batch}, func(sqldb.Row) error {
			w.held = true
			return nil
		})
}

func (w *writer) reset() {
	w.queue, w.scans, w.failed = pgx.Batch{}, w.scans[:0], nil
}

// Query buffers a statement until Sync.
func (w *writer) Query(_ context.Context, query string, args []any, scan func(sqldb.Row) error) error {
	if w.failed != nil {
		return w.failed
	}
	w.queue.Queue(query, escaped(args)...)
	w.scans = append(w.scans, scan)
	return nil
}

// Sync sends the buffered statements and reads the results, in one round trip.
func (w *writer) Sync(ctx context.Context) error {
	if w.failed != nil || len(w.scans) == 0 {
		return w.failed
	}
	w.db.stats.trips.Add(1)
	queue := w.queue
	results := w.conn.SendBatch(ctx, &queue)
	var err error
	for i, scan := range w.scans {
		if err = take(results, scan); err != nil {
			err = fmt.Errorf("%.80s: %w", queue.QueuedQueries[i].SQL, err)
			break
		}
	}
	err = errors.Join(err, results.Close())
	w.queue, w.scans = pgx.Batch{}, w.scans[:0]
	if err == nil && !w.held { // it was idle for so long that its row was removed: the next connection creates it
		w.drop()
		err = &broken{errors.New("the row of this writer is gone")}
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == readOnly {
		w.drop() // the next connection finds the primary
	}
	if err != nil && (w.conn == nil || w.conn.IsClosed()) {
		err = &broken{err}
	}
	w.failed = err
	return err
}

func take(results pgx.BatchResults, scan func(sqldb.Row) error) error {
	if scan == nil {
		_, err := results.Exec()
		return err
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	return drain(rows, scan)
}

// Commit sends the rest of the statements with the commit.
func (w *writer) Commit(ctx context.Context) error {
	if w.failed != nil {
		return w.failed
	}
	w.queue.Queue("COMMIT")
	w.scans = append(w.scans, nil)
	err := w.Sync(ctx)
	var pg *pgconn.PgError
	if err == nil || errors.As(err, &pg) && !unknown(pg.Code) {
		return err
	}
	w.drop()
	return &sqldb.InDoubt{Cause: err}
}

// unknown reports whether an error code leaves the outcome of a commit open.
func unknown(code string) bool { return code == "40003" || code[:2] == "08" || code[:2] == "57" }

// Rollback rolls back. A connection that fails to is dropped, with the same effect.
func (w *writer) Rollback(ctx context.Context) error {
	sent := w.conn != nil && !w.conn.IsClosed()
	w.reset()
	if !sent {
		return nil
	}
	w.db.stats.trips.Add(1)
	if _, err := w.conn.Exec(ctx, "ROLLBACK"); err != nil {
		w.drop()
	}
	return nil
}

func (w *writer) drop() {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.conn.Close(ctx)
	w.conn = nil
}

// Resolve waits for the transaction in doubt to end, and reads in the writer's row whether it took effect. Its own
// commit is after that in the log, so that a standby with one of them has both.
func (w *writer) Resolve(ctx context.Context) (committed bool, err error) {
	defer func() {
		if err != nil {
			w.drop()
		}
	}()
	if err := w.open(ctx); err != nil {
		return false, err
	}
	err = pgx.BeginFunc(ctx, w.conn, func(tx pgx.Tx) error {
		var last int64
		if err := tx.QueryRow(ctx, "SELECT batch FROM writer WHERE id = $1 FOR UPDATE", w.id).Scan(&last); err != nil {
			return err
		}
		committed = last == w.batch
		_, err := tx.Exec(ctx, "UPDATE writer SET at = "+rawClock+" WHERE id = $1", w.id)
		return err
	})
	return committed, err
}

// WaitApplied does nothing: reads see all commits.
func (w *writer) WaitApplied(context.Context) error { return nil }

func (w *writer) Close() error {
	if w.conn == nil || w.conn.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = w.conn.Exec(ctx, "DELETE FROM writer WHERE id = $1", w.id) // otherwise Run removes it after a day
	w.drop()
	return nil
}
