// Command run starts a cluster of several nodes on this machine, with its own PostgreSQL and NATS servers, behind one
// address, until a signal. It is for trying out, browser tests and measurements.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/internal/freeport"
	"github.com/beckon-im/beckon/test/cluster"
)

func main() {
	program := flag.String("program", "bin/beckon", "path of the program")
	nodes := flag.Int("nodes", 3, "number of nodes")
	listen := flag.String("listen", "127.0.0.1:8787", "address of the proxy to all nodes")
	command := flag.String("command", "serve", "command of the program: serve or dev")
	media := flag.Bool("media", false, "run a media server in the first node, for all nodes")
	pooled := flag.Bool("pgbouncer", false, "connect the nodes to PostgreSQL through PgBouncer")
	flag.Parse()
	opt := cluster.Options{Program: *program, Nodes: *nodes, Command: *command, Args: flag.Args(), Pooled: *pooled,
		Plain: true, Log: os.Stderr}
	if err := run(opt, *listen, *media); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(opt cluster.Options, listen string, media bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "beckon-cluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	opt.Dir = dir
	if media {
		if opt.PerNode, err = shareMedia(); err != nil {
			return err
		}
	}
	c, err := cluster.Start(ctx, opt)
	if err != nil {
		return err
	}
	defer func() {
		if err := c.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	front, err := beckontest.NewProxy(listen, addresses(c))
	if err != nil {
		return err
	}
	defer front.Close()
	keys, err := beckon.LoadKeys(c.Nodes[0].Data)
	if err != nil {
		return err
	}
	fmt.Printf("beckon listens on http://%s: %d nodes (%s)\n", front.Addr(), opt.Nodes, strings.Join(addresses(c), ", "))
	for i, n := range c.Nodes {
		fmt.Printf("node %d: pid %d, data in %s\n", i, n.PID(), n.Data)
	}
	fmt.Printf("postgres: pid %d\n", c.Primary.PID())
	fmt.Printf("database %s\n", c.Primary.URL("beckon"))
	fmt.Println("Ctrl-C stops and removes the cluster")
	fmt.Printf("API key %s\n", keys.APIKey)
	return handleSignals(ctx, c)
}

// handleSignals kills all nodes on SIGUSR1 and restarts them on SIGUSR2, until ctx ends.
func handleSignals(ctx context.Context, c *cluster.Cluster) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return nil
		case sig := <-signals:
			for _, n := range c.Nodes {
				if sig == syscall.SIGUSR1 {
					if err := n.Stop(syscall.SIGKILL); err != nil {
						return err
					}
					continue
				}
				if err := n.Start(); err != nil {
					return err
				}
				if err := n.Ready(ctx); err != nil {
					return err
				}
			}
			if sig == syscall.SIGUSR1 {
				fmt.Println("killed")
			} else {
				fmt.Println("started again")
			}
		}
	}
}

// shareMedia configures the media server of the first node for all nodes.
func shareMedia() (func(int) []string, error) {
	port, err := freeport.TCP()
	if err != nil {
		return nil, err
	}
	keys := []string{"--livekit-key", "cluster", "--livekit-secret", rand.Text() + rand.Text()}
	return func(i int) []string {
		if i == 0 {
			return append([]string{"--media", "embedded", "--media-ip", "127.0.0.1", "--media-port", strconv.Itoa(port)},
				keys...)
		}
		return append([]string{"--media", "external", "--livekit-api", fmt.Sprintf("http://127.0.0.1:%d", port)}, keys...)
	}, nil
}

func addresses(c *cluster.Cluster) []string {
	var list []string
	for _, n := range c.Nodes {
		list = append(list, n.Addr)
	}
	return list
}
