package beckon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/beckon-im/beckon/internal/api"
	"github.com/beckon-im/beckon/internal/gateway"
	"github.com/beckon-im/beckon/internal/media"
	"github.com/beckon-im/beckon/internal/trace"
	"github.com/beckon-im/beckon/web"
)

// Handler serves HTTP: device connections, methods for app servers, the web pages, metrics and health. It may be
// mounted below a path with http.StripPrefix("/path", …), at "/path/". Requests before Run wait for it, and those after
// it are refused with 503.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	devices := s.gateway.Handler()
	mux.Handle("/connection/", s.unlessDraining(devices))
	mux.Handle(gateway.PathEmulation, devices)
	if rooms := s.media.Handler(); rooms != nil {
		mux.Handle(media.PathHook, rooms)
		mux.Handle(media.PathSignal, s.ownPages(rooms))
		mux.Handle(media.PathSignal+"/", s.ownPages(rooms))
	}
	if s.cfg.SeparateAdmin {
		s.pages(mux, s.cfg.Web, false, api.RefuseKeys(s.api.Handler()))
	} else {
		s.pages(mux, s.cfg.Web, s.cfg.Console, s.api.Handler())
		s.monitor(mux)
	}
	s.health(mux)
	return s.api.Guard(s.untilClosed(mux))
}

// Paths of the server's health.
const pathLive, pathReady = "/healthz", "/readyz"

// always is closed.
var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// AdminHandler serves app servers and operators: methods with API keys, the console, /metrics, /healthz and /readyz.
// With Config.SeparateAdmin, Handler refuses what only this one serves. Its address must be private: /metrics takes no
// key.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	s.pages(mux, false, s.cfg.Console, s.api.Handler())
	s.monitor(mux)
	s.health(mux)
	return s.api.Guard(s.untilClosed(mux))
}

// untilClosed lets requests wait until the server is ready, except those about its health, and refuses them after Run:
// the HTTP server of an embedding program may outlive this one.
func (s *Server) untilClosed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ready := s.ready
		if r.URL.Path == pathLive || r.URL.Path == pathReady {
			ready = always
		}
		if !s.life.wait(r.Context(), ready) {
			http.Error(w, "this server has stopped", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// pages serves the methods, and the pages beside them.
func (s *Server) pages(mux *http.ServeMux, app, console bool, methods http.Handler) {
	if !app && !console {
		mux.Handle("/", methods)
		return
	}
	mux.Handle("/", web.Handler(app, console))
	for _, path := range api.Paths() {
		mux.Handle(path, methods)
	}
}

func (s *Server) monitor(mux *http.ServeMux) {
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.Registry, promhttp.HandlerOpts{}))
}

func (s *Server) health(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathLive, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET "+pathReady, func(w http.ResponseWriter, r *http.Request) {
		if why := s.state(r.URL.Query().Get("without")); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
}

// ownPages refuses requests of pages whose origin is not allowed. LiveKit itself accepts every origin.
func (s *Server) ownPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.api.AllowOrigin(r) {
			http.Error(w, "origin not allowed", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// unlessDraining refuses new device connections on a draining node.
func (s *Server) unlessDraining(devices http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "this node is stopping; connect to another node", http.StatusServiceUnavailable)
			return
		}
		devices.ServeHTTP(w, r)
	})
}

// Listener returns a listener that resets connections before reading them when their address is over Config.AddressRate
// or sent too many wrong tokens. Handler limits requests by itself; the listener also avoids the cost of a flood of
// connections. Place it below TLS.
func (s *Server) Listener(ln net.Listener) net.Listener { return s.addresses.Listener(ln) }

// routes constructs the API over the services.
func (s *Server) routes(ctx context.Context, services api.Services) (*api.API, error) {
	audit, err := s.openAudit()
	if err != nil {
		return nil, err
	}
	return api.New(ctx, services, api.Options{
		Auth:      s.cfg.auth(),
		Limits:    api.Limits{User: s.cfg.UserRate, UserBurst: s.cfg.UserBurst},
		Addresses: s.addresses,
		Origins:   s.cfg.Origins,
		Audit:     audit,
		Busy:      func() bool { return s.store.Backlog() > busyAt || s.cfg.Full() },
		Full:      s.cfg.Full,
		Observe:   s.meters.called,
		Trace:     s.traced(),
		Log:       s.cfg.Log,
	})
}

// traced returns the trace recorder for calls about invitations; nil without a collector.
func (s *Server) traced() func(trace.Span) {
	if s.tracer == nil {
		return nil
	}
	return s.tracer.Record
}

// openAudit opens the audit log; it returns nil without one.
func (s *Server) openAudit() (*slog.Logger, error) {
	if s.cfg.AuditLog == "" {
		return nil, nil
	}
	s.audit = &logFile{name: s.cfg.AuditLog}
	if err := s.audit.reopen(); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return slog.New(slog.NewJSONHandler(s.audit, nil)), nil
}

// ReopenLogs reopens log files by name, for log rotation. Each file is written until its successor is open.
func (s *Server) ReopenLogs() error {
	if s.audit == nil {
		return nil
	}
	return s.audit.reopen()
}

// logFile is an append-only file that can be reopened during writes. mu guards file.
type logFile struct {
	name string

	mu   sync.Mutex
	file *os.File
}

func (l *logFile) reopen() error {
	f, err := os.OpenFile(l.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.file
	l.file = f
	if old == nil {
		return nil
	}
	return old.Close()
}

// Write appends to the current file.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(b)
}

// Close closes the file.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
