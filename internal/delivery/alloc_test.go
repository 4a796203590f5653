//go:build !race

package delivery

import "testing"

// TestAllocations: delivering a record in order allocates nothing.
func TestAllocations(t *testing.T) {
	announce, readers := announcing(t)
	n := testing.AllocsPerRun(100, announce)
	if n > 0 {
		t.Errorf("a record takes %v allocations", n)
	}
	if readers.n < 100 {
		t.Errorf("%d were delivered", readers.n)
	}
}
