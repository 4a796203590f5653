package store

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// trimEvery is the interval of retention. Records are searched less often, because the search reads every timeline.
const trimEvery, trimRecordsEvery = time.Minute, 15 * time.Minute

// onlineKept is the retention of an ended online-only invitation: long enough for every retry.
const onlineKept = 5 * time.Minute

// TrimChunk limits the records that one unit removes, so that retention never stops the writers for long.
const TrimChunk = 500

// trimPage is the number of timelines that are read together.
const trimPage = 500

// applyRetention removes expired tombstones, ended online-only invitations, and records past their retention at
// intervals, until ctx ends.
func (s *Store) applyRetention(ctx context.Context) error {
	t := time.NewTicker(trimEvery)
	defer t.Stop()
	var last time.Time // of the records
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		trim := s.trimRows
		if time.Since(last) >= trimRecordsEvery {
			trim, last = s.ApplyRetentionNow, time.Now()
		}
		if err := trim(ctx); err != nil && ctx.Err() == nil {
			s.opt.Log.Warn("retention failed", "retry_in", trimEvery, "error", err)
			last = time.Time{}
		}
	}
}

// ApplyRetentionNow removes expired rows and records, in the order of commits like any other work.
func (s *Store) ApplyRetentionNow(ctx context.Context) error {
	if err := s.trimRows(ctx); err != nil || s.opt.Retention == 0 {
		return err
	}
	return s.trimRecords(ctx, s.Now()-s.opt.Retention.Milliseconds())
}

// trimRows removes the expired rows that have an index by age.
func (s *Store) trimRows(ctx context.Context) error {
	err := s.trimExpired(ctx, queries.Text("TombstonesExpired"), queries.Text("TombstonesRemove"))
	if err == nil {
		err = s.trimExpired(ctx, queries.Text("FileHoldersExpired"), queries.Text("FileHoldersRelease"))
	}
	if err == nil {
		err = s.MaintainChunks(ctx, trimOnline)
	}
	if err == nil {
		err = s.MaintainChunks(ctx, trimRooms)
	}
	return err
}

// trimExpired removes rows by a key of two texts.
func (s *Store) trimExpired(ctx context.Context, find, remove string) error {
	return s.MaintainChunks(ctx, func(ctx context.Context, sess *sqldb.Session, now int64) (int, error) {
		rows, err := Keys(ctx, sess, find, []any{now, TrimChunk}, "", "")
		if err == nil {
			err = sess.Write(ctx, remove, 2, rows)
		}
		return len(rows) / 2, err
	})
}

// Keys reads keys in a transaction that will remove their rows. zero has the zero values of the columns of a key.
func Keys(ctx context.Context, sess *sqldb.Session, query string, args []any, zero ...any) (keys []any, err error) {
	err = sess.Query(ctx, query, args, func(row sqldb.Row) error {
		into := make([]any, len(zero))
		for i, z := range zero {
			if _, text := z.(string); text {
				into[i] = new(string)
			} else {
				into[i] = new(int64)
			}
		}
		err := row.Scan(into...)
		for _, p := range into {
			switch v := p.(type) {
			case *string:
				keys = append(keys, *v)
			case *int64:
				keys = append(keys, *v)
			}
		}
		return err
	})
	if err == nil {
		err = sess.Sync(ctx)
	}
	return keys, err
}

// trimOnline removes ended online-only invitations.
func trimOnline(ctx context.Context, sess *sqldb.Session, now int64) (int, error) {
	args := []any{now - onlineKept.Milliseconds(), TrimChunk}
	ids, err := Keys(ctx, sess, queries.Text("OnlineInvitationsEnded"), args, "")
	if err != nil {
		return 0, err
	}
	topics := make([]any, len(ids))
	for i, id := range ids {
		topics[i] = im.InvitationTopic(id.(string))
	}
	for _, remove := range []string{queries.Text("RecordsRemoveTopics"), queries.Text("TopicsRemove")} {
		if err := sess.Write(ctx, remove, 1, topics); err != nil {
			return 0, err
		}
	}
	if err := sess.Write(ctx, queries.Text("InviteesRemove"), 1, ids); err != nil {
		return 0, err
	}
	return len(ids), sess.Write(ctx, queries.Text("InvitationsRemove"), 1, ids)
}

// roomKept is the retention of an ended room in milliseconds: long enough for retries and late events of LiveKit.
const roomKept = 24 * 3600 * 1000

// trimRooms removes ended rooms with their seats and connections.
func trimRooms(ctx context.Context, sess *sqldb.Session, now int64) (int, error) {
	ids, err := Keys(ctx, sess, queries.Text("RoomsEnded"), []any{now - roomKept, TrimChunk}, "")
	if err != nil {
		return 0, err
	}
	for _, remove := range []string{queries.Text("SeatsRemove"), queries.Text("RoomLinksRemove"),
		queries.Text("RoomsRemove")} {
		if err := sess.Write(ctx, remove, 1, ids); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// maintenanceTopic is the lock under which nodes remove expired rows. It has no records.
const maintenanceTopic = "trim"

// MaintainChunks runs maintenance, a chunk in each commit, until there is less than a chunk. Nodes take turns by a
// topic.
func (s *Store) MaintainChunks(ctx context.Context, f func(context.Context, *sqldb.Session, int64) (int, error)) error {
	for {
		n := 0
		err := s.Maintain(ctx, []string{maintenanceTopic},
			func(ctx context.Context, sess *sqldb.Session, now int64) (err error) {
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
		stale, err := sqldb.All(ctx, s.db, sqldb.Text, queries.Text("TopicsStale"), after, before, trimPage)
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
	err = s.Maintain(ctx, []string{topic}, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
		more = false
		var first, last uint64
		scan := func(row sqldb.Row) error { return row.Scan(&first, &last) }
		if err := sess.Query(ctx, queries.Text("RecordsOldest"), []any{topic, TrimChunk, before}, scan); err != nil {
			return err
		}
		if err := sess.Sync(ctx); err != nil || last == 0 {
			return err
		}
		more = last-first+1 == TrimChunk
		messages, err := Keys(ctx, sess, queries.Text("MessagesUpTo"), []any{topic, last}, "")
		if err != nil {
			return err
		}
		for _, id := range messages {
			if err := trimMessage(ctx, sess, topic, id.(string)); err != nil {
				return err
			}
		}
		for _, q := range []string{
			queries.Text("RecordsRemoveUpTo"), queries.Text("DeletionsRemoveUpTo"), queries.Text("TopicSetFloor"),
		} {
			if err := sess.Exec(ctx, q, topic, last); err != nil {
				return err
			}
		}
		return nil
	})
	return more, err
}

// trimMessage removes the words, receipts and files of a message.
func trimMessage(ctx context.Context, sess *sqldb.Session, topic, id string) error {
	for _, q := range sess.Index(sqldb.Phrase{Topic: topic, Message: id}) {
		if err := sess.Exec(ctx, q.Text, q.Args...); err != nil {
			return err
		}
	}
	if err := sess.Exec(ctx, queries.Text("ReceiptsRemove"), topic, id); err != nil {
		return err
	}
	return sess.Exec(ctx, queries.Text("FileHoldersRemoveMessage"), topic, id)
}

// Maintain runs maintenance on timelines, in a unit of its own that locks them.
func (s *Store) Maintain(ctx context.Context, topics []string,
	f func(context.Context, *sqldb.Session, int64) error) error {
	done := make(chan error, 1)
	u := &Unit{
		Reads: txn.ReadSet{Topics: topics}, Decide: func(*txn.Tx) error { return nil }, Done: func(err error) { done <- err },
		maintain: f,
	}
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
