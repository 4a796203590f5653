package retention

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/admin"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

const (
	onlineKept = 5 * time.Minute // of an ended online-only invitation: long enough for every retry
	roomKept   = 24 * time.Hour  // of an ended room: long enough for retries and late events of LiveKit

	erasureKept = 30 * 24 * time.Hour // of an ended erasure of a user
)

// kind is rows that become due with time.
type kind struct {
	name  string
	age   time.Duration // after which they are due
	slack bool          // they may stay a little longer, so that many are removed together
	find  string        // a query of the due rows, the oldest first: the time, then the key
	args  []any         // of the query, before the time and the limit
	key   []any         // zero values of the columns of the key
	// remove removes some of the rows that are due by a time, in one unit, and reports whether there may be more.
	remove func(ctx context.Context, r *Retention, k *kind, before int64) (more bool, err error)
}

// kinds returns the kinds that a retention removes.
func kinds(opt *Options) []kind {
	name, pair := []any{""}, []any{"", ""}
	list := []kind{
		{name: "tombstones", find: queries.Text("TombstonesDue"), key: pair, remove: rows(queries.Text("TombstonesRemove"))},
		{name: "file holders", find: queries.Text("FileHoldersDue"), key: pair,
			remove: rows(queries.Text("FileHoldersRelease"))},
		{name: "online-only invitations", age: onlineKept, find: queries.Text("OnlineInvitationsDue"), key: name,
			remove: removeOnline},
		{name: "rooms", age: roomKept, find: queries.Text("RoomsEnded"), key: name, remove: rows(queries.Text("SeatsRemove"),
			queries.Text("RoomLinksRemove"), queries.Text("RoomsRemove"))},
		{name: "erasures", age: erasureKept, find: queries.Text("ErasuresEnded"), key: name,
			remove: rows(queries.Text("ErasuresRemove"))},
		{name: "push tests", age: outbox.TestKept, find: queries.Text("PushTestsDue"), key: pair,
			remove: rows(queries.Text("PushTestsRemove"))},
		{name: "statistics", age: admin.StatsKept, find: queries.Text("StatsExpired"), key: []any{0, "", ""},
			remove: rows(queries.Text("StatsRemove"))},
	}
	for _, queue := range []string{txn.QueueHook, txn.QueuePush} {
		event := []any{"", "", 0}
		expired := func(state txn.OutboxState, age time.Duration) kind {
			if opt.Age > 0 {
				age = min(age, opt.Age)
			}
			return kind{name: "outbox events", age: age, find: queries.Text("OutboxExpired"), args: []any{queue, int64(state)},
				key: event, remove: rows(queries.Text("OutboxRemove"))}
		}
		list = append(list, expired(txn.OutgoingDone, outbox.Kept), expired(txn.OutgoingDead, outbox.DeadKept),
			kind{name: "abandoned outbox events", age: outbox.DeadKept, find: queries.Text("OutboxAbandoned"),
				args: []any{queue}, key: event, remove: rows(queries.Text("OutboxRemovePending"))})
	}
	if opt.Age == 0 {
		return list
	}
	return append(list,
		kind{name: "records", age: opt.Age, slack: true, find: queries.Text("TimelinesDue"), key: name,
			remove: trimTimelines},
		kind{name: "invitations", age: opt.Age, find: queries.Text("InvitationsDue"), key: name, remove: removeInvitations},
		kind{name: "calls", age: opt.Age, find: queries.Text("CallsEnded"), key: name,
			remove: rows(queries.Text("ParticipantsRemove"), queries.Text("CallsRemove"))},
		kind{name: "applications", age: opt.Age, find: queries.Text("ApplicationsDue"), key: pair,
			remove: rows(queries.Text("ApplicationsRemove"))},
		kind{name: "files", age: opt.Age, find: queries.Text("FilesDue"), key: name, remove: removeFiles},
	)
}

