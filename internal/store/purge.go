package store

import (
	"context"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// purger is a database with deleted content in its files.
type purger interface {
	Purge(ctx context.Context, exec func(context.Context, sqldb.Statement) error) error
}

// Purge removes content that was deleted from rows before from the files of the database. PostgreSQL does so by itself,
// with VACUUM and its log's retention. Run must be running.
func (s *Store) Purge(ctx context.Context) error {
	p, ok := s.db.(purger)
	if !ok {
		return nil
	}
	return p.Purge(ctx, func(ctx context.Context, q sqldb.Statement) error {
		return s.Maintain(ctx, []string{MaintenanceTopic}, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
			return sess.Exec(ctx, q.Text, q.Args...)
		})
	})
}
