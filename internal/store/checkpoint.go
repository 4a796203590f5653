package store

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/internal/world"
)

// SQLite writes commits to a log and moves them to the database now and then. Done by the writer, that move stops the
// commits behind it for as long as it takes; so it is done beside the writer, who only starts the log anew.
const (
	checkpointEvery = 500 * time.Millisecond
	maxLogFrames    = 16384 // 64 MiB; then the writer starts the log anew
)

// checkpoint moves commits to the database until ctx ends.
func (s *Store) checkpoint(ctx context.Context) error {
	conn, err := s.read.Conn(context.Background())
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
		case <-t.C:
		}
		var busy, frames, moved int64
		if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &frames, &moved); err != nil && ctx.Err() == nil {
			s.opt.Log.Warn("the log could not be moved to the database; it is tried again", "error", err)
			continue
		}
		if frames > maxLogFrames {
			s.longLog.Store(true)
		}
	}
}

// restartLog starts the log anew when it has grown long. Nearly all of it is moved already, so the writer waits little.
func (s *Store) restartLog(ctx context.Context, sess *world.Session) {
	if !s.longLog.Swap(false) {
		return
	}
	if err := sess.Exec(ctx, "PRAGMA wal_checkpoint(RESTART)"); err != nil {
		s.opt.Log.Warn("the log could not be started anew; it is tried again", "error", err)
	}
}
