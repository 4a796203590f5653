package chat

import (
	"strings"
	"unicode/utf8"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// maxPreview bounds what a push shows of a message, in bytes.
const maxPreview = 300

// pushes says whether whoever is away may be told of a message by a push.
func (c *Chat) pushes(s *sending) bool {
	m := &s.msg
	return c.opt.Posted != nil && c.opt.Posts() && !m.OnlineUserOnly && !m.ExcludeUnread &&
		(m.OfflinePush == nil || !m.OfflinePush.Disable) && (s.peer == "" || !c.opt.Here(s.peer))
}

// push posts a push, which leaves the house when the message is committed. Who of a group is away is found out then.
func (c *Chat) push(tx *txn.Tx, s *sending, m *protocol.Message) {
	p := outbox.Message{MessageID: m.MessageID, From: m.From, At: tx.Now, GroupID: m.GroupID, Text: Preview(&m.Body),
		Kind: string(m.MessageType), Push: m.OfflinePush,
		Receivers: m.ReceiverList, Mentioned: m.Mentions, MentionAll: m.MentionAll}
	if s.groupID != "" {
		if rules, _ := im.Rules(tx.Group(s.groupID).Type); !rules.Unread {
			return // a crowd
		}
		tx.Enqueue(outbox.MessageToGroup(p, tx.Now))
		c.opt.Posted()
		return
	}
	who := tx.User(s.peer)
	if who == nil || who.Pushes == 0 || tx.Contact(s.peer, m.From).Blocks() {
		return
	}
	tx.Enqueue(outbox.MessageTo(s.peer, p, tx.Now))
	c.opt.Posted()
}

// Preview is the beginning of a message's text, on one line; none when it has none.
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
