package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var errHeld = errors.New("another server is using the data directory")

// lock holds a data directory for this process. It ends with the process, also after a crash.
type lock struct {
	file *sql.DB  // SQLite's lock on a file of its own, which earlier versions know
	dir  *os.File // nil where directories have no locks
}

// hold locks a directory, and waits for another process for a while.
func hold(ctx context.Context, dir string, patience time.Duration) (*lock, error) {
	db, err := sql.Open("sqlite", fileURL(filepath.Join(dir, "lock"))+
		fmt.Sprintf("?_pragma=busy_timeout(%d)", patience.Milliseconds()))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		if strings.Contains(err.Error(), "SQLITE_BUSY") {
			err = fmt.Errorf("%w %s: %w", errHeld, dir, err)
		} else {
			err = fmt.Errorf("the data directory %s cannot be locked: %w", dir, err)
		}
		return nil, errors.Join(err, db.Close())
	}
	f, err := lockDirectory(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), db.Close())
	}
	return &lock{file: db, dir: f}, nil
}

// Close ends the lock.
func (l *lock) Close() error {
	var err error
	if l.dir != nil { // first, for a process that waits for the file
		err = l.dir.Close()
	}
	return errors.Join(err, l.file.Close())
}
