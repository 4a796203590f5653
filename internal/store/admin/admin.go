// Package admin reads over everything that is stored, for operators: people, groups, open invitations, figures over time.
//
// It never decides whose eyes that is for, and each read is a page, whatever the size of the house.
package admin

import (
	"context"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

const (
	qUser   = "SELECT profile, pushes FROM person WHERE user_id = $1"
	qNames  = "SELECT t.name FROM topic t WHERE t.name > $1 AND t.name LIKE $2 ESCAPE '!' ORDER BY t.name LIMIT $3"
	qGroups = "SELECT " + txn.GroupColumns + ` FROM grp g WHERE g.id > $1 AND g.dismissed = 0 AND (g.id LIKE $2 ESCAPE '!' OR g.name LIKE $2 ESCAPE '!')
		ORDER BY g.id LIMIT $3`
	qOpen      = "SELECT " + txn.InvitationColumns + " FROM invitation WHERE open > 0 AND (inviter > $1 OR inviter = $1 AND id > $2) ORDER BY inviter, id LIMIT $3"
	qOpenCount = "SELECT count(*) FROM invitation WHERE open > 0"
	qStats     = `SELECT at - at % $1, name, sum(n), max(n) FROM (SELECT at, name, CASE WHEN name = $2 THEN max(n) ELSE sum(n) END AS n FROM stat
		WHERE at >= $3 AND at < $4 GROUP BY at, name) s GROUP BY 1, 2 ORDER BY 1, 2`
)

// User is somebody who took part in anything.
type User struct {
	ID      string
	Profile string // JSON; empty = they said nothing of themselves
	Pushes  bool   // they may be reached when they are away
}

// Users reads a page of people whose id begins with a text, after one of them.
func Users(ctx context.Context, s *store.Store, prefix, after string, limit int) (list []User, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		if err := r.Read(ctx, qNames, func(row sqldb.Row) error {
			var name string
			err := row.Scan(&name)
			list = append(list, User{ID: im.TopicUser(name)})
			return err
		}, im.UserTopic(after), escaped(im.UserTopic(prefix))+"%", limit); err != nil {
			return err
		}
		for i := range list {
			if err := r.Read(ctx, qUser, func(row sqldb.Row) error {
				var pushes int64
				err := row.Scan(&list[i].Profile, &pushes)
				list[i].Pushes = pushes != 0
				return err
			}, list[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// Groups reads a page of the groups whose id or name contains a text, after one of them.
func Groups(ctx context.Context, s *store.Store, text, after string, limit int) (list []im.Group, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, qGroups, func(row sqldb.Row) error {
			g, err := txn.ScanGroup(row)
			if err == nil {
				list = append(list, *g)
			}
			return err
		}, after, "%"+escaped(text)+"%", limit)
	})
	return list, err
}

// Open reads a page of the open invitations, after one, and how many there are.
func Open(ctx context.Context, s *store.Store, inviter, id string, limit int) (list []invite.Invitation, count int64, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		if err := r.Read(ctx, qOpenCount, func(row sqldb.Row) error { return row.Scan(&count) }); err != nil {
			return err
		}
		return r.Read(ctx, qOpen, func(row sqldb.Row) error {
			v, err := txn.ScanInvitation(row)
			if err == nil {
				list = append(list, *v)
			}
			return err
		}, inviter, id, limit)
	})
	return list, count, err
}

// OpenCalls counts the calls that go on.
func OpenCalls(ctx context.Context, s *store.Store) (n int64, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, "SELECT count(*) FROM media_call WHERE ended_at = 0", func(row sqldb.Row) error { return row.Scan(&n) })
	})
	return n, err
}

// Figure is a count of something in a step of time.
type Figure struct {
	At   int64 // the beginning of the step, milliseconds
	Name string
	Sum  int64
	Max  int64 // of the five minutes in it
}

// Stats reads figures from one time to another, in steps. Of what is named shared, which every node sees alike, one counts.
func Stats(ctx context.Context, s *store.Store, from, until, step int64, shared string) (list []Figure, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, qStats, func(row sqldb.Row) error {
			var f Figure
			err := row.Scan(&f.At, &f.Name, &f.Sum, &f.Max)
			list = append(list, f)
			return err
		}, step, shared, from, until)
	})
	return list, err
}

// PutStats writes figures of a node, over those that it wrote for the same step.
func PutStats(tx *txn.Tx, at int64, node string, counts map[string]int64) {
	rows := make([]any, 0, 4*len(counts))
	for name, n := range counts {
		rows = append(rows, at, node, name, n)
	}
	tx.Exec("INSERT INTO stat (at, node, name, n) VALUES ?* ON CONFLICT (at, node, name) DO UPDATE SET n = excluded.n", 4, rows...)
}

// DropStats forgets figures of before a time.
func DropStats(ctx context.Context, s *store.Store, before int64) error {
	return s.MaintainChunks(ctx, func(ctx context.Context, sess *sqldb.Session, _ int64) (int, error) {
		var keys []any
		err := sess.Query(ctx, "SELECT at, node, name FROM stat WHERE at < $1 LIMIT $2", []any{before, store.TrimChunk}, func(row sqldb.Row) error {
			var at int64
			var node, name string
			err := row.Scan(&at, &node, &name)
			keys = append(keys, at, node, name)
			return err
		})
		if err == nil {
			err = sess.Sync(ctx)
		}
		if err == nil && len(keys) > 0 {
			err = sess.Write(ctx, "DELETE FROM stat WHERE (at, node, name) IN (VALUES ?*)", 3, keys)
		}
		return len(keys) / 3, err
	})
}

// escaped makes a text stand for itself in LIKE.
func escaped(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}
