// Command run starts a house of several nodes on this machine, with PostgreSQL and NATS of their own, behind one
// address, until it is told to stop. It is for trying out, for the browser's scenes and for measuring.
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
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
	"github.com/beckon-im/beckon/test/cluster"
)

func main() {
	program := flag.String("program", "bin/beckon", "the program")
	nodes := flag.Int("nodes", 3, "how many nodes")
	listen := flag.String("listen", "127.0.0.1:8787", "the address that leads to all nodes")
	command := flag.String("command", "serve", "of the program: serve or dev")
	media := flag.Bool("media", false, "the first node runs the media server, and all use it")
	flag.Parse()
	if err := run(*program, *listen, *command, *nodes, *media, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program, listen, command string, nodes int, media bool, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "beckon-cluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	opt := cluster.Options{Program: program, Dir: dir, Nodes: nodes, Command: command, Args: args, Plain: true,
		Log: os.Stderr}
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
	fmt.Printf("beckon listens on http://%s: %d nodes (%s)\n", front.Addr(), nodes, strings.Join(addresses(c), ", "))
	for i, n := range c.Nodes {
		fmt.Printf("node %d: pid %d, data in %s\n", i, n.PID(), n.Data)
	}
	fmt.Printf("postgres: pid %d\n", c.Primary.PID())
	fmt.Printf("database %s\n", c.Primary.URL("beckon"))
	fmt.Println("Ctrl-C stops all of it and removes it")
	fmt.Printf("API key %s\n", keys.APIKey)
	return obey(ctx, c)
}

// obey kills all nodes at SIGUSR1 and starts them again at SIGUSR2, until ctx ends.
func obey(ctx context.Context, c *cluster.Cluster) error {
	told := make(chan os.Signal, 2)
	signal.Notify(told, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(told)
	for {
		select {
		case <-ctx.Done():
			return nil
		case sig := <-told:
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

// shareMedia makes the first node run the media server that all use.
func shareMedia() (func(int) []string, error) {
	port, err := pgtest.FreePort()
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
