package store

import (
	"context"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// Blocked reads a page of the users that a user blocks, after one of them.
func (s *Store) Blocked(ctx context.Context, user, after string, limit int) ([]string, error) {
	return sqldb.All(ctx, s.db, sqldb.Text, queries.Text("BlockedByUser"), user, after, limit)
}

// BlockedCount counts the users that a user blocks.
func (s *Store) BlockedCount(ctx context.Context, user string) (int, error) {
	n, err := sqldb.One(ctx, s.db, sqldb.Int, queries.Text("BlockedCount"), user)
	if err != nil {
		return 0, err
	}
	return *n, nil
}

// Follows reads the users to whose presence a user has subscribed.
func (s *Store) Follows(ctx context.Context, user string) ([]string, error) {
	return sqldb.All(ctx, s.db, sqldb.Text, queries.Text("Follows"), user)
}

// User reads the settings of a user; nil when there are none.
func (s *Store) User(ctx context.Context, user string) (*txn.User, error) {
	return sqldb.One(ctx, s.db, txn.ScanUser, queries.Text("User"), user)
}

// Users reads the settings of users; those without any are left out.
func (s *Store) Users(ctx context.Context, users []string) ([]txn.User, error) {
	return sqldb.AllIn(ctx, s.db, txn.ScanUser, queries.Text("Users"), users)
}

// Applications reads a page of the applications to the groups that a user administers, after one of them.
func (s *Store) Applications(ctx context.Context, user, afterGroup, afterUser string, limit int) ([]txn.Application,
	error) {
	return sqldb.All(ctx, s.db, txn.ScanApplication, queries.Text("ApplicationsForAdmin"), user, afterGroup, afterUser,
		limit)
}

// Extra reads the attributes and counters of a group.
func (s *Store) Extra(ctx context.Context, group string) (txn.Extra, error) {
	x, err := sqldb.One(ctx, s.db, txn.ScanExtra, queries.Text("Extra"), group)
	if x == nil {
		x = &txn.Extra{GroupID: group}
	}
	return *x, err
}

// File reads an uploaded file; nil when there is none.
func (s *Store) File(ctx context.Context, id string) (*txn.File, error) {
	return sqldb.One(ctx, s.db, txn.ScanFile, queries.Text("File"), id)
}

// FindGroups reads a page of the user's groups with a text in their name or id; letters of ASCII match in any case.
func (s *Store) FindGroups(ctx context.Context, user, text, after string, limit int) ([]im.Group, error) {
	return sqldb.All(ctx, s.db, txn.ScanGroup, queries.Text("GroupsOfUserByText"),
		user, contains(strings.ToLower(text)), after, limit, contains(text))
}

// FindMembers reads a page of a group's members with a text in their name card or id; letters of ASCII match in any
// case.
func (s *Store) FindMembers(ctx context.Context, group, text, after string, limit int) ([]im.Member, error) {
	return sqldb.All(ctx, s.db, txn.ScanMember, queries.Text("MembersByText"),
		group, contains(strings.ToLower(text)), after, limit, contains(text))
}

// contains returns the LIKE pattern of a text anywhere.
func contains(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text) + "%"
}
