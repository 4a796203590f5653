package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

func open(t *testing.T, dir string) *DB {
	t.Helper()
	d, err := Open(t.Context(), Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newWriter(t *testing.T, d *DB) *journalWriter {
	t.Helper()
	w, err := d.OpenWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return w.(*journalWriter)
}

const (
	upsert = "INSERT INTO meta (name, value) VALUES ?* ON CONFLICT (name) DO UPDATE SET value = excluded.value"
	insert = "INSERT INTO meta (name, value) VALUES ?*"
)

func commit(t *testing.T, l *journalWriter, template, name string) {
	t.Helper()
	sess, err := l.Begin(t.Context())
	if err == nil {
		err = sess.Write(t.Context(), template, 2, []any{name, "x"})
	}
	if err == nil {
		err = l.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// leave leaves a journal as a server does that is killed.
func leave(t *testing.T, dir string, last uint64, names ...string) {
	t.Helper()
	j := journal.New(journal.Options{Dir: dir, Last: last})
	for _, name := range names {
		if _, err := j.Add([]journal.Operation{{Text: insert, Width: 2, Values: []any{name, "x"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, d *DB, name string) (n int) {
	t.Helper()
	if err := d.Read(t.Context(), "SELECT count(*) FROM meta WHERE name = $1",
		func(row sqldb.Row) error { return row.Scan(&n) }, name); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDatabaseLocked stops a server while its database cannot be written. Readers get an error, the next writer
// continues at its position, with all acknowledged commits.
func TestDatabaseLocked(t *testing.T) {
	d := open(t, t.TempDir())
	l := newWriter(t, d)
	if err := l.apply.conn.query(t.Context(), "PRAGMA busy_timeout = 0", nil, nil); err != nil {
		t.Fatal(err)
	}
	other, err := d.read.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"PRAGMA query_only = 0", "BEGIN IMMEDIATE"} {
		if _, err := other.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, l, upsert, "first")
	if err := d.waitApplied(t.Context()); !errors.Is(err, errBehind) || d.Classify(err) != sqldb.Unavailable {
		t.Errorf("a reader was told: %v", err)
	}
	if err := l.Close(); !errors.Is(err, errBehind) {
		t.Errorf("the writer ended with: %v", err)
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	l = newWriter(t, d)
	commit(t, l, upsert, "second")
	if count(t, d, "first") != 1 || count(t, d, "second") != 1 {
		t.Error("what was acknowledged is not there")
	}
	if err := errors.Join(l.Close(), other.Close(), d.Close()); err != nil {
		t.Error(err)
	}
}

// TestFailedSync: after a failed fsync of the database the server ends, keeps the journal and SQLite's log, and the
// next server has all acknowledged commits.
func TestFailedSync(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	l := newWriter(t, d)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(context.Background()) }()
	commit(t, l, upsert, "first")
	if err := d.waitApplied(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = d.broken.fail(errors.New("input/output error"))
	if err := <-ended; !errors.Is(err, sqldb.ErrBroken) {
		t.Errorf("the database ended with: %v", err)
	}
	commit(t, l, upsert, "second") // the journal still works
	if err := l.Close(); !errors.Is(err, sqldb.ErrBroken) {
		t.Errorf("the writer ended with: %v", err)
	}
	if err := d.Close(); !errors.Is(err, sqldb.ErrBroken) {
		t.Errorf("the database was closed: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, journal.Prefix+"*"))
	if err != nil || len(left) != 1 {
		t.Fatalf("%d files of the journal are left, %v", len(left), err)
	}
	next := t.TempDir() // the process holds the lock of the old one
	for _, name := range []string{File, File + "-wal", filepath.Base(left[0])} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(next, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	n := open(t, next)
	if count(t, n, "first") != 1 || count(t, n, "second") != 1 {
		t.Error("an acknowledged commit is lost")
	}
	if err := errors.Join(n.Close(), d.read.Close(), d.write.Close(), d.lock.Close()); err != nil {
		t.Error(err)
	}
}

// TestSetAside commits what contradicts the database: it is kept in a file, and what comes before and after it is
// applied, by the server as by the next one.
func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	l := newWriter(t, d)
	for _, name := range []string{"a", "b", "a", "c"} {
		commit(t, l, insert, name)
	}
	if err := d.waitApplied(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if n := count(t, d, name); n != 1 {
			t.Errorf("%s is there %d times", name, n)
		}
	}
	aside, err := journal.Aside(dir)
	if err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %v, %v", aside, err)
	}
	if kept, err := journal.ReadAside(aside[0]); err != nil || len(kept) != 1 || kept[0].Values[0] != "a" {
		t.Errorf("it holds %v, %v", kept, err)
	}
	if err := errors.Join(l.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}

	if err := applyAside(t, dir); err != nil {
		t.Error(err)
	}
	leave(t, dir, 4, "d", "a", "e")
	d = open(t, dir)
	if count(t, d, "d") != 1 || count(t, d, "e") != 1 {
		t.Error("the next server did not apply what it could")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// applyAside applies a commit that was set aside: not over the row that exists, and when that is gone.
func applyAside(t *testing.T, dir string) error {
	t.Helper()
	for _, gone := range []bool{false, true} {
		if gone {
			d := open(t, dir)
			if _, err := d.write.ExecContext(t.Context(), "DELETE FROM meta WHERE name = 'a'"); err != nil {
				return err
			}
			if err := d.Close(); err != nil {
				return err
			}
		}
		list, err := ApplyAside(context.Background(), dir, false)
		if err != nil || len(list) != 1 || (list[0].Refused == nil) != gone {
			return fmt.Errorf("row gone %v: %+v, %w", gone, list, err)
		}
	}
	upsertAgain := []journal.Operation{{Text: upsert, Width: 2, Values: []any{"a", "y"}}}
	if err := journal.WriteAside(dir, 9, upsertAgain, false); err != nil {
		return err
	}
	for _, force := range []bool{false, true} {
		list, err := ApplyAside(context.Background(), dir, force)
		if err != nil || len(list) != 1 || (list[0].Refused == nil) != force {
			return fmt.Errorf("force %v: %+v, %w", force, list, err)
		}
	}
	return nil
}

// TestReadersOfAKilledServer opens a directory for reading that a killed server left with a journal.
func TestReadersOfAKilledServer(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	leave(t, dir, 0, "a")
	d, err := OpenExisting(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if count(t, d, "a") != 1 {
		t.Error("what was acknowledged is not there")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
