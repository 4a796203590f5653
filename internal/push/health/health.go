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

	mu      sync.Mutex
	known   *lru.Cache[string, written] // what this node has written, by the key of the token
	changes map[string]*change          // what it has not, likewise
	lost    bool                        // changes were dropped since the last write
}

// written is what this node has last written of a token.
type written struct {
	user         string // the token may be another user's by now
	at           int64  // time of the write
	failing      bool
	acknowledged bool // once
}

// change is what this node has seen of a token since its last write.
type change struct {
	outbox.HealthChange
	soon bool // the kind of outcome has changed, or is new to this node
}

const (
	maxKnown   = 1 << 16
	maxChanges = 10_000 // tokens; outcomes of further ones are dropped until the next write
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
	known, _ := lru.New[string, written](maxKnown) // fails only for a size below one
	return &Health{store: s, opt: opt, acks: make(chan ack, maxAcks), known: known, changes: map[string]*change{}}
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
				h.write(ctx, h.due(h.store.Now(), false))
			}
		}
	})
	err := g.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	for {
		list := h.due(h.store.Now(), true)
		h.write(last, list)
		if len(list) < maxRows || last.Err() != nil {
			return err
		}
	}
}

// Sent records the outcome of a push at the provider of a token.
func (h *Health) Sent(t *outbox.Token, failure error) {
	now := h.store.Now()
	h.record(t, func(c *change, w written, isKnown bool) {
		failing := failure != nil
		c.soon = c.soon || !isKnown || failing != w.failing
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
	h.record(t, func(c *change, w written, isKnown bool) {
		c.soon = c.soon || !isKnown || !w.acknowledged
		c.AcknowledgedAt = max(c.AcknowledgedAt, at)
	})
}

func (h *Health) record(t *outbox.Token, f func(c *change, w written, isKnown bool)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.changes[t.Key]
	if c == nil || c.UserID != t.UserID { // it is of another user by now
		if len(h.changes) >= maxChanges {
			h.lost = true
			return
		}
		c = &change{HealthChange: outbox.HealthChange{Key: t.Key, UserID: t.UserID}}
		h.changes[t.Key] = c
	}
	w, isKnown := h.known.Get(t.Key)
	if w.user != t.UserID {
		w, isKnown = written{}, false
	}
	f(c, w, isKnown)
}

// due takes the changes that are due for a write, or all, at most maxRows.
func (h *Health) due(now int64, all bool) (list []outbox.HealthChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost {
		h.opt.Log.Warn("outcomes of pushes were not recorded", "limit", maxChanges)
		h.lost = false
	}
	for key, c := range h.changes {
		if len(list) == maxRows {
			break
		}
		w, _ := h.known.Peek(key)
		if w.user != c.UserID {
			w = written{user: c.UserID}
		}
		if !all && !c.soon && now-w.at < quietFor.Milliseconds() {
			continue
		}
		list = append(list, c.HealthChange)
		delete(h.changes, key)
		w.at = now
		if c.AcceptedAt != 0 || c.Failures != 0 {
			w.failing = c.Failures != 0
		}
		w.acknowledged = w.acknowledged || c.AcknowledgedAt != 0
		h.known.Add(key, w)
	}
	return list
}

// write stores changes. Those of a failed write are lost: the next outcome of each token is written again.
func (h *Health) write(ctx context.Context, list []outbox.HealthChange) {
	if len(list) == 0 {
		return
	}
	err := rpc.Write(ctx, h.store, txn.ReadSet{}, func(tx *txn.Tx) error {
		outbox.ChangeHealth(tx, list)
		return nil
	})
	if err == nil || errors.Is(err, context.Canceled) { // canceled: the transaction goes on
		return
	}
	h.opt.Log.Warn("writing the health of push tokens failed", "tokens", len(list), "error", err)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range list {
		h.known.Remove(list[i].Key)
	}
}
