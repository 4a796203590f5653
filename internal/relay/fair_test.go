package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
	"github.com/beckon-im/beckon/internal/txn"
)

// enqueue creates n events in one transaction.
func enqueue(t *testing.T, s *store.Store, n int, event func(i int, now int64) txn.OutboxEvent) {
	t.Helper()
	done := make(chan error, 1)
	if err := s.Submit(&store.Unit{Decide: func(tx *txn.Tx) error {
		list := make([]txn.OutboxEvent, n)
		for i := range list {
			list[i] = event(i, tx.Now)
		}
		tx.Enqueue(list...)
		return nil
	}, Done: func(err error) { done <- err }}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// fill creates events of an owner, each with its own ordering key.
func fill(t *testing.T, s *store.Store, owner string, n int) {
	t.Helper()
	enqueue(t, s, n, func(i int, now int64) txn.OutboxEvent {
		return txn.OutboxEvent{OutboxKey: txn.OutboxKey{Queue: "hook", OrderingKey: fmt.Sprintf("line%05d %s", i, owner),
			Seq: 1}, At: now, Body: "{}", Owner: owner}
	})
}

// TestOneOwnerHoldsUpNobody: while an owner has 2,000 due events that all time out, the events of others are sent
// within a second.
func TestOneOwnerHoldsUpNobody(t *testing.T) {
	s, stop := running(t, t.TempDir())
	defer stop()
	fill(t, s, "eve", 2000)
	sent := make(chan string, 100)
	var mu sync.Mutex
	hanging, most := 0, 0
	hangs := make(chan struct{}, 100)
	q := New(s, Options{Name: "hook", Log: slog.New(slog.DiscardHandler)},
		func(ctx context.Context, o *txn.OutboxEvent) Outcome {
			if !strings.HasSuffix(o.OrderingKey, " eve") {
				sent <- o.OrderingKey
				return Outcome{}
			}
			mu.Lock()
			hanging++
			most = max(most, hanging)
			mu.Unlock()
			hangs <- struct{}{}
			<-ctx.Done()
			return Outcome{Err: ctx.Err()}
		})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = q.Run(ctx) })
	<-hangs
	<-hangs
	if took := latency(t, s, q, sent); took > time.Second {
		t.Errorf("bob's events were sent after %v", took)
	}
	cancel()
	all.Wait()
	if most != ofOwner {
		t.Errorf("eve had %d ordering keys sent concurrently", most)
	}
}

// backlog creates due events that happened a minute ago: with one ordering key, or each with its own.
func backlog(t *testing.T, s *store.Store, key string, n int) {
	t.Helper()
	enqueue(t, s, n, func(i int, now int64) txn.OutboxEvent {
		at := now - time.Minute.Milliseconds()
		o := txn.OutboxEvent{OutboxKey: txn.OutboxKey{Queue: "hook", OrderingKey: key, Seq: int64(i)}, At: at, Due: at,
			Body: fmt.Sprint(i)}
		if key == "" {
			o.OrderingKey = fmt.Sprintf("old%05d", i)
		}
		return o
	})
}

// latency returns the median time from the creation of an event to its delivery. sent receives the delivered ones.
func latency(t *testing.T, s *store.Store, q *Dispatcher, sent <-chan string) time.Duration {
	t.Helper()
	var took []time.Duration
	for i := range 9 {
		begin := time.Now()
		fill(t, s, fmt.Sprint("bob", i), 1)
		q.Wake()
		<-sent
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[4] // other tests may use the processors
}

// TestFreshEventsPrecedeABacklog: while thousands of events of an outage are due, and their attempts hang, events that
// happen now are sent within a second.
func TestFreshEventsPrecedeABacklog(t *testing.T) {
	s, stop := running(t, t.TempDir())
	defer stop()
	backlog(t, s, "", 3*page)
	sent, hangs := make(chan string, 100), make(chan struct{}, 100)
	q := New(s, Options{Name: "hook", Log: slog.New(slog.DiscardHandler)},
		func(ctx context.Context, o *txn.OutboxEvent) Outcome {
			if !strings.HasPrefix(o.OrderingKey, "old") {
				sent <- o.OrderingKey
				return Outcome{}
			}
			hangs <- struct{}{}
			<-ctx.Done()
			return Outcome{Err: ctx.Err()}
		})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = q.Run(ctx) })
	for range workers * 3 / 4 {
		<-hangs
	}
	if took := latency(t, s, q, sent); took > time.Second {
		t.Errorf("new events were sent after %v", took)
	}
	if len(hangs) > 0 {
		t.Errorf("%d more events of the backlog were sent than three quarters of the workers", len(hangs))
	}
	cancel()
	all.Wait()
}

