package store

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
)

func chatReads() []string {
	return []string{
		qOlder, qNewer, qMessage, qStands, qCounted, qCountedAfter, qPairUpTo, qLastUpTo, qOwnAfter, qContact, qContacts, qGroupSides, qContactSide, qGroupSide, qReaders, qNonReaders,
		qBlocked, qApplications, qExtra, qUser, qFollows, qFile, qFindGroups, qFindMembers, qStale,
	}
}

// What is read of messages and people.
const (
	historyColumns = "SELECT r.seq, r.at, r.body, r.msg, r.flags, r.readers, r.audience FROM record r WHERE r.topic = $1 AND r.peer = $2 AND r.peer <> '' "
	notDeleted     = " AND NOT EXISTS (SELECT 1 FROM deleted d WHERE d.user_id = $5 AND d.topic = r.topic AND d.seq = r.seq) ORDER BY r.seq "

	qOlder   = historyColumns + "AND r.seq < $3 AND r.seq > $4" + notDeleted + "DESC LIMIT $6"
	qNewer   = historyColumns + "AND r.seq > $3 AND r.seq > $4" + notDeleted + "LIMIT $6"
	qMessage = "SELECT " + txn.MessageColumns + " FROM record WHERE topic = $1 AND msg = $2 AND msg <> ''"

	qStands       = "SELECT ord, sender, flags FROM record WHERE topic = $1 AND peer = $2 AND peer <> '' AND seq = $3"
	qCounted      = "SELECT head, counted FROM topic WHERE name = $1"
	qCountedAfter = "SELECT ord FROM record WHERE topic = $1 AND peer = $2 AND peer <> '' AND seq > $3 AND ord > 0 ORDER BY seq LIMIT 1"
	qPairUpTo     = "SELECT pair FROM record WHERE topic = $1 AND peer = $2 AND peer <> '' AND seq > $3 AND seq <= $4 AND pair > 0 ORDER BY seq DESC LIMIT 1"
	qLastUpTo     = "SELECT seq FROM record WHERE topic = $1 AND peer = $2 AND peer <> '' AND seq > $3 AND seq <= $4 ORDER BY seq DESC LIMIT 1"
	qOwnAfter     = "SELECT count(*) FROM record WHERE topic = $1 AND seq > $2 AND ord > 0 AND sender = $3"

	// last finds the last record of a conversation that is to be shown as such; FlagNotLast is 2. A timeline without a record
	// has no topic.
	lastFrom = ` LEFT JOIN record r ON r.topic = c.timeline AND r.seq = (SELECT l.seq FROM record l WHERE l.topic = c.timeline AND l.peer = c.peer AND l.peer <> ''
		AND l.flags / 2 % 2 = 0 AND l.seq > c.cleared_seq AND NOT EXISTS (SELECT 1 FROM deleted d WHERE d.user_id = c.user_id AND d.topic = l.topic AND d.seq = l.seq)
		ORDER BY l.seq DESC LIMIT 1)`
	lastColumns = "coalesce(t.head, 0), coalesce(t.counted, 0), coalesce(r.seq, 0), coalesce(r.at, 0), coalesce(r.body, '')"
	contactSide = "SELECT c.user_id, c.peer, c.counted, c.peer_read, c.blocked_at, " + sideColumns + ", " + lastColumns + " FROM (SELECT " + txn.ContactColumns + ", 'user:' || user_id AS timeline FROM contact WHERE user_id = $1"
	groupSide   = "SELECT c.group_id, c.user_id, c.role, c.joined_at, c.joined_seq, c.gone, c.name_card, c.custom, c.muted_until, c.banned_until, c.marks, c.own, c.own_read, c.extra, " + sideColumns + ", " + txn.GroupColumns + ", " + lastColumns + " FROM (SELECT " + txn.MemberColumns +
		", '*' AS peer, 'group:' || group_id AS timeline FROM member WHERE user_id = $1 AND gone = 0"
	sideColumns = "c.read_seq, c.read_ord, c.pinned_at, c.opt, c.hidden_seq, c.cleared_seq, c.skipped"
	joinTopic   = ") c LEFT JOIN topic t ON t.name = c.timeline"

	qContact     = "SELECT " + txn.ContactColumns + " FROM contact WHERE user_id = $1 AND peer = $2"
	qContacts    = contactSide + joinTopic + lastFrom
	qContactSide = contactSide + " AND peer = $2" + joinTopic + lastFrom
	qGroupSides  = groupSide + joinTopic + " JOIN grp g ON g.id = c.group_id" + lastFrom
	qGroupSide   = groupSide + " AND group_id = $2" + joinTopic + " JOIN grp g ON g.id = c.group_id" + lastFrom

	qReaders    = "SELECT user_id, at FROM receipt WHERE topic = $1 AND msg = $2 AND user_id > $3 ORDER BY user_id LIMIT $4"
	qNonReaders = `SELECT m.user_id, 0 FROM member m WHERE m.group_id = $1 AND m.user_id > $2 AND m.gone = 0 AND m.joined_seq < $3 AND m.user_id <> $4
		AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.topic = $5 AND r.msg = $6 AND r.user_id = m.user_id) ORDER BY m.user_id LIMIT $7`

	qBlocked      = "SELECT peer FROM contact WHERE user_id = $1 AND blocked_at > 0 AND peer > $2 ORDER BY peer LIMIT $3"
	qApplications = "SELECT " + txn.ApplicationColumns + ` FROM application WHERE group_id IN (SELECT group_id FROM member WHERE user_id = $1 AND gone = 0 AND role > 200)
		AND (group_id, user_id) > ($2, $3) ORDER BY group_id, user_id LIMIT $4`
	qExtra      = "SELECT " + txn.ExtraColumns + " FROM extra WHERE group_id = $1"
	qUser       = "SELECT " + txn.UserColumns + " FROM person WHERE user_id = $1"
	qFollows    = "SELECT target FROM follow WHERE user_id = $1 ORDER BY target"
	qFile       = "SELECT " + txn.FileColumns + " FROM file WHERE id = $1"
	qFindGroups = "SELECT " + txn.GroupColumns + ` FROM grp g JOIN member m ON m.group_id = g.id WHERE m.user_id = $1 AND m.gone = 0 AND g.id > $3
		AND (lower(g.name) LIKE $2 ESCAPE '!' OR g.name LIKE $5 ESCAPE '!' OR lower(g.id) LIKE $2 ESCAPE '!') ORDER BY g.id LIMIT $4`
	qFindMembers = "SELECT " + txn.MemberColumns + ` FROM member WHERE group_id = $1 AND gone = 0 AND user_id > $3
		AND (lower(name_card) LIKE $2 ESCAPE '!' OR name_card LIKE $5 ESCAPE '!' OR lower(user_id) LIKE $2 ESCAPE '!') ORDER BY user_id LIMIT $4`
)

