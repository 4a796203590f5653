package txn

import (
	"context"
	"encoding/json"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
)

func (tx *Tx) flushChat(ctx context.Context, s *sqldb.Session) error {
	for _, part := range []func(context.Context, *sqldb.Session) error{tx.flushMessages, tx.flushContacts, tx.flushGroupChat, tx.flushUsers, tx.flushFiles} {
		if err := part(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) flushMessages(ctx context.Context, s *sqldb.Session) error {
	for _, k := range tx.messages.order {
		m := tx.messages.rows[k]
		if err := s.Exec(ctx, "UPDATE record SET body = $1, flags = $2, version = $3, readers = $4 WHERE topic = $5 AND seq = $6",
			string(m.Body), int64(m.Flags), m.Version, m.Readers, m.Topic, m.Seq); err != nil {
			return err
		}
	}
	receipts := flat(&tx.receipts, func(r *Receipt) []any { return []any{r.Topic, r.ID, r.UserID, r.At} })
	if err := s.Write(ctx, "INSERT INTO receipt (topic, msg, user_id, at) VALUES ?* ON CONFLICT (topic, msg, user_id) DO NOTHING", 4, receipts); err != nil {
		return err
	}
	var hidden []any
	for _, d := range tx.deletions {
		hidden = append(hidden, d.UserID, d.Topic, d.Seq)
	}
	if err := s.Write(ctx, "INSERT INTO deleted (user_id, topic, seq) VALUES ?* ON CONFLICT (user_id, topic, seq) DO NOTHING", 3, hidden); err != nil {
		return err
	}
	for _, p := range tx.phrases {
		for _, q := range s.Index(p) {
			if err := s.Exec(ctx, q.Text, q.Args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) flushContacts(ctx context.Context, s *sqldb.Session) error {
	rows := flat(&tx.contacts, func(c *im.Contact) []any {
		return append([]any{c.UserID, c.Peer, c.Counted, c.PeerRead, c.BlockedAt}, readingValues(&c.Reading)...)
	})
	return s.Write(ctx, `INSERT INTO contact (`+ContactColumns+`) VALUES ?*
		ON CONFLICT (user_id, peer) DO UPDATE SET counted = excluded.counted, peer_read = excluded.peer_read, blocked_at = excluded.blocked_at,
		`+setReading, 12, rows)
}

const setReading = `read_seq = excluded.read_seq, read_ord = excluded.read_ord, pinned_at = excluded.pinned_at,
	opt = excluded.opt, hidden_seq = excluded.hidden_seq, cleared_seq = excluded.cleared_seq, skipped = excluded.skipped`

func (tx *Tx) flushGroupChat(ctx context.Context, s *sqldb.Session) error {
	rows := flat(&tx.applications, func(a *Application) []any {
		return []any{a.GroupID, a.UserID, a.Inviter, a.Reason, int64(a.State), a.AppliedAt, a.Handler, a.Answer, a.HandledAt}
	})
	if err := s.Write(ctx, `INSERT INTO application (`+ApplicationColumns+`) VALUES ?*
		ON CONFLICT (group_id, user_id) DO UPDATE SET inviter = excluded.inviter, reason = excluded.reason, state = excluded.state,
		applied_at = excluded.applied_at, handler = excluded.handler, answer = excluded.answer, handled_at = excluded.handled_at`, 9, rows); err != nil {
		return err
	}
	var extras []any
	for _, k := range tx.extras.order {
		x := tx.extras.rows[k]
		attributes, err := json.Marshal(x.Attributes)
		if err != nil {
			return err
		}
		counters, err := json.Marshal(storedCounters{&x.Counters, &x.Recent})
		if err != nil {
			return err
		}
		extras = append(extras, x.GroupID, string(attributes), x.Version, string(counters))
	}
	return s.Write(ctx, `INSERT INTO extra (`+ExtraColumns+`) VALUES ?*
		ON CONFLICT (group_id) DO UPDATE SET attributes = excluded.attributes, version = excluded.version, counters = excluded.counters`, 4, extras)
}

func (tx *Tx) flushUsers(ctx context.Context, s *sqldb.Session) error {
	rows := flat(&tx.users, func(p *User) []any {
		return []any{p.UserID, p.Profile, p.Status, p.DND, p.Revoked, p.Pushes}
	})
	if err := s.Write(ctx, `INSERT INTO person (`+UserColumns+`) VALUES ?*
		ON CONFLICT (user_id) DO UPDATE SET profile = excluded.profile, status = excluded.status, dnd = excluded.dnd, revoked = excluded.revoked, pushes = excluded.pushes`, 6, rows); err != nil {
		return err
	}
	var follows []any
	for _, k := range tx.follows.order {
		if f := tx.follows.rows[k]; !f.Gone {
			follows = append(follows, f.UserID, f.Target)
		} else if err := s.Exec(ctx, "DELETE FROM follow WHERE user_id = $1 AND target = $2", f.UserID, f.Target); err != nil {
			return err
		}
	}
	return s.Write(ctx, "INSERT INTO follow (user_id, target) VALUES ?* ON CONFLICT (user_id, target) DO NOTHING", 2, follows)
}

func (tx *Tx) flushFiles(ctx context.Context, s *sqldb.Session) error {
	var files []any
	for _, f := range tx.files {
		files = append(files, f.ID, f.Owner, f.Kind, f.Name, f.Type, f.Size, f.Hash, f.Width, f.Height, f.Thumb, f.At)
	}
	return s.Write(ctx, "INSERT INTO file ("+FileColumns+") VALUES ?*", 11, files)
}
