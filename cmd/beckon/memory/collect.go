package memory

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Garbage limits, which trade memory for CPU time: most allocations of a call are short-lived. A percentage of the live
// heap, as in GOGC, is too small for a small server and too large for one with many idle connections. So the target is
// an amount, or one second's allocations of a busy server if that is more, bounded by two percentages; a quiet server
// gets the amount of eight seconds' allocations. docs/performance.md has the measurements.
const (
	maxGarbage   = 64 << 20
	quietGarbage = 8 << 20
	quietSeconds = 8
	leastGarbage = 20 // percent of the live heap
	mostGarbage  = 300
	garbageEvery = 2 * time.Second
)

// Collect adjusts the garbage collector to the live heap until ctx ends. GOGC overrides it.
func Collect(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	t := time.NewTicker(garbageEvery)
	defer t.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	now, before := 0, sample[1].Value.Uint64()
	for {
		allocs := sample[1].Value.Uint64()
		perSecond := (allocs - before) * uint64(time.Second) / uint64(garbageEvery)
		before = allocs
		percent := garbagePercent(sample[0].Value.Uint64(), perSecond)
		if percent*10 < now*8 || percent*10 > now*12 { // each change triggers a collection
			debug.SetGCPercent(percent)
			// the server has become quiet: return memory to the machine at once
			if percent < now && perSecond*quietSeconds < maxGarbage {
				debug.FreeOSMemory()
			}
			now = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		metrics.Read(sample)
	}
}

func garbagePercent(live, perSecond uint64) int {
	garbage := max(min(max(quietGarbage, perSecond*quietSeconds), maxGarbage), perSecond)
	return int(min(max(100*garbage/max(live, 1), leastGarbage), mostGarbage))
}
