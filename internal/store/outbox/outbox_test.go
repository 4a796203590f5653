package outbox_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
)

// filled is a running store with events of a number of lines; those after the first of each wait behind it.
func filled(tb testing.TB, lines, each int, firstDue int64) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), store.Options{Dir: tb.TempDir(), NoSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	tb.Cleanup(func() { stop(); running.Wait(); _ = s.Close() })
	var all sync.WaitGroup
	for l := range lines {
		var list []txn.OutboxEvent
		n := txn.ReadSet{}
		for i := range each {
			o := txn.OutboxEvent{OutboxKey: txn.OutboxKey{Queue: "hook", OrderingKey: fmt.Sprintf("line%05d", l), Seq: int64(i)},
				At: 1, Due: 1, Body: "{}"}
			if i == 0 {
				o.Due = firstDue
			}
			list, n.Outbox = append(list, o), append(n.Outbox, o.OutboxKey)
		}
		all.Add(1)
		if err := s.Submit(&store.Unit{Reads: n, Decide: func(tx *txn.Tx) error {
			for _, o := range list {
				tx.PutOutboxEvent(o)
			}
			if firstDue > 1 {
				outbox.Rest(tx, list[0].OutboxKey)
			}
			return nil
		}, Done: func(err error) {
			if err != nil {
				tb.Error(err)
			}
			all.Done()
		}}); err != nil {
			tb.Fatal(err)
		}
	}
	all.Wait()
	return s
}

// TestDue: of each line only the first counts, and what waits behind one that rests rests too.
func TestDue(t *testing.T) {
	s := filled(t, 3, 4, 100)
	for now, want := range map[int64]int{50: 0, 100: 3} {
		list, err := outbox.Due(t.Context(), s, "hook", now, outbox.BeforeDue(), nil, 10)
		if err != nil || len(list) != want {
			t.Errorf("at %d: %+v, %v", now, list, err)
		}
		for _, o := range list {
			if o.Seq != 0 {
				t.Errorf("%+v is not the first of its line", o)
			}
		}
	}
	next, err := outbox.Next(t.Context(), s, txn.OutboxKey{Queue: "hook", OrderingKey: "line00001", Seq: 1}, 10)
	if err != nil || len(next) != 2 || next[0].Seq != 2 {
		t.Errorf("after the second: %+v, %v", next, err)
	}
	if list, err := outbox.Due(t.Context(), s, "another", 100, outbox.BeforeDue(), nil, 10); err != nil || len(list) != 0 {
		t.Errorf("another queue: %+v, %v", list, err)
	}
}

// BenchmarkDue looks for what is due while 100,000 events wait in 1,000 lines whose first ones rest: an outage of the
// receiver.
func BenchmarkDue(b *testing.B) {
	s := filled(b, 1000, 100, 1<<60)
	for b.Loop() {
		if list, err := outbox.Due(b.Context(), s, "hook", 1000, outbox.BeforeDue(), nil, 256); err != nil || len(list) != 0 {
			b.Fatal(list, err)
		}
	}
}
