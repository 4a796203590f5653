// Command sizing computes the size of a cluster with PostgreSQL and NATS for a number of users: nodes, cores, memory,
// disk, log, connections. It uses the costs in constants.json, which -measure measures on this machine in one run.
//
//	go run ./test/sizing -users 1000000 -groups 20 -flows 556
//	go run ./test/sizing -table          # the table of docs/operating.md
//	make sizing                          # measures first: about ten minutes
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

//go:embed constants.json
var measured []byte

func main() {
	var l Load
	flag.IntVar(&l.Users, "users", 100_000, "connected users")
	flag.IntVar(&l.Groups, "groups", 20, "groups of each user, of 50 members")
	flag.Float64Var(&l.Flows, "flows", 0, "flows per second: an invitation, its delivery, its answer and the delivery of "+
		"the answer; 0 = each user calls once in half an hour")
	flag.Float64Var(&l.GroupShare, "group-share", 0.1, "share of the flows that invite ten users of a group")
	flag.BoolVar(&l.Webhooks, "webhooks", true, "each event is a webhook")
	flag.IntVar(&l.Days, "days", 30, "days of retention")
	flag.DurationVar(&l.Commit, "commit", 3*time.Millisecond, "duration of a commit, with its standby")
	flag.Float64Var(&l.NodeGiB, "node-memory", 16, "memory of a node in GiB")
	flag.Float64Var(&l.NodeCores, "node-cores", 8, "cores of a node")
	table := flag.Bool("table", false, "print the table of docs/operating.md")
	measure := flag.String("measure", "", "measure the constants with this program, and write constants.json")
	steps := flag.String("steps", "flows,webhooks,idle,check", "of -measure; the constants of other steps stay")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, l, *table, *measure, *steps); err != nil {
		fmt.Fprintln(os.Stderr, "sizing:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, l Load, table bool, program, steps string) error {
	var c Constants
	if err := json.Unmarshal(measured, &c); err != nil {
		return fmt.Errorf("constants.json: %w", err)
	}
	if program != "" {
		return measureAll(ctx, c, program, steps, "test/sizing/constants.json")
	}
	if table {
		var plans []Plan
		for _, users := range []int{10_000, 100_000, 1_000_000, 5_000_000} {
			l.Users, l.Flows = users, 0
			plans = append(plans, c.Plan(l))
		}
		return write(os.Stdout, c, plans)
	}
	return write(os.Stdout, c, []Plan{c.Plan(l)})
}
