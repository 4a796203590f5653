// Package receipt reads the read receipts of messages in groups.
//
// It does not know who may see them.
package receipt

import (
	"context"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// Reader is a user with the time of their read receipt.
type Reader struct {
	UserID string
	At     int64 // milliseconds; 0 = none
}

// Readers reads a page of the users with a read receipt for a message.
func Readers(ctx context.Context, s *store.Store, m *txn.Message, after string, limit int) ([]Reader, error) {
	return read(ctx, s, queries.Text("Readers"), m.Topic, m.ID, after, limit)
}

// NonReaders reads a page of the members without a receipt for a message that they could read.
func NonReaders(ctx context.Context, s *store.Store, group string, m *txn.Message, after string, limit int) ([]Reader,
	error) {
	return read(ctx, s, queries.Text("NonReaders"), group, after, m.Seq, m.Sender, m.Topic, m.ID, limit)
}

func read(ctx context.Context, s *store.Store, query string, args ...any) (list []Reader, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, func(row sqldb.Row) (*Reader, error) {
			var p Reader
			return &p, row.Scan(&p.UserID, &p.At)
		}, query, args...)
		return err
	})
	return list, err
}
