package txn

import (
	"context"
	"encoding/json"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/invite"
)

// Flush writes what the units of a batch have put, one statement for each kind of row.
func (tx *Tx) Flush(ctx context.Context, s *sqldb.Session, records []Record) error {
	for _, part := range []func(context.Context, *sqldb.Session) error{
		func(ctx context.Context, s *sqldb.Session) error { return tx.flushRecords(ctx, s, records) },
		tx.flushInvitations, tx.flushInvitees, tx.flushTombstones, tx.flushGroups, tx.flushMembers, tx.flushChat, tx.flushRooms, tx.flushOutbox,
	} {
		if err := part(ctx, s); err != nil {
			return err
		}
	}
	return nil // the engine syncs what is left with the commit
}

func (tx *Tx) flushRecords(ctx context.Context, s *sqldb.Session, records []Record) error {
	var rows, messages, topics []any
	written := map[string]bool{}
	for i := range records {
		r, d := &records[i], &tx.drafts[i]
		if r.Seq == 0 {
			continue
		}
		if d.Message == "" && d.Flags == 0 && d.Audience == "" {
			rows = append(rows, r.Topic, r.Seq, r.At, r.Device, r.Listen, string(r.Body), d.Peer, d.Ord, d.pair, d.Sender)
		} else {
			messages = append(messages, r.Topic, r.Seq, r.At, r.Device, r.Listen, string(r.Body), d.Peer, d.Ord, d.pair, d.Sender, d.Message, int64(d.Flags), d.Audience)
		}
		if !written[r.Topic] {
			written[r.Topic] = true
			topics = append(topics, r.Topic, tx.heads[r.Topic], tx.counted[r.Topic])
		}
	}
	const columns = "INSERT INTO record (topic, seq, at, device, listen, body, peer, ord, pair, sender"
	if err := s.Write(ctx, columns+") VALUES ?*", 10, rows); err != nil {
		return err
	}
	if err := s.Write(ctx, columns+", msg, flags, audience) VALUES ?*", 13, messages); err != nil {
		return err
	}
	return s.Write(ctx, "INSERT INTO topic (name, head, counted) VALUES ?* ON CONFLICT (name) DO UPDATE SET head = excluded.head, counted = excluded.counted", 3, topics)
}

func (tx *Tx) flushInvitations(ctx context.Context, s *sqldb.Session) error {
	var fresh, changed []any
	for _, id := range tx.invitations.order {
		v := tx.invitations.rows[id]
		if !tx.invitations.dirty[id] && !s.SingleWriter {
			changed = append(changed, v.ID, flagsOf(v), v.Data, flag(v.OwnTopic, ownTopic)|flag(v.Left, ownTopicLeft), v.Due, v.Last, v.Version,
				v.Counts.Open, v.Counts.Accepted, v.Counts.Rejected, v.Counts.Cancelled, v.Counts.TimedOut, packRecent(v), v.Digested, v.Names, v.Counted)
			continue
		}
		push, err := packPush(v)
		if err != nil {
			return err
		}
		fresh = append(fresh, v.ID, v.Inviter, v.Peer, v.GroupID, v.RoomID, v.Timeout, string(v.Notify), v.AcceptLimit, v.MinRing,
			flagsOf(v), push, v.Fingerprint,
			v.CreatedAt, v.Deadline, v.By.Device, v.By.RequestID, v.Data, flag(v.OwnTopic, ownTopic)|flag(v.Left, ownTopicLeft), v.Due, v.Last, v.Version,
			v.Counts.Open, v.Counts.Accepted, v.Counts.Rejected, v.Counts.Cancelled, v.Counts.TimedOut, packRecent(v), v.Digested, v.Names, v.Counted)
	}
	const replace = ` ON CONFLICT (id) DO UPDATE SET flags = excluded.flags, data = excluded.data, party = excluded.party, due = excluded.due, last = excluded.last,
		version = excluded.version, open = excluded.open, accepted = excluded.accepted, rejected = excluded.rejected,
		cancelled = excluded.cancelled, timed_out = excluded.timed_out, recent = excluded.recent, digested = excluded.digested,
		names = excluded.names, counted = excluded.counted`
	insert := "INSERT INTO invitation (" + InvitationColumns + ") VALUES ?*"
	if s.SingleWriter { // whole rows, so that only the last of several is written
		return s.Write(ctx, insert+replace, 30, fresh)
	}
	if err := s.Write(ctx, insert, 30, fresh); err != nil {
		return err
	}
	return s.Write(ctx, "INSERT INTO invitation (id, flags, data, party, due, last, version, open, accepted, rejected, cancelled, timed_out, recent, digested, names, counted) VALUES ?*"+replace, 16, changed)
}

