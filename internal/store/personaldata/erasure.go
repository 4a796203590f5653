package personaldata

import (
	"context"
	"errors"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/tables"
)

// Stage is a step of an erasure. The steps follow one another; each can be repeated.
type Stage int64

// The stages. Up to StageRows, an erasure reads only rows that indexes find.
const (
	StageSessions      Stage = iota // tokens are revoked, open invitations end
	StageGroups                     // memberships end, timelines of the groups are rewritten
	StageFiles                      // uploads are removed
	StageTimeline                   // invitations of the user's timeline are rewritten, and the timeline is emptied
	StageConversations              // the user's messages on the timelines of contacts are rewritten
	StageRows                       // rows of the user are removed
	StageCopies                     // all tables are read, for copies anywhere else
	StageDone
)

// Erasure is the erasure of one user, with its progress.
type Erasure struct {
	UserID     string
	At         int64 // of the request, milliseconds
	Until      int64 // the time of the latest record that is rewritten, milliseconds; 0 = any
	Stage      Stage
	Place      string // in the stage; empty = its beginning
	Records    int64  // rewritten
	Groups     int64  // memberships that ended
	Files      int64  // removed
	Error      string // of the last attempt; empty = none
	Owner      string // the node that works on it
	OwnedUntil int64  // milliseconds
	EndedAt    int64  // milliseconds; 0 = it is running
}

// claimTime is the time for which a node owns an erasure, from the last saved progress or the last renewal.
// RenewEvery is the interval of renewals.
const (
	claimTime  = 60_000 // milliseconds
	RenewEvery = 20 * time.Second
)

// Move begins a stage.
func (e *Erasure) Move(to Stage) { e.Stage, e.Place = to, "" }

// Start begins the erasure of a user, or returns the running one, without the error of its last attempt.
func Start(ctx context.Context, s *store.Store, user string) (e *Erasure, err error) {
	err = s.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, now int64) (err error) {
		if e, err = stored(ctx, sess, user); err != nil {
			return err
		}
		if e != nil && e.EndedAt == 0 {
			if e.Error = ""; e.Owner == "" {
				e.OwnedUntil = 0 // without the pause after a failure
			}
		} else {
			e = &Erasure{UserID: user, At: now}
		}
		return save(ctx, sess, e)
	})
	return e, err
}

// stored reads the erasure of a user in a transaction; nil when there is none.
func stored(ctx context.Context, sess *sqldb.Session, user string) (e *Erasure, err error) {
	if err := sess.Query(ctx, queries.Text("Erasure"), []any{user}, func(row sqldb.Row) (err error) {
		e, err = scanErasure(row)
		return err
	}); err != nil {
		return nil, err
	}
	return e, sess.Sync(ctx)
}

// Claim returns running erasures that no other node works on, at most limit, and makes a node their owner. Those in the
// first stages come first.
func Claim(ctx context.Context, s *store.Store, node string, limit int) (list []Erasure, err error) {
	find := queries.Text("ErasuresToRun")
	if list, err = readPage(ctx, s, find, node, s.Now(), limit); err != nil || len(list) == 0 {
		return nil, err
	}
	err = s.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, now int64) error {
		list = nil
		if err := sess.Query(ctx, find, []any{node, now, limit}, func(row sqldb.Row) error {
			e, err := scanErasure(row)
			list = append(list, *e)
			return err
		}); err != nil {
			return err
		}
		if err := sess.Sync(ctx); err != nil {
			return err
		}
		for i := range list {
			list[i].Owner, list[i].OwnedUntil = node, now+claimTime
			if err := save(ctx, sess, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// Renew extends the claims of a node on erasures.
func Renew(ctx context.Context, s *store.Store, node string, users []string) error {
	return s.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, now int64) error {
		for _, user := range users {
			e, err := stored(ctx, sess, user)
			if err != nil {
				return err
			}
			if e == nil || e.Owner != node || e.EndedAt != 0 {
				continue
			}
			e.OwnedUntil = now + claimTime
			if err := save(ctx, sess, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// ErrTaken is the error of progress on an erasure that another node has claimed since.
var ErrTaken = errors.New("another node continues the erasure")

// Save writes the progress of erasures, and extends their claims.
func Save(ctx context.Context, s *store.Store, list ...*Erasure) error {
	return update(ctx, s, list, func(e *Erasure, now int64) {
		if e.OwnedUntil = now + claimTime; e.Stage == StageDone {
			e.EndedAt = now
		}
	})
}

// Fail writes the progress of erasures after a failed attempt. No node claims them for a time.
func Fail(ctx context.Context, s *store.Store, failure error, pause time.Duration, list ...*Erasure) error {
	return update(ctx, s, list, func(e *Erasure, now int64) {
		e.Error, e.Owner, e.OwnedUntil = failure.Error(), "", now+pause.Milliseconds()
	})
}

// update changes and writes erasures that their node still owns.
func update(ctx context.Context, s *store.Store, list []*Erasure, change func(*Erasure, int64)) error {
	return s.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, now int64) error {
		for _, e := range list {
			known, err := stored(ctx, sess, e.UserID)
			if err != nil {
				return err
			}
			if known == nil || known.Owner != e.Owner || known.At != e.At || known.EndedAt != 0 {
				return ErrTaken
			}
		}
		for _, e := range list {
			written := *e // the transaction may run again
			change(&written, now)
			if err := save(ctx, sess, &written); err != nil {
				return err
			}
			e.EndedAt = written.EndedAt
		}
		return nil
	})
}

// Get reads the last erasure of a user; nil when there is none.
func Get(ctx context.Context, s *store.Store, user string) (e *Erasure, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		e, err = sqldb.One(ctx, r, scanErasure, queries.Text("Erasure"), user)
		return err
	})
	return e, err
}

// List reads a page of erasures by user, after one, those that ended in the last 30 days too.
func List(ctx context.Context, s *store.Store, after string, limit int) ([]Erasure, error) {
	return readPage(ctx, s, queries.Text("Erasures"), after, limit)
}

func readPage(ctx context.Context, s *store.Store, query string, args ...any) (list []Erasure, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, scanErasure, query, args...)
		return err
	})
	return list, err
}

func save(ctx context.Context, sess *sqldb.Session, e *Erasure) error {
	return sess.Write(ctx, tables.Erasures.Upsert, tables.Erasures.Width, []any{e.UserID, e.At, e.Until, int64(e.Stage),
		e.Place, e.Records, e.Groups, e.Files, e.Error, e.Owner, e.OwnedUntil, e.EndedAt})
}

func scanErasure(row sqldb.Row) (*Erasure, error) {
	var e Erasure
	return &e, row.Scan(&e.UserID, &e.At, &e.Until, &e.Stage, &e.Place, &e.Records, &e.Groups, &e.Files, &e.Error,
		&e.Owner, &e.OwnedUntil, &e.EndedAt)
}
