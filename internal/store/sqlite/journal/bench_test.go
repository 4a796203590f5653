package journal

import (
	"strings"
	"testing"
)

// BenchmarkJournal makes an entry of 30 kB durable, about that of a full batch: in segments that grow, and in segments
// used again.
func BenchmarkJournal(b *testing.B) {
	ops := []Operation{{Text: "INSERT INTO a (x, y) VALUES ?*", Width: 2, Values: []any{"a", strings.Repeat("x", 30<<10)}}}
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "grows", true: "again"}[again], func(b *testing.B) {
			j := New(Options{Dir: b.TempDir(), Cluster: "c1"})
			add := func() {
				if _, err := j.Add(ops); err != nil {
					b.Fatal(err)
				}
				if again {
					if err := j.Retire(j.Last()); err != nil {
						b.Fatal(err)
					}
				}
			}
			for again && len(j.spare) == 0 {
				add()
			}
			b.ReportAllocs()
			for b.Loop() {
				add()
			}
		})
	}
}
