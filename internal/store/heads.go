package store

import (
	"sync"

	"github.com/beckon-im/beckon/internal/txn"
)

// maxHeads limits the cache of heads. A full cache is cleared: it only saves reads.
const maxHeads = 1 << 20

// headCache caches the heads of topics, so that a storm of reconnects does not read the database.
type headCache struct {
	off  bool // other nodes move heads too
	mu   sync.RWMutex
	seqs map[string]uint64
}

func (c *headCache) get(topic string) (uint64, bool) {
	if c.off {
		return 0, false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	seq, ok := c.seqs[topic]
	return seq, ok
}

// learn caches a head that was read. A commit may have been faster: the larger one is right.
func (c *headCache) learn(topic string, seq uint64) {
	if c.off {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(topic, seq)
}

func (c *headCache) advance(records []txn.Record) {
	if c.off {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range records {
		if records[i].Seq > 0 {
			c.set(records[i].Topic, records[i].Seq)
		}
	}
}

func (c *headCache) forget(topics []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		delete(c.seqs, t)
	}
}

func (c *headCache) set(topic string, seq uint64) {
	if c.seqs == nil || len(c.seqs) >= maxHeads {
		c.seqs = map[string]uint64{}
	}
	if old, ok := c.seqs[topic]; !ok || seq > old {
		c.seqs[topic] = seq
	}
}
