package scenario

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/beckon-im/beckon"
)

// newServer returns a server that has not run.
func newServer(t *testing.T, cfg beckon.Config) *beckon.Server {
	t.Helper()
	cfg.DataDir, cfg.Log = t.TempDir(), slog.New(slog.DiscardHandler)
	s, err := beckon.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRunAndCloseInAnyOrder: a server runs once and is closed once; each further Run or Close returns at once.
func TestRunAndCloseInAnyOrder(t *testing.T) {
	expect := func(step string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", step, got, want)
		}
	}
	t.Run("never run", func(t *testing.T) {
		s := newServer(t, beckon.Config{})
		expect("Close", s.Close(), nil)
		expect("Close again", s.Close(), nil)
		expect("Run after Close", s.Run(t.Context()), beckon.ErrClosed)
		<-s.Drained()
	})
	t.Run("run", func(t *testing.T) {
		s := newServer(t, beckon.Config{})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		<-s.Ready()
		expect("Run while it runs", s.Run(ctx), beckon.ErrRunning)
		expect("Close while it runs", s.Close(), beckon.ErrRunning)
		select {
		case <-s.Drained():
			t.Error("the refused Close ended the wait for Drained")
		default:
		}
		stop()
		expect("Run", <-done, nil)
		expect("Run after Run", s.Run(t.Context()), beckon.ErrClosed)
		expect("Close after Run", s.Close(), nil)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/v1/listInvitations", nil))
		if w.Code != 503 {
			t.Errorf("a request after Run: %d", w.Code)
		}
	})
	t.Run("at once", func(t *testing.T) {
		s := newServer(t, beckon.Config{})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { _ = s.Run(ctx) })
			all.Go(func() { _ = s.Close() })
		}
		all.Wait()
		expect("Close", s.Close(), nil)
		expect("Run", s.Run(t.Context()), beckon.ErrClosed)
	})
}
