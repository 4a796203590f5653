package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// Ping reads the clock of the primary, on a connection of its own.
func (d *DB) Ping(ctx context.Context) (r sqldb.Reading, err error) {
	err = d.pings.use(ctx, d.config, func(c *pgx.Conn) error {
		var only string
		err := c.QueryRow(ctx, "SELECT "+clock+", "+rawClock+", coalesce((SELECT value FROM meta WHERE name = 'clock'), "+
			"''), "+noted("1")+", "+noted("2")+", current_setting('transaction_read_only')").
			Scan(&r.Now, &r.Raw, &r.Correction, &r.Latest, &r.Noted, &only)
		if err == nil && only == "on" {
			err = errors.New("PostgreSQL is a standby and refuses writes")
			d.pool.Reset() // its other connections are to the same server
		}
		return err
	})
	return r, err
}

// SetClock stores a correction by which the time of a reading becomes now, unless another node has stored one since.
func (d *DB) SetClock(ctx context.Context, r sqldb.Reading, now int64) error {
	return d.pings.use(ctx, d.config, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "INSERT INTO meta (name, value) VALUES ('clock', $1) ON CONFLICT (name) DO UPDATE SET "+
			"value = $1 WHERE meta.value = $2", r.CorrectionTo(now), r.Correction)
		return err
	})
}

// noted reads a number of the last note of the time: 1 is the time, 2 the database's own clock.
func noted(part string) string {
	return "coalesce((SELECT split_part(value, ' ', " + part + ")::bigint FROM meta WHERE name = 'time'), 0)"
}

// NoteTime stores the time with the database's clock, if it is the latest and agrees with that clock. It fails when
// commits do not end.
func (d *DB) NoteTime(ctx context.Context, now int64) error {
	return d.pings.use(ctx, d.config, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "INSERT INTO meta (name, value) SELECT 'time', $1::bigint || ' ' || "+rawClock+" WHERE "+
			"abs("+clock+" - $1::bigint) < 1000 ON CONFLICT (name) DO UPDATE SET value = CASE "+
			"WHEN split_part(meta.value, ' ', 1)::bigint < $1::bigint THEN excluded.value ELSE meta.value END", now)
		return err
	})
}
