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

// Handler serves every door: devices, app servers, metrics and health.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	devices := s.gateway.Handler()
	mux.Handle("/connection/", s.unlessDraining(devices))
	mux.Handle(gateway.PathEmulation, devices)
	if rooms := s.media.Handler(); rooms != nil {
		mux.Handle(media.PathHook, rooms)
		mux.Handle(media.PathSignal, rooms)
		mux.Handle(media.PathSignal+"/", rooms)
	}
	verbs := s.api.Handler()
	if s.cfg.Web || s.cfg.Console {
		mux.Handle("/", web.Handler(s.cfg.Web, s.cfg.Console))
		for _, path := range api.Paths() {
			mux.Handle(path, verbs)
		}
	} else {
		mux.Handle("/", verbs)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if why := s.state(r.URL.Query().Get("without")); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	return s.api.Guard(mux)
}

// unlessDraining refuses devices that come to a node that sends its own away.
func (s *Server) unlessDraining(devices http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "this node is stopping; connect again, to another", http.StatusServiceUnavailable)
			return
		}
		devices.ServeHTTP(w, r)
	})
}

// Listener makes a listener that resets the connections of an address that is over Config's AddressRate, or that came
// with too many wrong tokens, before anything of them is read. Handler limits requests by itself; this also takes away
// what a flood of connections costs. Put it under TLS.
func (s *Server) Listener(ln net.Listener) net.Listener { return s.addresses.Listener(ln) }

// routes makes the doors of the verbs.
func (s *Server) routes(ctx context.Context, verbs api.Services) (*api.API, error) {
	audit, err := s.openAudit()
	if err != nil {
		return nil, err
	}
	return api.New(ctx, verbs, api.Options{
		Auth: api.AuthOptions{
			JWTSecret: s.cfg.JWTSecret, JWKSURL: s.cfg.JWKSURL, Issuer: s.cfg.JWTIssuer, Audience: s.cfg.JWTAudience,
			UserSigAppID: s.cfg.UserSigAppID, UserSigKey: s.cfg.UserSigKey, APIKeys: s.cfg.APIKeys,
		},
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

// traced is what calls about invitations are told to; nil when nobody collects traces.
func (s *Server) traced() func(trace.Span) {
	if s.tracer == nil {
		return nil
	}
	return s.tracer.Record
}

// openAudit opens the audit log.
func (s *Server) openAudit() (*slog.Logger, error) {
	if s.cfg.AuditLog == "" {
		return nil, nil
	}
	s.audit = &logFile{name: s.cfg.AuditLog}
	if err := s.audit.reopen(); err != nil {
		return nil, fmt.Errorf("the audit log cannot be written: %w", err)
	}
	return slog.New(slog.NewJSONHandler(s.audit, nil)), nil
}

// ReopenLogs opens log files again by their names, after they were renamed. Until the new one is open the old one is
// written.
func (s *Server) ReopenLogs() error {
	if s.audit == nil {
		return nil
	}
	return s.audit.reopen()
}

// logFile is a file that can be reopened while it is written.
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

// Write appends to the file that is open now.
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
