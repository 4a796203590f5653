package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage the server lets lie, which trades memory for processor time: most of what a call allocates is
// short-lived. A share of what is alive, as GOGC has it, is too little for a small server and too much for one with
// many idle connections. So it is an amount, or what a busy server allocates in a second if that is more, between two
// shares; a quiet server needs less room, for what it allocates in eight seconds. docs/performance.md has the
// measurements.
const (
	garbageRoom  = 64 << 20
	quietRoom    = 8 << 20
	quietSeconds = 8
	leastGarbage = 20 // percent of what is alive
	mostGarbage  = 300
	garbageEvery = 2 * time.Second
)

// collect adjusts the garbage collector to what is alive until ctx ends. GOGC overrides it.
func collect(ctx context.Context) {
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
		if percent*10 < now*8 || percent*10 > now*12 { // each change is a collection
			debug.SetGCPercent(percent)
			// it has become quiet: the machine has its memory back at once
			if percent < now && perSecond*quietSeconds < garbageRoom {
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
	room := max(min(max(quietRoom, perSecond*quietSeconds), garbageRoom), perSecond)
	return int(min(max(100*room/max(live, 1), leastGarbage), mostGarbage))
}
