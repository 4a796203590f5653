package beckon

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/protocol"
)

// registry has the metrics of a server for /metrics, and registers them with the embedding program.
type registry struct {
	*prometheus.Registry
	list     []prometheus.Collector
	external prometheus.Registerer // nil = not registered
}

// MustRegister registers metrics of the server.
func (r *registry) MustRegister(list ...prometheus.Collector) {
	r.Registry.MustRegister(list...)
	r.list = append(r.list, list...)
}

// publish registers the metrics with the embedding program, if it has a registry.
func (r *registry) publish(to prometheus.Registerer) error {
	if to == nil {
		return nil
	}
	for i, c := range r.list {
		if err := to.Register(c); err != nil {
			for _, registered := range r.list[:i] {
				to.Unregister(registered)
			}
			return fmt.Errorf("registering metrics: %w; each server needs a registry of its own, or WrapRegistererWith", err)
		}
	}
	r.external = to
	return nil
}

// withdraw removes the metrics from the embedding program.
func (r *registry) withdraw() {
	if r.external == nil {
		return
	}
	for _, c := range r.list {
		r.external.Unregister(c)
	}
}

// meters are the metrics that other packages update through callbacks.
type meters struct {
	calls *prometheus.HistogramVec
	ends  *prometheus.CounterVec
	push  *prometheus.CounterVec
	rings *prometheus.HistogramVec
}

func newMeters(r prometheus.Registerer) meters {
	m := meters{
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "beckon_call_duration_seconds",
			Help:    "Call duration by method and error code; 0 = success, 120001 = refused by the before-hook.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"verb", "code"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "beckon_connections_ended_total",
			Help: "Connections ended, by close code; 3009 = closed by the client.",
		}, []string{"code"}),
	}
	m.push = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "beckon_pushes_total", Help: "Push attempts by provider response: taken, retried, deadToken, refused.",
	}, []string{"provider", "outcome"})
	for _, outcome := range []string{"taken", "retried", "deadToken", "refused"} {
		m.push.WithLabelValues(string(protocol.PushWeb), outcome) // expose the series from the start
	}
	m.rings = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "beckon_ring_seconds",
		Help: "Time from an invitation to the first ring of an invitee, by platform (web, ios, android, go, node, other) " +
			"and by how the device learned of it: push, connected.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2, 3, 5, 8, 13, 20, 30, 60},
	}, []string{"platform", "via"})
	for _, via := range []string{"push", "connected"} {
		m.rings.WithLabelValues("web", via) // expose the series from the start
	}
	m.ended(3009) // expose the series from the start
	r.MustRegister(m.calls, m.ends, m.push, m.rings)
	return m
}

// appCode stands for all codes of refusals by app servers (10,000 values), to bound the label's cardinality.
const appCode = 120001

func (m meters) called(verb string, code int, took time.Duration) {
	m.calls.WithLabelValues(verb, strconv.Itoa(min(code, appCode))).Observe(took.Seconds())
}

func (m meters) ended(code uint32) { m.ends.WithLabelValues(strconv.Itoa(int(code))).Inc() }

func (m meters) pushed(p protocol.PushProvider, outcome string) {
	m.push.WithLabelValues(string(p), outcome).Inc()
}

func (m meters) rang(platform, via string, took time.Duration) {
	m.rings.WithLabelValues(platform, via).Observe(took.Seconds())
}

// registerBus registers the metrics of a node of a cluster.
func (s *Server) registerBus() {
	gauge := func(name, help string, of func() float64) {
		s.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, of))
	}
	gauge("beckon_nodes", "Nodes of the cluster that this node hears over NATS, with itself.",
		func() float64 { return float64(s.nodes()) })
	gauge("beckon_bus_complete", "1 if this node hears all nodes of the cluster over NATS, else 0.", func() float64 {
		if s.members.Complete() {
			return 1
		}
		return 0
	})
	s.metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "beckon_bus_losses_total",
		Help: "Losses of messages from other nodes, one for each node and shard. Their events were read from the database."},
		func() float64 { return float64(s.bus.Losses()) }))
}

