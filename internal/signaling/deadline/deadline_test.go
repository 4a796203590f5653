package deadline

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestDeadlinesAgainstAMap drives the heap and a plain map with the same calls.
func TestDeadlinesAgainstAMap(t *testing.T) {
	d, m := New(), map[string]int64{}
	for range 20_000 {
		id := fmt.Sprint(rand.IntN(200))
		switch rand.IntN(3) {
		case 0, 1:
			due := rand.Int64N(1000)
			d.Set(id, due)
			if m[id] = due; due == 0 {
				delete(m, id)
			}
		default:
			now := rand.Int64N(1000)
			ids, _ := d.Next(now, 1)
			got := strings.Join(ids, "")
			first := int64(1 << 62)
			for _, due := range m {
				first = min(first, due)
			}
			if (got != "") != (first <= now) || got != "" && m[got] != first {
				t.Fatalf("at %d the heap gives %q due %d, the map %d", now, got, m[got], first)
			}
			delete(m, got)
		}
	}
}
