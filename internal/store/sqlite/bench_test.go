package sqlite

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// BenchmarkJournal makes an entry of 30 kB durable, about that of a full batch: in files that grow, and in files used
// again.
func BenchmarkJournal(b *testing.B) {
	ops := []operation{{text: insert, width: 2, values: []any{"a", strings.Repeat("x", 30<<10)}}}
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "grows", true: "again"}[again], func(b *testing.B) {
			j := &journal{dir: b.TempDir()}
			add := func() (released bool) {
				if _, err := j.add(ops); err != nil {
					b.Fatal(err)
				}
				for _, s := range j.done(j.last) {
					if again {
						if err := j.release(s); err != nil {
							b.Fatal(err)
						}
						released = true
					}
				}
				return released
			}
			for again && !add() {
			}
			b.ReportAllocs()
			for b.Loop() {
				add()
			}
		})
	}
}

// BenchmarkApply writes 1,000 records of 500 timelines to a database of some size, and reports what each costs with its
// share of the transaction.
func BenchmarkApply(b *testing.B) {
	d, err := Open(b.Context(), Options{Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	raw, err := d.write.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	c := newConn(d, raw)
	defer func() { _ = c.close(); _ = d.Close() }()
	const records, topics = 1000, 500
	seq, body := 0, strings.Repeat("x", 400)
	apply := func() {
		var rows []any
		for i := range records {
			rows = append(rows, fmt.Sprintf("user:bench-%d", i%topics), seq+i/topics+1, int64(seq), "device", "", body, "peer",
				int64(0), int64(0), "peer")
		}
		seq += records / topics
		if err := c.apply(b.Context(), []operation{{text: "INSERT INTO record (topic, seq, at, device, listen, body, peer, " +
			"ord, pair, sender) VALUES ?*", width: 10, values: rows}}, uint64(seq)); err != nil {
			b.Fatal(err)
		}
	}
	for range 20 {
		apply()
	}
	b.ReportAllocs()
	for b.Loop() {
		apply()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*records), "µs/record")
}
