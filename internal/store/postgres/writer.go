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

// clock reads the database's time in milliseconds: the same for all nodes.
const clock = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

// writer is a connection that commits. It keeps statements until Sync sends them together: a batch costs two round trips,
// one that locks and loads, one that writes and commits.
//
// Each transaction begins by numbering itself in the writer's own row, which it so holds until it ends. When the connection
// breaks while it commits, the next connection waits for that row, and reads there whether it took effect.
type writer struct {
	db    *DB
	id    string
	batch int64
	conn  *pgx.Conn // nil = to be opened
	sess  *sqldb.Session
	held  bool // the transaction holds the writer's row

	queue  pgx.Batch
	scans  []func(sqldb.Row) error
	failed error // of a statement, so that nothing more is sent in this transaction
}

// OpenWriter makes one of the writers of a server.
func (d *DB) OpenWriter(ctx context.Context) (sqldb.Writer, error) { return d.OfflineWriter(ctx) }

// OfflineWriter makes a writer; it connects when it begins.
func (d *DB) OfflineWriter(context.Context) (sqldb.Writer, error) {
	w := &writer{db: d, id: uuid.NewString()}
	w.sess = &sqldb.Session{Conn: w, Dialect: sqldb.Dialect{
		ForUpdate: " FOR UPDATE", Clock: "SELECT " + clock, NoTimeout: long, LockNeedsRow: true, Fill: texts{}.fill, Index: indexPhrase,
	}}
	return w, nil
}

// open connects, when there is no connection, and gives the writer its row.
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
	if _, err := conn.Exec(ctx, "INSERT INTO writer (id, batch, at) VALUES ($1, 0, "+clock+") ON CONFLICT (id) DO NOTHING", w.id); err != nil {
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
	w.queue.Queue("BEGIN ISOLATION LEVEL READ COMMITTED") // the locks make it serial; each statement sees what the holders before committed
	w.scans = append(w.scans, nil)
	w.held = false
	return w.sess, w.Query(ctx, "UPDATE writer SET batch = $2, at = "+clock+" WHERE id = $1 RETURNING id", []any{w.id, w.batch}, func(sqldb.Row) error {
		w.held = true
		return nil
	})
}

func (w *writer) reset() {
	w.queue, w.scans, w.failed = pgx.Batch{}, w.scans[:0], nil
}

// Query keeps a statement until Sync.
func (w *writer) Query(_ context.Context, query string, args []any, scan func(sqldb.Row) error) error {
	if w.failed != nil {
		return w.failed
	}
	w.queue.Queue(query, escaped(args)...)
	w.scans = append(w.scans, scan)
	return nil
}

// Sync sends what was kept and takes the results, in one round trip.
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
	if err == nil && !w.held { // it was silent for so long that its row was forgotten: the next connection makes it anew
		w.drop()
		err = &broken{errors.New("the row of this writer is gone")}
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == readOnly {
		w.drop() // the next connection finds the one that takes writes
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

// Commit sends what is left together with the commit.
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

// unknown lists the states that do not say whether a commit took effect.
func unknown(code string) bool { return code == "40003" || code[:2] == "08" || code[:2] == "57" }

// Rollback undoes what was sent. A connection that cannot is dropped, which does the same.
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

// Resolve waits for the transaction in doubt to end, and reads in the writer's row whether it took effect. What it then commits
// itself stands after it in the log, so that what keeps this one, such as a standby, keeps both.
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
		_, err := tx.Exec(ctx, "UPDATE writer SET at = "+clock+" WHERE id = $1", w.id)
		return err
	})
	return committed, err
}

// WaitApplied has nothing to wait for: what is committed is there.
func (w *writer) WaitApplied(context.Context) error { return nil }

func (w *writer) Close() error {
	if w.conn == nil || w.conn.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = w.conn.Exec(ctx, "DELETE FROM writer WHERE id = $1", w.id) // at the latest it is forgotten after a day
	w.drop()
	return nil
}
