package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// conn is a connection with its prepared statements, used by one goroutine at a time.
type conn struct {
	db     *DB
	c      *sql.Conn
	stmts  map[string]*sql.Stmt
	texts  texts
	shapes map[string]shapeOf
}

func newConn(d *DB, c *sql.Conn) *conn {
	return &conn{db: d, c: c, stmts: map[string]*sql.Stmt{}, texts: texts{}, shapes: map[string]shapeOf{}}
}

func (c *conn) close() error {
	for _, st := range c.stmts {
		_ = st.Close()
	}
	return c.c.Close()
}

func (c *conn) query(ctx context.Context, query string, args []any, scan func(sqldb.Row) error) error {
	st, ok := c.stmts[query]
	if !ok {
		var err error
		if st, err = c.c.PrepareContext(ctx, query); err != nil {
			return fmt.Errorf("prepare %s: %w", query, err)
		}
		c.stmts[query] = st
	}
	if scan == nil {
		if _, err := st.ExecContext(ctx, args...); err != nil {
			return fmt.Errorf("exec %.80s: %w", query, err)
		}
		return nil
	}
	rows, err := st.QueryContext(ctx, args...)
	if err == nil {
		err = drain(rows, scan)
	}
	if err != nil {
		return fmt.Errorf("query %.80s: %w", query, err)
	}
	return nil
}

// restartLog restarts SQLite's log when it has grown long. Checkpoints have moved nearly all of it, so it takes little
// time. Only a failed fsync is an error.
func (c *conn) restartLog(ctx context.Context) error {
	if !c.db.longLog.Swap(false) {
		return nil
	}
	// it must not wait for long reads
	for _, q := range []string{"PRAGMA busy_timeout = 0", "PRAGMA wal_checkpoint(RESTART)",
		"PRAGMA busy_timeout = 10000"} {
		if err := c.query(ctx, q, nil, func(sqldb.Row) error { return nil }); failedSync(err) {
			return err
		} else if err != nil && !errors.Is(err, context.Canceled) {
			c.db.log.Warn("restart of the write-ahead log failed, retrying", "error", err)
		}
	}
	return nil
}
