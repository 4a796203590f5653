package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// journalWriter is a writer with a journal: commits are durable there, and applied to the database a little later.
type journalWriter struct {
	db      *DB
	load    *conn
	journal *journal
	apply   *applier
	ops     []operation
	sess    *sqldb.Session
}

// OpenWriter opens the writer of a server. Readers see its commits.
func (d *DB) OpenWriter(ctx context.Context) (sqldb.Writer, error) {
	if err := d.recover(ctx); err != nil { // the journal of a writer before
		return nil, err
	}
	last, err := applied(ctx, d.write)
	if err != nil {
		return nil, err
	}
	load, err := d.read.Conn(ctx)
	if err != nil {
		return nil, err
	}
	write, err := d.write.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, load.Close())
	}
	// the journal has the commits that a power cut takes from the database
	if _, err := write.ExecContext(ctx, "PRAGMA synchronous = "+d.journalSync()); err != nil {
		return nil, errors.Join(err, write.Close(), load.Close())
	}
	l := &journalWriter{db: d, load: newConn(d, load), journal: &journal{dir: d.dir, noSync: d.noSync, last: last}}
	l.apply = &applier{conn: newConn(d, write), broken: d.broken, log: d.log, retire: l.retire, aside: d.setAside,
		ended: make(chan struct{}), last: last, applied: last, changed: make(chan struct{})}
	l.sess = &sqldb.Session{Conn: l, Dialect: sqldb.Dialect{Fill: l.load.texts.fill, Index: indexPhrase,
		SingleWriter: true}}
	go l.apply.run()
	d.behind.Store(l.apply)
	return l, nil
}

func (d *DB) journalSync() string {
	if d.noSync {
		return "OFF"
	}
	return "NORMAL"
}

// sync returns the setting of connections without a journal.
func (d *DB) sync() string {
	if d.noSync {
		return "OFF"
	}
	return "FULL"
}

// Begin starts a batch.
func (l *journalWriter) Begin(context.Context) (*sqldb.Session, error) {
	l.ops = nil
	return l.sess, nil
}

// Query runs reads, and buffers writes.
func (l *journalWriter) Query(ctx context.Context, query string, args []any, scan func(sqldb.Row) error) error {
	if scan == nil {
		l.ops = append(l.ops, operation{text: query, values: args})
		return nil
	}
	return l.load.query(ctx, query, args, scan)
}

// BufferRows buffers rows.
func (l *journalWriter) BufferRows(template string, width int, rows []any) {
	l.ops = append(l.ops, operation{text: template, width: width, values: rows})
}

// Sync does nothing.
func (l *journalWriter) Sync(context.Context) error { return nil }

// Commit waits for the disk.
func (l *journalWriter) Commit(ctx context.Context) error {
	if len(l.ops) == 0 {
		return nil
	}
	if err := l.apply.room(ctx); err != nil {
		return err
	}
	size, err := l.journal.add(l.ops)
	if err != nil {
		return err
	}
	l.apply.push(entry{l.journal.last, l.ops, size})
	l.ops = nil
	return nil
}

// Rollback drops the batch.
func (l *journalWriter) Rollback(context.Context) error {
	l.ops = nil
	return nil
}

// Resolve is not called: a commit to a file is never in doubt.
func (l *journalWriter) Resolve(context.Context) (bool, error) { return false, nil }

// WaitApplied waits until all commits are applied.
func (l *journalWriter) WaitApplied(ctx context.Context) error { return l.apply.waitAll(ctx) }

// Close waits until all commits are applied, and removes the journal.
func (l *journalWriter) Close() error {
	l.apply.change(func() { l.apply.closing = true })
	<-l.apply.ended
	err := l.journal.end()
	if l.apply.applied != l.journal.last {
		err = errors.Join(err, fmt.Errorf("%w; the journal has them, and the next start applies them: %w", errBehind,
			l.apply.failed))
	} else {
		if err = errors.Join(err, l.retire(l.journal.last)); err == nil {
			for spare := l.journal.reuse(); spare != ""; spare = l.journal.reuse() {
				err = errors.Join(err, os.Remove(spare))
			}
		}
	}
	// other writers may get this connection
	_, syncErr := l.apply.conn.c.ExecContext(context.Background(), "PRAGMA synchronous = "+l.db.sync())
	return errors.Join(err, syncErr, l.load.close(), l.apply.conn.close())
}

// retire removes the files of the journal with applied entries only.
func (l *journalWriter) retire(applied uint64) error {
	if err := l.db.broken.err(); err != nil {
		return err // the next start needs them
	}
	done := l.journal.done(applied)
	if len(done) == 0 {
		return nil
	}
	if err := l.db.forceLog(); err != nil {
		l.journal.back(done)
		return err
	}
	for _, s := range done {
		if err := l.journal.release(s); err != nil {
			return err
		}
	}
	return nil
}

// applied reads the number of the last applied entry.
func applied(ctx context.Context, db *sql.DB) (uint64, error) {
	var text string
	err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'journal'").Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}

// recoverBatch limits the operations that are applied together when a database is opened.
const recoverBatch = 50_000

// recover applies the entries of the journal that the database lacks: the server before was killed.
func (d *DB) recover(ctx context.Context) (err error) {
	list, spare, err := segments(d.dir)
	for _, path := range spare {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil || len(list) == 0 {
		return err
	}
	last, err := applied(ctx, d.write)
	if err != nil {
		return fmt.Errorf("there is a journal, and the database does not have the number of its last applied entry: %w", err)
	}
	raw, err := d.write.Conn(ctx)
	if err != nil {
		return err
	}
	c := newConn(d, raw)
	defer func() { err = errors.Join(err, c.close()) }()
	from := last
	var found []entry
	var n int
	for i := range list {
		if err := list[i].read(func(number uint64, ops []operation) error {
			if number <= last {
				return nil
			}
			if number != last+1 {
				return fmt.Errorf("the journal has no entry %d before entry %d: a file before %s is missing or damaged", last+1,
					number, list[i].path)
			}
			last, n, found = number, n+len(ops), append(found, entry{number: number, ops: ops})
			if n < recoverBatch {
				return nil
			}
			err := c.applyAll(ctx, found, d.setAside)
			found, n = nil, 0
			return err
		}); err != nil {
			return err
		}
	}
	if len(found) > 0 {
		if err := c.applyAll(ctx, found, d.setAside); err != nil {
			return err
		}
	}
	if last > from {
		d.log.Info("journal applied", "commits", last-from)
	}
	if err := d.forceLog(); err != nil { // the server before may not have synced its last writes
		return err
	}
	for i := range list {
		if err := os.Remove(list[i].path); err != nil {
			return err
		}
	}
	return nil
}

// forceLog syncs SQLite's log. A checkpoint syncs the database itself.
func (d *DB) forceLog() error {
	if d.noSync {
		return nil
	}
	if err := syncFile(filepath.Join(d.dir, File+"-wal")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return d.broken.fail(err)
	}
	if err := syncFile(d.dir); err != nil { // SQLite ignores this error when it creates its log
		return d.broken.fail(err)
	}
	return nil
}

// setAside keeps a refused entry in a file of its own.
func (d *DB) setAside(e entry) error {
	j := &journal{dir: d.dir, noSync: d.noSync, last: e.number - 1, prefix: asidePrefix}
	_, err := j.add(e.ops)
	return errors.Join(err, j.end())
}
