package relay

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type text string

func (text) Absorb(txn.Body) bool { return false }
func (b text) JSON() []byte       { return []byte(b) }

// tap returns an event for each record.
func tap(now int64, records []txn.Record) (list []txn.OutboxEvent) {
	for _, r := range records {
		list = append(list, txn.OutboxEvent{OutboxKey: txn.OutboxKey{Queue: "hook", OrderingKey: r.Topic, Seq: int64(r.Seq)},
			At: now, Due: now, Body: string(r.Body)})
	}
	return list
}

// running opens and runs a store in a directory; stop ends it.
func running(t *testing.T, dir string) (s *store.Store, stop func()) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Tap: tap})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	}
}

func say(t *testing.T, s *store.Store, topic, body string) {
	t.Helper()
	done := make(chan error, 1)
	if err := s.Submit(&store.Unit{Reads: txn.ReadSet{Topics: []string{topic}}, Decide: func(tx *txn.Tx) error {
		tx.Append(topic, txn.Draft{Body: text(body)})
		return nil
	}, Done: func(err error) { done <- err }}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestKeptOverARestart: events that were not accepted before a restart are sent afterwards, in order.
func TestKeptOverARestart(t *testing.T) {
	dir := t.TempDir()
	s, stop := running(t, dir)
	for _, n := range []string{"1", "2", "3"} {
		say(t, s, "user:ann", `{"data":{"n":"`+n+`"}}`)
	}
	tried := make(chan struct{}, 10)
	q := New(s, Options{Name: "hook", Log: slog.New(slog.DiscardHandler)},
		func(context.Context, *txn.OutboxEvent) Outcome {
			tried <- struct{}{}
			return Outcome{Err: errors.New("unreachable")}
		})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = q.Run(ctx) })
	<-tried
	cancel()
	all.Wait()
	stop()

	s, stop = running(t, dir)
	defer stop()
	var mu sync.Mutex
	var got []string
	over := make(chan struct{})
	q = New(s, Options{Name: "hook", Log: slog.New(slog.DiscardHandler)},
		func(_ context.Context, o *txn.OutboxEvent) Outcome {
			mu.Lock()
			defer mu.Unlock()
			if got = append(got, o.Body[len(o.Body)-4:]); len(got) == 3 {
				close(over)
			}
			return Outcome{}
		})
	ctx, cancel = context.WithCancel(t.Context())
	all.Go(func() { _ = q.Run(ctx) })
	<-over
	cancel()
	all.Wait()
	if !slices.Equal(got, []string{`1"}}`, `2"}}`, `3"}}`}) {
		t.Errorf("events were sent as %v", got)
	}
}

// TestSlowStore: an accepted event is not sent again because the store is slow.
func TestSlowStore(t *testing.T) {
	s, stop := running(t, t.TempDir())
	defer stop()
	say(t, s, "user:ann", `{}`)
	sent, free, freed := make(chan string, 10), make(chan struct{}), make(chan error, 1)
	q := New(s, Options{Name: "hook", Log: slog.New(slog.DiscardHandler)},
		func(_ context.Context, o *txn.OutboxEvent) Outcome {
			if len(sent) == 0 {
				held := make(chan struct{})
				go func() {
					freed <- s.Maintain(context.Background(), []string{"user:ann"},
						func(context.Context, *sqldb.Session, int64) error {
							close(held)
							<-free
							return nil
						})
				}()
				<-held
			}
			sent <- o.Body
			return Outcome{}
		})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = q.Run(ctx) })
	<-sent
	<-time.After(storeTime + time.Second) // longer than the timeout during shutdown
	close(free)
	if err := <-freed; err != nil {
		t.Error(err)
	}
	for waits := true; waits; {
		var err error
		if _, waits, err = outbox.NextDue(t.Context(), q.store, q.opt.Name); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	all.Wait()
	if len(sent) > 0 {
		t.Error("it was sent again")
	}
}

// TestBackoff: the delays grow to an hour, and the attempts span about three days.
func TestBackoff(t *testing.T) {
	var sum time.Duration
	for tries := range int64(maxTries - 1) {
		wait := backoff(tries + 1)
		if wait > 66*time.Minute || tries > 12 && wait < 54*time.Minute {
			t.Errorf("the wait after %d failures is %v", tries+1, wait)
		}
		sum += wait
	}
	if sum < 70*time.Hour || sum > 75*time.Hour {
		t.Errorf("an event is tried for %v", sum)
	}
}
