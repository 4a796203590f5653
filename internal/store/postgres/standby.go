package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// standby reads from standby servers of the same database.
//
// A read begins with the position of the primary in its log, and runs on a standby that has replayed the same timeline
// of the log up to there: it sees all commits before it, of any node. If the standby is behind for longer than the
// waits, or cannot be reached, the primary is read, and the standby is left alone for a while.
type standby struct {
	pool     *pgxpool.Pool
	position string // the query of the primary's position
	rests    atomic.Int64
	opened   time.Time
	reads    [outcomes]atomic.Int64 // by outcome
}

// The outcomes of a read for a standby.
const (
	served   = iota // by a standby
	behind          // by the primary, because the standby was behind
	failed          // by the primary, because the standby could not be read
	busy            // by the primary, because all connections to the standby are in use
	outcomes        // their number
)

// waits are the pauses before a standby that is behind is asked again.
var waits = []time.Duration{time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	20 * time.Millisecond, 40 * time.Millisecond}

// askTime limits the time until a standby is found to be up to date, or else the primary is read.
const askTime = 500 * time.Millisecond

// How long a standby is left alone.
const (
	restBehind = time.Second
	restFailed = 5 * time.Second
)

var errPooledStandby = errors.New("pgbouncer=true: connect to the standby itself, because one connection must " +
	"stay with one server")

// openStandby prepares connections to the standbys of a URL. It does not connect: the primary serves while they are
// away.
func (d *DB) openStandby(ctx context.Context, url string, noSync bool) error {
	cfg, err := parseStandby(url)
	if err != nil {
		return err
	}
	s := &standby{opened: time.Now(), position: positionOf("pg_current_wal_flush_lsn()")}
	if noSync { // commits are answered before they are written
		s.position = positionOf("pg_current_wal_insert_lsn()")
	}
	cfg.ConnConfig.DialFunc = d.stats.dial
	var want identity
	if err := d.pool.QueryRow(ctx, readIdentity).Scan(&want.system, &want.database); err != nil {
		return fmt.Errorf("the identity of the database, which its standby must have: %w", err)
	}
	settings := apply(false)
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		var have identity
		if err := c.QueryRow(ctx, readIdentity).Scan(&have.system, &have.database); err != nil {
			return err
		}
		if have != want {
			return fmt.Errorf("the server for reading has the database %q of system %s; a standby of the primary has %q of %s",
				have.database, have.system, want.database, want.system)
		}
		return settings(ctx, c)
	}
	s.pool, err = pgxpool.NewWithConfig(ctx, cfg)
	if err == nil {
		d.standby = s
	}
	return err
}

// position is a place in the log.
type position struct {
	lsn      string
	timeline int64
}

// positionOf returns the query of the primary's position. The timeline changes when a standby is promoted: positions of
// another one cannot be compared.
func positionOf(lsn string) string {
	return "SELECT " + lsn + "::text, ('x' || left(pg_walfile_name(" + lsn + "), 8))::bit(32)::bigint"
}

// replayed is the query whether a standby has replayed the log up to a position. The timeline in the control file may
// be that of a while ago.
const replayed = "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= $1::text::pg_lsn AND " +
	"(SELECT min_recovery_end_timeline FROM pg_control_recovery()) = $2::bigint"

// identity tells databases apart: a standby has that of its primary.
type identity struct{ system, database string }

const readIdentity = "SELECT system_identifier::text, current_database() FROM pg_control_system()"

// ReadStandby runs f with a reader that sees all commits before the call, on a standby if there is one.
func (d *DB) ReadStandby(ctx context.Context, f func(sqldb.Reader) error) error {
	done, err := d.onStandby(ctx, func(ctx context.Context, c *pgxpool.Conn) error { return f(view{c, d.stats}) })
	if done {
		return err
	}
	return f(d)
}

// ViewStandby runs f as View does, on a standby if there is one. f sees all commits before the call.
func (d *DB) ViewStandby(ctx context.Context, f func(sqldb.Reader) error) error {
	done, err := d.onStandby(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		d.stats.trips.Add(2)
		return pgx.BeginTxFunc(ctx, c, snapshot, func(tx pgx.Tx) error { return f(view{tx, d.stats}) })
	})
	if done {
		return err
	}
	return d.View(ctx, f)
}

// onStandby runs f with a connection to a standby that has all commits before the call; done is false if there is none,
// and the primary must be read.
func (d *DB) onStandby(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) (done bool, err error) {
	s := d.standby
	if s == nil || s.resting() {
		return false, nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	var to position
	d.stats.trips.Add(1)
	if err := d.pool.QueryRow(ctx, s.position).Scan(&to.lsn, &to.timeline); err != nil {
		return true, err
	}
	conn, outcome, err := s.at(ctx, to)
	if ctx.Err() != nil { // the caller has gone: that says nothing about the standby
		if conn != nil {
			conn.Release()
		}
		return true, ctx.Err()
	}
	s.reads[outcome].Add(1)
	switch outcome {
	case served:
		defer conn.Release()
		if err = f(ctx, conn); err != nil && ctx.Err() == nil && d.Classify(err) != sqldb.Permanent {
			s.rest(restFailed)
		}
		return true, err
	case behind:
		s.rest(restBehind)
	case failed:
		s.rest(restFailed)
		d.log.Warn("standby cannot be read, the primary is read instead", "error", err, "retryIn", restFailed)
	}
	return false, nil
}

// at returns a connection to a standby that has replayed the log up to a position.
func (s *standby) at(ctx context.Context, to position) (c *pgxpool.Conn, outcome int, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if c, err = s.pool.Acquire(ctx); err != nil {
		if s.pool.Stat().AcquiredConns() == s.pool.Config().MaxConns {
			return nil, busy, nil
		}
		return nil, failed, err
	}
	for i := 0; ; i++ {
		var ok bool
		// In a statement before the snapshot is taken: it may replay more in between.
		if err = c.QueryRow(ctx, replayed, to.lsn, to.timeline).Scan(&ok); err != nil {
			c.Release()
			return nil, failed, err
		}
		if ok {
			return c, served, nil
		}
		if i == len(waits) {
			c.Release()
			return nil, behind, nil
		}
		select {
		case <-time.After(waits[i]):
		case <-ctx.Done(): // the next attempt fails
		}
	}
}

func (s *standby) resting() bool { return time.Since(s.opened).Milliseconds() < s.rests.Load() }

func (s *standby) rest(pause time.Duration) {
	s.rests.Store((time.Since(s.opened) + pause).Milliseconds())
}

// StandbyReads returns the numbers of reads that a standby served, that the primary served because the standby was
// behind, and because it could not be read or was busy. The rest of the time the primary is read without asking the
// standby.
func (d *DB) StandbyReads() (onStandby, late, broken int64) {
	if d.standby == nil {
		return 0, 0, 0
	}
	r := &d.standby.reads
	return r[served].Load(), r[behind].Load(), r[failed].Load() + r[busy].Load()
}
