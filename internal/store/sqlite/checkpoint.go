package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// SQLite writes commits to a log, and a checkpoint moves them to the database. In the applier a checkpoint would delay
// the batches behind it; so another goroutine runs it, and the applier only restarts the log.
const (
	checkpointEvery = 500 * time.Millisecond
	maxLogFrames    = 16384    // 64 MiB; then the applier restarts the log
	logLimit        = 64 << 20 // bytes that the log keeps when it is restarted, after a long read
	idleLog         = 4 << 20  // bytes of the log that are given back when there were no commits for idleAfter
	idleAfter       = 10 * time.Second
)

// Run moves commits to the database until ctx ends, or until an fsync fails.
func (d *DB) Run(ctx context.Context) error {
	conn, err := d.read.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(context.Background(), "PRAGMA query_only = 0; PRAGMA busy_timeout = 100"); err != nil {
		return err
	}
	if d.unverified {
		var behind sync.WaitGroup
		behind.Go(func() { d.verifyBehind(ctx) })
		defer behind.Wait()
	}
	t := time.NewTicker(checkpointEvery)
	defer t.Stop()
	told, idle := "", idleSince{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.broken.ended:
			return d.broken.err()
		case <-t.C:
		}
		mode := "PASSIVE"
		if idle.longer(d.applied(), idleAfter) && d.size(logFile) > idleLog {
			mode = "TRUNCATE"
		}
		if _, err := d.checkpoint(ctx, conn, mode); d.broken.err() != nil {
			return err
		} else if err != nil && ctx.Err() == nil {
			d.log.Warn("checkpoint failed, retrying", "error", err)
		}
		if err := d.shrink(ctx, conn); err != nil && ctx.Err() == nil {
			d.log.Warn("free pages not counted, retrying", "error", err)
		}
		if fault := d.pageFault(); fault != nil && fault.Error() != told {
			told = fault.Error()
			d.log.Error("database damaged", "error", fault)
		}
	}
}

// A deleted row leaves free space in the database. Much of it is given back to the file system, a little with each
// checkpoint; the rest is for new rows.
const (
	incrementalVacuum = 2                                // of PRAGMA auto_vacuum
	qGiveBack         = "PRAGMA incremental_vacuum(500)" // pages; 4 MB a second
	freePages         = 2048                             // 8 MiB that stay
	freePortion       = 10                               // a tenth of the database stays, too
)

// shrink asks the applier to give free pages back when there are many. Databases of earlier versions do so after beckon
// compact.
func (d *DB) shrink(ctx context.Context, conn *sql.Conn) error {
	a := d.behind.Load()
	if a == nil {
		return nil
	}
	var mode, free, pages int64
	for query, n := range map[string]*int64{"PRAGMA auto_vacuum": &mode, "PRAGMA freelist_count": &free,
		"PRAGMA page_count": &pages} {
		if err := conn.QueryRowContext(ctx, query).Scan(n); err != nil {
			return err
		}
	}
	if mode == incrementalVacuum && free > max(freePages, pages/freePortion) {
		a.change(func() { a.shrink = true })
	}
	return nil
}

// applied returns the number of the last entry of the journal that is in the database or its log.
func (d *DB) applied() uint64 {
	if a := d.behind.Load(); a != nil {
		return a.lastApplied()
	}
	return 0
}

// idleSince knows for how long a number has not changed.
type idleSince struct {
	number uint64
	since  time.Time
}

func (i *idleSince) longer(number uint64, limit time.Duration) bool {
	if i.since.IsZero() || number != i.number {
		i.number, i.since = number, time.Now()
	}
	return time.Since(i.since) > limit
}

// checkpoint moves commits to the database. It reports whether all of them are there now, and synced.
func (d *DB) checkpoint(ctx context.Context, conn *sql.Conn, mode string) (all bool, err error) {
	applied := d.applied()
	var busy, frames, moved int64
	err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &frames, &moved)
	if failedSync(err) {
		return false, d.broken.fail(err)
	}
	if err != nil {
		return false, err
	}
	if all = busy == 0 && frames == moved; all {
		d.durable.Store(max(applied, d.durable.Load()))
	}
	if frames > maxLogFrames {
		d.longLog.Store(true)
	}
	return all, nil
}
