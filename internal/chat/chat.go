// Package chat implements the methods of messages and conversations: send, read, revoke, modify, search.
//
// It never talks to devices, and never decides group membership.
package chat

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
)

// Options configures a Chat. The zero value works.
type Options struct {
	// RevokeWithin is the time within which senders may revoke their messages. Default: 2 min.
	RevokeWithin time.Duration
	// DropBlocked makes a message to a user that blocks the sender appear to succeed, without delivery. Default: it is
	// refused with 20007.
	DropBlocked bool
	// Posted is called when pushes are enqueued, before their commit. Default: pushes are off.
	Posted func()
	// HasTokens reports whether any user has a push token. Default: true.
	HasTokens func() bool
	// Devices caches the devices with push tokens, by user. Default: unknown.
	Devices outbox.Devices
	// Here returns the devices of a user that are connected to this node. Default: none.
	Here func(user string) outbox.Connected
	// PushDelay is the delay of pushes of messages to a user with a device on this node. Default: none.
	PushDelay time.Duration
}

// Presence counts the connected devices of users, on all nodes. It may have to query the other nodes.
type Presence interface {
	Devices(userIDs ...string) []int
}

// Chat implements the methods of messages and conversations.
type Chat struct {
	store    *store.Store
	presence Presence
	opt      Options
	typing   *typing
}

// New returns a Chat on a store.
func New(s *store.Store, p Presence, opt Options) *Chat {
	if opt.RevokeWithin == 0 {
		opt.RevokeWithin = 2 * time.Minute
	}
	if opt.HasTokens == nil {
		opt.HasTokens = func() bool { return true }
	}
	if opt.Here == nil {
		opt.Here = func(string) outbox.Connected { return outbox.Connected{} }
	}
	return &Chat{store: s, presence: p, opt: opt, typing: newTyping()}
}

// conversation is a conversation as one user sees it: with a peer, or of a group.
type conversation struct {
	by      rpc.Caller
	peer    string // one-to-one
	groupID string
}

// parseConversation parses a conversationID of a caller.
func parseConversation(by rpc.Caller, conversationID string) (conversation, error) {
	peer, group, err := im.ParseConversation(conversationID)
	if err == nil && peer == by.UserID {
		err = im.Bad("conversationID", "is with yourself")
	}
	return conversation{by, peer, group}, err
}

// id returns the conversationID for this user.
func (p conversation) id() string {
	if p.groupID != "" {
		return im.GroupConversation(p.groupID)
	}
	return im.C2C(p.peer)
}

// topic returns the timeline from which this user reads the conversation.
func (p conversation) topic() string {
	if p.groupID != "" {
		return im.GroupTopic(p.groupID)
	}
	return im.UserTopic(p.by.UserID)
}

// column returns the value that marks the records of the conversation on that timeline.
func (p conversation) column() string {
	if p.groupID != "" {
		return txn.GroupPeer
	}
	return p.peer
}

// reads returns the reads of an action in the conversation.
func (p conversation) reads() txn.ReadSet {
	if p.groupID != "" {
		return txn.ReadSet{Topics: []string{p.topic(), im.UserTopic(p.by.UserID)}, Groups: []string{p.groupID},
			Members: []txn.MemberKey{{GroupID: p.groupID, UserID: p.by.UserID}}}
	}
	return txn.ReadSet{
		Topics:   []string{p.topic(), im.UserTopic(p.peer)},
		Contacts: []txn.ContactKey{{UserID: p.by.UserID, Peer: p.peer}, {UserID: p.peer, Peer: p.by.UserID}},
	}
}

// messages returns the keys of a message on all timelines that have it.
func (p conversation) messages(id string) []txn.MessageKey {
	if p.groupID != "" {
		return []txn.MessageKey{{Topic: p.topic(), ID: id}}
	}
	return []txn.MessageKey{{Topic: p.topic(), ID: id}, {Topic: im.UserTopic(p.peer), ID: id}}
}

// member returns the group of the conversation and the caller's membership, or an error if the caller may not read
// it.
func (p conversation) member(tx *txn.Tx) (*im.Group, *im.Member, error) {
	g := tx.Group(p.groupID)
	m := tx.Member(p.groupID, p.by.UserID)
	return g, m, g.MayRead(m)
}

// sees returns the sequence after which the caller may read the conversation, and the sequence up to which the peer
// has read it.
func (c *Chat) sees(ctx context.Context, p conversation) (after, peerRead uint64, err error) {
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

// membership reads a group and the caller's membership outside a transaction.
func (c *Chat) membership(ctx context.Context, p conversation) (*im.Group, *im.Member, error) {
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

// appendOwn appends an event to the caller's own timeline, for their other devices.
func (p conversation) appendOwn(tx *txn.Tx, e any) {
	tx.Append(im.UserTopic(p.by.UserID), txn.Draft{Device: p.by.Origin(), Body: &rpc.Event{Value: e}})
}

// ownHead returns the head of the caller's own timeline before this transaction.
func (p conversation) ownHead(tx *txn.Tx) uint64 { return tx.Head(im.UserTopic(p.by.UserID)) }

// unread returns the unread messages of a member; 0 in group types without unread counts.
func unread(g *im.Group, m *im.Member, counted int64) int64 {
	if rules, _ := im.Rules(g.Type); !rules.Unread {
		return 0
	}
	return m.Unread(g, counted)
}
