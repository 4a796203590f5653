package personaldata

import (
	"context"
	"slices"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
)

// Files lists some of the files that a user uploaded.
func Files(ctx context.Context, s *store.Store, user string) (ids []string, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		ids, err = sqldb.All(ctx, r, sqldb.Text, queries.Text("EraseFiles"), user, chunk)
		return err
	})
	return ids, err
}

// DropFiles removes the rows of files.
func DropFiles(ctx context.Context, s *store.Store, ids []string) error {
	for some := range slices.Chunk(ids, chunk) {
		keys := make([]any, len(some))
		for i, id := range some {
			keys[i] = id
		}
		if err := s.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
			for _, q := range []string{queries.Text("FileHoldersRemove"), queries.Text("FileReadersRemove"),
				queries.Text("FilesRemove")} {
				if err := sess.Write(ctx, q, 1, keys); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