// HistoryEntry is an entry of a conversation's history.
type HistoryEntry struct {
	Seq      uint64
	At       int64 // milliseconds
	Body     []byte
	Message  string // its id, when it is a message
	Flags    txn.Flags
	Readers  int64
	Audience string
}

// HistoryRange says which part of a conversation to read.
type HistoryRange struct {
	User  string
	Topic string
	Peer  string
	From  uint64 // exclusive
	Newer bool   // after From, the oldest first; else before From, the newest first
	After uint64 // nothing up to here is shown to the user
	Limit int
}

// History reads a stretch of a conversation.
func (s *Store) History(ctx context.Context, h HistoryRange) ([]HistoryEntry, error) {
	q := qOlder
	if h.Newer {
		q = qNewer
	}
	var list []HistoryEntry
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		var l HistoryEntry
		err := rows.Scan(&l.Seq, &l.At, &l.Body, &l.Message, &l.Flags, &l.Readers, &l.Audience)
		list = append(list, l)
		return err
	}, q, h.Topic, h.Peer, h.From, h.After, h.User, h.Limit)
	return list, err
}

// MessagePosition is a record of a conversation, as far as unread counts are concerned.
type MessagePosition struct {
	Seq    uint64
	Ord    int64 // the running count, when it counts as unread
	Sender string
	Flags  txn.Flags
}

// MessagePosition finds a record in a conversation; nil when there is none.
func (s *Store) MessagePosition(ctx context.Context, topic, peer string, seq uint64) (r *MessagePosition, err error) {
	err = each(ctx, s.pool(), func(rows sqldb.Row) error {
		r = &MessagePosition{Seq: seq}
		return rows.Scan(&r.Ord, &r.Sender, &r.Flags)
	}, qStands, topic, peer, seq)
	return r, err
}

