package gateway

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pingWheel spreads the pings of all sessions evenly over the ping interval: each tick pings the sessions of one slot,
// and checks their pongs a third of a round later.
type pingWheel struct {
	mu    sync.Mutex
	slots [96]map[*client]struct{}
	next  int
}

// add puts a client into a random slot, so that its first ping follows after half a round to a whole round and clients
// that connected together drift apart.
func (r *pingWheel) add(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	half := len(r.slots) / 2
	c.slot = (r.next + half + rand.IntN(half)) % len(r.slots)
	if r.slots[c.slot] == nil {
		r.slots[c.slot] = map[*client]struct{}{}
	}
	r.slots[c.slot][c] = struct{}{}
}

func (r *pingWheel) remove(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.slots[c.slot], c)
}

// turn advances the wheel by one slot.
func (r *pingWheel) turn(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.slots[r.next] {
		c.ping(now)
	}
	for c := range r.slots[(r.next+2*len(r.slots)/3)%len(r.slots)] {
		c.checkPong()
	}
	r.next = (r.next + 1) % len(r.slots)
}

// run turns the wheel once per round until ctx ends.
func (r *pingWheel) run(ctx context.Context, round time.Duration) {
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
