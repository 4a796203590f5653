package delivery

import (
	"testing"

	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/txn"
)

// deaf counts the records it receives.
type deaf struct{ n int }

func (d *deaf) Deliver(txn.Record)                   { d.n++ }
func (d *deaf) Listen(string, uint64, listen.Change) {}

// announcing returns a delivery that delivers one record, in order.
func announcing(tb testing.TB) (announce func(), readers *deaf) {
	tb.Helper()
	readers = &deaf{}
	log := &memory{topics: map[string][]txn.Record{}}
	d := New(log, NewLocal(), Options{})
	d.Serve(readers)
	if err := log.open(d, "user:ann"); err != nil {
		tb.Fatal(err)
	}
	list := []txn.Record{{Topic: "user:ann"}}
	return func() {
		list[0].Seq++
		d.Announce(list)
	}, readers
}

// BenchmarkAnnounce delivers a record from the commit to the gateway.
func BenchmarkAnnounce(b *testing.B) {
	announce, readers := announcing(b)
	b.ReportAllocs()
	for b.Loop() {
		announce()
	}
	if readers.n < b.N {
		b.Errorf("%d of %d were handed on", readers.n, b.N)
	}
}
