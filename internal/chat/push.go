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

// pushes reports whether a message may be pushed to offline receivers.
func (c *Chat) pushes(s *sending) bool {
	m := &s.msg
	return c.opt.Posted != nil && c.opt.Posts() && !m.OnlineUserOnly && !m.ExcludeUnread &&
		(m.OfflinePush == nil || !m.OfflinePush.Disable) && (s.peer == "" || !c.opt.Here(s.peer))
}

// push enqueues a push, which is sent after the commit. The offline members of a group are determined then.
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
	user := tx.User(s.peer)
	if user == nil || user.Pushes == 0 || tx.Contact(s.peer, m.From).Blocks() {
		return
	}
	tx.Enqueue(outbox.MessageTo(s.peer, p, tx.Now))
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
