package sqlite

import (
	"context"
	"time"
)

// SQLite writes commits to a log, and a checkpoint moves them to the database. In the applier a checkpoint would delay
// the batches behind it; so another goroutine runs it, and the applier only restarts the log.
const (
	checkpointEvery = 500 * time.Millisecond
	maxLogFrames    = 16384 // 64 MiB; then the applier restarts the log
)

// Run moves commits to the database until ctx ends, or until an fsync fails.
func (d *DB) Run(ctx context.Context) error {
	conn, err := d.read.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(context.Background(), "PRAGMA query_only = 0"); err != nil {
		return err
	}
	t := time.NewTicker(checkpointEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.broken.ended:
			return d.broken.err()
		case <-t.C:
		}
		var busy, frames, moved int64
		err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &frames, &moved)
		if failedSync(err) {
			return d.broken.fail(err)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Warn("checkpoint failed, retrying", "error", err)
			continue
		}
		if frames > maxLogFrames {
			d.longLog.Store(true)
		}
	}
}
