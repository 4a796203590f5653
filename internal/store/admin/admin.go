// Package admin holds the reads of operators over the whole database: users, groups, open invitations, counters over
// time. Each read is a page, at any size of the database.
//
// It does not decide the permissions of the caller.
package admin

import (
	"context"
	"strings"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/tables"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// User is a user with a timeline.
type User struct {
	ID      string
	Profile string // JSON; empty = none
	Pushes  bool   // the user has push tokens
}

// Users reads a page of the users by a prefix of their ids, after one of them.
func Users(ctx context.Context, s *store.Store, prefix, after string, limit int) (list []User, err error) {
	err = s.ViewStandby(ctx, func(r sqldb.Reader) error {
		begin, pattern := im.UserTopic(after), escaped(im.UserTopic(prefix))+"%"
		topics, err := sqldb.All(ctx, r, sqldb.Text, queries.Text("AdminUserTopics"), begin, pattern, limit)
		for _, t := range topics {
			list = append(list, User{ID: im.TopicUser(t)})
		}
		for i := 0; i < len(list) && err == nil; i++ {
			err = r.Read(ctx, queries.Text("AdminUser"), func(row sqldb.Row) error {
				var pushes int64
				err := row.Scan(&list[i].Profile, &pushes)
				list[i].Pushes = pushes != 0
				return err
			}, list[i].ID)
		}
		return err
	})
	return list, err
}

// Groups reads a page of the groups with a text in their id or name, after one of them.
func Groups(ctx context.Context, s *store.Store, text, after string, limit int) (list []im.Group, err error) {
	err = s.ViewStandby(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, txn.ScanGroup, queries.Text("AdminGroups"), after, "%"+escaped(text)+"%", limit)
		return err
	})
	return list, err
}

// Open reads a page of the open invitations, after one, and their number.
func Open(ctx context.Context, s *store.Store, inviter, id string, limit int) (list []invite.Invitation, count int64,
	err error) {
	err = s.ViewStandby(ctx, func(r sqldb.Reader) error {
		scan := func(row sqldb.Row) error { return row.Scan(&count) }
		if err := r.Read(ctx, queries.Text("AdminOpenInvitationCount"), scan); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, r, txn.ScanInvitation, queries.Text("AdminOpenInvitations"), inviter, id, limit)
		return err
	})
	return list, count, err
}

// OpenCalls counts the open calls.
func OpenCalls(ctx context.Context, s *store.Store) (n int64, err error) {
	err = s.ViewStandby(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, queries.Text("AdminOpenCallCount"), func(row sqldb.Row) error { return row.Scan(&n) })
	})
	return n, err
}

// StatsKept is the retention of counters.
const StatsKept = 400 * 24 * time.Hour

// Figure is the value of a counter in a step of time.
type Figure struct {
	At   int64 // the beginning of the step, milliseconds
	Name string
	Sum  int64
	Max  int64 // of its five minutes
}

// Stats reads figures from one time to another, in steps. Of the counter shared, which all nodes see alike, one node
// counts.
func Stats(ctx context.Context, s *store.Store, from, until, step int64, shared string) (list []Figure, err error) {
	err = s.ViewStandby(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, func(row sqldb.Row) (*Figure, error) {
			var f Figure
			return &f, row.Scan(&f.At, &f.Name, &f.Sum, &f.Max)
		}, queries.Text("AdminStats"), step, shared, from, until)
		return err
	})
	return list, err
}

// PutStats writes the counters of a node for a step, over those that it wrote for the same step.
func PutStats(tx *txn.Tx, at int64, node string, counts map[string]int64) {
	rows := make([]any, 0, tables.Stats.Width*len(counts))
	for name, n := range counts {
		rows = append(rows, at, node, name, n)
	}
	tx.Upsert(tables.Stats, rows...)
}

// escaped returns the LIKE pattern of a text.
func escaped(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}
