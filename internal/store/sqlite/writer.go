package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/beckon-im/beckon/internal/world"
)

// writer is the connection that commits, with its prepared statements.
type writer struct {
	db    *DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	sess  *world.Session
}

// Writer opens the one connection that commits.
func (d *DB) Writer(ctx context.Context) (world.Writer, error) {
	conn, err := d.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{db: d, conn: conn, stmts: map[string]*sql.Stmt{}}
	texts := texts{}
	w.sess = &world.Session{Conn: w, Dialect: world.Dialect{Fill: texts.fill, Index: indexPhrase}}
	return w, nil
}

// Begin starts a transaction that will write.
func (w *writer) Begin(ctx context.Context) (*world.Session, error) {
	return w.sess, w.sess.Exec(ctx, "BEGIN IMMEDIATE")
}

// Commit waits for the disk.
func (w *writer) Commit(ctx context.Context) error {
	if err := w.sess.Exec(ctx, "COMMIT"); err != nil {
		return err
	}
	w.restartLog(ctx)
	return nil
}

func (w *writer) Rollback(ctx context.Context) error { return w.sess.Exec(ctx, "ROLLBACK") }

// Settle is never asked: a commit to a file is never in doubt.
func (w *writer) Settle(context.Context) (bool, error) { return false, nil }

func (w *writer) Close() error {
	for _, st := range w.stmts {
		_ = st.Close()
	}
	return w.conn.Close()
}

// Query runs a statement at once.
func (w *writer) Query(ctx context.Context, query string, args []any, scan func(world.Row) error) error {
	st, ok := w.stmts[query]
	if !ok {
		var err error
		if st, err = w.conn.PrepareContext(ctx, query); err != nil {
			return fmt.Errorf("prepare %s: %w", query, err)
		}
		w.stmts[query] = st
	}
	if scan == nil {
		if _, err := st.ExecContext(ctx, args...); err != nil {
			return fmt.Errorf("exec %.80s: %w", query, err)
		}
		return nil
	}
	rows, err := st.QueryContext(ctx, args...)
	if err == nil {
		err = drain(rows, scan)
	}
	if err != nil {
		return fmt.Errorf("query %.80s: %w", query, err)
	}
	return nil
}

// Sync has nothing to do: everything was done at once.
func (w *writer) Sync(context.Context) error { return nil }

// Statements for many rows or keys come in sizes 1 to 32, 64 and 128, so that a batch needs few of them and few are
// prepared.
const (
	exact = 32
	chunk = 128
)

// fit is the largest size of statement that n rows fill.
func fit(n int) int {
	switch {
	case n >= chunk:
		return chunk
	case n >= chunk/2:
		return chunk / 2
	}
	return min(n, exact)
}

// shape names a generated statement: its template and how many rows it has.
type shape struct {
	template string
	rows     int
}

// texts remembers generated statements.
type texts map[shape]string

// fill replaces the mark "?*" of a template by tuples of "?", which SQLite binds faster than numbers.
func (t texts) fill(template string, width int, values []any) (text string, args, rest []any) {
	n := fit(len(values) / width)
	k := shape{template, n}
	text, ok := t[k]
	if !ok {
		tuple := strings.TrimSuffix(strings.Repeat("?,", width), ",")
		if width > 1 {
			tuple = "(" + tuple + ")"
		}
		text = strings.Replace(template, "?*", strings.TrimSuffix(strings.Repeat(tuple+",", n), ","), 1)
		t[k] = text
	}
	return text, values[:n*width], values[n*width:]
}

// restartLog starts the log anew when it has grown long. Nearly all of it is moved already, so the writer waits little.
func (w *writer) restartLog(ctx context.Context) {
	if !w.db.longLog.Swap(false) {
		return
	}
	for _, q := range []string{"PRAGMA busy_timeout = 0", "PRAGMA wal_checkpoint(RESTART)", "PRAGMA busy_timeout = 10000"} { // it must not wait for whoever reads for long
		if err := w.sess.Query(ctx, q, nil, func(world.Row) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
			w.db.log.Warn("the log could not be started anew; it is tried again", "error", err)
		}
	}
}
