// Package blocklist reads who blocks a user, of whom that user learns less.
//
// It never decides what that means.
package blocklist

import (
	"context"
	"fmt"
	"strings"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
)

// Of returns those of some users who block a user.
func Of(ctx context.Context, s *store.Store, user string, users []string) (map[string]bool, error) {
	blockers := map[string]bool{}
	if len(users) == 0 || user == "" {
		return blockers, nil
	}
	args, list := []any{user}, make([]string, len(users))
	for i, u := range users {
		args = append(args, u)
		list[i] = fmt.Sprintf("$%d", i+2)
	}
	query := "SELECT user_id FROM contact WHERE peer = $1 AND blocked_at > 0 AND user_id IN (" + strings.Join(list, ", ") + ")"
	err := s.View(ctx, func(r sqldb.Reader) error {
		clear(blockers)
		return r.Read(ctx, query, func(row sqldb.Row) error {
			var u string
			err := row.Scan(&u)
			blockers[u] = true
			return err
		}, args...)
	})
	return blockers, err
}
