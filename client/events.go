package client

import (
	"time"

	"github.com/beckon-im/beckon/client/internal/inbox"
	"github.com/beckon-im/beckon/protocol"
)

// dispatch runs the callbacks in order.
func (c *Client) dispatch() {
	defer close(c.done)
	for {
		q := c.events.Take()
		if q == nil {
			return
		}
		for _, f := range q {
			f()
		}
		c.save()
	}
}

// welcomeReceived records a connect reply immediately: callers waiting for the connection read it.
func (c *Client) welcomeReceived(w protocol.Welcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.welcome, c.epoch = w, w.Epoch
	c.skew = time.Until(time.UnixMilli(w.ServerTime))
	c.ledger.SetUser(w.UserID)
	c.inbox.SetUser(w.UserID)
}

// me returns this user; empty before the first connect.
func (c *Client) me() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger.User()
}

// onWelcome processes a connect reply in order with the events.
func (c *Client) onWelcome(w protocol.Welcome) {
	c.mu.Lock()
	c.snapshot = w
	for t := range c.seen {
		if _, ok := w.Positions[t]; !ok && !c.greeted {
			delete(c.seen, t) // of an invitation that is over, or was removed
		}
	}
	for t, seq := range w.Positions {
		if _, ok := c.seen[t]; !ok {
			c.seen[t] = seq
		}
	}
	whole := !c.resumed || len(w.Reload) > 0
	if c.greeted {
		w.Ended = nil // the connect data are those of the first connect, so Ended is current only there
	}
	first := !c.greeted
	c.greeted = true
	todo := c.ledger.Snapshot(w, whole)
	ask := append(c.ledger.Online(), c.doubt...)
	c.doubt = nil
	c.mu.Unlock()
	if !c.inbox.Loaded() || len(w.Reload) > 0 {
		c.loader.Reload()
	}
	if c.opt.Listener.OnConnected != nil {
		c.opt.Listener.OnConnected(w)
	}
	for i := range w.Statuses {
		call1(c.opt.Listener.OnUserStatusChanged, w.Statuses[i])
	}
	c.notify(todo)
	if first {
		c.catchUpRest(whole)
	}
	c.catchUp(ask)
	if len(w.Reload) > 0 {
		c.reload(w.Reload)
	}
}

func (c *Client) received(topic string, seq uint64, data []byte) {
	event, err := protocol.Decode(data)
	if err != nil || event == nil { // unknown to this version: from a newer server
		c.opt.Log.Debug("event skipped", "timeline", topic, "seq", seq, "error", err)
		c.advance(topic, seq)
		return
	}
	if m, ok := event.(*protocol.Signaling); ok {
		c.pending.Wait(m.InviteID)
		c.pending.Wait(glareWith(m.Inviter))
	}
	call3(c.opt.Listener.OnEvent, topic, seq, event)
	switch e := event.(type) {
	case *protocol.GroupEvent:
		c.onGroupEvent(topic, seq, e, data)
	case *protocol.Message:
		c.refreshNew(c.inbox.Message(seq, e, data))
		where := inbox.Of(c.me(), e.From, e.To, e.GroupID)
		call3(c.opt.Listener.OnReceiveMessage, where, seq, *e)
		c.onMessage(e)
		if e.Call != nil {
			call2(c.opt.Listener.OnCallRecord, where, *e.Call)
		}
	case *protocol.RoomEvent:
		call1(c.opt.Listener.OnRoomRoleChanged, *e)
	case *protocol.MessageEvent:
		c.onMessageEvent(e)
	case *protocol.ReactionEvent:
		call2(c.opt.Listener.OnMessageReactions, inbox.Of(c.me(), e.From, e.To, e.GroupID), e.Changes)
	case *protocol.TypingEvent:
		if e.From == c.me() {
			break // another device of this user
		}
		call1(c.opt.Listener.OnTyping, TypingEvent{inbox.Of(c.me(), e.From, e.To, e.GroupID), e.From, !e.Stopped})
	case *protocol.ConversationEvent:
		c.refreshNew(c.inbox.Conversation(e, seq))
		call1(c.opt.Listener.OnConversationChanged, *e)
	case *protocol.PersonEvent:
		c.onUserEvent(e)
	case *protocol.Signaling:
		c.signaled(topic, seq, e, data)
	}
	c.advance(topic, seq)
}

func (c *Client) advance(topic string, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq > c.seen[topic] {
		c.seen[topic] = seq
	}
}

// glareWith is the key on which an invite with mergeGlare holds events of invitations by the other user.
func glareWith(user string) string { return "by " + user }
