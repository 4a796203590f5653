//go:build !race

package delivery

import "testing"

// TestAllocations: a record that is in its order costs no memory on its way to the gateway.
func TestAllocations(t *testing.T) {
	announce, readers := announcing(t)
	n := testing.AllocsPerRun(100, announce)
	if n > 0 {
		t.Errorf("a record takes %v allocations", n)
	}
	if readers.n < 100 {
		t.Errorf("%d were handed on", readers.n)
	}
}
