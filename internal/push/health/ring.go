package health

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/delay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// method is a method that returns a transaction.
type method[Q, R any] = func(context.Context, rpc.Caller, Q) (rpc.Txn[R], error)

// WithRing records the acknowledgements of pushes by ring, and the time of the first ring of an invitee.
func WithRing[Q any](h *Health, f method[Q, protocol.ActionResponse]) method[Q, protocol.ActionResponse] {
	return withAck(h, f, true)
}

// WithAnswer records the acknowledgements of pushes by answers with their answer tokens.
func WithAnswer[Q any](h *Health, f method[Q, protocol.ActionResponse]) method[Q, protocol.ActionResponse] {
	return withAck(h, f, false)
}

// ack is a ring or an answer that may acknowledge a push.
type ack struct {
	user, device, inviteID string
	pushed                 bool // a push of the invitation was enqueued for the user
	at                     int64
	first                  bool          // it is the first ring of the invitee
	took                   time.Duration // from the invitation
	due                    time.Time     // of the lookup
	tries                  int
}

const (
	maxAcks   = 10_000 // waiting for their lookup; further ones are dropped
	maxRecent = 1 << 16
	// ackDelay is the time until the outcome of a push at its provider is stored, in most cases.
	ackDelay   = time.Second
	ackTries   = 5
	ackLookups = 4 // concurrent
)

// withAck adds the queueing of an ack to the transactions of a method. The transaction itself stays the same.
func withAck[Q any](h *Health, f method[Q, protocol.ActionResponse],
	ring bool) method[Q, protocol.ActionResponse] {
	return func(ctx context.Context, by rpc.Caller, req Q) (rpc.Txn[protocol.ActionResponse], error) {
		t, err := f(ctx, by, req)
		if err != nil || t.Decide == nil || !ring && by.InviteID == "" {
			return t, err
		}
		var a *ack
		decide, after := t.Decide, t.After
		t.Decide = func(tx *txn.Tx) (protocol.ActionResponse, error) {
			res, err := decide(tx)
			if a = nil; err == nil {
				a = ackOf(tx, by, &res, ring)
			}
			return res, err
		}
		t.After = func(res protocol.ActionResponse, err error) (protocol.ActionResponse, error) {
			if after != nil {
				res, err = after(res, err)
			}
			if err == nil && a != nil && h.isNew(a) {
				h.enqueue(*a)
			}
			return res, err
		}
		return t, nil
	}
}

// ackOf returns the ack of a decision; nil if it is of no interest. It reads what the decision has declared.
func ackOf(tx *txn.Tx, by rpc.Caller, res *protocol.ActionResponse, ring bool) *ack {
	v, p := tx.Invitation(res.InviteID), tx.Invitee(res.InviteID, by.UserID)
	if v == nil || p == nil {
		return nil
	}
	a := &ack{user: by.UserID, device: by.DeviceID, inviteID: v.ID, pushed: p.Pushed, at: tx.Now,
		first: ring && p.RingingAt == 0 && p.State == invite.Open,
		took:  time.Duration(tx.Now-v.CreatedAt) * time.Millisecond}
	if !a.pushed && !a.first {
		return nil
	}
	return a
}

// ackKey names the acks of a device about an invitation: only the first one is looked up.
type ackKey struct{ inviteID, user, device string }

// isNew reports whether an ack is the first of its device that this node knows.
func (h *Health) isNew(a *ack) bool {
	known, _ := h.recent.ContainsOrAdd(ackKey{a.inviteID, a.user, a.device}, struct{}{})
	return !known
}

// enqueue queues an ack for its lookup. It does not block.
func (h *Health) enqueue(a ack) {
	a.due = time.Now().Add(ackDelay)
	select {
	case h.acks <- a:
	default:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.lost = true
	}
}

// lookUpAcks looks up acks until ctx ends.
func (h *Health) lookUpAcks(ctx context.Context) error {
	var lookups errgroup.Group
	lookups.SetLimit(ackLookups)
	delay.Run(ctx, h.acks, func(a ack) time.Time { return a.due }, func(a ack) {
		if !a.pushed {
			h.opt.Rang(platform(h.declared(a.user, a.device)), viaConnected, a.took)
			return
		}
		lookups.Go(func() error {
			if err := h.lookUp(ctx, a); err != nil && ctx.Err() == nil {
				h.opt.Log.Warn("looking up an acknowledged push failed", "user", a.user, "inviteID", a.inviteID, "error", err)
			}
			return nil
		})
	})
	return lookups.Wait()
}

// The ways by which a device learns of an invitation.
const (
	viaPush      = "push"
	viaConnected = "connected"
)

// lookUp finds the tokens of the acknowledging device that have accepted a push of the invitation, from any node.
func (h *Health) lookUp(ctx context.Context, a ack) error {
	pushes, err := outbox.RingPushes(ctx, h.store, a.inviteID, a.user)
	if err != nil {
		return err
	}
	taken, err := outbox.Taken(pushes)
	if err != nil {
		return err
	}
	tokens, err := outbox.Tokens(ctx, h.store, a.user)
	if err != nil {
		return err
	}
	provider := ""
	for i := range tokens {
		if t := &tokens[i]; t.DeviceID == a.device && slices.Contains(taken, t.Key) {
			h.acknowledged(t, a.at)
			provider = t.Provider
		}
	}
	mayFollow := slices.ContainsFunc(pushes, func(o txn.OutboxEvent) bool { return o.State == txn.OutgoingWaits })
	if provider == "" && mayFollow && a.tries < ackTries { // the device may be faster than the outcome
		a.tries++
		h.enqueue(a)
		return nil
	}
	if !a.first {
		return nil
	}
	declared, via := h.declared(a.user, a.device), viaConnected
	if provider != "" {
		declared, via = cmp.Or(declared, platformOf(protocol.PushProvider(provider))), viaPush
	}
	h.opt.Rang(platform(declared), via, a.took)
	return nil
}

// declared returns the platform that a connected device has declared; empty if it is not connected.
func (h *Health) declared(user, device string) string {
	for _, d := range h.opt.Connected(user) {
		if d.DeviceID == device {
			return d.Platform
		}
	}
	return ""
}

// platform returns the label for a declared platform, so that devices cannot create labels.
func platform(declared string) string {
	if slices.Contains([]string{"web", "ios", "android", "go", "node"}, declared) {
		return declared
	}
	return "other"
}

// platformOf returns the usual platform of a push provider.
func platformOf(p protocol.PushProvider) string {
	switch p {
	case protocol.PushAPNs, protocol.PushAPNsVoIP:
		return "ios"
	case protocol.PushFCM, protocol.PushUnified:
		return "android"
	case protocol.PushWeb:
		return "web"
	}
	return ""
}
