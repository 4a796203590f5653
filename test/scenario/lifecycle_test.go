package scenario

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
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

// TestRequestsBeforeRun: a request before Run waits until the server is ready, and gets 503 if it is closed, or its Run
// fails, before that. Its health can be asked at any time.
func TestRequestsBeforeRun(t *testing.T) {
	request := func(s *beckon.Server) <-chan int {
		code := make(chan int, 1)
		go func() {
			r := httptest.NewRequest("POST", "/v1/getConversationList", strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer "+s.APIKey())
			r.Header.Set("Beckon-User", "ann")
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			code <- w.Code
		}()
		return code
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, end := range map[string]func(*beckon.Server){
		"closed": func(s *beckon.Server) { _ = s.Close() }, "failed": func(s *beckon.Server) { _ = s.Run(ended) },
	} {
		s := newServer(t, beckon.Config{})
		code := request(s)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		if w.Code != 503 || !strings.Contains(w.Body.String(), "starting") {
			t.Errorf("%s: /readyz before Run: %d %s", what, w.Code, w.Body)
		}
		end(s)
		if got := <-code; got != 503 {
			t.Errorf("%s: a request before Run: %d", what, got)
		}
	}
	s := newServer(t, beckon.Config{})
	code := request(s)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	if got := <-code; got != 200 {
		t.Errorf("a request before Run: %d", got)
	}
	stop()
	<-done
}
