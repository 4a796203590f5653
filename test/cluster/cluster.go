// Package cluster runs a whole cluster for external tests: nodes as processes of the real program, PostgreSQL with a
// synchronous standby, three NATS servers, and between them links with fault injection.
//
// It runs processes, and makes no assertions.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/internal/freeport"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
)

// Options configures a cluster.
type Options struct {
	Program string // bin/beckon
	Dir     string // for data and logs
	Nodes   int
	Standby bool   // PostgreSQL has a synchronous standby
	Pooled  bool   // the nodes connect through PgBouncer
	Clock   bool   // PostgreSQL's clock can be set, and that of its standby
	Buses   int    // NATS servers
	Plain   bool   // direct connections, without fault injection: for measurements
	Command string // of the program; default "serve"
	Args    []string
	PerNode func(i int) []string // additional arguments of a node
	Log     io.Writer            // of the nodes
}

// Cluster is a running cluster.
type Cluster struct {
	Primary, Standby *pgtest.Server
	Nodes            []*Node
	Front            *beckontest.Proxy
	pooler           *pgtest.Pooler // nil = none
	buses            []*server.Server
	opt              Options
}

// Node is one process.
type Node struct {
	Addr     string // listen address
	Data     string
	Clients  *Link // from its clients
	Database []*Link
	Bus      []*Link
	c        *Cluster
	args     []string
	cmd      *exec.Cmd
	exited   chan struct{}
}

// Start runs a cluster until Close.
func Start(ctx context.Context, opt Options) (*Cluster, error) {
	c := &Cluster{opt: opt}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) (err error) {
	postgres := pgtest.Start
	if c.opt.Clock {
		postgres = pgtest.StartWithClock
	}
	if c.Primary, err = postgres(ctx, true); err != nil {
		return err
	}
	if err := c.Primary.SQL(ctx, "postgres", "CREATE DATABASE beckon"); err != nil {
		return err
	}
	if c.opt.Standby {
		if c.Standby, err = c.Primary.Standby(ctx); err != nil {
			return err
		}
	}
	if c.opt.Pooled {
		if c.pooler, err = c.Primary.Pooler(ctx); err != nil {
			return err
		}
	}
	if err := c.startBuses(); err != nil {
		return err
	}
	var front []string
	for i := range c.opt.Nodes {
		n, err := c.node(i)
		if err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, n)
		front = append(front, n.Clients.Addr())
		if err := n.Start(); err != nil {
			return err
		}
		if err := n.Ready(ctx); err != nil {
			return err
		}
	}
	c.Front, err = beckontest.NewProxy("127.0.0.1:0", front)
	return err
}

// startBuses runs NATS servers as a cluster that does not advertise its members, so that clients connect through their
// links only.
func (c *Cluster) startBuses() error {
	var routes []string
	for i := range max(1, c.opt.Buses) {
		opt := &server.Options{ServerName: fmt.Sprintf("bus%d", i), Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true}
		if c.opt.Buses > 1 {
			opt.Cluster = server.ClusterOpts{Name: "beckon", Host: "127.0.0.1", Port: -1, NoAdvertise: true}
			opt.Routes = server.RoutesFromStr(strings.Join(routes, ","))
		}
		s, err := server.NewServer(opt)
		if err != nil {
			return err
		}
		go s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			return errors.New("a NATS server did not start")
		}
		c.buses = append(c.buses, s)
		if c.opt.Buses > 1 {
			routes = append(routes, "nats://"+s.ClusterAddr().String())
		}
	}
	return nil
}

