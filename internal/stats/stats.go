// Package stats aggregates the metrics of a cluster over time. It counts outcomes as they are committed, in steps of
// five minutes, so that a plot costs the same for a thousand calls as for a million.
//
// It does not read message contents, and no other package depends on its data.
package stats

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/admin"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// Step is the finest time resolution and Kept the retention.
const (
	Step = 5 * time.Minute
	Kept = admin.StatsKept
)

const writeEvery = 5 * time.Second // a killed process loses at most this much

// Metric names. Times to accept and to ring are counted in the buckets of Within.
const (
	Invited     = "invited" // invitees, one per invitation
	Accepted    = "accepted"
	Declined    = "declined"
	Busy        = "busy"
	Cancelled   = "cancelled"
	Elsewhere   = "answered" // cancelled because another device or invitee answered
	Left        = "left"     // left the group
	TimedOut    = "timedOut"
	Calls       = "calls"       // maximum of concurrent calls
	Connections = "connections" // maximum of concurrent connections
)

// Within returns the bucket bounds, in seconds, of the time from an invitation to its acceptance, and to the first ring
// of an invitee.
func Within() []int64 { return []int64{1, 2, 3, 5, 8, 13, 20, 30, 45, 60} }

// The prefixes of the names of buckets.
const (
	acceptedWithin = "accepted:"
	rangWithin     = "rang:"
)

// AcceptedWithin returns the metric name of a bucket of the time to accept.
func AcceptedWithin(seconds int64) string { return acceptedWithin + bound(seconds) }

// RangWithin returns the metric name of a bucket of the time to ring.
func RangWithin(seconds int64) string { return rangWithin + bound(seconds) }

// Later stands for the times beyond the last bound.
const Later int64 = math.MaxInt64

func bound(seconds int64) string {
	if seconds == Later {
		return "late"
	}
	return time.Duration(seconds * int64(time.Second)).String()
}

// Stats counts outcomes. mu guards the counters.
type Stats struct {
	store *store.Store
	log   *slog.Logger
	node  string // ID of this process

	mu        sync.Mutex
	at        int64            // start of the current step, in milliseconds
	counts    map[string]int64 // counters of the current step
	changed   bool
	unwritten map[int64]map[string]int64 // finished steps that are not written yet, by start
}

// New returns empty statistics. Gauges are sampled with each write.
func New(log *slog.Logger) *Stats {
	return &Stats{log: log, node: uuid.NewString()[:8], counts: map[string]int64{},
		unwritten: map[int64]map[string]int64{}}
}

// Serve sets the store that the statistics are written to.
func (s *Stats) Serve(st *store.Store) { s.store = st }

// Observe counts the outcomes of a committed batch.
func (s *Stats) Observe(tx *txn.Tx) {
	tx.Outcomes(func(v *invite.Invitation, p *invite.Invitee, isNew bool) {
		if isNew {
			s.add(tx.Now, Invited)
		}
		if p.RingingAt == tx.Now {
			s.add(tx.Now, within(rangWithin, p.RingingAt-v.CreatedAt))
		}
		if p.State != invite.Open {
			s.add(tx.Now, outcome(p))
			if p.State == invite.Accepted {
				s.add(tx.Now, within(acceptedWithin, p.DecidedAt-v.CreatedAt))
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

func within(prefix string, ms int64) string {
	for _, b := range Within() {
		if ms <= b*1000 {
			return prefix + bound(b)
		}
	}
	return prefix + bound(Later)
}

func (s *Stats) add(now int64, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	s.counts[name]++
	s.changed = true
}

// Most records the maximum of a gauge in the current step.
func (s *Stats) Most(now int64, name string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	if n > s.counts[name] {
		s.counts[name] = n
		s.changed = true
	}
}

// turn starts a new step if it is due. s.mu must be held.
func (s *Stats) turn(now int64) {
	at := now - now%Step.Milliseconds()
	if at <= s.at {
		return
	}
	if s.changed {
		s.unwritten[s.at] = s.counts
	}
	s.at, s.counts, s.changed = at, map[string]int64{}, false
}

// Run calls sample to set the gauges and writes the counters periodically until ctx ends, then writes once more.
func (s *Stats) Run(ctx context.Context, sample func(context.Context)) error {
	t := time.NewTicker(writeEvery)
	defer t.Stop()
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
	}
}

// write stores the changed counters.
func (s *Stats) write(ctx context.Context) {
	s.mu.Lock()
	todo := s.unwritten
	s.unwritten = map[int64]map[string]int64{}
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
		s.requeue(todo)
	}
}

// requeue keeps counters for the next write.
func (s *Stats) requeue(todo map[int64]map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, counts := range todo {
		if at == s.at {
			s.changed = true // the step is still being counted
			continue
		}
		if s.unwritten[at] == nil { // else the step has ended meanwhile, with larger counts
			s.unwritten[at] = counts
		}
	}
}
