// Command peers compares Beckon with alternatives: one generator drives a bare WebSocket relay, Beckon on SQLite and on
// PostgreSQL, Kamailio and ejabberd with the same flows on the same machine, in alternating rounds, and prints the
// medians as one table. It starts all of them on 127.0.0.1.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/beckon-im/beckon/cmd/beckon/bench"
)

func main() {
	rounds := flag.Int("rounds", 3, "rounds of measurements; the table has the medians")
	users := flag.Int("users", 1000, "number of connected users, in pairs")
	flight := flag.Int("flight", 64, "flows in flight at saturation")
	rate := flag.Float64("rate", 500, "flows per second of the run at a steady rate")
	length := flag.Duration("length", 8*time.Second, "duration of each run")
	only := flag.String("only", "", "filter: part of a system's name; the relay is always measured")
	profiles := flag.String("profile", "", "write profiles of Beckon to this directory: full.pprof at saturation, "+
		"steady.pprof; with -only, for they have one name")
	relay := flag.String("serve-relay", "", "only serve the relay, at this address")
	flag.Parse()
	if *relay != "" {
		fmt.Fprintln(os.Stderr, serveRelay(*relay))
		os.Exit(1)
	}
	if err := run(*rounds, *users, *flight, *rate, *length, *only, *profiles); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// row is the results of one peer.
type row struct {
	peer
	full, steady []outcome
	idle         []float64    // kB of memory per connected user
	disks        []bench.Disk // before each round
}

func run(rounds, users, flight int, rate float64, length time.Duration, only, profiles string) error {
	var rows []*row
	for i, p := range peers() {
		if i == 0 || strings.Contains(p.name, only) { // ratios need the relay
			rows = append(rows, &row{peer: p})
		}
	}
	for round := range rounds {
		for _, r := range rows {
			fmt.Fprintf(os.Stderr, "round %d: %s\n", round+1, r.name)
			if err := r.measure(users, flight, rate, length, profiles); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	fmt.Printf("%d users, %d flows in flight, medians of %d rounds of %v, %s\n\n", users, flight, rounds, length,
		time.Now().UTC().Format(time.DateOnly))
	printTable(rows, rate)
	return nil
}

// printTable prints the medians. Ratios are to the first row, the bare relay, so that the speed of the machine cancels.
func printTable(rows []*row, rate float64) {
	fmt.Printf("| system (what it stores) | flows/s (ratio) | server CPU per flow (ratio) | p50 / p99 at saturation | "+
		"p50 / p99 at %.0f/s (CPU) | fsync of 4 KiB p50 / p99 | kB per idle user | lost |\n"+strings.Repeat("|---", 8)+"|\n",
		rate)
	relay := median(rows[0].full)
	for _, r := range rows {
		full, slow := median(r.full), median(r.steady)
		fmt.Printf("| %s (%s) | %.0f (%.2f) | %.0f µs (%.1f) | %.1f / %.1f ms | %.1f / %.1f ms (%.0f µs) | %.1f / %.1f ms | "+
			"%.0f | %d |\n", r.name, r.stores, full.rate, full.rate/relay.rate, full.cpu, full.cpu/relay.cpu, full.p50, full.p99,
			slow.p50, slow.p99, slow.cpu, middle(r.each(func(d bench.Disk) float64 { return d.P50 })),
			middle(r.each(func(d bench.Disk) float64 { return d.P99 })), middle(r.idle), full.lost+slow.lost)
	}
}

// each returns a figure of the disk in each round.
func (r *row) each(of func(bench.Disk) float64) (list []float64) {
	for _, d := range r.disks {
		list = append(list, of(d))
	}
	return list
}

func (r *row) measure(users, flight int, rate float64, length time.Duration, profiles string) error {
	dir, err := os.MkdirTemp("", "peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	disk, err := bench.MeasureDisk(dir, time.Second)
	if err != nil {
		return err
	}
	r.disks = append(r.disks, disk)
	s, err := r.start(dir)
	if err != nil {
		return err
	}
	defer s.stop()
	g := newGenerator()
	defer g.close()
	before := resident(s.pids())
	if err := g.connect(users, s.dial); err != nil {
		return err
	}
	time.Sleep(3 * time.Second)
	r.idle = append(r.idle, float64(resident(s.pids())-before)/float64(users)/1000)
	cpu := func() time.Duration { return spent(s.pids()) }
	done := s.profile(profiles, "full", length)
	r.full = append(r.full, g.saturate(flight, 2*time.Second, length, cpu))
	<-done
	time.Sleep(time.Second)
	done = s.profile(profiles, "steady", length)
	r.steady = append(r.steady, g.steady(rate, time.Second, length, cpu))
	<-done
	return nil
}

func middle(list []float64) float64 { return slices.Sorted(slices.Values(list))[len(list)/2] }

// median returns the median of each figure, which is fairer than the run with the median rate.
func median(list []outcome) outcome {
	of := func(f func(outcome) float64) float64 {
		sorted := slices.SortedFunc(slices.Values(list), func(a, b outcome) int { return cmp.Compare(f(a), f(b)) })
		return f(sorted[len(sorted)/2])
	}
	o := outcome{rate: of(func(o outcome) float64 { return o.rate }), cpu: of(func(o outcome) float64 { return o.cpu }),
		p50: of(func(o outcome) float64 { return o.p50 }), p99: of(func(o outcome) float64 { return o.p99 })}
	for _, one := range list {
		o.lost += one.lost
	}
	return o
}
