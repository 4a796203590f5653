package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// town is a register and a bus.
type town struct {
	mu                sync.Mutex
	registered, alive []string
	broken            bool
}

func (f *town) Attend(context.Context, string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return nil, errMalformed
	}
	return f.registered, nil
}
func (f *town) Leave(context.Context, string) error { return nil }
func (f *town) Connected() bool                     { return true }
func (f *town) OnHeartbeat(func(string))            {}
func (f *town) OldNodes(time.Duration) bool         { return false }
func (f *town) Alive(node string, _ time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.alive, node)
}

func (f *town) set(registered []string, alive ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.registered, f.alive = registered, alive
}

func (f *town) breakDown(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
}

// TestMembers: shards and shares are those of the nodes whose heartbeats arrive, and nothing is relied upon while one
// is silent, or while the register cannot be read.
func TestMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &town{}
		f.set([]string{"a", "b", "c"}, "a", "c")
		m := NewMembers("b", f, f, quiet())
		if m.Complete() || m.Keeper(0) != "" {
			t.Error("it relies on members that it has not read")
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		expect := func(when string, complete bool, index, count int) {
			t.Helper()
			time.Sleep(3 * attendEvery)
			synctest.Wait()
			i, n := m.Share()
			if m.Complete() != complete || i != index || n != count {
				t.Errorf("%s: complete %v, share %d of %d", when, m.Complete(), i, n)
			}
		}
		expect("with all", true, 1, 3)
		f.set([]string{"a", "b", "c"}, "c")
		expect("without a heartbeat of a", false, 0, 2)
		f.set([]string{"b", "c"}, "a", "c")
		expect("after a has left", true, 0, 2)
		f.breakDown(true)
		time.Sleep(freshFor)
		expect("without a register", false, 0, 1)
		if _, all := m.Others(); all || m.Keeper(7) != "" {
			t.Error("it relies on an old list")
		}
		f.breakDown(false)
		expect("with the register", true, 0, 2)
		stop()
		<-done
	})
}

// TestKeepers: the shards are spread evenly, and only those of a node that leaves move.
func TestKeepers(t *testing.T) {
	var nodes []string
	for i := range 10 {
		nodes = append(nodes, fmt.Sprintf("%08x", i*7919))
	}
	slices.Sort(nodes)
	counts := make([]int, len(nodes))
	for shard := range Shards {
		k := keeper(shard, nodes)
		counts[k]++
		rest := slices.Delete(slices.Clone(nodes), 3, 4)
		if now := rest[keeper(shard, rest)]; k != 3 && now != nodes[k] {
			t.Fatalf("shard %d moves from %s to %s", shard, nodes[k], now)
		}
	}
	for i, n := range counts {
		if n < Shards/20 || n > Shards/5 {
			t.Errorf("node %d keeps %d of %d shards", i, n, Shards)
		}
	}
}