// Message reads a message on one timeline; nil when it is not there.
func (s *Store) Message(ctx context.Context, topic, id string) (m *txn.Message, err error) {
	err = each(ctx, s.pool(), func(rows sqldb.Row) error {
		m, err = txn.ScanMessage(rows)
		return err
	}, qMessage, topic, id)
	return m, err
}

// ReadMark is how a person's side of a conversation stands when it is read up to a sequence. None of it changes later,
// whatever is said meanwhile.
type ReadMark struct {
	Last    uint64 // the sequence of the last record up to there; 0 = there is none that was not read, or it was trimmed
	UpTo    uint64 // where the timeline ended, when less than was asked
	Ord     int64  // the count of what counts as unread, up to there
	Pair    uint64 // the sequence of the last message on the other person's timeline; 0 = there is none
	Own     int64  // of a group: how many of those are the reader's own
	Contact *im.Contact
	Member  *im.Member
}

// ReadMark reads what reading a conversation up to a sequence means: with a peer, or in a group.
func (s *Store) ReadMark(ctx context.Context, user, peer, group string, upTo uint64) (f ReadMark, err error) {
	topic, column := im.UserTopic(user), peer
	if group != "" {
		topic, column = im.GroupTopic(group), txn.GroupPeer
	}
	err = s.View(ctx, func(r sqldb.Reader) error {
		var head uint64
		var counted int64
		if err := each(ctx, r, func(rows sqldb.Row) error { return rows.Scan(&head, &counted) }, qCounted, topic); err != nil {
			return err
		}
		if f.UpTo = upTo; upTo == 0 || upTo > head {
			f.UpTo = head
		}
		after, err := f.side(ctx, r, user, peer, group)
		if err != nil {
			return err
		}
		if group == "" {
			counted = f.Contact.Counted
			if err := each(ctx, r, func(rows sqldb.Row) error { return rows.Scan(&f.Pair) }, qPairUpTo, topic, column, after, f.UpTo); err != nil {
				return err
			}
		} else {
			later := int64(0)
			if err := each(ctx, r, func(rows sqldb.Row) error { return rows.Scan(&later) }, qOwnAfter, topic, f.UpTo, user); err != nil {
				return err
			}
			f.Own = f.Member.Own - later
		}
		f.Ord = counted // less what comes after
		if err := each(ctx, r, func(rows sqldb.Row) error {
			err := rows.Scan(&f.Ord)
			f.Ord--
			return err
		}, qCountedAfter, topic, column, f.UpTo); err != nil {
			return err
		}
		return each(ctx, r, func(rows sqldb.Row) error { return rows.Scan(&f.Last) }, qLastUpTo, topic, column, after, f.UpTo)
	})
	return f, err
}

// side reads the reader's side, and returns how far it was read before.
func (f *ReadMark) side(ctx context.Context, r sqldb.Reader, user, peer, group string) (after uint64, err error) {
	if group == "" {
		f.Contact = &im.Contact{UserID: user, Peer: peer}
		err = each(ctx, r, func(rows sqldb.Row) (err error) {
			f.Contact, err = txn.ScanContact(rows)
			return err
		}, qContact, user, peer)
		return f.Contact.ReadSeq, err
	}
	f.Member = &im.Member{GroupID: group, UserID: user, Gone: true}
	err = each(ctx, r, func(rows sqldb.Row) (err error) {
		f.Member, err = txn.ScanMember(rows)
		return err
	}, qMember, group, user)
	return f.Member.ReadSeq, err
}

// Contact reads one side of a conversation; empty when there is none.
func (s *Store) Contact(ctx context.Context, user, peer string) (*im.Contact, error) {
	c := &im.Contact{UserID: user, Peer: peer}
	err := each(ctx, s.pool(), func(rows sqldb.Row) (err error) {
		c, err = txn.ScanContact(rows)
		return err
	}, qContact, user, peer)
	return c, err
}

// ConversationState is one person's side of a conversation, with how the conversation stands.
type ConversationState struct {
	Contact *im.Contact // one-to-one
	Member  *im.Member  // of a group
	Group   *im.Group
	Head    uint64       // of the timeline
	Counted int64        // of a group's timeline
	Last    HistoryEntry // Seq 0 = nothing is left to show
}

// Reading is the person's part of it.
func (d *ConversationState) Reading() *im.Reading {
	if d.Member != nil {
		return &d.Member.Reading
	}
	return &d.Contact.Reading
}