func flagsOf(v *invite.Invitation) int64 {
	return flag(v.MergeGlare, flagGlare) | flag(v.OnlineUserOnly, flagOnline) | flag(v.Everyone, flagEveryone) | flag(v.Dropped, flagDropped) |
		flag(v.Large, flagLarge) | flag(v.Notice, flagNotice)
}

func packPush(v *invite.Invitation) (string, error) {
	if v.Push == nil {
		return "", nil
	}
	b, err := json.Marshal(v.Push)
	return string(b), err
}

func flag(on bool, bit int64) int64 {
	if on {
		return bit
	}
	return 0
}

func (tx *Tx) flushInvitees(ctx context.Context, s *sqldb.Session) error {
	rows := flat(&tx.invitees, func(v *invite.Invitee) []any {
		return []any{v.InviteID, v.UserID, v.Ord, int64(v.State), v.Reason, v.Data, v.By.Device, v.By.RequestID, v.RingingAt, v.Deadline, v.DecidedAt,
			flag(v.Dropped, flagInviteeDropped) | flag(v.Pushed, flagPushed) | flag(v.Follows, flagFollows), v.Counted, v.Seq}
	})
	return s.Write(ctx, `INSERT INTO invitee (`+InviteeColumns+`) VALUES ?*
		ON CONFLICT (invite_id, user_id) DO UPDATE SET state = excluded.state, reason = excluded.reason, data = excluded.data,
		by_device = excluded.by_device, by_request = excluded.by_request, ringing_at = excluded.ringing_at,
		deadline = excluded.deadline, decided_at = excluded.decided_at, deaf = excluded.deaf`, 14, rows)
}

func (tx *Tx) flushTombstones(ctx context.Context, s *sqldb.Session) error {
	rows := flat(&tx.tombstones, func(m *Tombstone) []any { return []any{m.InviteID, m.UserID, m.Target, m.ExpiresAt} })
	return s.Write(ctx, `INSERT INTO mark (invite_id, user_id, target, expires_at) VALUES ?*
		ON CONFLICT (invite_id, user_id) DO UPDATE SET target = excluded.target, expires_at = excluded.expires_at`, 4, rows)
}

func (tx *Tx) flushGroups(ctx context.Context, s *sqldb.Session) error {
	rows := flat(&tx.groups, func(g *im.Group) []any {
		i := &g.Info
		return []any{g.ID, string(g.Type), i.Name, g.Owner, string(i.Join), g.Members, g.CreatedAt, flag(g.Dismissed, 1),
			i.Introduction, i.Notification, i.FaceURL, i.Custom, string(i.Invite), flag(g.Muted, 1), g.MaxMembers, string(g.Revoked)}
	})
	return s.Write(ctx, `INSERT INTO grp (id, type, name, owner, join_option, members, created_at, dismissed,
		intro, notice, face, custom, invite_option, muted, max_members, revoked) VALUES ?*
		ON CONFLICT (id) DO UPDATE SET type = excluded.type, name = excluded.name, owner = excluded.owner,
		join_option = excluded.join_option, members = excluded.members, dismissed = excluded.dismissed, intro = excluded.intro,
		notice = excluded.notice, face = excluded.face, custom = excluded.custom, invite_option = excluded.invite_option,
		muted = excluded.muted, max_members = excluded.max_members, revoked = excluded.revoked`, 16, rows)
}

func (tx *Tx) flushMembers(ctx context.Context, s *sqldb.Session) error {
	rows := flat(&tx.members, func(m *im.Member) []any {
		return append([]any{m.GroupID, m.UserID, int64(m.Role), m.JoinedAt, m.JoinedSeq, flag(m.Gone, 1), m.NameCard, m.Custom, m.MutedUntil, m.BannedUntil,
			m.Marks, m.Own, m.OwnRead, string(m.Extra)}, readingValues(&m.Reading)...)
	})
	return s.Write(ctx, `INSERT INTO member (`+MemberColumns+`) VALUES ?*
		ON CONFLICT (group_id, user_id) DO UPDATE SET role = excluded.role, joined_at = excluded.joined_at,
		joined_seq = excluded.joined_seq, gone = excluded.gone, name_card = excluded.name_card, custom = excluded.custom,
		muted_until = excluded.muted_until, banned_until = excluded.banned_until, marks = excluded.marks, own = excluded.own,
		own_read = excluded.own_read, extra = excluded.extra, `+setReading, 21, rows)
}

// flat lists the values of the rows that were put.
func flat[K comparable, V any](t *table[K, V], values func(*V) []any) []any {
	var list []any
	for _, k := range t.order {
		list = append(list, values(t.rows[k])...)
	}
	return list
}
