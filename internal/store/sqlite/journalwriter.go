package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

// journalWriter is a writer with a journal: commits are durable there, and applied to the database a little later.
type journalWriter struct {
	db      *DB
	load    *conn
	journal *journal.Journal
	apply   *applier
	ops     []journal.Operation
	sess    *sqldb.Session
}

// OpenWriter opens the writer of a server. Readers see its commits.
func (d *DB) OpenWriter(ctx context.Context) (sqldb.Writer, error) {
	if err := d.recover(ctx); err != nil { // the journal of a writer before
		return nil, err
	}
	state, err := journalState(ctx, d.write)
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
	l := &journalWriter{db: d, load: newConn(d, load), journal: journal.New(journal.Options{Dir: d.dir, NoSync: d.noSync,
		Last: state.Applied, Cluster: state.Cluster})}
	l.apply = &applier{conn: newConn(d, write), broken: d.broken, log: d.log, retire: l.retire, aside: d.setAside,
		ended: make(chan struct{}), last: state.Applied, applied: state.Applied, changed: make(chan struct{})}
	l.sess = &sqldb.Session{Conn: l, Dialect: sqldb.Dialect{Fill: l.load.texts.fill, Index: indexPhrase,
		SingleWriter: true}}
	if err := l.begin(ctx, state.Cluster); err != nil {
		return nil, errors.Join(err, l.apply.conn.close(), l.load.close())
	}
	go l.apply.run()
	d.behind.Store(l.apply)
	d.journal.Store(l.journal)
	return l, nil
}

// begin creates the first segment of the journal, and then records in the database that there is one: from now on its
// absence is a loss.
func (l *journalWriter) begin(ctx context.Context, cluster string) error {
	if err := l.journal.Begin(); err != nil {
		return err
	}
	if err := writeIdentity(l.db.dir, cluster); err != nil {
		return err
	}
	return l.db.setInUse(ctx, l.apply.conn.c, true)
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
		l.ops = append(l.ops, journal.Operation{Text: query, Values: args})
		return nil
	}
	return l.load.query(ctx, query, args, scan)
}

// BufferRows buffers rows.
func (l *journalWriter) BufferRows(template string, width int, rows []any) {
	l.ops = append(l.ops, journal.Operation{Text: template, Width: width, Values: rows})
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
	if l.db.rotate.Swap(false) {
		if err := errors.Join(l.journal.RemoveSpare(), l.journal.Rotate()); err != nil {
			return err
		}
	}
	size, err := l.journal.Add(l.ops)
	if err != nil {
		return err
	}
	l.apply.push(entry{l.journal.Last(), l.ops, size})
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
	ctx := context.Background()
	l.apply.change(func() { l.apply.closing = true })
	<-l.apply.ended
	l.db.journal.Store(nil)
	err := l.journal.Close()
	if l.apply.applied != l.journal.Last() {
		err = errors.Join(err, fmt.Errorf("%w; the journal has them, and the next start applies them: %w", errBehind,
			l.apply.failed))
	} else if err == nil {
		err = l.remove(ctx)
	}
	// other writers may get this connection
	_, syncErr := l.apply.conn.c.ExecContext(ctx, "PRAGMA synchronous = "+l.db.sync())
	return errors.Join(err, syncErr, l.load.close(), l.apply.conn.close())
}

// remove ends the journal when the database has all of it.
func (l *journalWriter) remove(ctx context.Context) error {
	if err := l.db.broken.err(); err != nil {
		return err // the next start needs it
	}
	if err := l.db.setInUse(ctx, l.apply.conn.c, false); err != nil {
		return err
	}
	return errors.Join(l.journal.Retire(l.journal.Last()), l.journal.RemoveSpare())
}

// retire removes the segments that the database does not need any more: it has their entries itself, synced, so that
// damage of its log is no loss.
func (l *journalWriter) retire() error {
	if err := l.db.broken.err(); err != nil {
		return err // the next start needs them
	}
	return l.journal.Retire(l.db.durable.Load())
}
