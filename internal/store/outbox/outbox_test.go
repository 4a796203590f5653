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

// TestDue: of each ordering key only the first event is to be sent. Events behind it are returned until they are
// parked.
func TestDue(t *testing.T) {
	s := filled(t, 3, 4, 100)
	due := func(now int64) (first, behind []outbox.Event) {
		t.Helper()
		list, err := outbox.Due(t.Context(), s, "hook", now, outbox.BeforeDue(), nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if e.IsFirst() {
				first = append(first, e)
			} else {
				behind = append(behind, e)
			}
		}
		return first, behind
	}
	if first, behind := due(50); len(first) != 0 || len(behind) != 9 {
		t.Fatalf("at 50: %+v, %+v", first, behind)
	}
	_, behind := due(50)
	change(t, s, behind, func(tx *txn.Tx) { outbox.Park(tx, behind) })
	for now, want := range map[int64]int{50: 0, 100: 3} {
		if first, behind := due(now); len(first) != want || len(behind) != 0 {
			t.Errorf("parked, at %d: %+v, %+v", now, first, behind)
		}
	}
	first, _ := due(100)
	change(t, s, first[:1], func(tx *txn.Tx) {
		o := tx.OutboxEvent(first[0].OutboxKey)
		o.State = txn.OutgoingDone
		tx.PutOutboxEvent(*o)
		outbox.Unpark(tx, o.OutboxKey)
	})
	if first, behind := due(50); len(first) != 1 || first[0].Seq != 1 || len(behind) != 0 {
		t.Errorf("after the end of the first: %+v, %+v", first, behind)
	}
	next, err := outbox.Next(t.Context(), s, txn.OutboxKey{Queue: "hook", OrderingKey: "line00001", Seq: 1}, 10)
	if err != nil || len(next) != 2 || next[0].Seq != 2 {
		t.Errorf("after the second: %+v, %v", next, err)
	}
	if list, err := outbox.Due(t.Context(), s, "another", 100, outbox.BeforeDue(), nil, 10); err != nil || len(list) != 0 {
		t.Errorf("another queue: %+v, %v", list, err)
	}
	if list, err := outbox.Fresh(t.Context(), s, "hook", 0, 100, nil, 2); err != nil || len(list) != 2 {
		t.Errorf("the latest due events: %+v, %v", list, err)
	}
	if n, oldest, err := outbox.Count(t.Context(), s, "hook", txn.OutgoingWaits); err != nil || n != 11 || oldest != 1 {
		t.Errorf("%d wait, since %d, %v", n, oldest, err)
	}
}

// change runs a unit on events, and on the first ones of their ordering keys.
func change(t *testing.T, s *store.Store, list []outbox.Event, f func(*txn.Tx)) {
	t.Helper()
	var n txn.ReadSet
	for _, e := range list {
		first := e.OutboxKey
		first.Seq = e.First
		n.Outbox = append(n.Outbox, e.OutboxKey, first)
	}
	done := make(chan error, 1)
	if err := s.Submit(&store.Unit{Reads: n, Decide: func(tx *txn.Tx) error { f(tx); return nil },
		Done: func(err error) { done <- err }}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// BenchmarkDue reads due events while 100,000 events wait with 100,000 ordering keys, and are not due: an outage of the
// receiver.
func BenchmarkDue(b *testing.B) {
	s := filled(b, 100_000, 1, 1<<60)
	for b.Loop() {
		if list, err := outbox.Due(b.Context(), s, "hook", 1000, outbox.BeforeDue(), nil, 256); err != nil || len(list) != 0 {
			b.Fatal(list, err)
		}
	}
}
