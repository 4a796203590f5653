// Package beckontest runs a real house in process: our tests use it, and yours can.
//
// It mocks nothing: the database is real, and devices connect over real sockets on 127.0.0.1.
package beckontest

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
)

// House is a running server for one test.
type House struct {
	URL     string
	DataDir string
	Server  *beckon.Server
	t       testing.TB
	web     *httptest.Server
	stop    context.CancelFunc
	done    chan error
}

// Patience is how long a test waits for what must happen. It is a bound against hanging, not a measure.
const Patience = 20 * time.Second

// Start runs a house of n nodes until the test ends. One node is all that this version has.
func Start(t testing.TB, nodes int) *House {
	t.Helper()
	if nodes != 1 {
		t.Fatalf("beckontest: %d nodes were asked for; a house on SQLite has one", nodes)
	}
	return StartWith(t, beckon.Config{})
}

// StartWith runs a house with a configuration. An empty DataDir is a temporary directory.
func StartWith(t testing.TB, cfg beckon.Config) *House {
	t.Helper()
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	ctx, stop := context.WithCancel(context.Background())
	srv, err := beckon.New(ctx, cfg)
	if err != nil {
		stop()
		t.Fatalf("beckontest: %v", err)
	}
	h := &House{DataDir: cfg.DataDir, Server: srv, t: t, stop: stop, done: make(chan error, 1)}
	go func() { h.done <- srv.Run(ctx) }()
	select {
	case <-srv.Ready():
	case err := <-h.done:
		stop()
		t.Fatalf("beckontest: the server did not start: %v", err)
	}
	h.web = httptest.NewServer(srv.Handler())
	h.URL = h.web.URL
	t.Cleanup(h.Stop)
	return h
}

// Stop stops the house before the test ends. It may be called twice.
func (h *House) Stop() {
	if h.stop == nil {
		return
	}
	h.stop()
	h.stop = nil
	if err := <-h.done; err != nil {
		h.t.Errorf("beckontest: the server stopped with: %v", err)
	}
	h.web.CloseClientConnections()
	h.web.Close()
}

// Token mints a token for a user.
func (h *House) Token(user string) string {
	h.t.Helper()
	token, err := h.Server.Token(user, "", 0)
	if err != nil {
		h.t.Fatalf("beckontest: %v", err)
	}
	return token
}

// Device connects a device of a user, which is closed when the test ends.
func (h *House) Device(user, device string, l client.Listener) *client.Client {
	h.t.Helper()
	return h.DeviceWith(client.Options{Token: h.Token(user), DeviceID: device, Listener: l})
}

// DeviceWith connects a device with options; the server's address is filled in.
func (h *House) DeviceWith(opt client.Options) *client.Client {
	h.t.Helper()
	opt.Server = h.URL
	c, err := client.New(opt)
	if err != nil {
		h.t.Fatalf("beckontest: %v", err)
	}
	h.t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := c.Connect(ctx); err != nil {
		h.t.Fatalf("beckontest: %v", err)
	}
	return c
}

type logWriter struct{ t testing.TB }

func (w logWriter) Write(b []byte) (int, error) {
	w.t.Logf("server: %s", b)
	return len(b), nil
}
