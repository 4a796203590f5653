// Package blocklist reads the blockers of a user.
//
// It does not decide the consequences of a block.
package blocklist

import (
	"context"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
)

// Of returns the blockers of a user among some users.
func Of(ctx context.Context, s *store.Store, user string, users []string) (map[string]bool, error) {
	blockers := map[string]bool{}
	if len(users) == 0 || user == "" {
		return blockers, nil
	}
	args := []any{user}
	for _, u := range users {
		args = append(args, u)
	}
	err := s.View(ctx, func(r sqldb.Reader) error {
		list, err := sqldb.All(ctx, r, sqldb.Text, queries.Numbered("BlockersOfUser", 2, len(users)), args...)
		for _, u := range list {
			blockers[u] = true
		}
		return err
	})
	return blockers, err
}
