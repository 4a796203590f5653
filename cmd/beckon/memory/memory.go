// Package memory keeps a process below a memory limit, and adjusts the garbage collector to the load.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/dustin/go-humanize"
)

// Limit keeps the process below a memory limit: the garbage collector gets the memory that other parts (SQLite's
// caches, the program's pages) leave, and when that is not enough, new work is refused.
type Limit struct {
	limit uint64 // bytes; 0 = none
	over  atomic.Bool
}

const (
	leastLimit  = 128 << 20 // minimum for a server
	leastHeap   = 32 << 20
	memoryEvery = 200 * time.Millisecond
)

// Parse parses a limit of at least 128 MiB. The default is nine tenths of the container's limit, if any.
func Parse(text string) (*Limit, error) {
	if text == "" {
		limit, err := memlimit.FromCgroup()
		if err != nil || limit < leastLimit || limit > 1<<50 {
			return &Limit{}, nil // no container, or no limit
		}
		return &Limit{limit: limit / 10 * 9}, nil
	}
	limit, err := humanize.ParseBytes(text)
	if err != nil || limit < leastLimit {
		return nil, fmt.Errorf("--memory-limit %q must be a size of at least 128MiB, such as 600MiB or 2GiB", text)
	}
	return &Limit{limit: limit}, nil
}

// Busy reports whether memory is too low for new work.
func (m *Limit) Busy() bool { return m.over.Load() }

// Sixth returns the share of the limit for decoding images, and for each of SQLite's page caches: at most 256 MiB; 0 =
// default.
func (m *Limit) Sixth() int64 { return int64(min(m.limit/6, 256<<20)) }

// Keep enforces the limit until ctx ends.
func (m *Limit) Keep(ctx context.Context) {
	if m.limit == 0 {
		return
	}
	asked := debug.SetMemoryLimit(-1) // GOMEMLIMIT, or no limit
	defer debug.SetMemoryLimit(asked)
	ticker := time.NewTicker(memoryEvery)
	defer ticker.Stop()
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(samples)
		ours := samples[0].Value.Uint64() - samples[1].Value.Uint64()
		all := max(resident(), ours)
		heap := heapLimit(m.limit, all-ours)
		debug.SetMemoryLimit(min(int64(heap), asked))
		m.over.Store(full(m.limit, all, heap, samples[2].Value.Uint64()))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// heapLimit returns the garbage collector's limit, given the memory of others. The collector uses all of it, so an
// eighth is reserved for the growth of others until the next check.
func heapLimit(limit, others uint64) uint64 {
	part := limit / 8 * 7
	return max(part-min(part, others), leastHeap)
}

// full reports whether the process is near its limit, or the live heap leaves the collector too little memory.
func full(limit, all, heap, live uint64) bool {
	return all > limit/16*15 || live > heap/4*3
}

// resident returns the resident memory of the process; 0 if unknown.
func resident() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
