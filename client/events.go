package client

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/beckon-im/beckon/client/inbox"
	"github.com/beckon-im/beckon/protocol"
)

// dispatch runs callbacks one after another.
func (c *Client) dispatch() {
	defer close(c.done)
	for {
		q := c.events.take()
		if q == nil {
			return
		}
		for _, f := range q {
			f()
		}
	}
}

// arrived takes in what a connect reply says, at once: who waits for the connection reads it.
func (c *Client) arrived(w protocol.Welcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.welcome, c.epoch = w, w.Epoch
	c.skew = time.Until(time.UnixMilli(w.ServerTime))
	c.ledger.me = w.UserID
	c.inbox.SetUser(w.UserID)
}

// me is this user, once connected.
func (c *Client) me() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger.me
}

// welcomed tells what a connect reply brought, in its place among the events.
func (c *Client) welcomed(w protocol.Welcome) {
	c.mu.Lock()
	c.snapshot = w
	for t, seq := range w.Positions {
		if _, ok := c.seen[t]; !ok {
			c.seen[t] = seq
		}
	}
	todo := c.ledger.snapshot(w)
	c.mu.Unlock()
	if !c.inbox.Loaded() || len(w.Reload) > 0 {
		c.reloadInbox()
	}
	if c.opt.Listener.OnConnected != nil {
		c.opt.Listener.OnConnected(w)
	}
	for i := range w.Statuses {
		call1(c.opt.Listener.OnUserStatusChanged, w.Statuses[i])
	}
	c.tell(todo)
	if len(w.Reload) > 0 {
		c.reload(w.Reload)
	}
}

func (c *Client) received(topic string, seq uint64, data []byte) {
	event, err := protocol.Decode(data)
	if err != nil || event == nil {
		c.advance(topic, seq)
		return // of a newer server, for newer clients
	}
	if m, ok := event.(*protocol.Signaling); ok {
		c.awaitAck(m.InviteID)
		c.awaitAck(glareWith(m.Inviter))
	}
	call3(c.opt.Listener.OnEvent, topic, seq, event)
	switch e := event.(type) {
	case *protocol.GroupEvent:
		c.inGroup(topic, seq, e, data)
	case *protocol.Message:
		c.meet(c.inbox.Message(seq, e, data))
		where := inbox.Of(c.me(), e.From, e.To, e.GroupID)
		call3(c.opt.Listener.OnReceiveMessage, where, seq, *e)
		if e.Call != nil {
			call2(c.opt.Listener.OnCallRecord, where, *e.Call)
		}
	case *protocol.RoomEvent:
		call1(c.opt.Listener.OnRoomRoleChanged, *e)
	case *protocol.MessageEvent:
		c.aboutMessage(e)
	case *protocol.ConversationEvent:
		c.meet(c.inbox.Conversation(e, seq))
		call1(c.opt.Listener.OnConversationChanged, *e)
	case *protocol.PersonEvent:
		c.aboutPerson(e)
	case *protocol.Signaling:
		c.mu.Lock()
		first := c.ledger.first(*e)
		stale := seq != 0 && seq <= c.snapshot.Positions[topic] && !c.snapshot.More
		todo := c.ledger.event(*e, stale)
		c.mu.Unlock()
		c.meet(c.inbox.Signaling(topic, seq, e, data))
		if first && c.opt.Listener.OnSignaling != nil {
			c.opt.Listener.OnSignaling(*e)
		}
		c.tell(todo)
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

// glareWith is what an invite with mergeGlare holds beside its own id: events of invitations by the other person.
func glareWith(user string) string { return "by " + user }

// held counts the calls under way that hold back the events of an invitation.
type held struct {
	calls int
	done  chan struct{}
}

// hold keeps the events of invitations back until the returned function is called: the answer to a call comes first on the
// wire, and this keeps the order up to the program.
func (c *Client) hold(ids ...string) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if c.pending[id] == nil {
			c.pending[id] = &held{done: make(chan struct{})}
		}
		c.pending[id].calls++
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, id := range ids {
			if h := c.pending[id]; h.calls > 1 {
				h.calls--
			} else {
				delete(c.pending, id)
				close(h.done)
			}
		}
	}
}

// awaitAck waits until no call holds an invitation's events.
func (c *Client) awaitAck(id string) {
	c.mu.Lock()
	h := c.pending[id]
	c.mu.Unlock()
	if h != nil {
		<-h.done
	}
}

// reload brings what the device holds in line with the server after too much was missed.
func (c *Client) reload(timelines []string) {
	c.mu.Lock()
	doubtful := c.ledger.doubtful(c.snapshot)
	c.mu.Unlock()
	for _, id := range doubtful {
		c.mu.Lock()
		todo := c.ledger.lost(id)
		c.mu.Unlock()
		c.tell(todo)
	}
	c.reloadInbox()
	if c.opt.Listener.OnReload != nil {
		c.opt.Listener.OnReload(timelines)
	}
}

// tell carries out what the ledger decided.
func (c *Client) tell(todo []notice) {
	l := &c.opt.Listener
	for _, n := range todo {
		switch n.kind {
		case noticeNew:
			if l.OnReceiveNewInvitation != nil {
				l.OnReceiveNewInvitation(n.inviteID, n.user, n.groupID, n.list, n.data)
			}
		case noticeAccepted:
			call3(l.OnInviteeAccepted, n.inviteID, n.user, n.data)
		case noticeRejected:
			call3(l.OnInviteeRejected, n.inviteID, n.user, n.data)
		case noticeCancelled:
			call3(l.OnInvitationCancelled, n.inviteID, n.user, n.data)
		case noticeTimeout:
			call2(l.OnInvitationTimeout, n.inviteID, n.list)
		case noticeModified:
			call2(l.OnInvitationModified, n.inviteID, n.data)
		case noticeRinging:
			call2(l.OnInviteeRinging, n.inviteID, n.user)
		case noticeElsewhere:
			call2(l.OnInvitationHandledByOtherDevice, n.inviteID, n.data)
		}
	}
}

// decodeError reads the error object of a reply; nil when the reply is none. An error object begins with its code, and no
// other reply has one.
func decodeError(b []byte) *protocol.Error {
	var e protocol.Error
	if !bytes.HasPrefix(b, []byte(`{"code":`)) || json.Unmarshal(b, &e) != nil {
		return nil
	}
	return &e
}
