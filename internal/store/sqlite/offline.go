package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
	"github.com/beckon-im/beckon/internal/store/sqlite/pagesum"
)

// OpenExisting opens a database for reading only; a server may be using it. Of a directory that cannot be written, for
// example on a read-only medium, its server must have been stopped.
func OpenExisting(ctx context.Context, dir string) (*DB, error) {
	if err := exists(dir); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, File)
	url := fileURL(file) + readOnly
	if writable(dir) {
		if err := recoverIdle(ctx, dir); err != nil {
			return nil, fmt.Errorf("the database in %s: %w", dir, err)
		}
	} else {
		if err := stopped(dir); err != nil {
			return nil, err
		}
		url = fileURL(file) + "?immutable=1"
	}
	read, err := sql.Open("sqlite", url)
	if err != nil {
		return nil, err
	}
	if err := read.PingContext(ctx); err != nil {
		return nil, errors.Join(err, read.Close())
	}
	return &DB{write: read, read: read, dir: dir, log: slog.Default(), broken: newBrokenDisk()}, nil
}

// exists returns an error if a directory has no database.
func exists(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, File)); err != nil {
		return fmt.Errorf("there is no database in %s (does its server use PostgreSQL?): %w", dir, err)
	}
	return nil
}

// writable reports whether files can be created in a directory.
func writable(dir string) bool {
	f, err := os.CreateTemp(dir, ".writable-")
	if err != nil {
		return false
	}
	return errors.Join(f.Close(), os.Remove(f.Name())) == nil
}

// stopped returns an error if the server of a directory that cannot be written left work to its next start.
func stopped(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, journal.Prefix+"*"))
	if err != nil {
		return err
	}
	if info, err := os.Stat(filepath.Join(dir, logFile)); err == nil && info.Size() > 0 {
		left = append(left, logFile)
	}
	if len(left) > 0 {
		return fmt.Errorf("%s cannot be written, and its server did not stop cleanly (it left %s): copy the directory to "+
			"where it can be written", dir, filepath.Base(left[0]))
	}
	return nil
}

// recoverIdle verifies the files of a database and applies its journal, unless a server is running.
func recoverIdle(ctx context.Context, dir string) error {
	d, err := openOffline(ctx, dir)
	if errors.Is(err, errHeld) {
		return nil // its server applies it
	}
	if err != nil {
		return err
	}
	return d.Close()
}