// Conversation reads one conversation of a person: with a peer, or of a group that they are in.
//
// own is how far the person's own timeline had come at that moment.
func (s *Store) Conversation(ctx context.Context, user, peer, group string) (d *ConversationState, own uint64, err error) {
	d = &ConversationState{Contact: &im.Contact{UserID: user, Peer: peer}}
	err = s.View(ctx, func(r sqldb.Reader) error {
		if own, _, err = readTopic(ctx, r, im.UserTopic(user)); err != nil {
			return err
		}
		if d.Head = own; group != "" {
			return each(ctx, r, func(rows sqldb.Row) (err error) {
				d.Contact = nil
				d.Member, d.Group, err = scanConversation(rows, d)
				return err
			}, qGroupSide, user, group)
		}
		return each(ctx, r, func(rows sqldb.Row) (err error) {
			d.Contact, err = txn.ScanContact(rows, &d.Head, &d.Counted, &d.Last.Seq, &d.Last.At, &d.Last.Body)
			return err
		}, qContactSide, user, peer)
	})
	return d, own, err
}

// Conversations reads all conversations of a person, at one moment, and how far their own timeline had come.
func (s *Store) Conversations(ctx context.Context, user string) (list []ConversationState, own uint64, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		if own, _, err = readTopic(ctx, r, im.UserTopic(user)); err != nil {
			return err
		}
		err := each(ctx, r, func(rows sqldb.Row) (err error) {
			var d ConversationState
			d.Contact, err = txn.ScanContact(rows, &d.Head, &d.Counted, &d.Last.Seq, &d.Last.At, &d.Last.Body)
			list = append(list, d)
			return err
		}, qContacts, user)
		if err != nil {
			return err
		}
		return each(ctx, r, func(rows sqldb.Row) (err error) {
			var d ConversationState
			d.Group = &im.Group{}
			d.Member, d.Group, err = scanConversation(rows, &d)
			list = append(list, d)
			return err
		}, qGroupSides, user)
	})
	return list, own, err
}

// scanConversation reads a member, the group, and the last record.
func scanConversation(rows sqldb.Row, d *ConversationState) (*im.Member, *im.Group, error) {
	var g im.Group
	var dismissed, muted int64
	m, err := txn.ScanMember(rows, &g.ID, &g.Type, &g.Info.Name, &g.Owner, &g.Info.Join, &g.Members, &g.CreatedAt, &dismissed,
		&g.Info.Introduction, &g.Info.Notification, &g.Info.FaceURL, &g.Info.Custom, &g.Info.Invite, &muted, &g.MaxMembers, &g.Revoked,
		&d.Head, &d.Counted, &d.Last.Seq, &d.Last.At, &d.Last.Body)
	g.Dismissed, g.Muted = dismissed != 0, muted != 0
	return m, &g, err
}

// Reader is who has or has not read a message.
type Reader struct {
	UserID string
	At     int64 // milliseconds; 0 = has not
}

// Readers reads a page of those who have sent a read receipt for a message of a group.
func (s *Store) Readers(ctx context.Context, topic, msg, after string, limit int) ([]Reader, error) {
	return readers(ctx, s.pool(), qReaders, topic, msg, after, limit)
}

// NonReaders reads a page of the members who could have read a message of a group and have not.
func (s *Store) NonReaders(ctx context.Context, group string, m *txn.Message, after string, limit int) ([]Reader, error) {
	return readers(ctx, s.pool(), qNonReaders, group, after, m.Seq, m.Sender, m.Topic, m.ID, limit)
}

func readers(ctx context.Context, r sqldb.Reader, q string, args ...any) ([]Reader, error) {
	var list []Reader
	err := each(ctx, r, func(rows sqldb.Row) error {
		var p Reader
		err := rows.Scan(&p.UserID, &p.At)
		list = append(list, p)
		return err
	}, q, args...)
	return list, err
}

// Found is a message that a search found.
type Found struct {
	ID    int64 // for the next page: what is older has a smaller one
	Topic string
	Msg   string
}

// Search finds messages by words, in what one of the topics may find, the newest first.
func (s *Store) Search(ctx context.Context, words, topics []string, before int64, limit int) ([]Found, error) {
	var list []Found
	query, arg := s.db.Search(words, topics)
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		var f Found
		err := rows.Scan(&f.ID, &f.Topic, &f.Msg)
		list = append(list, f)
		return err
	}, query, arg, before, limit)
	return list, err
}
