package sqlite

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

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
		if err := c.apply(b.Context(), []journal.Operation{{Text: "INSERT INTO record (topic, seq, at, device, listen, " +
			"body, peer, ord, pair, sender) VALUES ?*", Width: 10, Values: rows}}, uint64(seq)); err != nil {
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
