package beckontest

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
)

// Cluster is a server for one test, or several that share a database. It is not safe for concurrent use.
type Cluster struct {
	URL      string // the server's; with several nodes, a proxy's
	DataDir  string // the first node's
	Server   *beckon.Server
	Nodes    []*Node
	t        testing.TB
	proxy    *Proxy
	cleanups []func() // stops dependencies of the nodes, after the nodes
	stopped  bool
}

// Node is one server of a cluster.
type Node struct {
	URL    string
	Server *beckon.Server
	web    *httptest.Server
	stop   context.CancelFunc
	done   chan error
}

// Patience is the timeout for an expected event. It bounds a hanging test and is no measure of speed.
const Patience = 20 * time.Second

// Start runs a cluster of n nodes until the test ends: one node on SQLite; several on their own PostgreSQL and NATS
// servers, behind a TCP proxy. Several nodes require PostgreSQL's programs on this machine.
func Start(t testing.TB, nodes int) *Cluster {
	t.Helper()
	return StartNodes(t, nodes, beckon.Config{})
}

// StartWith runs one node with a configuration. An empty DataDir is replaced by a temporary directory.
func StartWith(t testing.TB, cfg beckon.Config) *Cluster {
	t.Helper()
	return StartNodes(t, 1, cfg)
}

// StartNodes runs a cluster of n nodes with a configuration. Open invitations between two users are not limited unless
// cfg.OpenPerPair is set.
func StartNodes(t testing.TB, nodes int, cfg beckon.Config) *Cluster {
	t.Helper()
	cfg.OpenPerPair = cmp.Or(cfg.OpenPerPair, -1)
	h := &Cluster{t: t}
	t.TempDir() // registers the removal of directories before Stop, so that it happens after it
	t.Cleanup(h.Stop)
	if nodes > 1 {
		h.dependencies(&cfg)
	}
	for range nodes {
		one := cfg
		if one.DataDir == "" || nodes > 1 {
			one.DataDir = t.TempDir()
		}
		h.Nodes = append(h.Nodes, h.node(one))
		if h.DataDir == "" {
			h.DataDir = one.DataDir
		}
	}
	h.URL, h.Server = h.Nodes[0].URL, h.Nodes[0].Server
	if nodes > 1 {
		var hosts []string
		for _, n := range h.Nodes {
			hosts = append(hosts, strings.TrimPrefix(n.URL, "http://"))
		}
		var err error
		if h.proxy, err = NewProxy("127.0.0.1:0", hosts); err != nil {
			t.Fatalf("beckontest: %v", err)
		}
		h.URL = "http://" + h.proxy.Addr()
	}
	return h
}

// node starts one server and waits until it is ready.
func (h *Cluster) node(cfg beckon.Config) *Node {
	h.t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(logWriter{h.t}, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	ctx, stop := context.WithCancel(context.Background())
	srv, err := beckon.New(ctx, cfg)
	if err != nil {
		stop()
		h.t.Fatalf("beckontest: %v", err)
	}
	n := &Node{Server: srv, stop: stop, done: make(chan error, 1)}
	go func() { n.done <- srv.Run(ctx) }()
	select {
	case <-srv.Ready():
	case err := <-n.done:
		stop()
		h.t.Fatalf("beckontest: the server did not start: %v", err)
	}
	n.web = httptest.NewUnstartedServer(srv.Handler())
	n.web.Listener = srv.Listener(n.web.Listener)
	n.web.Start()
	n.URL = n.web.URL
	return n
}

// Stop stops one node before its cluster. It may be called twice.
func (n *Node) Stop() error {
	if n.stop == nil {
		return nil
	}
	n.stop()
	n.stop = nil
	err := <-n.done
	n.web.CloseClientConnections()
	n.web.Close()
	return err
}

// Stop stops the cluster before the test ends. It may be called twice.
func (h *Cluster) Stop() {
	if h.stopped {
		return
	}
	h.stopped = true
	if h.proxy != nil {
		h.proxy.Close()
	}
	for _, n := range h.Nodes {
		if err := n.Stop(); err != nil {
			h.t.Errorf("beckontest: the server stopped with: %v", err)
		}
	}
	for _, stop := range slices.Backward(h.cleanups) {
		stop()
	}
}

// Token mints a token for a user that never expires.
func (h *Cluster) Token(user string) string {
	h.t.Helper()
	token, err := h.Server.Token(user, "", 0)
	if err != nil {
		h.t.Fatalf("beckontest: %v", err)
	}
	return token
}

// Device connects a device of a user, and closes it when the test ends.
func (h *Cluster) Device(user, device string, l client.Listener) *client.Client {
	h.t.Helper()
	return h.DeviceWith(client.Options{Token: h.Token(user), DeviceID: device, Listener: l})
}

// DeviceWith connects a device with options, by default to the server's address.
func (h *Cluster) DeviceWith(opt client.Options) *client.Client {
	h.t.Helper()
	opt.Server = cmp.Or(opt.Server, h.URL)
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
	if bytes.Contains(b, []byte("undeclared error code")) {
		w.t.Error("the OpenAPI document lacks an error code of a method")
	}
	return len(b), nil
}
