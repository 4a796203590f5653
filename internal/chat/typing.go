package chat

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Limits of typing events: the time between two of a user in a conversation, in milliseconds, the members of a group
// that has them, and the conversations of which this node knows the last one.
const (
	typingPause   = 2000
	typingMembers = 200
	typingKnown   = 50_000
)

// typing holds the last typing events, by user and conversation. Without an entry an event is sent.
type typing struct {
	last *lru.Cache[typingKey, typingState]
}

type typingKey struct{ user, conversation string }

// typingState is the time of the last event in milliseconds, and whether it still holds.
type typingState struct {
	at    int64
	holds bool
}

func newTyping() *typing {
	last, _ := lru.New[typingKey, typingState](typingKnown) // fails only for a size below one
	return &typing{last}
}

// take reports whether an event may be sent at now, and notes it. An end follows its start without a pause, once.
func (t *typing) take(k typingKey, stopped bool, now int64) bool {
	last, known := t.last.Get(k)
	if stopped && !(known && last.holds && now-last.at < protocol.TypingTime) || !stopped && known &&
		now-last.at < typingPause {
		return false
	}
	if !stopped {
		last.at = now
	}
	t.last.Add(k, typingState{last.at, !stopped})
	return true
}

// SendTyping sends a typing event to the connected devices of the conversation's other users. It is not stored.
func (c *Chat) SendTyping(_ context.Context, by rpc.Caller,
	req protocol.TypingRequest) (t rpc.Txn[protocol.TypingResponse], err error) {
	p, err := parseConversation(by, req.ConversationID)
	if err != nil {
		return t, err
	}
	k := typingKey{by.UserID, req.ConversationID}
	if !c.typing.take(k, req.Stopped, c.store.Now()) {
		t.Decide = func(tx *txn.Tx) (protocol.TypingResponse, error) {
			return protocol.TypingResponse{ServerTime: tx.Now}, nil
		}
		return t, nil
	}
	t.Reads = p.reads()
	t.Decide = func(tx *txn.Tx) (protocol.TypingResponse, error) {
		res := protocol.TypingResponse{ServerTime: tx.Now}
		e := protocol.TypingEvent{Type: protocol.TypeTyping, From: by.UserID, To: p.peer, GroupID: p.groupID,
			Stopped: req.Stopped, Time: tx.Now}
		topic, sent, err := c.typingTopic(tx, p)
		if err == nil && topic != "" {
			tx.Append(topic, txn.Draft{Device: by.Origin(), Online: true, Body: &rpc.Event{Value: e}})
		}
		res.Sent = sent
		return res, err
	}
	t.After = func(res protocol.TypingResponse, err error) (protocol.TypingResponse, error) {
		if err != nil {
			c.typing.last.Remove(k) // the next call is refused with the same error
		}
		return res, err
	}
	return t, nil
}

// typingTopic returns the timeline of those who see the caller typing; empty = none. sent is what the caller is told: a
// silent block is not shown.
func (c *Chat) typingTopic(tx *txn.Tx, p conversation) (topic string, sent bool, err error) {
	if p.groupID != "" {
		g, me, err := p.member(tx)
		if err == nil {
			err = g.MaySpeak(me, tx.Now)
		}
		if err != nil || g.Members > typingMembers {
			return "", false, err
		}
		return p.topic(), true, nil
	}
	if tx.Contact(p.peer, p.by.UserID).Blocks() {
		if !c.opt.DropBlocked {
			return "", false, &im.Error{Code: im.CodeBlocked, Field: "conversationID",
				Message: p.peer + " does not accept messages from you"}
		}
		return "", true, nil
	}
	return im.UserTopic(p.peer), true, nil
}
