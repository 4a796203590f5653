//go:build !race

package store_test

import "testing"

// TestAllocations guards what an invite allocates on its way to the disk; times are noisy, allocations are not.
func TestAllocations(t *testing.T) {
	const most = 62 // 54 to 56 were measured
	if n := testing.Benchmark(BenchmarkInvite).AllocsPerOp(); n > most {
		t.Errorf("an invite takes %d allocations; at most %d", n, most)
	}
}
