package gateway

import (
	"sync"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
)

// subscriptionChange is a server-side subscribe, unsubscribe or end of a topic, carried by a record.
type subscriptionChange struct {
	topic string // topic of the record
	seq   uint64 // sequence of the record; 0 if it is not stored
	listen.Change
}

// subscriptionChanges is the queue of subscription changes. It is unbounded, because commits must never wait for
// sessions.
type subscriptionChanges struct {
	mu    sync.Mutex
	list  []subscriptionChange
	stops map[subscription]uint64 // the last queued unsubscribe of each: the sequence of its record
	wake  chan struct{}
}

// subscription names the readers of one user in a topic.
type subscription struct{ userTopic, topic string }

// stopsAfter reports whether an unsubscribe is queued that is newer than a subscription.
func (q *subscriptionChanges) stopsAfter(s subscription, since uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stops[s] > since
}

// done removes an applied change from the index of unsubscribes.
func (q *subscriptionChanges) done(change subscriptionChange) {
	if !change.Stop {
		return
	}
	s := subscription{change.topic, change.Topic}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stops[s] == change.seq {
		delete(q.stops, s)
	}
}

// drain empties the queue.
func (q *subscriptionChanges) drain() []subscriptionChange {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

// Listen queues the subscription change of a record. Readers that it unsubscribes receive no further record, however
// long the queue is.
func (g *Gateway) Listen(topic string, seq uint64, l listen.Change) {
	q := &g.changes
	q.mu.Lock()
	q.list = append(q.list, subscriptionChange{topic, seq, l})
	if l.Stop && seq != 0 {
		q.stops[subscription{topic, l.Topic}] = seq
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default: // already signaled
	}
	if l.Stop {
		g.endReaders(im.TopicUser(topic), l.Topic, seq)
	}
}

// endReaders ends the delivery to the readers of a user in a topic whose subscriptions are older than a record of the
// user's topic.
func (g *Gateway) endReaders(user, name string, before uint64) {
	t := g.topics.find(name)
	if t == nil {
		return
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, r := range t.readers {
		if r.c.UserID != user {
			continue
		}
		r.c.delivering.Lock()
		r.ending = r.ending || r.since() < before
		r.c.delivering.Unlock()
	}
}

// apply applies a subscription change to the sessions on this node. A subscription starts at a sequence, so it may be
// applied late.
func (g *Gateway) apply(change subscriptionChange) {
	defer g.changes.done(change)
	if change.End {
		for _, c := range g.readersOf(change.topic) {
			c.end(change.topic)
		}
		return
	}
	for _, c := range g.sessions.of(im.TopicUser(change.topic)) {
		c.change(change)
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

// change applies a change from the user's timeline once. While the client connects it is kept: the changes before it
// are still read from the log.
func (c *client) change(change subscriptionChange) {
	c.mu.Lock()
	if c.catchingUp {
		c.later = append(c.later, change)
		c.mu.Unlock()
		return
	}
	known := change.seq != 0 && change.seq <= c.caughtUp
	c.mu.Unlock()
	if !known {
		c.applyChange(change)
	}
	c.applied(change.seq)
}

// applyLater applies the changes that arrived while the client read those up to a sequence from the log, and ends the
// connecting.
func (c *client) applyLater(after uint64) {
	for {
		c.mu.Lock()
		list := c.later
		if c.later = nil; len(list) == 0 {
			c.catchingUp, c.caughtUp = false, after
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		for _, change := range list {
			if change.seq == 0 || change.seq > after {
				c.applyChange(change)
				after = max(after, change.seq)
			}
			c.applied(change.seq)
		}
	}
}

// applyChange subscribes or unsubscribes one session, or closes it.
func (c *client) applyChange(change subscriptionChange) {
	switch l := change.Change; {
	case l.Stop && l.Topic == im.UserTopic(c.UserID): // unsubscribed from the user's own topic: all tokens are revoked
		c.kick("the tokens of this user were revoked")
	case l.Stop:
		c.stop(l.Topic)
	default:
		c.listen(l.Topic, l.From, max(change.seq, c.Head))
	}
}
