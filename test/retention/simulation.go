package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/protocol"
)

// simulation is a store with the methods of invitations, at a simulated time.
type simulation struct {
	options
	series
	engine  engine
	now     atomic.Int64 // milliseconds
	store   *store.Store
	calls   *signaling.Service
	flows   int
	earlier point // the last point of a run that was broken off
	began   time.Time
	busy    time.Duration // spent on retention
}

// directory returns the directory of the database. On SQLite it stays when a run is broken off, and the next run with
// the same options goes on from the last point.
func (s *simulation) directory() (dir string, err error) {
	if s.options.engine != "sqlite" {
		return os.MkdirTemp("", "beckon-retention-")
	}
	dir = filepath.Join(s.data, s.name())
	old := series{}
	b, err := os.ReadFile(dir + ".json")
	if err == nil {
		err = json.Unmarshal(b, &old)
	}
	if err == nil && old.Rate == s.Rate && old.Users == s.Users && len(old.Points) > 0 {
		if _, err = os.Stat(dir); err == nil {
			s.Points, s.earlier = old.Points, old.Points[len(old.Points)-1]
			return dir, nil
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return dir, errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
}

func (o options) run(ctx context.Context) error {
	s := &simulation{options: o, series: series{Engine: o.engine, Age: o.age, Rate: o.rate, Users: o.users}}
	dir, err := s.directory()
	if err != nil {
		return err
	}
	if err := s.runIn(ctx, dir); err != nil && o.engine == "sqlite" {
		return fmt.Errorf("%w; the next run goes on from the last point", err)
	} else if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return os.RemoveAll(dir)
}

func (s *simulation) runIn(ctx context.Context, dir string) (err error) {
	s.now.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() + int64(s.earlier.At)*1000)
	quiet := slog.New(slog.DiscardHandler)
	if s.engine, err = newEngine(ctx, &s.options, dir, s.now.Load()); err != nil {
		return err
	}
	opt := s.engine.options()
	opt.NoSync, opt.Now, opt.Patience, opt.Log = true, s.now.Load, time.Hour, quiet
	if s.store, err = store.Open(ctx, opt); err != nil {
		return errors.Join(err, s.engine.close())
	}
	s.calls = signaling.New(s.store, nowhere{}, signaling.Options{Log: quiet, OpenPerPair: -1})
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.store.Run(running) }()
	err = s.simulate(ctx, retention.New(s.store, retention.Options{Age: s.age, NoPause: true, Log: quiet}))
	stop()
	return errors.Join(err, <-done, s.store.Close(), s.engine.close())
}

// simulate runs a simulated second after another, and each minute a pass of retention.
func (s *simulation) simulate(ctx context.Context, r *retention.Retention) error {
	from := ""
	if s.earlier.At > 0 {
		from = fmt.Sprintf(", from %d:%02d", s.earlier.At/3600, s.earlier.At/60%60)
		s.flows = s.earlier.Flows
	}
	fmt.Printf("\n%s, %d flows/s between %d users, retention %v, %s%s\n\n%s\n", s.Engine, s.rate, s.users, s.age,
		time.Now().UTC().Format(time.DateOnly), from, s.header())
	s.began = time.Now()
	if err := s.measure(ctx, &s.base); err != nil {
		return err
	}
	seconds := int(s.length / time.Second)
	for n := s.earlier.At + 1; n <= seconds; n++ {
		if err := s.engine.setTime(s.now.Add(1000)); err != nil {
			return err
		}
		if err := s.second(ctx, n); err != nil {
			return err
		}
		if n%60 == 0 {
			began := time.Now()
			if err := repeat(ctx, func() error { return r.Pass(ctx) }); err != nil {
				return err
			}
			s.busy += time.Since(began)
		}
		if time.Duration(n)*time.Second%s.every == 0 || n == seconds {
			if err := s.note(ctx, n); err != nil {
				return err
			}
		}
	}
	took, flows := time.Since(s.began), s.flows-s.earlier.Flows
	fmt.Printf("\n%d flows in %v: %.0f a second, of which retention took %v; lag %v at the end\n", flows,
		took.Round(time.Second), float64(flows)/took.Seconds(), s.busy.Round(time.Second), r.Lag(ctx))
	return s.engine.report(ctx, s.store)
}

// data is the text that an invitation and an answer carry.
var data = strings.Repeat("x", 200)

// flow returns the users and the invitation of a flow.
func (s *simulation) flow(n, i int) (from, to, id string) {
	k := n*s.rate + i
	a, b := k*7919%s.users, (k*104_729+1)%s.users
	if a == b {
		b = (b + 1) % s.users
	}
	return fmt.Sprint("user", a), fmt.Sprint("user", b), fmt.Sprintf("flow-%d-%d", n, i)
}

// second makes the invitations of a second, and at the same time the answers to those of the second before.
func (s *simulation) second(ctx context.Context, n int) error {
	var g sync.WaitGroup
	errs := make([]error, 2*s.rate)
	for i := range s.rate {
		g.Go(func() {
			from, to, id := s.flow(n, i)
			req := protocol.InviteRequest{Invitee: to,
				InviteOptions: protocol.InviteOptions{InviteID: id, Data: data, Timeout: 30, RequestID: id}}
			errs[i] = repeat(ctx, func() error {
				_, err := rpc.Call(ctx, s.store, s.calls.Invite, rpc.Caller{UserID: from, DeviceID: "d"}, req)
				return err
			})
		})
		if n == 1 {
			continue
		}
		g.Go(func() {
			_, to, id := s.flow(n-1, i)
			req := protocol.AnswerRequest{InviteID: id, Data: data, RequestID: id}
			errs[s.rate+i] = repeat(ctx, func() error {
				_, err := rpc.Call(ctx, s.store, s.calls.Accept, rpc.Caller{UserID: to, DeviceID: "d"}, req)
				return err
			})
		})
	}
	g.Wait()
	s.flows += s.rate
	for _, err := range errs {
		if err != nil {
			return err // the others are like it
		}
	}
	return nil
}

// measure reads the processor time of this process, and the sizes of the database.
func (s *simulation) measure(ctx context.Context, p *point) error {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return err
	}
	p.CPU = s.earlier.CPU + time.Duration(used.Utime.Nano()+used.Stime.Nano())
	return s.engine.measure(ctx, s.store, p)
}

// repeat repeats a call for a minute, as clients do: on a busy machine the database can be behind by more than a commit
// waits.
func repeat(ctx context.Context, call func() error) (err error) {
	for range 60 {
		if err = call(); err == nil {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// note prints and saves a line of the table.
func (s *simulation) note(ctx context.Context, n int) error {
	p := point{At: n, Flows: s.flows, Real: s.earlier.Real + time.Since(s.began)}
	if err := s.measure(ctx, &p); err != nil {
		return err
	}
	s.Points = append(s.Points, p)
	fmt.Println(s.line())
	return s.save(s.data)
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
