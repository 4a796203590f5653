package memory

import "testing"

func TestMemoryLimit(t *testing.T) {
	for text, want := range map[string]uint64{"600MiB": 600 << 20, "2GiB": 2 << 30, "500 MB": 500e6,
		"134217728": 128 << 20} {
		if m, err := Parse(text); err != nil || m.limit != want {
			t.Errorf("%q is %+v, %v", text, m, err)
		}
	}
	for _, text := range []string{"a lot", "0", "127MiB", "-1GiB", "12parsecs"} {
		if m, err := Parse(text); err == nil {
			t.Errorf("%q was parsed as %d", text, m.limit)
		}
	}
	const MiB = 1 << 20
	for _, c := range []struct {
		limit, all, others, live uint64
		full                     bool
	}{
		{600 * MiB, 300 * MiB, 200 * MiB, 100 * MiB, false},
		{600 * MiB, 570 * MiB, 200 * MiB, 100 * MiB, true}, // near the limit
		{600 * MiB, 500 * MiB, 200 * MiB, 310 * MiB, true}, // the collector would run continuously
		{600 * MiB, 500 * MiB, 590 * MiB, 20 * MiB, false}, // others use nearly all: the heap keeps its minimum
		{600 * MiB, 500 * MiB, 700 * MiB, 30 * MiB, true},  //
	} {
		if got := full(c.limit, c.all, heapLimit(c.limit, c.others), c.live); got != c.full {
			t.Errorf("%+v: full is %v", c, got)
		}
	}
	if resident() < MiB {
		t.Errorf("resident memory is %d bytes", resident())
	}
}
