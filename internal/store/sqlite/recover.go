package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

// journalState reads the state of the journal from the database; a database without tables has the zero state.
func journalState(ctx context.Context, db *sql.DB) (s journal.State, err error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return s, err
	}
	s, err = stateOn(ctx, c)
	return s, errors.Join(err, c.Close())
}

func stateOn(ctx context.Context, db *sql.Conn) (s journal.State, err error) {
	var tables int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name = 'meta'").Scan(&tables)
	if err != nil || tables == 0 {
		return s, err
	}
	rows, err := db.QueryContext(ctx, "SELECT name, value FROM meta")
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return s, err
		}
		switch name {
		case "house":
			s.Cluster = value
		case "journal", "journal_applied": // the first one until a program of this version has written
			if n, err := strconv.ParseUint(value, 10, 64); err == nil {
				s.Applied = max(s.Applied, n)
			} else if name == "journal_applied" {
				return s, err
			}
		case "journal_in_use":
			s.InUse = value == "1"
		}
	}
	return s, rows.Err()
}

// setInUse records durably whether the database has a journal. Before it is off, the database has everything itself, if
// no other program is reading it.
func (d *DB) setInUse(ctx context.Context, c *sql.Conn, on bool) error {
	value := "0"
	if on {
		value = "1"
	}
	if _, err := c.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ('journal_in_use', $1) ON CONFLICT (name) DO "+
		"UPDATE SET value = excluded.value", value); err != nil {
		return err
	}
	if state, err := stateOn(ctx, c); err != nil {
		return err
	} else if _, err := c.ExecContext(ctx, qApplied, strconv.FormatUint(state.Applied, 10)); err != nil {
		return err
	}
	if !on {
		if _, err := c.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); failedSync(err) {
			return d.broken.fail(err)
		} else if err != nil {
			return err
		}
	}
	return d.forceLog()
}

// recoverBatch limits the operations that are applied together when a database is opened.
const recoverBatch = 50_000

// recover applies the entries of the journal that the database lacks: the server before was killed.
func (d *DB) recover(ctx context.Context) (err error) {
	if err := journal.RemoveSpares(d.dir); err != nil {
		return err
	}
	state, err := journalState(ctx, d.write)
	if err != nil {
		return err
	}
	raw, err := d.write.Conn(ctx)
	if err != nil {
		return err
	}
	c := newConn(d, raw)
	defer func() { err = errors.Join(err, c.close()) }()
	found, err := d.applyJournal(ctx, c, state)
	if err != nil {
		return err
	}
	if found.Torn != "" {
		d.log.Warn("journal: unacknowledged partial entry dropped", "entry", found.Torn)
	}
	if found.Last > state.Applied {
		d.log.Info("journal applied", "commits", found.Last-state.Applied)
	}
	if len(found.Segments) == 0 {
		return nil
	}
	return d.removeJournal(ctx, raw, found)
}

// removeJournal removes the segments, which the database does not need any more.
func (d *DB) removeJournal(ctx context.Context, c *sql.Conn, found *journal.Found) error {
	if err := d.setInUse(ctx, c, false); err != nil { // it also syncs the last writes of the server before
		return err
	}
	for _, path := range found.Segments {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// applyJournal applies the entries that the database lacks; before a fault, too.
func (d *DB) applyJournal(ctx context.Context, c *conn, state journal.State) (*journal.Found, error) {
	var list []entry
	var n int
	apply := func() error {
		if len(list) == 0 {
			return nil
		}
		err := c.applyAll(ctx, list, d.setAside)
		list, n = nil, 0
		return err
	}
	found, err := journal.Read(d.dir, state, func(number uint64, ops []journal.Operation) error {
		if list, n = append(list, entry{number: number, ops: ops}), n+len(ops); n < recoverBatch {
			return nil
		}
		return apply()
	})
	var fault *journal.Fault
	if err == nil || errors.As(err, &fault) {
		err = errors.Join(err, apply())
	}
	return found, err
}

// forceLog syncs SQLite's log. A checkpoint syncs the database itself.
func (d *DB) forceLog() error {
	if d.noSync {
		return nil
	}
	if err := journal.SyncFile(filepath.Join(d.dir, File+"-wal")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return d.broken.fail(err)
	}
	if err := journal.SyncFile(d.dir); err != nil { // SQLite ignores this error when it creates its log
		return d.broken.fail(err)
	}
	return nil
}

// setAside keeps a refused entry in a file of its own.
func (d *DB) setAside(e entry) error { return journal.WriteAside(d.dir, e.number, e.ops, d.noSync) }

// Repair is the result of RepairJournal.
type Repair struct {
	Fault   string   // empty = the journal and the log were whole
	Lost    string   // which commits are lost; empty = none
	Moved   []string // the files that are out of use now
	Applied uint64   // number of the last commit that the database has
}

// RepairJournal puts a damaged log of SQLite out of use, applies the journal of a directory up to its first fault, and
// puts the rest out of use. No server may be using the directory.
func RepairJournal(ctx context.Context, dir string) (r *Repair, err error) {
	r = &Repair{}
	d, err := openDamaged(ctx, dir)
	var log *LogFault
	if errors.As(err, &log) {
		r.Fault = fmt.Sprintf("%s: %s", log.Path, log.Reason)
		if r.Moved, err = putLogAside(dir); err == nil {
			d, err = openDamaged(ctx, dir)
		}
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	state, err := journalState(ctx, d.write)
	if err != nil {
		return nil, err
	}
	raw, err := d.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := newConn(d, raw)
	defer func() { err = errors.Join(err, c.close()) }()
	found, err := d.applyJournal(ctx, c, state)
	if found != nil {
		r.Applied = found.Last
	}
	var fault *journal.Fault
	if !errors.As(err, &fault) {
		return r, err // the next start removes the journal
	}
	fault.Applied = found.Last
	r.Fault, r.Lost = strings.TrimPrefix(fmt.Sprintf("%s; %s: %s", r.Fault, fault.Path, fault.Reason), "; "), fault.Lost()
	moved, err := journal.PutAside(dir, fault)
	if err != nil {
		return nil, err
	}
	r.Moved = append(r.Moved, moved...)
	return r, d.removeJournal(ctx, raw, found)
}

// putLogAside puts SQLite's log out of use, with its index.
func putLogAside(dir string) ([]string, error) {
	to := journal.FreeName(filepath.Join(dir, journal.DamagedPrefix+logFile))
	if err := os.Rename(filepath.Join(dir, logFile), to); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(dir, File+"-shm")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return []string{to}, journal.SyncFile(dir)
}
