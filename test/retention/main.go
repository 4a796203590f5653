// Command retention simulates hours of calls with an injected clock, and prints the rows and the size of the database
// over time, with and without retention. Every row is written by the methods of invitations, through the store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

func main() {
	var o options
	flag.IntVar(&o.rate, "rate", 276, "flows in a simulated second: an invite and an accept")
	flag.DurationVar(&o.age, "age", time.Hour, "retention")
	flag.DurationVar(&o.length, "length", 4*time.Hour, "simulated time")
	flag.DurationVar(&o.every, "every", 20*time.Minute, "simulated time between two lines of the table")
	flag.IntVar(&o.users, "users", 20_000, "users, who call each other")
	flag.BoolVar(&o.without, "without", true, "repeat the run without retention")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := o.run(ctx, o.age)
	if err == nil && o.without {
		err = o.run(ctx, 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "retention:", err)
		os.Exit(1)
	}
}

type options struct {
	rate, users        int
	age, length, every time.Duration
	without            bool
}

// simulation is a store with the methods of invitations, at a simulated time.
type simulation struct {
	options
	dir   string
	now   atomic.Int64 // milliseconds
	store *store.Store
	calls *signaling.Service
	flows int

	busy time.Duration // spent on retention
}

func (o *options) run(ctx context.Context, age time.Duration) error {
	dir, err := os.MkdirTemp("", "beckon-retention-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := &simulation{options: *o, dir: dir}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	s.now.Store(begin)
	quiet := slog.New(slog.DiscardHandler)
	if s.store, err = store.Open(ctx, store.Options{Dir: dir, NoSync: true, Now: s.now.Load, Log: quiet}); err != nil {
		return err
	}
	s.calls = signaling.New(s.store, nowhere{}, signaling.Options{Log: quiet, OpenPerPair: -1})
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.store.Run(running) }()
	err = s.simulate(ctx, retention.New(s.store, retention.Options{Age: age, Log: quiet}), age)
	stop()
	return errors.Join(err, <-done, s.store.Close())
}

// simulate runs a simulated second after another, and retention after each minute.
func (s *simulation) simulate(ctx context.Context, r *retention.Retention, age time.Duration) error {
	fmt.Printf("\n%d flows/s between %d users, retention %v\n\n", s.rate, s.users, age)
	fmt.Printf("| time | flows | %s | pages in use | file |\n|---|---|%s---|---|\n", strings.Join(tables(), " | "),
		strings.Repeat("---|", len(tables())))
	seconds := int(s.length / time.Second)
	for n := 1; n <= seconds; n++ {
		s.now.Add(1000)
		if err := s.second(ctx, n); err != nil {
			return err
		}
		if n%60 == 0 {
			began := time.Now()
			if err := r.Pass(ctx); err != nil {
				return err
			}
			s.busy += time.Since(began)
		}
		if time.Duration(n)*time.Second%s.every == 0 || n == seconds {
			if err := s.print(ctx, time.Duration(n)*time.Second); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nretention took %.0f s; lag %v at the end\n", s.busy.Seconds(), r.Lag(ctx))
	return nil
}

// data is the text that an invitation and an answer carry.
var data = strings.Repeat("x", 200)

// second makes the flows of a second: all invitations, then all answers.
func (s *simulation) second(ctx context.Context, n int) error {
	flow := func(i int) (from, to, id string) {
		k := n*s.rate + i
		a, b := k*7919%s.users, (k*104_729+1)%s.users
		if a == b {
			b = (b + 1) % s.users
		}
		return fmt.Sprint("user", a), fmt.Sprint("user", b), fmt.Sprintf("flow-%d-%d", n, i)
	}
	if err := s.all(func(i int) error {
		from, to, id := flow(i)
		_, err := rpc.Call(ctx, s.store, s.calls.Invite, rpc.Caller{UserID: from, DeviceID: "d"}, protocol.InviteRequest{
			Invitee: to, InviteOptions: protocol.InviteOptions{InviteID: id, Data: data, Timeout: 30, RequestID: id}})
		return err
	}); err != nil {
		return err
	}
	s.flows += s.rate
	return s.all(func(i int) error {
		_, to, id := flow(i)
		_, err := rpc.Call(ctx, s.store, s.calls.Accept, rpc.Caller{UserID: to, DeviceID: "d"},
			protocol.AnswerRequest{InviteID: id, Data: data, RequestID: id})
		return err
	})
}

// all runs f for every flow of a second at once.
func (s *simulation) all(f func(i int) error) error {
	var g sync.WaitGroup
	errs := make([]error, s.rate)
	for i := range s.rate {
		g.Go(func() { errs[i] = f(i) })
	}
	g.Wait()
	return errors.Join(errs...)
}

// tables are those with rows of a flow, in the order of the schemas.
func tables() []string {
	return []string{"topic", "record", "invitation", "invitee", "contact"}
}

// print prints a line of the table.
func (s *simulation) print(ctx context.Context, at time.Duration) error {
	var cells []string
	var page, pages, free int64
	if err := s.store.View(ctx, func(r sqldb.Reader) error {
		cells = nil
		count := func(text string) (n int64, err error) {
			err = r.Read(ctx, text, func(row sqldb.Row) error { return row.Scan(&n) })
			return n, err
		}
		for _, t := range txn.Schemas() {
			if !slices.Contains(tables(), t.Name) {
				continue
			}
			n, err := count(t.Count())
			if err != nil {
				return err
			}
			cells = append(cells, fmt.Sprint(n))
		}
		for text, into := range map[string]*int64{"PRAGMA page_size": &page, "PRAGMA page_count": &pages,
			"PRAGMA freelist_count": &free} {
			n, err := count(text)
			if err != nil {
				return err
			}
			*into = n
		}
		return nil
	}); err != nil {
		return err
	}
	var size int64
	if info, err := os.Stat(filepath.Join(s.dir, "beckon.db")); err == nil {
		size = info.Size()
	}
	fmt.Printf("| %v | %d | %s | %d MB | %d MB |\n", at, s.flows, strings.Join(cells, " | "), (pages-free)*page/1e6,
		size/1e6)
	return nil
}

// nowhere has no connected devices.
type nowhere struct{}

// Devices returns the numbers of connected devices of users: none.
func (nowhere) Devices(users ...string) []int { return make([]int, len(users)) }

// Connected returns the connected devices of a user: none.
func (nowhere) Connected(string) []protocol.Device { return nil }

// Known returns the connected devices of a user: none.
func (nowhere) Known(string) []protocol.Device { return nil }

// Probe pings no devices.
func (nowhere) Probe(string) {}
