package store

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// HistoryEntry is an entry of a conversation's history.
type HistoryEntry struct {
	Seq      uint64
	At       int64 // milliseconds
	Body     []byte
	Message  string // the id of a message; empty for other records
	Flags    txn.Flags
	Readers  int64
	Audience string
}

// HistoryRange selects a page of a conversation.
type HistoryRange struct {
	User  string
	Topic string
	Peer  string
	From  uint64 // exclusive
	Newer bool   // after From, the oldest first; else before From, the newest first
	After uint64 // records up to it are hidden from the user
	Limit int
}

// History reads a page of a conversation.
func (s *Store) History(ctx context.Context, h HistoryRange) ([]HistoryEntry, error) {
	if h.Newer {
		return readAllStandby(ctx, s, scanHistory, queries.Text("HistoryAfter"), h.Topic, h.Peer, max(h.From, h.After),
			h.User, h.Limit)
	}
	return readAllStandby(ctx, s, scanHistory, queries.Text("HistoryBefore"), h.Topic, h.Peer, h.From, h.After, h.User,
		h.Limit)
}

func scanHistory(row sqldb.Row) (*HistoryEntry, error) {
	var e HistoryEntry
	return &e, row.Scan(&e.Seq, &e.At, &e.Body, &e.Message, &e.Flags, &e.Readers, &e.Audience)
}

// MessagePosition is a record of a conversation as unread counts need it.
type MessagePosition struct {
	Seq    uint64
	Ord    int64 // the running count of unread records; 0 = it does not count
	Sender string
	Flags  txn.Flags
}

// MessagePosition finds a record in a conversation; nil when there is none.
func (s *Store) MessagePosition(ctx context.Context, topic, peer string, seq uint64) (*MessagePosition, error) {
	return sqldb.One(ctx, s.db, func(row sqldb.Row) (*MessagePosition, error) {
		r := MessagePosition{Seq: seq}
		return &r, row.Scan(&r.Ord, &r.Sender, &r.Flags)
	}, queries.Text("MessagePosition"), topic, peer, seq)
}

// Message reads a message on one timeline; nil when the timeline has none of this id.
func (s *Store) Message(ctx context.Context, topic, id string) (*txn.Message, error) {
	return sqldb.One(ctx, s.db, txn.ScanMessage, queries.Text("Message"), topic, id)
}

// ReadMark is the state of a user's side of a conversation that is read up to a sequence. Later records do not change
// it.
type ReadMark struct {
	Last    uint64 // the sequence of the last unread record up to there; 0 = none, or it was trimmed
	UpTo    uint64 // the requested sequence, or the head of the timeline when that is less
	Ord     int64  // the running count up to there
	Pair    uint64 // the sequence of the last message on the other user's timeline; 0 = none
	Own     int64  // of a group: the reader's own records among them
	Contact *im.Contact
	Member  *im.Member
}

// ReadMark reads the state of a conversation, with a peer or in a group, that is read up to a sequence; 0 = all of it.
func (s *Store) ReadMark(ctx context.Context, user, peer, group string, upTo uint64) (f ReadMark, err error) {
	topic, column := im.UserTopic(user), peer
	if group != "" {
		topic, column = im.GroupTopic(group), txn.GroupPeer
	}
	err = s.View(ctx, func(r sqldb.Reader) (err error) {
		var head, after uint64
		var counted int64
		read := func(text string, args []any, into ...any) {
			if err == nil {
				err = r.Read(ctx, text, func(row sqldb.Row) error { return row.Scan(into...) }, args...)
			}
		}
		if read(queries.Text("TopicCounted"), []any{topic}, &head, &counted); err != nil {
			return err
		}
		if f.UpTo = upTo; upTo == 0 || upTo > head {
			f.UpTo = head
		}
		if after, err = f.side(ctx, r, user, peer, group); err != nil {
			return err
		}
		if group == "" {
			counted = f.Contact.Counted
			read(queries.Text("LastPairUpTo"), []any{topic, column, after, f.UpTo}, &f.Pair)
		} else {
			later := int64(0)
			read(queries.Text("OwnCountedAfter"), []any{topic, f.UpTo, user}, &later)
			f.Own = f.Member.Own - later
		}
		next := counted + 1 // the count of the first counted record after UpTo
		read(queries.Text("FirstCountedAfter"), []any{topic, column, f.UpTo}, &next)
		f.Ord = next - 1
		read(queries.Text("LastRecordUpTo"), []any{topic, column, after, f.UpTo}, &f.Last)
		return err
	})
	return f, err
}

