package beckontest

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
)

// dependencies starts the servers that several nodes share: PostgreSQL and NATS, real and empty.
func (h *Cluster) dependencies(cfg *beckon.Config) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if cfg.Postgres == "" {
		pg, err := pgtest.Start(ctx, false)
		if err != nil {
			h.t.Fatalf("beckontest: %v", err)
		}
		h.cleanups = append(h.cleanups, func() { _ = pg.Close() })
		if cfg.Postgres, err = pg.Database(ctx, "beckon"); err != nil {
			h.t.Fatalf("beckontest: %v", err)
		}
	}
	if cfg.NATS == "" {
		bus, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
		if err != nil {
			h.t.Fatalf("beckontest: %v", err)
		}
		go bus.Start()
		if !bus.ReadyForConnections(Patience) {
			h.t.Fatal("beckontest: NATS did not start")
		}
		h.cleanups = append(h.cleanups, func() { bus.Shutdown(); bus.WaitForShutdown() })
		cfg.NATS = bus.ClientURL()
	}
	if cfg.Drain == 0 {
		cfg.Drain = -1
	}
}

// Proxy is a TCP proxy that distributes connections over nodes, round robin, and skips nodes that do not accept. mu
// guards conns and shut.
type Proxy struct {
	ln    net.Listener
	nodes []string
	next  atomic.Int64
	open  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	shut  bool
}

// NewProxy listens on an address and forwards to nodes.
func NewProxy(listen string, nodes []string) (*Proxy, error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	f := &Proxy{ln: ln, nodes: nodes, conns: map[net.Conn]struct{}{}}
	f.open.Go(f.accept)
	return f, nil
}

// Addr is the proxy's listen address.
func (f *Proxy) Addr() string { return f.ln.Addr().String() }

func (f *Proxy) accept() {
	for {
		c, err := f.ln.Accept()
		if err != nil {
			return
		}
		if f.keep(c) {
			f.open.Go(func() { f.lead(c) })
		}
	}
}

// keep registers a connection, to close it with the proxy. It returns false when the proxy is closed.
func (f *Proxy) keep(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut {
		_ = c.Close()
		return false
	}
	f.conns[c] = struct{}{}
	return true
}

func (f *Proxy) drop(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
	_ = c.Close()
}

func (f *Proxy) lead(c net.Conn) {
	defer f.drop(c)
	for range f.nodes {
		node, err := net.DialTimeout("tcp", f.nodes[int(f.next.Add(1))%len(f.nodes)], time.Second)
		if err != nil {
			continue
		}
		if !f.keep(node) {
			return
		}
		defer f.drop(node)
		f.open.Go(func() {
			_, _ = io.Copy(node, c)
			f.drop(node)
		})
		_, _ = io.Copy(c, node)
		return
	}
}

// Close closes the proxy and all connections through it.
func (f *Proxy) Close() {
	f.mu.Lock()
	f.shut = true
	for c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	_ = f.ln.Close()
	f.open.Wait()
}