// openOffline locks, recovers and verifies a database as it is, while no server runs.
func openOffline(ctx context.Context, dir string) (*DB, error) {
	d, err := openDamaged(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err = d.recover(ctx); err == nil {
		err = d.verifyPages(ctx)
	}
	if err = d.explain(err); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// openDamaged locks and opens a database without reading its journal.
func openDamaged(ctx context.Context, dir string) (*DB, error) {
	if err := exists(dir); err != nil {
		return nil, err
	}
	lock, err := hold(ctx, dir, 0)
	if err != nil {
		return nil, err
	}
	if err := checkFiles(ctx, dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d := &DB{lock: lock, dir: dir, log: slog.Default(), broken: newBrokenDisk()}
	file := filepath.Join(dir, File)
	vfs, err := d.openSums(ctx, file)
	if err == nil {
		d.write, err = sql.Open("sqlite", dsn(file, vfs, "secure_delete(1)"))
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.write.SetMaxOpenConns(1)
	d.read = d.write
	return d, nil
}

// InUse reports whether a server is using a directory.
func InUse(ctx context.Context, dir string) bool {
	l, err := hold(ctx, dir, 0)
	if err == nil {
		err = l.Close()
	}
	return errors.Is(err, errHeld)
}

// ExportPrefix begins the names of directories with a copy of the database that an export reads.
const ExportPrefix = ".beckon-export-"

// leftoverAge is the age at which the copy of an export is taken for that of a killed one.
const leftoverAge = 24 * time.Hour

// removeLeftovers removes the files of killed exports and compactions.
func removeLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		export := e.IsDir() && strings.HasPrefix(e.Name(), ExportPrefix) && time.Since(info.ModTime()) > leftoverAge
		if export || !e.IsDir() && strings.HasPrefix(e.Name(), File+"-compact") {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// backupPatience limits the time until the commits before a backup are in the database.
const backupPatience = time.Minute

// Backup writes a copy of a database, which a server may be using, into a directory. It has all commits that were
// acknowledged before the call.
func Backup(ctx context.Context, dir, to string) error {
	if err := recoverIdle(ctx, dir); err != nil {
		return fmt.Errorf("the database in %s: %w", dir, err)
	}
	path := filepath.Join(to, File)
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s exists; give an empty directory", path)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", fileURL(filepath.Join(dir, File))+readOnly)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := waitForJournal(ctx, db, dir); err != nil {
		return err
	}
	return copyInto(ctx, db, path)
}

// waitForJournal waits until the server has applied the journal's present entries to the database.
func waitForJournal(ctx context.Context, db *sql.DB, dir string) error {
	want, err := journal.Newest(dir)
	if err != nil {
		return err
	}
	for limit := time.Now().Add(backupPatience); ; {
		state, err := journalState(ctx, db)
		if err != nil || state.Applied >= want {
			return err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("the database has not had the commits of its journal for %v: see the server's log", backupPatience)
		}
		select {
		case <-time.After(applyEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// copyInto writes a compact copy of a database that needs no journal. Half a copy has another name.
func copyInto(ctx context.Context, db *sql.DB, path string) (err error) {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	if err := create(part); err != nil { // SQLite would create it readable for others
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO $1", part); err != nil {
		return err
	}
	to, err := sql.Open("sqlite", fileURL(part))
	if err != nil {
		return err
	}
	_, err = to.ExecContext(ctx, "UPDATE meta SET value = '0' WHERE name = 'journal_in_use'")
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if err := journal.SyncFile(part); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return journal.SyncFile(filepath.Dir(path))
}

// Compact rewrites a database without free space, so that its file gets as short as can be, and so that it gives space
// back by itself from then on. It needs as much space as the result has. No server may be using the directory. progress
// gets the bytes written so far.
func Compact(ctx context.Context, dir string, progress func(written int64)) (err error) {
	d, err := openOffline(ctx, dir)
	if err != nil {
		return fmt.Errorf("the database in %s: %w", dir, err)
	}
	file := filepath.Join(dir, File)
	compact := file + "-compact"
	watch, stop := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-tick.C:
				if info, err := os.Stat(compact + ".part"); err == nil {
					progress(info.Size())
				}
			case <-watch.Done():
				tick.Stop()
				return
			}
		}
	}()
	if err = os.Remove(compact); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err == nil {
		_, err = d.write.ExecContext(ctx, fmt.Sprintf("PRAGMA auto_vacuum = %d", incrementalVacuum)) // of the copy
	}
	if err == nil {
		err = copyInto(ctx, d.write, compact)
	}
	stop()
	<-told
	if err != nil {
		return errors.Join(err, d.Close())
	}
	lock := d.lock
	d.lock = nil
	if err := d.Close(); err != nil { // it empties the log, which must not be applied to the new file
		return errors.Join(err, lock.Close())
	}
	return errors.Join(replace(dir, compact), lock.Close())
}

// replace puts a compact copy in the place of a closed database. Its checksums are learned at the next start.
func replace(dir, compact string) error {
	file := filepath.Join(dir, File)
	if info, err := os.Stat(filepath.Join(dir, logFile)); err == nil && info.Size() > 0 {
		return errors.New("another program is reading the database; stop it and repeat")
	}
	for _, name := range []string{file + pagesum.Suffix, file + "-shm", file + "-wal"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := journal.SyncFile(dir); err != nil {
		return err
	}
	if err := os.Rename(compact, file); err != nil {
		return err
	}
	return journal.SyncFile(dir)
}