// side reads the reader's side, and returns the position of the previous read.
func (f *ReadMark) side(ctx context.Context, r sqldb.Reader, user, peer, group string) (after uint64, err error) {
	if group == "" {
		f.Contact, err = readContact(ctx, r, user, peer)
		return f.Contact.ReadSeq, err
	}
	if f.Member, err = sqldb.One(ctx, r, txn.ScanMember, queries.Text("Member"), group, user); f.Member == nil {
		f.Member = &im.Member{GroupID: group, UserID: user, Gone: true}
	}
	return f.Member.ReadSeq, err
}

// Contact reads one side of a conversation; empty when there is none.
func (s *Store) Contact(ctx context.Context, user, peer string) (*im.Contact, error) {
	return readContact(ctx, s.db, user, peer)
}

func readContact(ctx context.Context, r sqldb.Reader, user, peer string) (*im.Contact, error) {
	scan := func(row sqldb.Row) (*im.Contact, error) { return txn.ScanContact(row) }
	c, err := sqldb.One(ctx, r, scan, queries.Text("Contact"), user, peer)
	if c == nil {
		c = &im.Contact{UserID: user, Peer: peer}
	}
	return c, err
}

// ConversationState is one user's side of a conversation, with the state of the conversation.
type ConversationState struct {
	Contact *im.Contact // one-to-one
	Member  *im.Member  // of a group
	Group   *im.Group
	Head    uint64       // of the timeline
	Counted int64        // of a group's timeline
	Last    HistoryEntry // Seq 0 = no record can be shown
}

// Reading returns the read positions and settings of the user.
func (d *ConversationState) Reading() *im.Reading {
	if d.Member != nil {
		return &d.Member.Reading
	}
	return &d.Contact.Reading
}

// Conversation reads one conversation of a user: with a peer, or of a group of the user.
//
// own is the head of the user's own timeline in the same snapshot.
func (s *Store) Conversation(ctx context.Context, user, peer, group string) (d *ConversationState, own uint64,
	err error) {
	d = &ConversationState{Contact: &im.Contact{UserID: user, Peer: peer}}
	err = s.View(ctx, func(r sqldb.Reader) error {
		if own, err = readHead(ctx, r, im.UserTopic(user)); err != nil {
			return err
		}
		scan, text, key := scanConversation, queries.Text("Conversation"), peer
		if d.Head = own; group != "" {
			scan, text, key = scanGroupConversation, queries.Text("GroupConversation"), group
		}
		found, err := sqldb.One(ctx, r, scan, text, user, key)
		if found != nil {
			d = found
		}
		return err
	})
	return d, own, err
}

// Conversations reads all conversations of a user, and the head of the user's own timeline in the same snapshot.
func (s *Store) Conversations(ctx context.Context, user string) (list []ConversationState, own uint64, err error) {
	err = s.ViewStandby(ctx, func(r sqldb.Reader) error {
		if own, err = readHead(ctx, r, im.UserTopic(user)); err != nil {
			return err
		}
		if list, err = sqldb.All(ctx, r, scanConversation, queries.Text("Conversations"), user); err != nil {
			return err
		}
		groups, err := sqldb.All(ctx, r, scanGroupConversation, queries.Text("GroupConversations"), user)
		list = append(list, groups...)
		return err
	})
	return list, own, err
}

func scanConversation(row sqldb.Row) (d *ConversationState, err error) {
	d = &ConversationState{}
	d.Contact, err = txn.ScanContact(row, &d.Head, &d.Counted, &d.Last.Seq, &d.Last.At, &d.Last.Body)
	return d, err
}

func scanGroupConversation(row sqldb.Row) (d *ConversationState, err error) {
	d = &ConversationState{}
	d.Member, d.Group, err = txn.ScanMembership(row, &d.Head, &d.Counted, &d.Last.Seq, &d.Last.At, &d.Last.Body)
	return d, err
}

// Found is a result of a search.
type Found struct {
	ID    int64 // for the next page; older messages have smaller ones
	Topic string
	Msg   string
}

// Search finds the messages with all words that readers of one of the topics may find, the newest first.
func (s *Store) Search(ctx context.Context, words, topics []string, before int64, limit int) ([]Found, error) {
	query, arg := s.db.Search(words, topics)
	return readAllStandby(ctx, s, func(row sqldb.Row) (*Found, error) {
		var f Found
		return &f, row.Scan(&f.ID, &f.Topic, &f.Msg)
	}, query, arg, before, limit)
}
