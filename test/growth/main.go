// Command growth measures the server's cost per flow by scale: connected users, open invitations, members of a group,
// stored messages. It prints a table and writes a plot. The server and the generator are the program itself, on
// 127.0.0.1.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/beckon-im/beckon/internal/freeport"
)

func main() {
	plot := flag.String("plot", "docs/growth.svg", "output file of the plot")
	length := flag.Duration("length", 5*time.Second, "duration of each measurement")
	users := flag.String("users", "10,100,1000,9000", "numbers of connected users")
	open := flag.String("open", "0,1000,10000,100000", "numbers of open invitations")
	messages := flag.String("messages", "0,10000,1000000,10000000",
		"numbers of stored messages; ten million take 5 GB in the temporary directory and some minutes")
	members := flag.String("members", "1,10,100,1000", "numbers of invited members of the group; all accept")
	flag.Parse()
	if err := run(*plot, *length, *users, *open, *members, *messages); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// point is one measurement: a scale, and the cost of a flow.
type point struct {
	n      int
	cpu    float64 // microseconds
	rss    int64   // bytes
	failed int64
}

// series is the measurements by one scale.
type series struct {
	name, of string
	points   []point
}

func run(plot string, length time.Duration, lists ...string) error {
	all := []*series{{name: "connected users", of: "a flow between two"},
		{name: "open invitations", of: "a flow between two"}, {name: "invited members of a group", of: "each answer"},
		{name: "stored messages", of: "a flow between two"}}
	for i, list := range lists {
		for _, f := range strings.Split(list, ",") {
			n, err := strconv.Atoi(f)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "%s: %d\n", all[i].name, n)
			p, err := measure(i, n, length)
			if err != nil {
				return fmt.Errorf("%s: %d: %w", all[i].name, n, err)
			}
			all[i].points = append(all[i].points, p)
		}
	}
	fmt.Printf("%v each, %s\n\n| | | server CPU | memory of the server |\n|---|---|---|---|\n", length,
		time.Now().UTC().Format(time.DateOnly))
	for _, s := range all {
		for _, p := range s.points {
			fmt.Printf("| %s | %d | %.0f µs for %s | %d MiB |\n", s.name, p.n, p.cpu, s.of, p.rss>>20)
			if p.failed > 0 {
				return fmt.Errorf("%s: %d: %d flows failed", s.name, p.n, p.failed)
			}
		}
	}
	return os.WriteFile(plot, []byte(draw(all)), 0o644)
}

// flight is the same for all points, so that batches have similar sizes.
const flight = "8"

func measure(kind, n int, length time.Duration) (point, error) {
	dir, err := os.MkdirTemp("", "growth-")
	if err != nil {
		return point{}, err
	}
	defer os.RemoveAll(dir)
	addr, err := freeport.Address()
	if err != nil {
		return point{}, err
	}
	if kind == 3 {
		if err := fill(dir, n); err != nil {
			return point{}, err
		}
	}
	server := exec.Command("bin/beckon", "serve", "--listen", addr, "--data", dir, "--user-rate", "1e6", "--user-burst",
		"1000000", "--members-per-day", "-1", "--groups-per-day", "-1", "--address-rate", "1e6", "--address-burst", "1000000")
	if err := server.Start(); err != nil {
		return point{}, err
	}
	defer func() { _ = server.Process.Signal(syscall.SIGTERM); _ = server.Wait() }()
	if err := ready("http://" + addr + "/readyz"); err != nil {
		return point{}, err
	}
	base := []string{"bench", "--json", "--server", "http://" + addr, "--data", dir}
	args := append(base, "--duration", length.String(), "--flight", flight)
	switch kind {
	case 0:
		args = append(args, "--users", strconv.Itoa(n))
	case 1:
		if n > 0 {
			if _, err := bench(append(base, "--users", "500", "--prefix", "open-", "--open", strconv.Itoa(n))); err != nil {
				return point{}, err
			}
		}
		args = append(args, "--users", "500")
	case 3:
		args = append(args, "--users", "500")
	case 2:
		args = append(args, "--users", strconv.Itoa(max(n+1, 2)), "--group", strconv.Itoa(n+1), "--flight", "1")
	}
	p, err := bench(args)
	p.n = n
	if kind == 2 {
		p.cpu /= float64(n)
	}
	return p, err
}

func bench(args []string) (point, error) {
	cmd := exec.Command("bin/beckon", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var res struct {
		CPU      float64 `json:"serverCPUPerFlowMicros"`
		RSS      int64   `json:"serverRSSBytes"`
		Failures int64   `json:"failures"`
	}
	if err == nil {
		err = json.Unmarshal(out, &res)
	}
	return point{cpu: res.CPU, rss: res.RSS, failed: res.Failures}, err
}

func ready(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
