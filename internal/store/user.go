package store

import (
	"context"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
)

// texts reads a column of text.
func texts(ctx context.Context, r sqldb.Reader, q string, args ...any) ([]string, error) {
	var list []string
	err := each(ctx, r, func(rows sqldb.Row) error {
		var v string
		err := rows.Scan(&v)
		list = append(list, v)
		return err
	}, q, args...)
	return list, err
}

// Blocked reads a page of the people whom a user blocks, after one of them.
func (s *Store) Blocked(ctx context.Context, user, after string, limit int) ([]string, error) {
	return texts(ctx, s.pool(), qBlocked, user, after, limit)
}

// Follows reads whose presence a user has subscribed to.
func (s *Store) Follows(ctx context.Context, user string) ([]string, error) {
	return texts(ctx, s.pool(), qFollows, user)
}

// User reads what is known of a user; nil when nothing is.
func (s *Store) User(ctx context.Context, user string) (*txn.User, error) {
	return one(ctx, s, txn.ScanUser, qUser, user)
}

// Applications reads a page of the applications to the groups that a user administers, after one of them.
func (s *Store) Applications(ctx context.Context, user, afterGroup, afterUser string, limit int) ([]txn.Application, error) {
	return all(ctx, s, txn.ScanApplication, qApplications, user, afterGroup, afterUser, limit)
}

// Extra reads the attributes and counters of a group.
func (s *Store) Extra(ctx context.Context, group string) (txn.Extra, error) {
	x := txn.Extra{GroupID: group}
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		v, err := txn.ScanExtra(rows)
		if err == nil {
			x = *v
		}
		return err
	}, qExtra, group)
	return x, err
}

// File reads an uploaded file; nil when there is none.
func (s *Store) File(ctx context.Context, id string) (*txn.File, error) {
	return one(ctx, s, txn.ScanFile, qFile, id)
}

// FindGroups reads a page of the user's groups whose name or id contains a text, as it is written or, for letters of ASCII, in any case.
func (s *Store) FindGroups(ctx context.Context, user, text, after string, limit int) ([]im.Group, error) {
	var list []im.Group
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		g, err := txn.ScanGroup(rows)
		if err == nil {
			list = append(list, *g)
		}
		return err
	}, qFindGroups, user, contains(strings.ToLower(text)), after, limit, contains(text))
	return list, err
}

// FindMembers reads a page of a group's members whose name card or id contains a text, as it is written or, for letters of
// ASCII, in any case.
func (s *Store) FindMembers(ctx context.Context, group, text, after string, limit int) ([]im.Member, error) {
	var list []im.Member
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		m, err := txn.ScanMember(rows)
		if err == nil {
			list = append(list, *m)
		}
		return err
	}, qFindMembers, group, contains(strings.ToLower(text)), after, limit, contains(text))
	return list, err
}

// contains is the LIKE pattern for a text anywhere.
func contains(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text) + "%"
}
