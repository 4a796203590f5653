// Package stats owns the figures of a house over time: what was committed is counted as it passes, in steps of five
// minutes, so that a plot costs the same for a thousand calls and for a million.
//
// It never looks at what people said, and nothing depends on it.
package stats

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/admin"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// Step is the finest step of figures, and Kept for how long they are kept.
const (
	Step = 5 * time.Minute
	Kept = 400 * 24 * time.Hour
)

const (
	writeEvery = 5 * time.Second // a process that is killed loses so much of what it counted
	tidyEvery  = 6 * time.Hour
)

// The names of figures. Times to answer are counted by the seconds of Within.
const (
	Invited     = "invited" // people, each for each invitation
	Accepted    = "accepted"
	Declined    = "declined"
	Busy        = "busy"
	Cancelled   = "cancelled"
	Elsewhere   = "answered" // cancelled because others had answered
	Left        = "left"     // the group
	TimedOut    = "timedOut"
	Calls       = "calls"       // that go on, the most at a time
	Connections = "connections" // the most at a time
	Late        = "accepted:late"
)

// Within lists the bounds, in seconds, by which the time from an invitation to its acceptance is counted.
func Within() []int64 { return []int64{1, 2, 3, 5, 8, 13, 20, 30, 45, 60} }

// WithinName is the figure of those who accepted within one of the bounds, and after the one before it.
func WithinName(seconds int64) string {
	return "accepted:" + time.Duration(seconds*int64(time.Second)).String()
}

// Stats counts.
type Stats struct {
	store *store.Store
	log   *slog.Logger
	node  string // of this process

	mu      sync.Mutex
	at      int64            // the step that is counted
	counts  map[string]int64 // in it
	changed bool
	late    map[int64]map[string]int64 // steps that ended and were not written yet
}

// New makes figures. Gauges are sampled with each write.
func New(log *slog.Logger) *Stats {
	return &Stats{log: log, node: uuid.NewString()[:8], counts: map[string]int64{}, late: map[int64]map[string]int64{}}
}

// Serve sets the store that the figures are in.
func (s *Stats) Serve(st *store.Store) { s.store = st }

// Observe counts what a batch decided.
func (s *Stats) Observe(tx *txn.Tx) {
	tx.Outcomes(func(v *invite.Invitation, p *invite.Invitee, fresh bool) {
		if fresh {
			s.add(tx.Now, Invited, 1)
		}
		if p.State != invite.Open {
			s.add(tx.Now, outcome(p), 1)
			if p.State == invite.Accepted {
				s.add(tx.Now, within(p.DecidedAt-v.CreatedAt), 1)
			}
		}
	})
}

func outcome(p *invite.Invitee) string {
	switch {
	case p.State == invite.Accepted:
		return Accepted
	case p.State == invite.Rejected && p.Reason == "busy":
		return Busy
	case p.State == invite.Rejected:
		return Declined
	case p.State == invite.TimedOut:
		return TimedOut
	case p.Reason == invite.ReasonAnswered:
		return Elsewhere
	case p.Reason == invite.ReasonLeft:
		return Left
	}
	return Cancelled
}

func within(ms int64) string {
	for _, b := range Within() {
		if ms <= b*1000 {
			return WithinName(b)
		}
	}
	return Late
}

func (s *Stats) add(now int64, name string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	s.counts[name] += n
	s.changed = true
}

// Most keeps the largest of a gauge in a step.
func (s *Stats) Most(now int64, name string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	if n > s.counts[name] {
		s.counts[name] = n
		s.changed = true
	}
}

// turn begins a new step when its time has come. The lock must be held.
func (s *Stats) turn(now int64) {
	at := now - now%Step.Milliseconds()
	if at <= s.at {
		return
	}
	if s.changed {
		s.late[s.at] = s.counts
	}
	s.at, s.counts, s.changed = at, map[string]int64{}, false
}

// Run writes the figures from time to time, after sample was asked to set the gauges, until ctx ends, and then once
// more.
func (s *Stats) Run(ctx context.Context, sample func(context.Context)) error {
	t := time.NewTicker(writeEvery)
	defer t.Stop()
	tidied := time.Now()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			s.write(last)
			return nil
		case <-t.C:
			sample(ctx)
			s.write(ctx)
		}
		if time.Since(tidied) > tidyEvery {
			tidied = time.Now()
			if err := admin.DropStats(ctx, s.store, s.store.Now()-Kept.Milliseconds()); err != nil && ctx.Err() == nil {
				s.log.Warn("old figures could not be removed; it is tried again", "error", err)
			}
		}
	}
}

// write puts what changed into the store.
func (s *Stats) write(ctx context.Context) {
	s.mu.Lock()
	todo := s.late
	s.late = map[int64]map[string]int64{}
	if s.changed {
		todo[s.at] = maps.Clone(s.counts)
		s.changed = false
	}
	s.mu.Unlock()
	if len(todo) == 0 {
		return
	}
	err := rpc.Write(ctx, s.store, txn.ReadSet{}, func(tx *txn.Tx) error {
		for at, counts := range todo {
			admin.PutStats(tx, at, s.node, counts)
		}
		return nil
	})
	if err != nil {
		s.again(todo)
	}
}

// again keeps figures for the next write.
func (s *Stats) again(todo map[int64]map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, counts := range todo {
		if at == s.at {
			s.changed = true // they are still being counted
			continue
		}
		if s.late[at] == nil { // else the step ended meanwhile, with larger counts
			s.late[at] = counts
		}
	}
}
