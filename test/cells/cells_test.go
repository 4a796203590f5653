package cells

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var runs = flag.Uint64("cells.runs", 20_000, "runs of the simulation; make cells makes 100,000")

// violationsOf returns the number of runs with a violation, and the first of these violations.
func violationsOf(f fault, runs uint64) (broken int64, seed uint64, first string) {
	var next, count atomic.Uint64
	var mu sync.Mutex
	var all sync.WaitGroup
	for range runtime.NumCPU() {
		all.Go(func() {
			for n := next.Add(1); n <= runs; n = next.Add(1) {
				w := newSimulation(n, f)
				w.run()
				if list := w.violations(); len(list) > 0 {
					count.Add(1)
					mu.Lock()
					if first == "" || n < seed {
						seed, first = n, list[0]
					}
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return int64(count.Load()), seed, first
}

// TestOneWinner: over links that lose, repeat and reorder, with cells that crash and clocks that differ by minutes,
// each invitee has one outcome, every device that was told of a success is its author, and every timeline has it once.
func TestOneWinner(t *testing.T) {
	if n, seed, first := violationsOf(none, *runs); n > 0 {
		t.Errorf("%d of %d runs are broken; with seed %d: %s", n, *runs, seed, first)
	}
	answers, outcomes := 0, map[string]int{}
	for seed := range min(*runs, 1000) {
		w := newSimulation(seed+1, none)
		w.run()
		for _, a := range w.actions {
			if a.kind >= doAccept {
				answers++
			}
		}
		for _, c := range w.cells {
			for _, s := range c.invitations {
				for _, p := range s.invitees {
					outcomes[p.State.String()]++
				}
			}
		}
	}
	t.Logf("in the first runs: %d answers, outcomes %v", answers, outcomes)
	for _, state := range []string{"accepted", "rejected", "cancelled", "timedOut"} {
		if outcomes[state] == 0 {
			t.Errorf("no invitee is %s: the schedules are too simple", state)
		}
	}
}

// TestMistakesAreFound: each mistake in the protocol is a violation in some runs.
func TestMistakesAreFound(t *testing.T) {
	for f, name := range map[fault]string{notAtomic: "outbox after the commit", repeated: "entries applied again",
		unordered: "entries sent alone", localTimer: "timeouts in the invitee's cell",
		localVote: "answers in the invitee's cell"} {
		n, seed, first := violationsOf(f, 500)
		t.Logf("%s: %d of 500 runs, with seed %d: %s", name, n, seed, first)
		if n == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}