// node prepares a node and its links.
func (c *Cluster) node(i int) (*Node, error) {
	port, err := freeport.TCP()
	if err != nil {
		return nil, err
	}
	n := &Node{c: c, Addr: fmt.Sprintf("127.0.0.1:%d", port), Data: filepath.Join(c.opt.Dir, fmt.Sprintf("node%d", i))}
	if n.Clients, err = c.link(n.Addr, false); err != nil {
		return nil, err
	}
	databases, parameters := []string{c.Primary.Addr()}, "sslmode=disable&target_session_attrs=read-write"
	switch {
	case c.pooler != nil:
		databases, parameters = []string{c.pooler.Addr()}, parameters+"&pgbouncer=true"
	case c.Standby != nil:
		databases = append(databases, c.Standby.Addr())
	}
	var hosts, buses []string
	for _, addr := range databases {
		l, err := c.link(addr, false)
		if err != nil {
			return nil, err
		}
		n.Database, hosts = append(n.Database, l), append(hosts, l.Addr())
	}
	for _, s := range c.buses {
		l, err := c.link(s.Addr().String(), true)
		if err != nil {
			return nil, err
		}
		n.Bus, buses = append(n.Bus, l), append(buses, "nats://"+l.Addr())
	}
	command := c.opt.Command
	if command == "" {
		command = "serve"
	}
	n.args = append([]string{command, "--listen", n.Addr, "--data", n.Data,
		"--postgres", "postgres://beckon@" + strings.Join(hosts, ",") + "/beckon?" + parameters,
		"--nats", strings.Join(buses, ","),
		"--files-url", "file://" + filepath.Join(c.opt.Dir, "files") + "?create_dir=true&no_tmp_dir=true"}, c.opt.Args...)
	if c.opt.PerNode != nil {
		n.args = append(n.args, c.opt.PerNode(i)...)
	}
	return n, nil
}

func (c *Cluster) link(to string, nats bool) (*Link, error) {
	if c.opt.Plain {
		return &Link{to: to}, nil
	}
	return NewLink(to, nats)
}

// URL is the address of a proxy that distributes connections over the nodes.
func (c *Cluster) URL() string { return "http://" + c.Front.Addr() }

// Start starts the process, with additional arguments.
func (n *Node) Start(more ...string) error {
	cmd := exec.Command(n.c.opt.Program, append(n.args, more...)...)
	cmd.Stderr, cmd.Stdout = n.c.opt.Log, io.Discard
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	n.cmd, n.exited = cmd, exited
	go func() {
		_ = cmd.Wait() // the test ended it, so its exit code is expected
		close(exited)
	}()
	return nil
}

// PID returns the process ID.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// Signal sends the process a signal.
func (n *Node) Signal(sig syscall.Signal) error { return n.cmd.Process.Signal(sig) }

// Stop sends a signal and waits for the end of the process.
func (n *Node) Stop(sig syscall.Signal) error {
	if n.cmd == nil {
		return nil
	}
	select {
	case <-n.exited:
		return nil
	default:
	}
	if err := n.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-n.exited:
		return nil
	case <-time.After(time.Minute):
		return errors.New("a node did not end within a minute")
	}
}

// Ready waits until the node is ready, at most 30 s.
func (n *Node) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if n.Health() == "ready" {
			return nil
		}
		select {
		case <-n.exited:
			return errors.New("a node ended instead of getting ready")
		case <-ctx.Done():
			return fmt.Errorf("a node is not ready: %q", n.Health())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Health returns the response of /readyz, or "silent" without one.
func (n *Node) Health() string { return Get("http://" + n.Addr + "/readyz") }

// Get returns the response of a page, or "silent" without one.
func Get(url string) string {
	client := http.Client{Timeout: 2 * time.Second}
	res, err := client.Get(url)
	if err != nil {
		return "silent"
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "silent"
	}
	return strings.TrimSpace(string(text))
}

// Close stops all processes.
func (c *Cluster) Close() error {
	if c.Front != nil {
		c.Front.Close()
	}
	var errs []error
	for _, n := range c.Nodes {
		if n.cmd != nil {
			_ = n.Signal(syscall.SIGCONT)
		}
		errs = append(errs, n.Stop(syscall.SIGKILL))
		for _, l := range append(append([]*Link{n.Clients}, n.Database...), n.Bus...) {
			l.Close()
		}
	}
	for _, s := range c.buses {
		s.Shutdown()
		s.WaitForShutdown()
	}
	if c.pooler != nil {
		errs = append(errs, c.pooler.Close())
	}
	for _, pg := range []*pgtest.Server{c.Standby, c.Primary} {
		if pg != nil {
			errs = append(errs, pg.Close())
		}
	}
	return errors.Join(errs...)
}
