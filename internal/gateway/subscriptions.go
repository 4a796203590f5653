package gateway

import (
	"sync"

	"github.com/beckon-im/beckon/im"
)

// subscriptionChange is a server-side subscribe, unsubscribe or end of a topic, carried by a record.
type subscriptionChange struct {
	topic string // topic of the record
	seq   uint64 // sequence of the record; 0 if it is not stored
	im.Listen
}

// subscriptionChanges is the queue of subscription changes. It is unbounded, because commits must never wait for
// sessions.
type subscriptionChanges struct {
	mu   sync.Mutex
	list []subscriptionChange
	wake chan struct{}
}

// drain empties the queue.
func (q *subscriptionChanges) drain() []subscriptionChange {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

// Listen queues the subscription change of a record.
func (g *Gateway) Listen(topic string, seq uint64, l im.Listen) {
	g.changes.mu.Lock()
	g.changes.list = append(g.changes.list, subscriptionChange{topic, seq, l})
	g.changes.mu.Unlock()
	select {
	case g.changes.wake <- struct{}{}:
	default: // already signaled
	}
}

// apply applies a subscription change to the sessions on this node. The delay is harmless, because a subscription
// starts at a sequence.
func (g *Gateway) apply(change subscriptionChange) {
	if change.End {
		for _, c := range g.readersOf(change.topic) {
			c.end(change.topic)
		}
		return
	}
	for _, c := range g.sessions.of(im.TopicUser(change.topic)) {
		if c.is(stateOnline) { // else the client finds the change in the log when it catches up
			c.change(change.seq, change.Listen)
		}
	}
}

// readersOf returns the clients on this node that read a topic.
func (g *Gateway) readersOf(name string) []*client {
	t := g.topics.find(name)
	if t == nil {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]*client, len(t.readers))
	for i, r := range t.readers {
		list[i] = r.c
	}
	return list
}

// change applies a change from the user's timeline once: a client that is connecting may find it in the log as well.
func (c *client) change(seq uint64, l im.Listen) {
	c.mu.Lock()
	if seq != 0 && (seq <= c.caughtUp || c.applied[seq]) {
		c.mu.Unlock()
		return
	}
	if seq != 0 && c.applied != nil {
		c.applied[seq] = true
	}
	c.mu.Unlock()
	c.applyChanges(l)
}

// applyChanges subscribes or unsubscribes one session, or closes it.
func (c *client) applyChanges(l im.Listen) {
	switch {
	case l.Stop && l.Topic == im.UserTopic(c.UserID): // unsubscribed from the user's own topic: all tokens are revoked
		c.kick("the tokens of this user were revoked")
	case l.Stop:
		c.stop(l.Topic)
	default:
		c.listen(l.Topic, l.From)
	}
}