// oldest returns the time of the oldest row that is due; nil when there is none.
func (k *kind) oldest(ctx context.Context, at sqldb.Reader, before int64) (*int64, error) {
	return sqldb.One(ctx, at, func(row sqldb.Row) (*int64, error) {
		var time int64
		into := []any{&time}
		for _, zero := range k.key {
			into = append(into, pointer(zero))
		}
		return &time, row.Scan(into...)
	}, k.find, k.findArgs(before, 1)...)
}

func pointer(zero any) any {
	if _, text := zero.(string); text {
		return new(string)
	}
	return new(int64)
}

func (k *kind) findArgs(before int64, limit int) []any {
	return append(append([]any{}, k.args...), before, limit)
}

// due reads the keys of due rows in a transaction that will remove them.
func (k *kind) due(ctx context.Context, sess *sqldb.Session, before int64, limit int) (keys []any, n int, err error) {
	found, err := store.Keys(ctx, sess, k.find, k.findArgs(before, limit), append([]any{0}, k.key...)...)
	for width := 1 + len(k.key); len(found) > 0; found = found[width:] {
		keys = append(keys, found[1:width]...)
		n++
	}
	return keys, n, err
}

// rows removes rows by their keys.
func rows(remove ...string) func(context.Context, *Retention, *kind, int64) (bool, error) {
	return func(ctx context.Context, r *Retention, k *kind, before int64) (more bool, err error) {
		err = r.store.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
			keys, n, err := k.due(ctx, sess, before, store.TrimChunk)
			if err != nil || n == 0 {
				more = false
				return err
			}
			more = n == store.TrimChunk
			for _, text := range remove {
				if err := sess.Write(ctx, text, len(k.key), keys); err != nil {
					return err
				}
			}
			return nil
		})
		return more, err
	}
}

// trimTimelines removes records of the timelines with the oldest ones.
func trimTimelines(ctx context.Context, r *Retention, k *kind, before int64) (more bool, err error) {
	var topics []string
	if err := r.store.View(ctx, func(at sqldb.Reader) error {
		topics = nil
		return at.Read(ctx, k.find, func(row sqldb.Row) error {
			var oldest int64
			var topic string
			err := row.Scan(&oldest, &topic)
			topics = append(topics, topic)
			return err
		}, k.findArgs(before, store.TrimTopics)...)
	}); err != nil || len(topics) == 0 {
		return false, err
	}
	more, err = r.store.TrimTimelines(ctx, topics, r.before(k, false))
	return more || len(topics) == store.TrimTopics, err
}

// removeOnline removes ended online-only invitations.
func removeOnline(ctx context.Context, r *Retention, k *kind, before int64) (bool, error) {
	return r.invitations(ctx, k, before, false)
}

// removeInvitations removes ended invitations.
func removeInvitations(ctx context.Context, r *Retention, k *kind, before int64) (bool, error) {
	return r.invitations(ctx, k, before, true)
}

// invitations removes ended invitations with their invitees and timelines. With date, it first dates those that were
// ended by an earlier version, and keeps those with a room that lives.
func (r *Retention) invitations(ctx context.Context, k *kind, before int64, date bool) (more bool, err error) {
	var topics []string
	err = r.store.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, now int64) error {
		ids, n, err := k.due(ctx, sess, before, store.TrimChunk)
		if err != nil || n == 0 {
			more = false
			return err
		}
		e := ended{sess: sess, now: now, date: date}
		if err := e.read(ctx, ids); err != nil {
			return err
		}
		more, topics = n == store.TrimChunk || e.left, nil
		for _, id := range e.over {
			topics = append(topics, im.InvitationTopic(id.(string)))
		}
		return e.remove(ctx, topics)
	})
	if err == nil {
		r.store.ForgetTimelines(topics)
	}
	return more, err
}

// ended is invitations that are due, in one transaction.
type ended struct {
	sess *sqldb.Session
	now  int64
	date bool
	over []any            // ids to remove
	left bool             // some are left for another unit
	set  map[string]int64 // the times of others
}

