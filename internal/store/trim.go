package store

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
)

// trimEvery is how often what nobody can ask for any more is removed.
const trimEvery = time.Minute

// onlineKept is how long an ended online-only invitation can still be asked about: long enough for every retry.
const onlineKept = 5 * time.Minute

// TrimChunk bounds the records that one unit removes, so that trimming never stops the writers for long.
const TrimChunk = 500

// trimPage is how many timelines are looked at together.
const trimPage = 500

// qStale lists timelines whose oldest record is older than a time.
const qStale = "SELECT t.name FROM topic t JOIN record r ON r.topic = t.name AND r.seq = t.floor + 1 WHERE t.name > $1 AND t.head > t.floor AND r.at < $2 ORDER BY t.name LIMIT $3"

// applyRetention removes expired marks, ended online-only invitations, and records past their retention from time to time, until ctx ends.
func (s *Store) applyRetention(ctx context.Context) error {
	t := time.NewTicker(trimEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := s.ApplyRetentionNow(ctx); err != nil && ctx.Err() == nil {
				s.opt.Log.Warn("trimming failed; it is tried again", "error", err)
			}
		}
	}
}

// ApplyRetentionNow removes what has expired, in the order of commits like any other work.
func (s *Store) ApplyRetentionNow(ctx context.Context) error {
	err := s.trimExpired(ctx, "SELECT invite_id, user_id FROM mark WHERE expires_at <= $1 LIMIT $2", "DELETE FROM mark WHERE (invite_id, user_id) IN (VALUES ?*)")
	if err == nil {
		err = s.trimExpired(ctx, "SELECT topic, msg FROM file_holder WHERE until > 0 AND until <= $1 LIMIT $2", "DELETE FROM file_holder WHERE (topic, msg) IN (VALUES ?*)")
	}
	if err == nil {
		err = s.MaintainChunks(ctx, trimOnline)
	}
	if err == nil {
		err = s.MaintainChunks(ctx, trimRooms)
	}
	if err != nil || s.opt.Retention == 0 {
		return err
	}
	return s.trimRecords(ctx, s.Now()-s.opt.Retention.Milliseconds())
}

// trimExpired removes rows by a key of two columns.
func (s *Store) trimExpired(ctx context.Context, find, remove string) error {
	return s.MaintainChunks(ctx, func(ctx context.Context, sess *sqldb.Session, now int64) (n int, err error) {
		var rows []any
		err = sess.Query(ctx, find, []any{now, TrimChunk}, func(row sqldb.Row) error {
			var key [2]string
			err := row.Scan(&key[0], &key[1])
			rows = append(rows, key[0], key[1])
			return err
		})
		if err == nil {
			err = sess.Sync(ctx)
		}
		if err == nil {
			err = sess.Write(ctx, remove, 2, rows)
		}
		return len(rows) / 2, err
	})
}

// trimOnline removes ended online-only invitations; flags / 2 % 2 is flagOnline, both engines divide integers alike.
func trimOnline(ctx context.Context, sess *sqldb.Session, now int64) (int, error) {
	var ids []any
	if err := sess.Query(ctx, `SELECT i.id FROM invitation i WHERE i.flags / 2 % 2 = 1 AND i.open = 0
		AND NOT EXISTS (SELECT 1 FROM invitee w WHERE w.invite_id = i.id AND w.decided_at >= $1) LIMIT $2`, []any{now - onlineKept.Milliseconds(), TrimChunk}, func(row sqldb.Row) error {
		var id string
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}); err != nil {
		return 0, err
	}
	if err := sess.Sync(ctx); err != nil {
		return 0, err
	}
	topics := make([]any, len(ids))
	for i, id := range ids {
		topics[i] = im.InvitationTopic(id.(string))
	}
	for _, q := range []string{"DELETE FROM record WHERE topic IN (?*)", "DELETE FROM topic WHERE name IN (?*)"} {
		if err := sess.Write(ctx, q, 1, topics); err != nil {
			return 0, err
		}
	}
	if err := sess.Write(ctx, "DELETE FROM invitee WHERE invite_id IN (?*)", 1, ids); err != nil {
		return 0, err
	}
	return len(ids), sess.Write(ctx, "DELETE FROM invitation WHERE id IN (?*)", 1, ids)
}

// roomKept is how long an ended room is remembered, milliseconds: long enough for retries and for what comes late.
const roomKept = 24 * 3600 * 1000

