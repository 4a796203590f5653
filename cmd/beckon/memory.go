package main

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

// memory keeps what the process holds under a limit: the garbage collector gets what others leave (SQLite's caches, the
// program's own pages), and where that does not do, nothing new is taken until it does.
type memory struct {
	limit uint64 // bytes; 0 = none
	over  atomic.Bool
}

const (
	leastLimit  = 128 << 20 // less is no server
	leastHeap   = 32 << 20
	memoryEvery = 200 * time.Millisecond
)

// newMemory reads a limit. Without one it is nine tenths of what the container may hold, when there is a container.
func newMemory(text string) (*memory, error) {
	if text == "" {
		limit, err := memlimit.FromCgroup()
		if err != nil || limit < leastLimit || limit > 1<<50 {
			return &memory{}, nil // no container, or one without a limit
		}
		return &memory{limit: limit / 10 * 9}, nil
	}
	limit, err := humanize.ParseBytes(text)
	if err != nil || limit < leastLimit {
		return nil, fmt.Errorf("--memory-limit %q is not a size of at least 128MiB, like 600MiB or 2GiB", text)
	}
	return &memory{limit: limit}, nil
}

// busy says that there is too little room for anything new.
func (m *memory) busy() bool { return m.over.Load() }

// sixth is the part of the limit that decoding images may take, and SQLite's page caches: at most 256 MiB each; 0 =
// their defaults.
func (m *memory) sixth() int64 { return int64(min(m.limit/6, 256<<20)) }

// keep keeps under the limit until ctx ends.
func (m *memory) keep(ctx context.Context) {
	if m.limit == 0 {
		return
	}
	asked := debug.SetMemoryLimit(-1) // GOMEMLIMIT; without it there is none
	defer debug.SetMemoryLimit(asked)
	look := time.NewTicker(memoryEvery)
	defer look.Stop()
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
		case <-look.C:
		}
	}
}

// heapLimit is what is left for the garbage collector when others hold so much. It fills what it is given, so an eighth
// is kept back for what others take before it is asked again.
func heapLimit(limit, others uint64) uint64 {
	part := limit / 8 * 7
	return max(part-min(part, others), leastHeap)
}

// full says that the process is about to hold more than it may, or that what is alive leaves the collector too little
// to work with.
func full(limit, all, heap, live uint64) bool {
	return all > limit/16*15 || live > heap/4*3
}

// resident is what the process holds in memory; 0 where that cannot be read.
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