// read decides which invitations are removed: as many as have TrimChunk rows.
func (e *ended) read(ctx context.Context, ids []any) error {
	var undated []any
	size := 0
	e.set = map[string]int64{}
	if err := e.sess.SelectIn(ctx, queries.Text("InvitationsEnded"), 1, ids, func(row sqldb.Row) error {
		var id string
		var endedAt int64
		var invitees, rooms int
		err := row.Scan(&id, &endedAt, &invitees, &rooms)
		switch {
		case e.date && endedAt == 0:
			undated = append(undated, id)
		case e.date && rooms > 0:
			e.set[id] = e.now
		case size > 0 && size+1+invitees > store.TrimChunk:
			e.left = true
		default:
			size += 1 + invitees
			e.over = append(e.over, id)
		}
		return err
	}); err != nil {
		return err
	}
	if err := e.sess.Sync(ctx); err != nil || len(undated) == 0 {
		return err
	}
	for _, id := range undated {
		e.set[id.(string)] = 1 // without an invitee it is of no use
	}
	if err := e.sess.SelectIn(ctx, queries.Text("InvitationsDecided"), 1, undated, func(row sqldb.Row) error {
		var id string
		var at int64
		err := row.Scan(&id, &at)
		e.set[id] = max(at, 1)
		return err
	}); err != nil {
		return err
	}
	e.left = true
	return e.sess.Sync(ctx)
}

func (e *ended) remove(ctx context.Context, topics []string) error {
	for id, at := range e.set {
		if err := e.sess.Exec(ctx, queries.Text("InvitationSetEnded"), id, at); err != nil {
			return err
		}
	}
	names := make([]any, len(topics))
	for i, t := range topics {
		names[i] = t
	}
	for _, text := range []string{queries.Text("RecordsRemoveTopics"), queries.Text("TopicsRemove")} {
		if err := e.sess.Write(ctx, text, 1, names); err != nil {
			return err
		}
	}
	for _, text := range []string{queries.Text("InviteesRemove"), queries.Text("InvitationsRemove")} {
		if err := e.sess.Write(ctx, text, 1, e.over); err != nil {
			return err
		}
	}
	return nil
}

// filesChunk limits the files that are looked at together: the contents of each are removed by a call of their own.
const filesChunk = 100

// removeFiles removes the files that no message holds, and dates the use of others by their last message. It looks at
// the uses before the contents are removed: a message that is sent at this moment with a file that was unused for the
// whole retention may lose it.
func removeFiles(ctx context.Context, r *Retention, k *kind, before int64) (more bool, err error) {
	var ids []string
	used := map[string]int64{}
	if err := r.store.View(ctx, func(at sqldb.Reader) error {
		ids = nil
		clear(used)
		if err := at.Read(ctx, k.find, func(row sqldb.Row) error {
			var usedAt int64
			var id string
			err := row.Scan(&usedAt, &id)
			ids = append(ids, id)
			return err
		}, k.findArgs(before, filesChunk)...); err != nil {
			return err
		}
		for _, text := range []string{queries.Text("FilesUploaded"), queries.Text("FilesHeld")} {
			if err := at.ReadIn(ctx, text, ids, func(row sqldb.Row) error {
				var id string
				var time int64
				err := row.Scan(&id, &time)
				used[id] = max(used[id], time)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil || len(ids) == 0 {
		return false, err
	}
	var unused []any
	var contents []string
	for _, id := range ids {
		if used[id] < before {
			unused, contents = append(unused, id), append(contents, id)
		}
	}
	if len(contents) > 0 && r.opt.RemoveFiles != nil {
		if err := r.opt.RemoveFiles(ctx, contents); err != nil {
			return false, err
		}
	}
	err = r.store.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
		for id, time := range used {
			if time >= before {
				if err := sess.Exec(ctx, queries.Text("FileSetUsed"), id, time); err != nil {
					return err
				}
			}
		}
		for _, text := range []string{queries.Text("FileHoldersRemove"), queries.Text("FileReadersRemove"),
			queries.Text("FilesRemove")} {
			if err := sess.Write(ctx, text, 1, unused); err != nil {
				return err
			}
		}
		return nil
	})
	return len(ids) == filesChunk, err
}
