package store

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/beckon-im/beckon/internal/world"
)

// clock reads milliseconds and never goes back, so that no deadline is judged twice. When the database's clock is the one
// that counts, this one is set by it with each commit; in between it goes on by itself, whatever the machine's is set to.
type clock struct {
	shared bool
	now    func() int64 // nil = the system's
	began  time.Time
	offset atomic.Int64
	floor  atomic.Int64 // the latest reading of the database's clock
	last   atomic.Int64
}

// local is this machine's time. When the database's counts, it is not moved by setting the machine's.
func (c *clock) local() int64 {
	switch {
	case c.now != nil:
		return c.now()
	case !c.shared:
		return time.Now().UnixMilli()
	}
	return c.began.UnixMilli() + time.Since(c.began).Milliseconds()
}

// sync sets the clock by the database's.
func (c *clock) sync(now int64) {
	c.offset.Store(now - c.local())
	for old := c.floor.Load(); now > old && !c.floor.CompareAndSwap(old, now); old = c.floor.Load() {
	}
}

func (c *clock) read() int64 {
	t := c.local() + c.offset.Load()
	for {
		last := c.last.Load()
		if t <= last {
			return last
		}
		if c.last.CompareAndSwap(last, t) {
			return t
		}
	}
}

// maxHeads bounds the cache of heads. Past it the cache starts anew: it only saves reads.
const maxHeads = 1 << 20

// headCache remembers how far topics have come, so that a storm of reconnecting devices does not ask the database.
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

// learn notes a head that was read. A commit may have been quicker: the larger one is right.
func (c *headCache) learn(topic string, seq uint64) {
	if c.off {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(topic, seq)
}

func (c *headCache) advance(records []world.Record) {
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

func (c *headCache) set(topic string, seq uint64) {
	if c.seqs == nil || len(c.seqs) >= maxHeads {
		c.seqs = map[string]uint64{}
	}
	if old, ok := c.seqs[topic]; !ok || seq > old {
		c.seqs[topic] = seq
	}
}
