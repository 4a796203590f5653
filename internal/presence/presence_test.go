package presence

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/delivery"
	"github.com/beckon-im/beckon/protocol"
)

// cluster simulates nodes that send each other messages: in the order of each sender, with losses, of which those in
// shards are reported by the next heartbeat.
type cluster struct {
	mu       sync.Mutex
	nodes    map[string]*simulated
	drop     float64         // of the messages
	cut      map[string]bool // links between two nodes
	messages int             // to shards and nodes
}

// simulated is one node: its bus, sessions and register.
type simulated struct {
	c    *cluster
	name string
	stop func()
	*Presence
	members *delivery.Members

	inbox     chan func()
	refs      [delivery.Shards]int
	lost      map[string]map[int]struct{} // by sender
	lastBeats map[string]time.Time
	handle    func(string, []byte, func([]byte))
	beat      []func(string)
	loss      func(string, []int)

	sessionsMu sync.Mutex
	sessions   map[string][]protocol.Device
	statuses   map[string]bool // of watched users, as announced
	changed    map[string]bool // queued
}

func (n *simulated) Attend(context.Context, string) (list []string, err error) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	for name := range n.c.nodes {
		list = append(list, name)
	}
	return list, nil
}
func (n *simulated) Leave(context.Context, string) error { return nil }
func (n *simulated) Connected() bool                     { return true }
func (n *simulated) OldNodes(time.Duration) bool         { return false }
func (n *simulated) Alive(node string, within time.Duration) bool {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	return time.Since(n.lastBeats[node]) < within
}

// post hands a message to the nodes that which selects. The lock of the cluster must be held.
func (n *simulated) post(shard int, which func(*simulated) bool, f func(to *simulated)) {
	if n.c.nodes[n.name] != n { // it is dead
		return
	}
	n.c.messages++
	for _, to := range n.c.nodes {
		switch {
		case to == n || !which(to):
		case n.c.cut[n.name+to.name] || rand.Float64() < n.c.drop:
			if shard < 0 {
				continue
			}
			if to.lost[n.name] == nil {
				to.lost[n.name] = map[int]struct{}{}
			}
			to.lost[n.name][shard] = struct{}{}
		default:
			to.inbox <- func() { f(to) }
		}
	}
}

func (n *simulated) PublishMessage(topic string, data []byte) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	shard := delivery.Shard(topic)
	n.post(shard, func(to *simulated) bool { return to.refs[shard] > 0 },
		func(to *simulated) { to.handle(topic, data, func([]byte) {}) })
}

func (n *simulated) SendMessage(node string, data []byte) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.post(-1, func(to *simulated) bool { return node == "" || to.name == node },
		func(to *simulated) { to.handle("", data, func([]byte) {}) })
}

func (n *simulated) Request(ctx context.Context, node string, data []byte, limit int) (list [][]byte) {
	answers := make(chan []byte, 10)
	n.c.mu.Lock()
	n.post(-1, func(to *simulated) bool { return node == "" || to.name == node },
		func(to *simulated) { to.handle("", data, func(b []byte) { answers <- b }) })
	n.c.mu.Unlock()
	for len(list) < limit {
		select {
		case <-ctx.Done():
			return list
		case b := <-answers:
			list = append(list, b)
		}
	}
	return list
}

func (n *simulated) OnMessage(f func(string, []byte, func([]byte))) { n.handle = f }
func (n *simulated) OnHeartbeat(f func(string))                     { n.beat = append(n.beat, f) }
func (n *simulated) OnLoss(f func(string, []int))                   { n.loss = f }
func (n *simulated) Subscribe(topic string) error                   { return n.SubscribeShard(delivery.Shard(topic)) }
func (n *simulated) Unsubscribe(topic string) error {
	return n.UnsubscribeShard(delivery.Shard(topic))
}
func (n *simulated) SubscribeShard(shard int) error   { return n.refer(shard, 1) }
func (n *simulated) UnsubscribeShard(shard int) error { return n.refer(shard, -1) }
func (n *simulated) refer(shard, by int) error {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.refs[shard] += by
	return nil
}

// sessions of a node.
type sessionsOf struct{ n *simulated }

