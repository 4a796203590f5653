package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// connection is one of its own, for one use at a time. It is opened before a use and closed after an error.
type connection struct {
	mu   sync.Mutex
	conn *pgx.Conn
}

func (o *connection) use(ctx context.Context, config *pgx.ConnConfig, f func(*pgx.Conn) error) (err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn == nil {
		if o.conn, err = pgx.ConnectConfig(ctx, config.Copy()); err != nil {
			return err
		}
	}
	if err = f(o.conn); err != nil {
		o.closeLocked(ctx)
	}
	return err
}

func (o *connection) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked(context.Background())
}

func (o *connection) closeLocked(ctx context.Context) {
	if o.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = o.conn.Close(ctx) // it is of no use any more
	o.conn = nil
}
