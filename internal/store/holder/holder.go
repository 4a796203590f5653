// Package holder keeps the messages that hold a file: a user may read the files of messages that the user may read.
//
// It does not know the contents of messages.
package holder

import (
	"context"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/tables"
	"github.com/beckon-im/beckon/internal/txn"
)

// Holder is a message that holds a file: readers of the message may read the file.
type Holder struct {
	File, Topic, Message string
	Until                int64 // of an onlineUserOnly message, which is not stored: its end, milliseconds
}

// Hold makes a message a holder of a file.
func Hold(tx *txn.Tx, h Holder) { tx.Upsert(tables.FileHolders, h.File, h.Topic, h.Message, h.Until) }

// Release removes a message as a holder of files.
func Release(tx *txn.Tx, topic, message string) {
	tx.Exec(queries.Text("FileHoldersRelease"), 2, topic, message)
}

// MayRead reports whether a message that the user may read holds a file.
func MayRead(ctx context.Context, s *store.Store, file, user string) (may bool, err error) {
	now := s.Now()
	err = s.View(ctx, func(r sqldb.Reader) error {
		may = false
		n := 0
		if err := r.Read(ctx, queries.Text("FileHoldersOfUser"), func(row sqldb.Row) error { return row.Scan(&n) }, file,
			user, now); err != nil || n > 0 {
			may = n > 0
			return err
		}
		return r.Read(ctx, queries.Text("FileHoldersOfGroups"), func(row sqldb.Row) error {
			var until int64
			var seq uint64
			var audience string
			g, m := &im.Group{}, &im.Member{}
			err := row.Scan(&until, &seq, &audience, &g.Type, &m.JoinedSeq, &m.ClearedSeq)
			may = may || until > now || seq > m.Sees(g) && (audience == "" || strings.Contains(audience, " "+user+" "))
			return err
		}, file, user, now)
	})
	return may, err
}
