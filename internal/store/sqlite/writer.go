package sqlite

import (
	"context"
	"strings"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// directWriter commits to the database without a journal, while no server runs.
type directWriter struct {
	c    *conn
	sess *sqldb.Session
}

// OfflineWriter opens the one connection that commits.
func (d *DB) OfflineWriter(ctx context.Context) (sqldb.Writer, error) {
	c, err := d.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &directWriter{c: newConn(d, c)}
	w.sess = &sqldb.Session{Conn: w, Dialect: sqldb.Dialect{Fill: w.c.texts.fill, Index: indexPhrase}}
	return w, nil
}

// Begin starts a transaction that will write.
func (w *directWriter) Begin(ctx context.Context) (*sqldb.Session, error) {
	return w.sess, w.sess.Exec(ctx, "BEGIN IMMEDIATE")
}

// Commit waits for the disk.
func (w *directWriter) Commit(ctx context.Context) error {
	if err := w.sess.Exec(ctx, "COMMIT"); err != nil {
		return err
	}
	return w.c.restartLog(ctx)
}

func (w *directWriter) Rollback(ctx context.Context) error { return w.sess.Exec(ctx, "ROLLBACK") }

// Resolve is not called: a commit to a file is never in doubt.
func (w *directWriter) Resolve(context.Context) (bool, error) { return false, nil }

// WaitApplied does nothing.
func (w *directWriter) WaitApplied(context.Context) error { return nil }

func (w *directWriter) Close() error { return w.c.close() }

// Query runs a statement at once.
func (w *directWriter) Query(ctx context.Context, query string, args []any, scan func(sqldb.Row) error) error {
	return w.c.query(ctx, query, args, scan)
}

// Sync does nothing: statements run at once.
func (w *directWriter) Sync(context.Context) error { return nil }

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

// texts caches generated statements.
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