// register registers the metrics that are computed at scrape time.
func (s *Server) register() {
	s.metrics.Registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})) // of the process, not of the server
	counter := func(name, help string, of func() int64) {
		s.metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(of()) }))
	}
	stat := func(of func(store.Stats) int64) func() int64 { return func() int64 { return of(s.store.Stats()) } }
	counter("beckon_store_batches_total", "Commits.", stat(func(t store.Stats) int64 { return t.Batches }))
	counter("beckon_store_units_total", "Transactions decided.",
		stat(func(t store.Stats) int64 { return t.Units }))
	counter("beckon_store_round_trips_total", "PostgreSQL round trips.",
		stat(func(t store.Stats) int64 { return t.Trips }))
	counter("beckon_store_sent_bytes_total", "Bytes sent to PostgreSQL.",
		stat(func(t store.Stats) int64 { return t.Sent }))
	counter("beckon_store_received_bytes_total", "Bytes received from PostgreSQL.",
		stat(func(t store.Stats) int64 { return t.Received }))
	for _, c := range []struct {
		outcome string
		of      func(store.Stats) int64
	}{{"standby", func(t store.Stats) int64 { return t.Standby }},
		{"behind", func(t store.Stats) int64 { return t.StandbyBehind }},
		{"failed", func(t store.Stats) int64 { return t.StandbyFailed }}} {
		s.metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "beckon_store_standby_reads_total",
			Help:        "Reads for a standby by outcome; behind and failed ones were read from the primary.",
			ConstLabels: prometheus.Labels{"outcome": c.outcome}},
			func() float64 { return float64(c.of(s.store.Stats())) }))
	}
	counter("beckon_webhooks_taken_total", "Webhooks delivered.",
		func() int64 { return s.hooks.Queue().Stats().Taken })
	counter("beckon_webhooks_failed_total", "Failed webhook attempts.",
		func() int64 { return s.hooks.Queue().Stats().Failed })
	counter("beckon_address_connections_reset_total",
		"Connections reset by address limits.",
		func() int64 { return s.addresses.Stats().Connections })
	counter("beckon_address_requests_refused_total",
		"Requests refused by address limits.",
		func() int64 { return s.addresses.Stats().Requests })
	gauge := func(name, help string, of func() float64) {
		s.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, of))
	}
	gauge("beckon_connections", "Devices connected to this node.", func() float64 { return float64(s.gateway.Sessions()) })
	gauge("beckon_store_backlog", "Fill level of the store's queue, 0 to 1; above 0.25 new actions are refused.",
		func() float64 { return s.store.Backlog() })
	counter("beckon_clock_steps_total", "Times the deciding clock was set while this node ran.", s.store.ClockSteps)
	gauge("beckon_clock_error_seconds", "Deciding clock minus the server's time, which follows it slowly.",
		func() float64 { return float64(s.store.ClockBehind()) / 1000 })
	gauge("beckon_ready", "1 if the server accepts calls, else 0.", func() float64 {
		if s.state("") == "" {
			return 1
		}
		return 0
	})
	s.metrics.MustRegister(newFileMetrics(s.store.Files))
	gauge("beckon_retention_lag_seconds", "Time for which the oldest row has been due for retention; -1 if unknown.",
		s.retentionLag)
	s.metrics.MustRegister(queueMetrics{"webhooks", func() *relay.Dispatcher { return s.hooks.Queue() }},
		queueMetrics{"pushes", func() *relay.Dispatcher { return s.pushes.Queue() }})
}

// fileMetrics are the metrics of SQLite's files, from one reading of the directory.
type fileMetrics struct {
	files func() (store.FileStats, bool)
	list  []fileMetric
}

type fileMetric struct {
	desc *prometheus.Desc
	of   func(store.FileStats) float64
}

func newFileMetrics(files func() (store.FileStats, bool)) fileMetrics {
	m := fileMetrics{files: files}
	add := func(name, help string, of func(store.FileStats) float64) {
		m.list = append(m.list, fileMetric{prometheus.NewDesc(name, help, nil, nil), of})
	}
	add("beckon_database_bytes", "Size of the SQLite database.",
		func(f store.FileStats) float64 { return float64(f.Database) })
	add("beckon_database_log_bytes", "Size of SQLite's write-ahead log.",
		func(f store.FileStats) float64 { return float64(f.Log) })
	add("beckon_journal_bytes", "Length of the journal's files, with those kept for reuse.",
		func(f store.FileStats) float64 { return float64(f.Journal) })
	add("beckon_journal_lag_seconds", "Age of the oldest commit of the journal that the database lacks.",
		func(f store.FileStats) float64 { return f.Behind.Seconds() })
	add("beckon_commits_set_aside", "Commits that the database refused; see beckon aside.",
		func(f store.FileStats) float64 { return float64(f.Aside) })
	add("beckon_database_damaged_pages", "Known pages of the database that differ from their checksums.",
		func(f store.FileStats) float64 { return float64(f.DamagedPages) })
	return m
}

// Describe sends the descriptions of the metrics.
func (m fileMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, f := range m.list {
		to <- f.desc
	}
}

// Collect reads the files; on PostgreSQL there are none.
func (m fileMetrics) Collect(to chan<- prometheus.Metric) {
	stats, ok := m.files()
	if !ok {
		return
	}
	for _, f := range m.list {
		to <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, f.of(stats))
	}
}

// retentionLag returns the lag of retention in seconds.
func (s *Server) retentionLag() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return s.retention.Lag(ctx).Seconds()
}

// queueMetrics are the metrics of a queue, from one read.
type queueMetrics struct {
	name  string
	queue func() *relay.Dispatcher
}

func (m queueMetrics) descriptions() (waiting, oldest *prometheus.Desc) {
	return prometheus.NewDesc("beckon_"+m.name+"_waiting", fmt.Sprintf(
			"Queued events in the cluster, counted up to %d; -1 if the database cannot be read.", outbox.MaxCount), nil, nil),
		prometheus.NewDesc("beckon_"+m.name+"_oldest_seconds",
			"Age of the oldest queued event; -1 if the database cannot be read.", nil, nil)
}

// Describe sends the descriptions of the metrics.
func (m queueMetrics) Describe(to chan<- *prometheus.Desc) {
	waiting, oldest := m.descriptions()
	to <- waiting
	to <- oldest
}

// Collect reads the queue.
func (m queueMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n, age, err := m.queue().Waiting(ctx)
	if err != nil {
		n, age = -1, -time.Second
	}
	waiting, oldest := m.descriptions()
	to <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(n))
	to <- prometheus.MustNewConstMetric(oldest, prometheus.GaugeValue, age.Seconds())
}
