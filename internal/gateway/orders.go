package gateway

import (
	"sync"

	"github.com/centrifugal/centrifuge"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/world"
)

// order is what a record told the sessions to listen to.
type order struct {
	topic string // of the record
	world.Listen
}

// orders is the queue of orders. It has no bound of its own: whoever commits must never wait for sessions.
type orders struct {
	mu   sync.Mutex
	list []order
	some chan struct{}
}

// take empties the queue.
func (o *orders) take() []order {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.list
	o.list = nil
	return list
}

// Listen queues an order that came with a record.
func (g *Gateway) Listen(topic string, l world.Listen) {
	g.orders.mu.Lock()
	g.orders.list = append(g.orders.list, order{topic, l})
	g.orders.mu.Unlock()
	select {
	case g.orders.some <- struct{}{}:
	default: // it is known that there is something
	}
}

// obey carries an order out. It is late by a moment and loses nothing, because listening begins at a sequence.
func (g *Gateway) obey(o order) {
	if o.End {
		for _, c := range g.parties.end(o.topic) {
			c.Unsubscribe(o.topic)
		}
		return
	}
	for _, c := range g.node.Hub().UserConnections(im.TopicUser(o.topic)) {
		g.turn(c, g.session(c), o.Listen)
	}
}

// turn makes one session listen, or stop.
func (g *Gateway) turn(c *centrifuge.Client, s *Session, l world.Listen) {
	if l.Stop {
		c.Unsubscribe(l.Topic)
		return
	}
	g.listen(c, s, l.Topic, l.From)
}

// parties knows who reads the topics that end. Topics of users and groups do not.
type parties struct {
	mu      sync.Mutex
	readers map[string]map[*centrifuge.Client]struct{}
	topics  map[*centrifuge.Client]map[string]struct{}
}

func (p *parties) join(topic string, c *centrifuge.Client) {
	if im.TopicInvitation(topic) == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == nil {
		p.readers, p.topics = map[string]map[*centrifuge.Client]struct{}{}, map[*centrifuge.Client]map[string]struct{}{}
	}
	link(p.readers, topic, c)
	link(p.topics, c, topic)
}

// end forgets a topic and returns who read it.
func (p *parties) end(topic string) []*centrifuge.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*centrifuge.Client
	for c := range p.readers[topic] {
		list = append(list, c)
		unlink(p.topics, c, topic)
	}
	delete(p.readers, topic)
	return list
}

// drop forgets a session that has gone.
func (p *parties) drop(c *centrifuge.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic := range p.topics[c] {
		unlink(p.readers, topic, c)
	}
	delete(p.topics, c)
}

func link[A, B comparable](m map[A]map[B]struct{}, a A, b B) {
	if m[a] == nil {
		m[a] = map[B]struct{}{}
	}
	m[a][b] = struct{}{}
}

func unlink[A, B comparable](m map[A]map[B]struct{}, a A, b B) {
	if delete(m[a], b); len(m[a]) == 0 {
		delete(m, a)
	}
}
