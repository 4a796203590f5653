package gateway

import (
	"sync"

	"github.com/beckon-im/beckon/im"
)

// subscriptionChange is what a record told the sessions to listen to.
type subscriptionChange struct {
	topic string // of the record
	seq   uint64 // of the record; 0 when it is not stored
	im.Listen
}

// subscriptionChanges is the queue of orders. It has no bound of its own: whoever commits must never wait for sessions.
type subscriptionChanges struct {
	mu   sync.Mutex
	list []subscriptionChange
	some chan struct{}
}

// take empties the queue.
func (o *subscriptionChanges) take() []subscriptionChange {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.list
	o.list = nil
	return list
}

// Listen queues an order that came with a record.
func (g *Gateway) Listen(topic string, seq uint64, l im.Listen) {
	g.orders.mu.Lock()
	g.orders.list = append(g.orders.list, subscriptionChange{topic, seq, l})
	g.orders.mu.Unlock()
	select {
	case g.orders.some <- struct{}{}:
	default: // it is known that there is something
	}
}

// apply carries an order out. It is late by a moment and loses nothing, because listening begins at a sequence.
func (g *Gateway) apply(o subscriptionChange) {
	if o.End {
		for _, c := range g.readersOf(o.topic) {
			c.stop(o.topic)
		}
		return
	}
	for _, c := range g.sessions.of(im.TopicUser(o.topic)) {
		if c.ready.Load() { // else it comes upon the order itself
			c.change(o.seq, o.Listen)
		}
	}
}

// readersOf lists who reads a topic here.
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

// change carries an order of the user's timeline out, once: a client that connects finds it in the log as well.
func (c *client) change(seq uint64, l im.Listen) {
	c.mu.Lock()
	if seq != 0 && (seq <= c.caughtUp || c.carried[seq]) {
		c.mu.Unlock()
		return
	}
	if seq != 0 && c.carried != nil {
		c.carried[seq] = true
	}
	c.mu.Unlock()
	c.applyChanges(l)
}

// applyChanges makes one session listen, or stop, or go.
func (c *client) applyChanges(l im.Listen) {
	switch {
	case l.Stop && l.Topic == im.UserTopic(c.UserID): // who may not hear of themselves any more
		c.kick("the tokens of this user were revoked")
	case l.Stop:
		c.stop(l.Topic)
	default:
		c.listen(l.Topic, l.From)
	}
}
