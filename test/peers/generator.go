package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// user is a connected user of a peer.
type user interface {
	// invite calls another user; accept answers. Deliveries are reported to the ear that the user was connected with.
	invite(to int, id string) error
	accept(from int, id string) error
	close()
}

// ear receives the deliveries of a user.
type ear interface {
	invited(me, from int, id string)
	accepted(id string)
}

// payload is the data of each invitation.
const payload = 200

// flow is one invitation in flight: invite → delivered → accept → delivered.
type flow struct {
	begun time.Time
	done  chan struct{}
}

// generator applies the same load to all peers.
type generator struct {
	users []user
	mu    sync.Mutex
	flows map[string]*flow
	late  []time.Duration
	count atomic.Int64
	lost  atomic.Int64
	on    atomic.Bool // measuring: the warm-up is over
}

func newGenerator() *generator { return &generator{flows: map[string]*flow{}} }

// connect connects users, several at a time.
func (g *generator) connect(n int, dial func(i int, e ear) (user, error)) error {
	g.users = make([]user, n)
	var wg sync.WaitGroup
	room, errs := make(chan struct{}, 16), make(chan error, n)
	for i := range n {
		wg.Add(1)
		room <- struct{}{}
		go func() {
			defer func() { <-room; wg.Done() }()
			u, err := dial(i, g)
			for again := 0; err != nil && again < 5; again++ { // some systems accept few connections at once
				time.Sleep(200 * time.Millisecond)
				u, err = dial(i, g)
			}
			if err != nil {
				errs <- fmt.Errorf("user %d: %w", i, err)
				return
			}
			g.users[i] = u
		}()
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func (g *generator) close() {
	for _, u := range g.users {
		if u != nil {
			u.close()
		}
	}
}

func (g *generator) invited(me, from int, id string) {
	if err := g.users[me].accept(from, id); err != nil {
		g.lost.Add(1)
	}
}

func (g *generator) accepted(id string) {
	g.mu.Lock()
	f := g.flows[id]
	delete(g.flows, id)
	if f != nil && g.on.Load() {
		g.late = append(g.late, time.Since(f.begun))
	}
	g.mu.Unlock()
	if f == nil {
		return
	}
	if g.on.Load() {
		g.count.Add(1)
	}
	close(f.done)
}

// patience is the timeout of a flow.
const patience = 10 * time.Second

// one runs a flow of a pair, with its start time.
func (g *generator) one(ctx context.Context, pair int, begun time.Time) {
	id := fmt.Sprintf("%x-%x", time.Now().UnixNano(), rand.Uint32())
	f := &flow{begun: begun, done: make(chan struct{})}
	g.mu.Lock()
	g.flows[id] = f
	g.mu.Unlock()
	if err := g.users[2*pair].invite(2*pair+1, id); err == nil {
		limit := time.NewTimer(patience)
		defer limit.Stop()
		select {
		case <-f.done:
			return
		case <-limit.C:
		case <-ctx.Done():
			return
		}
	}
	g.lost.Add(1)
	g.mu.Lock()
	delete(g.flows, id)
	g.mu.Unlock()
}

// outcome is the result of a run.
type outcome struct {
	rate, p50, p99, cpu float64 // flows/s, ms, ms, µs per flow
	lost                int64
}

// saturate keeps a number of flows in flight. cpu returns the CPU time of the peer's processes.
func (g *generator) saturate(flight int, warmup, measured time.Duration, cpu func() time.Duration) outcome {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for lane := range flight {
		wg.Go(func() {
			for pair := lane; ctx.Err() == nil; pair = (pair + flight) % (len(g.users) / 2) {
				g.one(ctx, pair, time.Now())
			}
		})
	}
	return g.measure(warmup, measured, cpu, func() { stop(); wg.Wait() })
}

// steady starts flows at a rate, independently of earlier ones; latency counts from the intended start.
func (g *generator) steady(rate float64, warmup, measured time.Duration, cpu func() time.Duration) outcome {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		begun := time.Now()
		for n := 0; ctx.Err() == nil; n++ {
			due := begun.Add(time.Duration(float64(n) / rate * float64(time.Second)))
			if wait := time.Until(due); wait > 0 {
				time.Sleep(wait)
			}
			wg.Go(func() { g.one(ctx, n%(len(g.users)/2), due) })
		}
	})
	return g.measure(warmup, measured, cpu, func() { stop(); wg.Wait() })
}

func (g *generator) measure(warmup, measured time.Duration, cpu func() time.Duration, end func()) outcome {
	time.Sleep(warmup)
	before, begun := cpu(), time.Now()
	g.on.Store(true)
	time.Sleep(measured)
	g.on.Store(false)
	used, took := cpu()-before, time.Since(begun)
	end()
	n := g.count.Swap(0)
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.Sort(g.late)
	o := outcome{rate: float64(n) / took.Seconds(), lost: g.lost.Swap(0)}
	if n > 0 && len(g.late) > 0 {
		o.cpu = float64(used.Microseconds()) / float64(n)
		at := func(q float64) float64 {
			return float64(g.late[int(q*float64(len(g.late)-1))].Microseconds()) / 1000
		}
		o.p50, o.p99 = at(0.5), at(0.99)
	}
	g.late = nil
	return o
}
