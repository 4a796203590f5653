package delivery

import (
	"context"
	"hash/crc32"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Register is the list of the nodes of a cluster in their database.
type Register interface {
	// Attend enters a node, and returns all that attended within the last ten seconds.
	Attend(ctx context.Context, node string) ([]string, error)
	// Leave removes a node.
	Leave(ctx context.Context, node string) error
}

// heartbeats reports from which nodes heartbeats arrive over the bus.
type heartbeats interface {
	Connected() bool
	Alive(node string, within time.Duration) bool
	OldNodes(within time.Duration) bool
	OnHeartbeat(func(node string))
}

const (
	attendEvery      = time.Second
	attendTime       = 2 * time.Second         // timeout of an entry
	freshFor         = 4 * time.Second         // a list that is older is not relied upon
	heartbeatTimeout = 1500 * time.Millisecond // three heartbeats
)

// Members are the nodes of the cluster: those in the register of the database whose heartbeats arrive. Two nodes may
// have different members for a few seconds, so work that is divided by them must be allowed to happen twice, or late.
//
// mu guards all fields below it.
type Members struct {
	node     string
	register Register
	bus      heartbeats
	log      *slog.Logger
	wake     chan struct{} // a new node has sent a heartbeat

	mu       sync.Mutex
	at       time.Time           // of the last list
	live     []string            // sorted; with this node
	silent   bool                // a node in the register is silent
	unlisted map[string]struct{} // nodes with heartbeats that were not in the last list
	keepers  [Shards]int16
}

// NewMembers returns the members of a cluster that this node is part of.
func NewMembers(node string, register Register, bus heartbeats, log *slog.Logger) *Members {
	m := &Members{node: node, register: register, bus: bus, log: log, wake: make(chan struct{}, 1),
		unlisted: map[string]struct{}{}}
	bus.OnHeartbeat(m.onHeartbeat)
	return m
}

// onHeartbeat notes a heartbeat.
func (m *Members) onHeartbeat(node string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.unlisted[node]; known || slices.Contains(m.live, node) {
		return
	}
	m.unlisted[node] = struct{}{}
	signal(m.wake)
}

// Leave removes this node from the register. A node whose last records were not sent must not leave: the others compare
// all heads until its entry is old.
func (m *Members) Leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, attendTime)
	defer cancel()
	if err := m.register.Leave(ctx, m.node); err != nil {
		m.log.Warn("leaving the list of nodes failed", "error", err)
	}
}

// Run attends until ctx ends.
func (m *Members) Run(ctx context.Context) error {
	t := time.NewTicker(attendEvery)
	defer t.Stop()
	for failed := 0; ; {
		attend, cancel := context.WithTimeout(ctx, attendTime)
		list, err := m.register.Attend(attend, m.node)
		cancel()
		switch {
		case err == nil:
			failed = 0
			m.update(list)
		case ctx.Err() == nil:
			if failed++; failed == 3 {
				m.log.Warn("list of nodes unreadable", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-m.wake:
		}
	}
}

// Await waits until the heartbeats of all nodes arrive, or as long as that takes when all is well.
func (m *Members) Await(ctx context.Context) {
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for end := time.Now().Add(heartbeatTimeout); !m.Complete() && m.bus.Connected() && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// update takes a list of the register.
func (m *Members) update(list []string) {
	live, silent := []string{m.node}, m.bus.OldNodes(2*heartbeatTimeout)
	for _, node := range list {
		switch {
		case node == m.node:
		case m.bus.Alive(node, heartbeatTimeout):
			live = append(live, node)
		default:
			silent = true
		}
	}
	slices.Sort(live)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at, m.silent = time.Now(), silent
	if !m.bus.Connected() && len(m.live) > 0 {
		m.silent = true
		return // they are not lost, this node is cut off; keepers need not move
	}
	for _, node := range m.live {
		if !slices.Contains(live, node) {
			m.unlisted[node] = struct{}{} // until it is silent, or in the list again
		}
	}
	maps.DeleteFunc(m.unlisted, func(node string, _ struct{}) bool {
		return slices.Contains(live, node) || !m.bus.Alive(node, heartbeatTimeout)
	})
	if slices.Equal(live, m.live) {
		return
	}
	m.live = live
	for shard := range m.keepers {
		m.keepers[shard] = int16(keeper(shard, live))
	}
}

// keeper selects the node that keeps a shard, by rendezvous hashing: if a node comes or leaves, only its shards move.
func keeper(shard int, nodes []string) (index int) {
	var best uint32
	for i, node := range nodes {
		h := crc32.Update(uint32(shard)*2654435761, crc32.IEEETable, []byte(node))
		h = (h ^ h>>16) * 0x45d9f3b
		if h ^= h >> 16; i == 0 || h > best {
			best, index = h, i
		}
	}
	return index
}

// Complete reports whether the heartbeats of all nodes of the cluster arrive, so that any loss of their messages is
// noticed.
func (m *Members) Complete() bool {
	if !m.bus.Connected() {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all() && m.allAlive()
}

// all reports whether the live nodes are all nodes.
func (m *Members) all() bool { return m.fresh() && !m.silent && len(m.unlisted) == 0 }

func (m *Members) fresh() bool { return time.Since(m.at) < freshFor }

func (m *Members) allAlive() bool {
	return !slices.ContainsFunc(m.live, func(n string) bool { return n != m.node && !m.bus.Alive(n, heartbeatTimeout) })
}

// Share returns the share of this node in work that any node can do: it is the index-th of count nodes.
func (m *Members) Share() (index, count int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.fresh() || !m.bus.Connected() {
		return 0, 1 // of everything
	}
	return slices.Index(m.live, m.node), len(m.live)
}

// Keeper returns the node that keeps a shard; empty = unknown.
func (m *Members) Keeper(shard int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.fresh() {
		return ""
	}
	return m.live[m.keepers[shard]]
}

// Others returns the other nodes whose heartbeats arrive, and whether these are all.
func (m *Members) Others() (nodes []string, all bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, node := range m.live {
		if node != m.node {
			nodes = append(nodes, node)
		}
	}
	return nodes, m.all()
}