// trimRooms removes rooms that have ended, with what was granted in them.
func trimRooms(ctx context.Context, sess *sqldb.Session, now int64) (int, error) {
	var ids []any
	if err := sess.Query(ctx, "SELECT id FROM room WHERE ended_at > 0 AND ended_at < $1 LIMIT $2", []any{now - roomKept, TrimChunk}, func(row sqldb.Row) error {
		var id string
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}); err != nil {
		return 0, err
	}
	if err := sess.Sync(ctx); err != nil {
		return 0, err
	}
	const ended = " WHERE EXISTS (SELECT 1 FROM room r WHERE r.id = room_id AND r.ended_at > 0) AND room_id"
	for _, from := range []string{"seat" + ended, "room_link" + ended, "room WHERE ended_at > 0 AND id"} {
		if err := sess.Write(ctx, "DELETE FROM "+from+" IN (?*)", 1, ids); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// maintenanceTopic is the lock under which nodes remove expired rows. It has no records.
const maintenanceTopic = "trim"

// MaintainChunks runs house-keeping, a chunk in each commit, until there is less than a chunk. Nodes take turns by a topic.
func (s *Store) MaintainChunks(ctx context.Context, f func(context.Context, *sqldb.Session, int64) (int, error)) error {
	for {
		n := 0
		err := s.maintain(ctx, []string{maintenanceTopic}, func(ctx context.Context, sess *sqldb.Session, now int64) (err error) {
			n, err = f(ctx, sess, now)
			return err
		})
		if err != nil || n < TrimChunk {
			return err
		}
	}
}

// trimRecords removes records older than a time, timeline by timeline, a chunk in each commit.
func (s *Store) trimRecords(ctx context.Context, before int64) error {
	for after := ""; ; {
		stale, err := texts(ctx, s.pool(), qStale, after, before, trimPage)
		if err != nil || len(stale) == 0 {
			return err
		}
		for _, topic := range stale {
			for more := true; more; {
				if more, err = s.trimChunk(ctx, topic, before); err != nil {
					return err
				}
			}
		}
		after = stale[len(stale)-1]
	}
}

// EmptyTimeline removes all records of a timeline.
func (s *Store) EmptyTimeline(ctx context.Context, topic string) (err error) {
	for more := true; more && err == nil; {
		more, err = s.trimChunk(ctx, topic, s.Now()+1)
	}
	return err
}

// trimChunk removes the oldest records of a timeline and moves its floor. It reports whether there may be more.
func (s *Store) trimChunk(ctx context.Context, topic string, before int64) (more bool, err error) {
	err = s.maintain(ctx, []string{topic}, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
		more = false
		var first, last uint64
		scan := func(rows sqldb.Row) error { return rows.Scan(&first, &last) }
		if err := sess.Query(ctx, `SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM (SELECT seq, at FROM record WHERE topic = $1 ORDER BY seq LIMIT $2) o WHERE at < $3`,
			[]any{topic, TrimChunk, before}, scan); err != nil {
			return err
		}
		if err := sess.Sync(ctx); err != nil || last == 0 {
			return err
		}
		more = last-first+1 == TrimChunk
		var found []sqldb.Phrase
		if err := sess.Query(ctx, "SELECT msg FROM record WHERE topic = $1 AND seq <= $2 AND msg <> ''", []any{topic, last}, func(rows sqldb.Row) error {
			p := sqldb.Phrase{Topic: topic}
			err := rows.Scan(&p.Message)
			found = append(found, p)
			return err
		}); err != nil {
			return err
		}
		if err := sess.Sync(ctx); err != nil {
			return err
		}
		for _, p := range found {
			for _, q := range sess.Index(p) {
				if err := sess.Exec(ctx, q.Text, q.Args...); err != nil {
					return err
				}
			}
			for _, q := range []string{"DELETE FROM receipt WHERE topic = $1 AND msg = $2", "DELETE FROM file_holder WHERE topic = $1 AND msg = $2"} {
				if err := sess.Exec(ctx, q, topic, p.Message); err != nil {
					return err
				}
			}
		}
		for _, q := range []string{
			"DELETE FROM record WHERE topic = $1 AND seq <= $2", "DELETE FROM deleted WHERE topic = $1 AND seq <= $2", "UPDATE topic SET floor = $2 WHERE name = $1",
		} {
			if err := sess.Exec(ctx, q, topic, last); err != nil {
				return err
			}
		}
		return nil
	})
	return more, err
}

// Maintain runs house-keeping on timelines, in a unit of its own that holds them.
func (s *Store) Maintain(ctx context.Context, topics []string, f func(context.Context, *sqldb.Session, int64) error) error {
	return s.maintain(ctx, topics, f)
}

// maintain runs house-keeping in a unit of its own.
func (s *Store) maintain(ctx context.Context, topics []string, f func(context.Context, *sqldb.Session, int64) error) error {
	done := make(chan error, 1)
	u := &Unit{Reads: txn.ReadSet{Topics: topics}, Decide: func(*txn.Tx) error { return nil }, Done: func(err error) { done <- err }, maintain: f}
	if err := s.Submit(u); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
