//go:build !race

package gateway

import "testing"

// TestAllocations limits the allocations per record and per call; times are noisy, allocations are exact.
func TestAllocations(t *testing.T) {
	for readers, most := range map[int]float64{1: 5, 1000: 1005} { // a link that is still writing needs a new queue
		_, deliver := crowd(t, readers)
		if n := testing.AllocsPerRun(200, deliver); n > most {
			t.Errorf("a record to %d readers takes %v allocations; at most %v", readers, n, most)
		}
	}
	if n := testing.AllocsPerRun(200, called(t)); n > 5 {
		t.Errorf("a call takes %v allocations; at most 5", n)
	}
}