// TestEventsBehindAnother: events behind one that fails are parked, so that reads of due events do not return them, and
// are sent in order after it.
func TestEventsBehindAnother(t *testing.T) {
	s, stop := running(t, t.TempDir())
	defer stop()
	const n = 2500 // more than a page
	backlog(t, s, "one", n)
	var fails atomic.Bool
	fails.Store(true)
	sent := make(chan string, n)
	q := New(s, Options{Name: "hook", Log: slog.New(slog.DiscardHandler), Backoff: func(int64) time.Duration {
		return 100 * time.Millisecond
	}}, func(_ context.Context, o *txn.OutboxEvent) Outcome {
		if fails.Load() {
			return Outcome{Err: errors.New("not now")}
		}
		sent <- o.Body
		return Outcome{}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { _ = q.Run(ctx) })
	for behind := n; behind > 0; {
		list, err := outbox.Due(t.Context(), s, "hook", s.Now(), outbox.BeforeDue(), nil, page)
		if err != nil {
			t.Fatal(err)
		}
		if behind = len(list); behind > 0 && list[0].IsFirst() {
			behind-- // the failing one is due again
		}
	}
	fails.Store(false)
	for i := range n {
		if got := <-sent; got != fmt.Sprint(i) {
			t.Fatalf("the event %s was sent as number %d", got, i)
		}
	}
	cancel()
	all.Wait()
}

// TestAParkedOrderingKey: a worker sends all events of an ordering key, also those that were parked behind the first,
// on both engines.
func TestAParkedOrderingKey(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { drain(t, store.Options{Dir: t.TempDir()}) })
	t.Run("PostgreSQL", func(t *testing.T) {
		pg, err := pgtest.Start(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = pg.Close() }()
		drain(t, store.Options{Dir: t.TempDir(), Postgres: pg.URL("postgres")})
	})
}

func drain(t *testing.T, opt store.Options) {
	s, err := store.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	}()
	const n = 120 // more than two reads of an ordering key
	backlog(t, s, "one", n)
	var sent []string
	q := New(s, Options{Name: "hook", Log: slog.New(slog.DiscardHandler)},
		func(_ context.Context, o *txn.OutboxEvent) Outcome {
			sent = append(sent, o.Body)
			return Outcome{}
		})
	list, err := outbox.Due(t.Context(), s, "hook", s.Now(), outbox.BeforeDue(), nil, page)
	if err != nil || len(list) != n || !list[0].IsFirst() {
		t.Fatalf("%d events are due, %v", len(list), err)
	}
	if err := q.park(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	due, err := outbox.Due(t.Context(), s, "hook", s.Now(), outbox.BeforeDue(), nil, page)
	if err != nil || len(due) != 1 {
		t.Fatalf("%d events are due after parking, %v", len(due), err)
	}
	q.sendInOrder(t.Context(), &list[0].OutboxEvent)
	for i := range sent {
		if sent[i] != fmt.Sprint(i) {
			t.Fatalf("the event %s was sent as number %d", sent[i], i)
		}
	}
	if len(sent) != n {
		t.Errorf("%d of %d events were sent", len(sent), n)
	}
}

// TestARestartBehindAParkedEvent: when the server stops between two events of an ordering key, the next one is due at
// once, although it was parked.
func TestARestartBehindAParkedEvent(t *testing.T) {
	s, stop := running(t, t.TempDir())
	defer stop()
	backlog(t, s, "one", 3)
	ctx, cancel := context.WithCancel(t.Context())
	q := New(s, Options{Name: "hook", Log: slog.New(slog.DiscardHandler)},
		func(context.Context, *txn.OutboxEvent) Outcome {
			cancel()
			return Outcome{}
		})
	list, err := outbox.Due(t.Context(), s, "hook", s.Now(), outbox.BeforeDue(), nil, page)
	if err == nil {
		err = q.park(t.Context(), list)
	}
	if err != nil {
		t.Fatal(err)
	}
	q.sendInOrder(ctx, &list[0].OutboxEvent)
	due, err := outbox.Due(t.Context(), s, "hook", s.Now(), outbox.BeforeDue(), nil, page)
	if err != nil || len(due) != 1 || due[0].Seq != 1 || !due[0].IsFirst() {
		t.Errorf("after the end of the first are due: %+v, %v", due, err)
	}
}
