package store

import (
	"cmp"
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// TrimChunk limits the rows that one unit removes, so that retention never stops the writers for long. TrimTopics
// limits the timelines that one unit locks for that.
const TrimChunk, TrimTopics = 500, 50

// noRecord is the column oldest of a timeline without records.
const noRecord = -1

// TrimTimelines removes the records of timelines that are older than a time, at most TrimChunk in all, the oldest of
// each first, and moves the floors. It reports whether there may be more.
func (s *Store) TrimTimelines(ctx context.Context, topics []string, before int64) (more bool, err error) {
	err = s.maintain(ctx, topics, func(ctx context.Context, sess *sqldb.Session, tx *txn.Tx) error {
		t := trimming{sess: sess, tx: tx, limit: max(TrimChunk/len(topics), 1)}
		if err := t.read(ctx, topics, before); err != nil {
			return err
		}
		more = t.more
		return t.write(ctx)
	})
	return more, err
}

// EmptyTimeline removes all records of a timeline.
func (s *Store) EmptyTimeline(ctx context.Context, topic string) (err error) {
	for more := true; more && err == nil; {
		more, err = s.TrimTimelines(ctx, []string{topic}, s.Now()+1)
	}
	return err
}

// trimming trims timelines in one transaction.
type trimming struct {
	sess  *sqldb.Session
	tx    *txn.Tx
	limit int // records of one timeline
	spans []span
	more  bool
}

// span is the records that are removed from one timeline.
type span struct {
	topic    string
	removed  int
	last     uint64 // sequence
	next     int64  // the time of the first record that stays; 0 = none
	messages []any  // topics and ids
}

// read finds the records to remove, in one round trip.
func (t *trimming) read(ctx context.Context, topics []string, before int64) error {
	t.spans = make([]span, len(topics))
	for i, topic := range topics {
		p := &t.spans[i]
		p.topic = topic
		if err := t.sess.Query(ctx, queries.Text("RecordsOldest"), []any{topic, t.limit + 1}, func(row sqldb.Row) error {
			var seq uint64
			var at int64
			var message string
			if err := row.Scan(&seq, &at, &message); err != nil {
				return err
			}
			if p.removed == t.limit || at >= before {
				t.more = t.more || at < before
				p.next = at
				return sqldb.ErrStopScan
			}
			p.removed++
			if p.last = seq; message != "" {
				p.messages = append(p.messages, topic, message)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return t.sess.Sync(ctx)
}

// write removes the records with the words, receipts, reactions, deletions and files of their
// messages.
func (t *trimming) write(ctx context.Context) error {
	if all, err := t.removeReactions(ctx); err != nil || !all {
		return err
	}
	var messages, floors []any
	for i := range t.spans {
		p := &t.spans[i]
		if p.removed == 0 {
			if err := t.writeEmpty(ctx, p); err != nil {
				return err
			}
			continue
		}
		for _, q := range []string{queries.Text("RecordsRemoveUpTo"), queries.Text("DeletionsRemoveUpTo")} {
			if err := t.sess.Exec(ctx, q, p.topic, p.last); err != nil {
				return err
			}
		}
		// Nodes of an earlier version may append to an empty timeline without a note: it is looked at once more, after the
		// retention.
		floors = append(floors, p.topic, 0, p.last, cmp.Or(p.next, t.tx.Now))
		messages = append(messages, p.messages...)
	}
	if err := t.sess.Write(ctx, txn.SetFloors, 4, floors); err != nil {
		return err
	}
	for i := 0; i < len(messages); i += 2 {
		for _, q := range t.sess.Index(sqldb.Phrase{Topic: messages[i].(string), Message: messages[i+1].(string)}) {
			if err := t.sess.Exec(ctx, q.Text, q.Args...); err != nil {
				return err
			}
		}
	}
	if err := t.sess.Write(ctx, queries.Text("ReceiptsRemove"), 2, messages); err != nil {
		return err
	}
	return t.sess.Write(ctx, queries.Text("FileHoldersRelease"), 2, messages)
}

// reactionsDue is the limit of the query ReactionsDue.
const reactionsDue = 200

// removeReactions removes reactions to the messages. With more of them the messages stay for a later unit.
func (t *trimming) removeReactions(ctx context.Context) (all bool, err error) {
	var messages, keys []any
	for i := range t.spans {
		messages = append(messages, t.spans[i].messages...)
	}
	if err := t.sess.SelectIn(ctx, queries.Text("ReactionsDue"), 2, messages, func(row sqldb.Row) error {
		var k [4]string
		err := row.Scan(&k[0], &k[1], &k[2], &k[3])
		keys = append(keys, k[0], k[1], k[2], k[3])
		return err
	}); err != nil {
		return false, err
	}
	if err := t.sess.Sync(ctx); err != nil {
		return false, err
	}
	all = len(keys) < 4*reactionsDue
	t.more = t.more || !all
	return all, t.sess.Write(ctx, queries.Text("ReactionsRemove"), 4, keys)
}

// writeEmpty notes the state of a timeline from which nothing is removed. A row that was only a lock is removed.
func (t *trimming) writeEmpty(ctx context.Context, p *span) error {
	if p.next > 0 {
		return t.sess.Exec(ctx, queries.Text("TopicSetOldest"), p.topic, p.next)
	}
	t.tx.Emptied(p.topic)
	if err := t.sess.Exec(ctx, queries.Text("TopicSetOldest"), p.topic, noRecord); err != nil || !im.IsTimeline(p.topic) {
		return err
	}
	return t.sess.Exec(ctx, queries.Text("TopicRemoveUnused"), p.topic, im.TopicInvitation(p.topic))
}

// Keys reads keys in a transaction that will remove their rows. zero has the zero values of the columns of a row.
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

// MaintenanceTopic is the lock under which nodes maintain rows that have no topic. It has no records.
const MaintenanceTopic = "trim"

// MaintainRows runs maintenance on rows that have no topic. Nodes take turns.
func (s *Store) MaintainRows(ctx context.Context, f func(context.Context, *sqldb.Session, int64) error) error {
	return s.Maintain(ctx, []string{MaintenanceTopic}, f)
}

// Maintain runs maintenance on timelines, in a unit of its own that locks them.
func (s *Store) Maintain(ctx context.Context, topics []string,
	f func(context.Context, *sqldb.Session, int64) error) error {
	return s.maintain(ctx, topics, func(ctx context.Context, sess *sqldb.Session, tx *txn.Tx) error {
		return f(ctx, sess, tx.Now)
	})
}

func (s *Store) maintain(ctx context.Context, topics []string,
	f func(context.Context, *sqldb.Session, *txn.Tx) error) error {
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

// ForgetTimelines drops removed timelines from the cache of heads: one with the same name restarts.
func (s *Store) ForgetTimelines(topics []string) { s.heads.forget(topics) }