func (s sessionsOf) Connected(user string) []protocol.Device {
	s.n.sessionsMu.Lock()
	defer s.n.sessionsMu.Unlock()
	return slices.Clone(s.n.sessions[user])
}
func (s sessionsOf) Users() (list []string) {
	s.n.sessionsMu.Lock()
	defer s.n.sessionsMu.Unlock()
	for user := range s.n.sessions {
		list = append(list, user)
	}
	return list
}
func (sessionsOf) Kick(string, string, string) []string                          { return nil }
func (sessionsOf) Allowed(list []protocol.Device) []protocol.Device              { return list }
func (sessionsOf) List(string, string, string, int) ([]protocol.Connection, int) { return nil, 0 }
func (sessionsOf) Probe(string)                                                  {}
func (sessionsOf) EvictReplaced(string, []protocol.Device, bool)                 {}

func (c *cluster) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// start adds a node.
func (c *cluster) start(t *testing.T, name string) *simulated {
	ctx, cancel := context.WithCancel(t.Context())
	n := &simulated{c: c, name: name, inbox: make(chan func(), 100_000), lost: map[string]map[int]struct{}{},
		lastBeats: map[string]time.Time{}, sessions: map[string][]protocol.Device{}, statuses: map[string]bool{},
		changed: map[string]bool{}}
	n.members = delivery.NewMembers(name, n, n, slog.New(slog.DiscardHandler))
	n.Presence = New(Options{Node: name, Wire: n, Keepers: n.members, Local: sessionsOf{n},
		Watched: func(string) bool { return true }, OnChange: func(user string, online bool) {
			n.sessionsMu.Lock()
			defer n.sessionsMu.Unlock()
			n.changed[user] = online
		}})
	c.mu.Lock()
	c.nodes[name] = n
	c.mu.Unlock()
	for _, user := range users() {
		_ = n.Subscribe(im.StatusTopic(user))
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case f := <-n.inbox:
				f()
			}
		}
	})
	all.Go(func() {
		for ctx.Err() == nil {
			n.heartbeats()
			time.Sleep(time.Second)
		}
	})
	all.Go(func() {
		for ctx.Err() == nil {
			n.announceStatuses()
			time.Sleep(50 * time.Millisecond)
		}
	})
	all.Go(func() { _ = n.members.Run(ctx) })
	all.Go(func() {
		_ = n.Presence.Run(ctx, func() []string { return users() }, func() {})
	})
	n.stop = func() {
		c.mu.Lock()
		delete(c.nodes, name) // without a last message
		c.mu.Unlock()
		cancel()
		all.Wait()
	}
	return n
}

// announceStatuses queries the presence of the users that changed.
func (n *simulated) announceStatuses() {
	n.sessionsMu.Lock()
	changed := n.changed
	n.changed = map[string]bool{}
	n.sessionsMu.Unlock()
	for user, online := range changed {
		online = online || len(n.Presence.Connected(user)) > 0
		n.sessionsMu.Lock()
		n.statuses[user] = online
		n.sessionsMu.Unlock()
	}
}

// heartbeats sends a heartbeat to the other nodes, and so reports the losses of its messages.
func (n *simulated) heartbeats() {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	if n.c.nodes[n.name] != n {
		return
	}
	for _, to := range n.c.nodes {
		if to == n || n.c.cut[n.name+to.name] {
			continue
		}
		to.lastBeats[n.name] = time.Now()
		var lost []int
		for shard := range to.lost[n.name] {
			lost = append(lost, shard)
		}
		delete(to.lost, n.name)
		to.inbox <- func() {
			for _, f := range to.beat {
				f(n.name)
			}
			if len(lost) > 0 {
				to.loss(n.name, lost)
			}
		}
	}
}

func (n *simulated) connect(user, device string) {
	d := protocol.Device{DeviceID: device, ConnectedAt: time.Now().UnixMilli()}
	d.ConnectedAt = n.BeforeOnline(user, d)
	_ = n.Subscribe(im.UserTopic(user)) // as the feed of the session does
	n.sessionsMu.Lock()
	n.sessions[user] = append(n.sessions[user], d)
	first := len(n.sessions[user]) == 1
	n.sessionsMu.Unlock()
	n.Changed(user, first)
}

func (n *simulated) disconnect(user string) {
	n.sessionsMu.Lock()
	if len(n.sessions[user]) == 0 {
		n.sessionsMu.Unlock()
		return
	}
	n.sessions[user] = n.sessions[user][1:]
	last := len(n.sessions[user]) == 0
	if last {
		delete(n.sessions, user)
	}
	n.sessionsMu.Unlock()
	_ = n.Unsubscribe(im.UserTopic(user))
	n.Changed(user, last)
}

