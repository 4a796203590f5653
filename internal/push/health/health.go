// Package health records whether pushes arrive: the outcomes at the providers and the acknowledgements of devices, for
// each push token. It implements the methods by which users see them and send test pushes, and measures the time until
// an invitation rings.
//
// It sends no push, and no decision waits for it.
package health

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Options configures a Health. The zero value works.
type Options struct {
	// Connected returns the connected devices of a user, on any node. Default: none.
	Connected func(user string) []protocol.Device
	// Enqueued is called after the commit of a test push, so that it is sent soon. It must not block. Default: nothing.
	Enqueued func()
	// Rang is called for the first ring of each invitee with the time from the invitation. platform is web, ios, android,
	// go, node or other; via is push or connected. It must not block. Default: nothing.
	Rang func(platform, via string, took time.Duration)
	// Log is the logger. Default: slog.Default().
	Log *slog.Logger
}

// Health records the outcomes of pushes. mu guards the fields below it.
type Health struct {
	store *store.Store
	opt   Options
	acks  chan ack

	recent *lru.Cache[ackKey, struct{}] // acks that were queued

	mu      sync.Mutex
	changes map[changeKey]*change // what this node has not written
	lost    bool                  // changes or acks were dropped since the last write
}

// changeKey names a token of a user: a device may pass to another user.
type changeKey struct{ token, user string }

// change is what this node has seen of a token since its last write.
type change struct {
	outbox.HealthChange
	stored int64 // the latest time that the database has, milliseconds
	soon   bool  // the kind of outcome differs from what the database has
}

const (
	maxChanges = 10_000 // tokens; above half of it quiet changes are written too
	writeEvery = time.Second
	// quietFor is the shortest time between two writes about a token while the kind of its outcomes stays the same.
	quietFor = time.Minute
	maxRows  = 500 // of one write
	lastTime = 2 * time.Second
)

// New returns the Health of the push tokens in a store.
func New(s *store.Store, opt Options) *Health {
	if opt.Connected == nil {
		opt.Connected = func(string) []protocol.Device { return nil }
	}
	if opt.Enqueued == nil {
		opt.Enqueued = func() {}
	}
	if opt.Rang == nil {
		opt.Rang = func(string, string, time.Duration) {}
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	recent, _ := lru.New[ackKey, struct{}](maxRecent) // fails only for a size below one
	return &Health{store: s, opt: opt, acks: make(chan ack, maxAcks), recent: recent,
		changes: map[changeKey]*change{}}
}

// Run writes outcomes and looks up acknowledgements until ctx ends, then writes once more.
func (h *Health) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return h.lookUpAcks(ctx) })
	g.Go(func() error {
		t := time.NewTicker(writeEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
				h.writeDue(ctx, false)
			}
		}
	})
	err := g.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	h.writeDue(last, true)
	return err
}

// writeDue writes the changes that are due, or all.
func (h *Health) writeDue(ctx context.Context, all bool) {
	for n := maxRows; n == maxRows && ctx.Err() == nil; {
		list := h.due(h.store.Now(), all)
		h.write(ctx, list)
		n = len(list)
	}
}

// Sent records the outcome of a push at the provider of a token, as it was read for the push.
func (h *Health) Sent(t *outbox.Token, failure error) {
	now, failing := h.store.Now(), failure != nil
	h.record(t, t.AcceptedAt == 0 && t.FailedAt == 0 || failing != (t.Failures > 0), func(c *change) {
		if !failing {
			c.AcceptedAt, c.Failures = max(c.AcceptedAt, now), 0
			return
		}
		c.FailedAt, c.Error = now, relay.Clip(failure.Error())
		c.Failures++
	})
}

// acknowledged records that a device has acknowledged a push to a token.
func (h *Health) acknowledged(t *outbox.Token, at int64) {
	h.record(t, t.AcknowledgedAt == 0, func(c *change) { c.AcknowledgedAt = max(c.AcknowledgedAt, at) })
}

func (h *Health) record(t *outbox.Token, soon bool, f func(*change)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := changeKey{t.Key, t.UserID}
	c := h.changes[k]
	if c == nil {
		if len(h.changes) >= maxChanges {
			h.lost = true
			return
		}
		c = &change{HealthChange: outbox.HealthChange{Key: t.Key, UserID: t.UserID}}
		h.changes[k] = c
	}
	c.soon = c.soon || soon
	c.stored = max(c.stored, t.AcceptedAt, t.FailedAt, t.AcknowledgedAt)
	f(c)
}

// due takes the changes that are due for a write, or all, at most maxRows, in the order of their keys: nodes lock the
// rows in one order.
func (h *Health) due(now int64, all bool) (list []outbox.HealthChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost {
		h.opt.Log.Warn("outcomes or acknowledgements of pushes were not recorded", "limit", maxChanges)
		h.lost = false
	}
	all = all || len(h.changes) > maxChanges/2
	for k, c := range h.changes {
		if len(list) == maxRows {
			break
		}
		if all || c.soon || now-c.stored >= quietFor.Milliseconds() {
			list = append(list, c.HealthChange)
			delete(h.changes, k)
		}
	}
	slices.SortFunc(list, func(a, b outbox.HealthChange) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// write stores changes. Those of a failed write are lost: what differs from the database is written again with the next
// outcome.
func (h *Health) write(ctx context.Context, list []outbox.HealthChange) {
	if len(list) == 0 {
		return
	}
	err := rpc.Write(ctx, h.store, txn.ReadSet{}, func(tx *txn.Tx) error {
		outbox.ChangeHealth(tx, list)
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) { // canceled: the transaction goes on
		h.opt.Log.Warn("writing the health of push tokens failed", "tokens", len(list), "error", err)
	}
}
