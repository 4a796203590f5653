package gateway

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// ring spreads the pings of all sessions evenly over time: a slot is pinged at each tick, and judged a third of the round later.
type ring struct {
	mu    sync.Mutex
	slots [96]map[*client]struct{}
	next  int
}

// add puts a client where its first ping comes after a half to a whole round, so that those who came together drift apart.
func (r *ring) add(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	half := len(r.slots) / 2
	c.slot = (r.next + half + rand.IntN(half)) % len(r.slots)
	if r.slots[c.slot] == nil {
		r.slots[c.slot] = map[*client]struct{}{}
	}
	r.slots[c.slot][c] = struct{}{}
}

func (r *ring) remove(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.slots[c.slot], c)
}

// turn goes on by one slot.
func (r *ring) turn(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.slots[r.next] {
		c.ping(now)
	}
	for c := range r.slots[(r.next+2*len(r.slots)/3)%len(r.slots)] {
		c.judge()
	}
	r.next = (r.next + 1) % len(r.slots)
}

// run turns until ctx ends, once in each round.
func (r *ring) run(ctx context.Context, round time.Duration) {
	t := time.NewTicker(max(round/time.Duration(len(r.slots)), time.Microsecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			r.turn(now)
		}
	}
}