func users() (list []string) {
	for i := range 40 {
		list = append(list, fmt.Sprintf("user%d", i))
	}
	return list
}

// check compares the answers of all nodes with the sessions.
func (c *cluster) check(t *testing.T, when string) {
	t.Helper()
	for _, user := range users() {
		var want []string
		for _, n := range c.nodes {
			for _, d := range (sessionsOf{n}).Connected(user) {
				want = append(want, d.DeviceID)
			}
		}
		slices.Sort(want)
		for _, n := range c.nodes {
			var got []string
			for _, d := range n.Presence.Connected(user) {
				got = append(got, d.DeviceID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s knows %v of %s, want %v", when, n.name, got, user, want)
			}
			if counts := n.Devices(user); counts[0] != len(want) {
				t.Errorf("%s: %s counts %d devices of %s, want %v", when, n.name, counts[0], user, want)
			}
			n.sessionsMu.Lock()
			if online := n.statuses[user]; online != (len(want) > 0) {
				t.Errorf("%s: on %s the status of %s is %v, want %v", when, n.name, user, online, want)
			}
			n.sessionsMu.Unlock()
		}
	}
}

// checkEntries finds entries that a node is not informed of.
func (c *cluster) checkEntries(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		here := n.localUsers()
		n.mu.Lock()
		for shard := range n.remote.users {
			for user := range n.remote.users[shard] {
				if !n.remote.kept[shard] && !slices.Contains(here, user) {
					t.Errorf("%s has an entry of %s", n.name, user)
				}
			}
		}
		n.mu.Unlock()
	}
}

// TestPresenceOfNodes: while nodes come, go and die, and messages are lost, any node knows all devices soon afterwards.
// Users who do not move cost no message.
func TestPresenceOfNodes(t *testing.T) {
	for _, drop := range []float64{0, 0.3} {
		t.Run(fmt.Sprintf("drop %.0f%%", drop*100), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { presenceOfNodes(t, drop) })
		})
	}
}

func presenceOfNodes(t *testing.T, drop float64) {
	c := &cluster{nodes: map[string]*simulated{}, cut: map[string]bool{}}
	var nodes []*simulated
	started, last := 0, atomic.Int64{} // device
	for range 3 {
		started++
		nodes = append(nodes, c.start(t, fmt.Sprint("node", started)))
	}
	for round := range 8 {
		c.set(func() { c.drop = drop })
		var moving sync.WaitGroup
		for _, n := range nodes {
			for i, user := range users() {
				moving.Go(func() {
					for range 3 {
						time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
						if rand.IntN(2) == 0 {
							n.connect(user, fmt.Sprintf("%s-%d-%d", n.name, i, last.Add(1)))
						} else {
							n.disconnect(user)
						}
					}
				})
			}
		}
		moving.Wait()
		switch round % 4 {
		case 0: // two nodes do not reach each other, and the third reaches both
			a, b := nodes[0].name, nodes[1].name
			c.set(func() { c.cut[a+b], c.cut[b+a] = true, true })
			time.Sleep(12 * time.Second)
			c.set(func() { clear(c.cut) })
		case 1: // a node is killed, and another started at once
			nodes[0].stop()
			started++
			nodes = append(nodes[1:], c.start(t, fmt.Sprint("node", started)))
		case 2:
			nodes[0].stop()
			nodes = nodes[1:]
		case 3:
			started++
			nodes = append(nodes, c.start(t, fmt.Sprint("node", started)))
		}
		c.set(func() { c.drop = 0 })
		time.Sleep(digestEvery + 10*time.Second)
		synctest.Wait()
		c.check(t, fmt.Sprint("after round ", round))
		if t.Failed() {
			break
		}
	}
	c.checkEntries(t)
	c.set(func() { c.messages = 0 })
	time.Sleep(10 * digestEvery)
	c.set(func() {
		if most := 11 * len(nodes) * (len(nodes) - 1); c.messages > most { // digests
			t.Errorf("%d messages about users who did not move, want %d at most", c.messages, most)
		}
	})
	for _, n := range nodes {
		n.stop()
	}
}
