// Package chat owns the verbs of messages and conversations: send, read, revoke, modify, find.
//
// It never talks to a device, and never decides who is in a group.
package chat

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// Options are the choices for messages. The zero value works.
type Options struct {
	// RevokeWithin is how long senders may take back what they sent. Default: 2 min.
	RevokeWithin time.Duration
	// DropBlocked lets a message to somebody who blocks the sender seem to succeed, and the blocker not get it. Default:
	// it is refused with 20007.
	DropBlocked bool
	// Posted is told that pushes are on their way, before they are committed. Default: this house sends none.
	Posted func()
	// Posts says whether anybody can be pushed to. Default: yes.
	Posts func() bool
	// Here says whether a person has a device connected to this node; then no push is made. Default: nobody has.
	Here func(user string) bool
}

// Presence counts the devices of people that are connected now, to any node. It may have to ask the others.
type Presence interface {
	Devices(userIDs ...string) []int
}

// Chat runs the verbs of messages.
type Chat struct {
	store    *store.Store
	presence Presence
	opt      Options
}

// New makes the verbs of messages.
func New(s *store.Store, p Presence, opt Options) *Chat {
	if opt.RevokeWithin == 0 {
		opt.RevokeWithin = 2 * time.Minute
	}
	if opt.Posts == nil {
		opt.Posts = func() bool { return true }
	}
	if opt.Here == nil {
		opt.Here = func(string) bool { return false }
	}
	return &Chat{store: s, presence: p, opt: opt}
}

// place is a conversation as one person stands in it: with a peer, or in a group.
type place struct {
	by      rpc.Caller
	peer    string // one-to-one
	groupID string
}

// placeOf reads a conversationID.
func placeOf(by rpc.Caller, conversationID string) (place, error) {
	peer, group, err := im.ParseConversation(conversationID)
	if err == nil && peer == by.UserID {
		err = im.Bad("conversationID", "is with yourself")
	}
	return place{by, peer, group}, err
}

// id is the conversationID for this person.
func (p place) id() string {
	if p.groupID != "" {
		return im.GroupConversation(p.groupID)
	}
	return im.C2C(p.peer)
}

// topic is the timeline that this person reads the conversation from.
func (p place) topic() string {
	if p.groupID != "" {
		return im.GroupTopic(p.groupID)
	}
	return im.UserTopic(p.by.UserID)
}

// column is how the records of the conversation are marked there.
func (p place) column() string {
	if p.groupID != "" {
		return txn.GroupPeer
	}
	return p.peer
}

// need is what an action in the conversation looks at.
func (p place) reads() txn.ReadSet {
	if p.groupID != "" {
		return txn.ReadSet{Topics: []string{p.topic(), im.UserTopic(p.by.UserID)}, Groups: []string{p.groupID},
			Members: []txn.MemberKey{{GroupID: p.groupID, UserID: p.by.UserID}}}
	}
	return txn.ReadSet{
		Topics:   []string{p.topic(), im.UserTopic(p.peer)},
		Contacts: []txn.ContactKey{{UserID: p.by.UserID, Peer: p.peer}, {UserID: p.peer, Peer: p.by.UserID}},
	}
}

// messages names a message on the timelines that hold it.
func (p place) messages(id string) []txn.MessageKey {
	if p.groupID != "" {
		return []txn.MessageKey{{Topic: p.topic(), ID: id}}
	}
	return []txn.MessageKey{{Topic: p.topic(), ID: id}, {Topic: im.UserTopic(p.peer), ID: id}}
}

// member checks that the caller is in the group of the conversation, and returns both.
func (p place) member(tx *txn.Tx) (*im.Group, *im.Member, error) {
	g := tx.Group(p.groupID)
	m := tx.Member(p.groupID, p.by.UserID)
	return g, m, g.MayRead(m)
}

// sees is the sequence after which the caller may read the conversation, and until when the peer has read it.
func (c *Chat) sees(ctx context.Context, p place) (after, peerRead uint64, err error) {
	if p.groupID == "" {
		side, err := c.store.Contact(ctx, p.by.UserID, p.peer)
		if err != nil {
			return 0, 0, im.Internal(err)
		}
		return side.ClearedSeq, side.PeerRead, nil
	}
	g, m, err := c.membership(ctx, p)
	if err != nil {
		return 0, 0, err
	}
	return m.Sees(g), 0, nil
}

// membership reads a group and the caller's part in it.
func (c *Chat) membership(ctx context.Context, p place) (*im.Group, *im.Member, error) {
	g, err := c.store.Group(ctx, p.groupID)
	if err != nil {
		return nil, nil, im.Internal(err)
	}
	m, err := c.store.Member(ctx, p.groupID, p.by.UserID)
	if err != nil {
		return nil, nil, im.Internal(err)
	}
	return g, m, g.MayRead(m)
}

// own appends an event to the caller's own timeline, for their other devices.
func (p place) own(tx *txn.Tx, e any) {
	tx.Append(im.UserTopic(p.by.UserID), txn.Draft{Device: p.by.Origin(), Body: &rpc.Event{Value: e}})
}

// ownHead is how far the caller's own timeline has come before this unit.
func (p place) ownHead(tx *txn.Tx) uint64 { return tx.Head(im.UserTopic(p.by.UserID)) }

// unread is how many messages a member has not read; types of groups that do not count have none.
func unread(g *im.Group, m *im.Member, counted int64) int64 {
	if rules, _ := im.Rules(g.Type); !rules.Unread {
		return 0
	}
	return m.Unread(g, counted)
}
