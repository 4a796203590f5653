// Package retention removes rows whose age is past their retention: records, ended invitations, calls, files, events,
// and rows that are needed for minutes. Due rows are found by indexes of time, so that a pass without due rows
// reads a few entries, whatever the size of the database.
//
// It does not remove open or pending rows, nor rows that they need.
package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
)

// Options configures a Retention. The zero value keeps everything but rows that are needed for minutes or days.
type Options struct {
	// Age is the retention of records, ended invitations, calls, files, and of events of the outbox when it is shorter
	// than theirs. Default: forever.
	Age time.Duration
	// RemoveFiles removes the contents of files, before their rows. It is called again for the same files after a failure.
	// Default: only the rows are removed.
	RemoveFiles func(ctx context.Context, ids []string) error
	// NoPause leaves out the pauses that leave the writer to callers, for simulations, whose time stands still in them.
	// Default: false.
	NoPause bool
	// Log receives failures. Default: slog.Default().
	Log *slog.Logger
}

const (
	passEvery = time.Minute
	// maxSlack limits the time for which records stay past their age, so that each visit of a busy timeline removes many.
	maxSlack  = 15 * time.Minute
	slackPart = 24 // of the age

	maxPause = time.Second // after a unit
)

// Retention removes due rows. One goroutine owns all fields.
type Retention struct {
	store *store.Store
	opt   Options
	kinds []kind
	node  string    // names this process in the lease
	until time.Time // the end of its lease, by this machine's clock
}

// New returns the retention of a store.
func New(s *store.Store, opt Options) *Retention {
	opt.Log = cmp.Or(opt.Log, slog.Default())
	return &Retention{store: s, opt: opt, kinds: kinds(&opt), node: uuid.NewString()[:8]}
}

// Run removes due rows every minute, on one node at a time, until ctx ends.
func (r *Retention) Run(ctx context.Context) error {
	t := time.NewTicker(passEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := r.Pass(ctx); err != nil && ctx.Err() == nil {
			r.opt.Log.Warn("retention failed", "retry_in", passEvery, "error", err)
		}
	}
}

// Pass removes due rows, as Run does every minute.
func (r *Retention) Pass(ctx context.Context) error { return r.pass(ctx, true) }

// Apply removes due rows now, also beside the Run of another node, and without the slack of records.
func (r *Retention) Apply(ctx context.Context) error { return r.pass(ctx, false) }

// pass removes due rows. A shared pass leaves the work to the node with the lease, and gives way to callers.
func (r *Retention) pass(ctx context.Context, shared bool) (failed error) {
	due, err := r.due(ctx, shared)
	if err != nil || len(due) == 0 {
		return err
	}
	for i := range due {
		for more := true; more; {
			if shared && r.store.Shared() && time.Until(r.until) < leaseTime/2 {
				if leads, err := r.lead(ctx); err != nil || !leads {
					return errors.Join(failed, err)
				}
			}
			began := time.Now()
			if more, err = due[i].remove(ctx, r, &due[i], r.before(&due[i], shared)); err != nil {
				if failed = errors.Join(failed, fmt.Errorf("%s: %w", due[i].name, err)); ctx.Err() != nil {
					return failed
				}
				break
			}
			if shared && more && !r.opt.NoPause {
				pause(ctx, min(time.Since(began), maxPause))
			}
		}
	}
	return failed
}

// pause waits for as long as the unit before took, so that at most half of the writer's time is spent on retention.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// before returns the time of rows of a kind that are due.
func (r *Retention) before(k *kind, slack bool) int64 {
	at := r.store.Now() - k.age.Milliseconds()
	if slack && k.slack {
		at -= min(maxSlack, k.age/slackPart).Milliseconds()
	}
	return at
}

// due returns the kinds of which something is due: it reads one row of each.
func (r *Retention) due(ctx context.Context, slack bool) (list []kind, err error) {
	err = r.store.View(ctx, func(at sqldb.Reader) error {
		list = nil
		for i := range r.kinds {
			k := &r.kinds[i]
			time, err := k.oldest(ctx, at, r.before(k, slack))
			if err != nil {
				return err
			}
			if time != nil {
				list = append(list, *k)
			}
		}
		return nil
	})
	return list, err
}

// Lag returns the time for which the oldest row has been due; 0 when none is, and -1 s when it is unknown: the database
// cannot be read, or rows of an earlier version have not been looked at.
func (r *Retention) Lag(ctx context.Context) (lag time.Duration) {
	err := r.store.View(ctx, func(at sqldb.Reader) error {
		lag = 0
		for i := range r.kinds {
			k := &r.kinds[i]
			before := r.before(k, true)
			oldest, err := k.oldest(ctx, at, before)
			if err != nil {
				return err
			}
			if oldest != nil && *oldest == 0 && k.age >= onlineKept {
				return errUnknown
			}
			if oldest != nil {
				lag = max(lag, time.Duration(before-*oldest)*time.Millisecond)
			}
		}
		return nil
	})
	if err != nil {
		return -time.Second
	}
	return lag
}

var errUnknown = errors.New("rows of an earlier version have not been looked at")

// The lease: one node at a time removes due rows. It saves work; a second node would do no harm.
const (
	leaseName = "retention" // in meta
	leaseTime = 3 * time.Minute
)

// lead takes or renews the lease, and reports whether this node has it.
func (r *Retention) lead(ctx context.Context) (leads bool, err error) {
	err = r.store.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, now int64) error {
		var lease string
		if err := sess.Query(ctx, queries.Text("Meta"), []any{leaseName},
			func(row sqldb.Row) error { return row.Scan(&lease) }); err != nil {
			return err
		}
		if err := sess.Sync(ctx); err != nil {
			return err
		}
		node, until, _ := strings.Cut(lease, " ")
		end, _ := strconv.ParseInt(until, 10, 64) // an unreadable lease has ended
		if leads = node == r.node || end <= now; !leads {
			return nil
		}
		lease = r.node + " " + strconv.FormatInt(now+leaseTime.Milliseconds(), 10)
		if err := sess.Exec(ctx, queries.Text("MetaPut"), leaseName, lease); err != nil {
			return err
		}
		return sess.Exec(ctx, queries.Text("MetaSet"), lease, leaseName)
	})
	if leads && err == nil {
		r.until = time.Now().Add(leaseTime)
	}
	return leads, err
}
