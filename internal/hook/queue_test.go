package hook

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/world"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type text string

func (text) Absorb(world.Body) bool { return false }
func (b text) JSON() []byte         { return []byte(b) }

// running opens a store in a directory and runs it; stop ends it.
func running(t *testing.T, dir string, h *Hooks) (s *store.Store, stop func()) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Tap: h.tap})
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
	if err := s.Do(&store.Unit{Need: world.Need{Topics: []string{topic}}, Decide: func(w *world.World) error {
		w.Append(topic, world.Draft{Body: text(body)})
		return nil
	}, Done: func(err error) { done <- err }}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestKeptOverARestart: what was not taken when the server stopped is sent by the next one, in its order.
func TestKeptOverARestart(t *testing.T) {
	dir := t.TempDir()
	h := &Hooks{opt: Options{URL: "http://127.0.0.1:1"}}
	s, stop := running(t, dir, h)
	for _, n := range []string{"1", "2", "3"} {
		say(t, s, "user:ann", `{"type":"message","messageID":"m`+n+`"}`)
		say(t, s, "user:bob", `{"type":"conversationRead","n":`+n+`}`) // app servers are not told
	}
	tried := make(chan struct{}, 10)
	q := newQueue(s, slog.New(slog.DiscardHandler), func(context.Context, *world.Outgoing) outcome {
		tried <- struct{}{}
		return outcome{err: errors.New("nobody there")}
	})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { q.run(ctx) })
	<-tried
	cancel()
	all.Wait()
	stop()

	s, stop = running(t, dir, h)
	defer stop()
	var mu sync.Mutex
	var got []string
	over := make(chan struct{})
	q = newQueue(s, slog.New(slog.DiscardHandler), func(_ context.Context, o *world.Outgoing) outcome {
		mu.Lock()
		defer mu.Unlock()
		if got = append(got, o.Body[len(o.Body)-4:]); len(got) == 3 {
			close(over)
		}
		return outcome{}
	})
	ctx, cancel = context.WithCancel(t.Context())
	all.Go(func() { q.run(ctx) })
	<-over
	cancel()
	all.Wait()
	if !slices.Equal(got, []string{`1"}}`, `2"}}`, `3"}}`}) {
		t.Errorf("events came as %v", got)
	}
}

// TestBackoff: the waits grow to an hour, and make about three days.
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
