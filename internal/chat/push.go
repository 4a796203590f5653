package chat

import (
	"strings"
	"unicode/utf8"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// maxPreview bounds the text of a message in a push, in bytes.
const maxPreview = 300

// pushing reports whether pushes are on and any user can receive them.
func (c *Chat) pushing() bool { return c.opt.Posted != nil && c.opt.HasTokens() }

// pushes reports whether a message may be pushed.
func (c *Chat) pushes(s *sending) bool {
	m := &s.msg
	if c.opt.Posted == nil || s.groupID != "" && !c.opt.HasTokens() { // the record of a user has its own mark
		return false
	}
	return !m.OnlineUserOnly && !m.ExcludeUnread && (m.OfflinePush == nil || !m.OfflinePush.Disable)
}

// push enqueues a push, which is sent after the commit, to devices that are not connected then. The members of a group
// are determined then. A receiver with a device on this node has some time to read the message there.
func (c *Chat) push(tx *txn.Tx, s *sending, m *protocol.Message) {
	p := outbox.Message{MessageID: m.MessageID, From: m.From, At: tx.Now, GroupID: m.GroupID, Text: Preview(&m.Body),
		Kind: string(m.MessageType), Push: m.OfflinePush,
		Receivers: m.ReceiverList, Mentioned: m.Mentions, MentionAll: m.MentionAll}
	if s.groupID != "" {
		if rules, _ := im.Rules(tx.Group(s.groupID).Type); !rules.Unread {
			return // group types without unread counts send no pushes
		}
		tx.Enqueue(outbox.MessageToGroup(p, tx.Now))
		c.opt.Posted()
		return
	}
	if !c.opt.Devices.Unconnected(tx.User(s.peer), s.here) || tx.Contact(s.peer, m.From).Blocks() {
		return
	}
	due := tx.Now
	if s.here.Count > 0 {
		due += c.opt.PushDelay.Milliseconds()
	}
	tx.Enqueue(outbox.MessageTo(s.peer, p, tx.Now, due))
	c.opt.Posted()
}

// withdraw enqueues the push that takes the notifications of a revoked message away.
func (c *Chat) withdraw(tx *txn.Tx, m *protocol.Message) {
	if !c.pushing() || m.ExcludeUnread {
		return
	}
	if m.GroupID != "" {
		g := tx.Group(m.GroupID)
		if g == nil {
			return
		}
		if rules, _ := im.Rules(g.Type); !rules.Unread {
			return // as in push
		}
	}
	tx.Enqueue(outbox.Revoked(m.To, outbox.Message{MessageID: m.MessageID, From: m.From, GroupID: m.GroupID}, tx.Now))
	c.opt.Posted()
}

// readReads adds the reads of wasRead.
func (c *Chat) readReads(reads *txn.ReadSet, p conversation) {
	if c.pushing() {
		reads.Users = append(reads.Users, p.by.UserID)
	}
}

// wasRead enqueues the push that takes the notifications of read messages away on the user's other devices.
func (c *Chat) wasRead(tx *txn.Tx, p conversation, after, upTo uint64) {
	acting := outbox.Connected{}
	if p.by.DeviceID != "" {
		acting = outbox.Connected{Count: 1, IDs: []string{p.by.DeviceID}}
	}
	if upTo <= after || !c.pushing() || !c.opt.Devices.Unconnected(tx.User(p.by.UserID), acting) {
		return
	}
	tx.Enqueue(outbox.WasRead(p.by.UserID, outbox.Read{Peer: p.peer, GroupID: p.groupID, After: after, UpTo: upTo},
		p.by.DeviceID, tx.Now))
	c.opt.Posted()
}

// Preview returns the start of a message's text on one line, at most 300 bytes.
func Preview(b *protocol.Body) string {
	text := strings.Join(strings.Fields(b.Text), " ")
	if len(text) <= maxPreview {
		return text
	}
	text = text[:maxPreview]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}
