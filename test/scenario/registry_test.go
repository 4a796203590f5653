package scenario

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/beckon-im/beckon"
)

// families returns the names of the metrics in a registry with the number of their series.
func families(t *testing.T, r prometheus.Gatherer) map[string]int {
	t.Helper()
	list, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, f := range list {
		counts[f.GetName()] = len(f.GetMetric())
	}
	return counts
}

// TestMetricsOfSeveralServers: servers in one process have their metrics in registries of the embedding program, which
// they leave when they stop.
func TestMetricsOfSeveralServers(t *testing.T) {
	shared := prometheus.NewRegistry()
	shared.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "application_orders"}))
	label := func(node string) prometheus.Registerer {
		return prometheus.WrapRegistererWith(prometheus.Labels{"server": node}, shared)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 2)
	var servers []*beckon.Server
	for _, node := range []string{"a", "b"} {
		s := newServer(t, beckon.Config{Registerer: label(node)})
		go func() { done <- s.Run(ctx) }()
		<-s.Ready()
		servers = append(servers, s)
	}
	got := families(t, shared)
	for name, want := range map[string]int{"beckon_ready": 2, "beckon_connections": 2, "beckon_ring_seconds": 4,
		"beckon_webhooks_waiting": 2, "application_orders": 1, "go_goroutines": 0} {
		if got[name] != want {
			t.Errorf("%s has %d series, want %d", name, got[name], want)
		}
	}
	for _, s := range servers {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		body, err := io.ReadAll(w.Body)
		if err != nil || !strings.Contains(string(body), "\nbeckon_ready 1\n") ||
			!strings.Contains(string(body), "\ngo_goroutines ") {
			t.Errorf("/metrics: %v, %.200s", err, body)
		}
	}
	_, err := beckon.New(t.Context(), beckon.Config{DataDir: t.TempDir(), Registerer: label("a"),
		Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "WrapRegistererWith") {
		t.Errorf("a registry of another server: %v", err)
	}
	if again := families(t, shared); len(again) != len(got) {
		t.Errorf("the refused server changed the registry: %v", again)
	}
	stop()
	for range servers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if left := families(t, shared); len(left) != 1 {
		t.Errorf("the stopped servers left %v", left)
	}
	s := newServer(t, beckon.Config{Registerer: label("a")})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
