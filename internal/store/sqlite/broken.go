package sqlite

import (
	"errors"
	"fmt"
	"sync"

	driver "modernc.org/sqlite"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// brokenDisk remembers the first failed fsync of the database, its log, or its directory. The kernel may have dropped
// the pages that it could not write, so that another fsync would succeed without them: the process has to end, and the
// next start applies the journal and SQLite's log again.
type brokenDisk struct {
	once  sync.Once
	cause error
	ended chan struct{} // closed with the first failure
}

func newBrokenDisk() *brokenDisk { return &brokenDisk{ended: make(chan struct{})} }

// fail remembers an error, and returns it as one after which no commit is possible.
func (b *brokenDisk) fail(err error) error {
	b.once.Do(func() {
		b.cause = fmt.Errorf("%w: fsync failed: %w", sqldb.ErrBroken, err)
		close(b.ended)
	})
	return b.cause
}

// err returns the failure, or nil.
func (b *brokenDisk) err() error {
	select {
	case <-b.ended:
		return b.cause
	default:
		return nil
	}
}

// failedSync reports whether SQLite could not sync a file or a directory.
func failedSync(err error) bool {
	const fsync, dirFsync = 10 | 4<<8, 10 | 5<<8 // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC
	var e *driver.Error
	return errors.As(err, &e) && (e.Code() == fsync || e.Code() == dirFsync)
}
