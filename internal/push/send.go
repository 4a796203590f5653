package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/push/health"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

const (
	maxParallel = 8           // devices of one user that are sent to concurrently
	ringWait    = time.Second // delay of a withdrawal after the next attempt of the push that it withdraws
)

// recipients selects the devices of a user that get a push.
type recipients struct {
	absent bool     // only devices that are not connected
	only   []string // only devices with one of these tokens; nil = all
	except string   // not this device

	pending time.Duration // until more devices may follow; 0 = these are all
}

// waiting is the error of a push that is not due yet.
type waiting struct {
	error
	after time.Duration
}

func laterThan(after time.Duration, reason string) error { return waiting{errors.New(reason), after} }

// send attempts to send a push to each device of the user that needs it and has not received it yet.
func (p *Push) send(ctx context.Context, o *txn.OutboxEvent) relay.Outcome {
	var order outbox.Order
	if err := json.Unmarshal([]byte(o.Body), &order); err != nil {
		return relay.Outcome{Err: err, Never: true}
	}
	switch {
	case order.Kind == outbox.KindGroupMessage:
		return p.fanOut(ctx, &order)
	case order.Kind == outbox.KindRevoked && order.UserID == "":
		return p.fanOutRevoked(ctx, &order)
	}
	n, to, err := p.prepare(ctx, o, &order)
	if n != nil { // providers and tokens use the wall clock
		n.shift(time.Since(time.UnixMilli(p.store.Now())))
	}
	var later waiting
	switch {
	case errors.As(err, &later):
		return relay.Outcome{Err: err, Later: true, After: later.after}
	case err != nil:
		return relay.Outcome{Err: err}
	case n == nil && o.Tries > 0 && len(order.Taken) == 0 && order.Kind == outbox.KindInvitation:
		return relay.Outcome{Err: errors.New("the invitation ended before a provider accepted the push: " + o.Error),
			Never: true}
	case n == nil: // obsolete
		return relay.Outcome{}
	}
	out := p.sendToUser(ctx, &order, n, to)
	if order.Kind == outbox.KindTest { // one attempt, whose results are rows of the test
		return relay.Outcome{}
	}
	if out.Err == nil && to.pending > 0 {
		out.Err, out.Later, out.After = errPending, true, to.pending
	}
	return out
}

// errPending is the reason of a withdrawal for waiting.
var errPending = errors.New("a push that may be withdrawn is in progress")

// prepare returns the notice of a push and its recipients. The notice is nil if no device needs the push.
func (p *Push) prepare(ctx context.Context, o *txn.OutboxEvent, order *outbox.Order) (n *notice, to recipients,
	err error) {
	var pending time.Duration
	switch order.Kind {
	case outbox.KindEnded:
		to.only, pending, err = p.rang(ctx, order, 0)
	case outbox.KindRead, outbox.KindRevoked:
		to.except = order.Except
		n, to.only, pending, err = p.withdrawal(ctx, order)
	case outbox.KindTest:
		if time.Duration(p.store.Now()-o.At)*time.Millisecond < health.AckWait {
			to.only = order.Only
		}
	case outbox.KindInvitation:
		if to.absent = true; o.Seq > 1 { // the devices of the pushes before have it
			var before []string
			before, _, err = p.rang(ctx, order, o.Seq)
			order.Taken = append(order.Taken, before...)
		}
	default:
		to.absent = true
	}
	switch {
	case err != nil:
		return nil, to, err
	case to.absent:
	case pending > 0 && (len(to.only) == 0 || order.Kind != outbox.KindEnded):
		return nil, to, waiting{errPending, pending}
	case len(to.only) == 0: // no device shows it
		return nil, to, nil
	}
	to.pending = pending
	if n == nil {
		var answered string
		if n, answered, err = p.compose(ctx, order); answered != "" {
			to.except = answered
		}
	}
	return n, to, err
}

// rang returns the keys of the tokens at which an invitation rings for a user, by the pushes before a sequence; 0 = by
// all. pending > 0 means that more may follow, and is the time until the next attempt has been made.
func (p *Push) rang(ctx context.Context, order *outbox.Order, before int64) (tokens []string, pending time.Duration,
	err error) {
	list, err := outbox.RingPushes(ctx, p.store, order.InviteID, order.UserID)
	if before > 0 {
		list = slices.DeleteFunc(list, func(o txn.OutboxEvent) bool { return o.Seq >= before })
	}
	if err != nil || len(list) == 0 {
		return nil, 0, err
	}
	for i := range list {
		if list[i].State != txn.OutgoingWaits {
			continue
		}
		wait := time.Duration(max(0, list[i].Due-p.store.Now())) * time.Millisecond
		if p.store.Shared() && wait <= relay.Lease {
			wait = 0 // it may be leased, and at its provider
		}
		pending = max(pending, ringWait+wait)
	}
	tokens, err = outbox.Taken(list)
	return tokens, pending, err
}

// sendToUser sends a push to devices of a user.
func (p *Push) sendToUser(ctx context.Context, order *outbox.Order, n *notice, to recipients) relay.Outcome {
	since, stored, err := p.userTokens(ctx, order.UserID)
	if err != nil {
		return relay.Outcome{Err: err}
	}
	p.devices.Learn(order.UserID, since, stored)
	if len(stored) == 0 {
		p.retire(order.UserID, nil, since)
		return relay.Outcome{Err: errors.New("the user has no push token"), Never: true}
	}
	list, err := choose(stored, n, to)
	if err != nil {
		return relay.Outcome{Err: err, Never: true}
	}
	if to.absent {
		connected := p.connected(order.UserID)
		list = slices.DeleteFunc(list, func(t *token) bool { return connected.Has(t.DeviceID) })
	}
	list = slices.DeleteFunc(list, func(t *token) bool { return slices.Contains(order.Taken, t.Key) })
	results := p.sendToDevices(ctx, list, n)
	order.Taken = append(order.Taken, results.taken...)
	if len(results.dead) < len(stored) {
		since = 0 // some tokens remain
	}
	if len(results.dead) > 0 {
		p.retire(order.UserID, results.dead, since)
	}
	out := relay.Outcome{Err: results.err, After: results.after, Body: string(rpc.Encode(order)), Never: !results.retry,
		Later: results.err != nil && !results.tried}
	if out.Never && (len(order.Taken) > 0 || out.Err == nil) {
		out.Err, out.Never = nil, false // sent to all devices that can be reached
	}
	return out
}

// deviceResults are the results of a push at several devices.
type deviceResults struct {
	taken, dead []string // keys of tokens
	retry       bool     // some devices may accept it later
	tried       bool     // at least one attempt failed
	err         error
	after       time.Duration
}

// sendToDevices sends a push to several devices concurrently. The timeout is shared, so that unresponsive devices do
// not delay the others.
func (p *Push) sendToDevices(ctx context.Context, list []*token, n *notice) (out deviceResults) {
	ctx, cancel := context.WithTimeout(ctx, p.opt.Time+p.opt.Time/2)
	defer cancel()
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(maxParallel)
	for _, t := range list {
		g.Go(func() error {
			v := p.sendToDevice(ctx, t, n)
			mu.Lock()
			defer mu.Unlock()
			out.tried = out.tried || v.err != nil && !v.later
			switch {
			case v.err == nil:
				out.taken = append(out.taken, t.Key)
				return nil
			case v.dead:
				out.dead = append(out.dead, t.Key)
				out.retry = out.retry || t.Provider == string(protocol.PushAPNsVoIP) // the alert push of this device rings instead
			default:
				out.retry = out.retry || !v.never
			}
			out.err, out.after = errors.Join(out.err, v.err), max(out.after, v.after)
			return nil
		})
	}
	_ = g.Wait() // never fails
	return out
}

// sendToDevice sends a push to a device and records the outcome.
func (p *Push) sendToDevice(ctx context.Context, t *token, n *notice) result {
	localized := *n
	p.templates.localize(&localized, t.registration.Language)
	var err error
	if localized.push.AnswerToken, err = p.tokenOf(t, n); err != nil {
		return result{err: err, never: true}
	}
	begin := time.Now()
	v := result{err: fmt.Errorf("push provider %s is no longer configured on this server", t.Provider), never: true}
	c := p.senders[protocol.PushProvider(t.Provider)]
	if c != nil {
		v = c.send(ctx, t, &localized)
	}
	if !v.later && !errors.Is(v.err, context.Canceled) { // canceled: the server is stopping
		p.health.Sent(&t.Token, v.err)
	}
	if n.push.Kind == protocol.PushTest {
		p.health.Tested(n.push.TestID, &t.Token, v.err)
	}
	if c == nil {
		return v
	}
	outcome := "retried"
	switch {
	case v.err == nil:
		outcome = "taken"
	case v.dead:
		outcome = "deadToken"
	case v.never:
		outcome = "refused"
	}
	p.opt.Observe(protocol.PushProvider(t.Provider), outcome)
	if s := n.push.Signaling; s != nil {
		p.opt.Trace(n.push.UserID, s.InviteID, string(n.push.Kind), t.Provider, outcome, begin, v.err)
	}
	return v
}

// tokenOf returns the token by which a device answers an invitation or acknowledges a test; empty if there is none.
func (p *Push) tokenOf(t *token, n *notice) (string, error) {
	switch {
	case p.opt.AnswerToken != nil && n.push.Kind == protocol.PushInvitation && n.push.Signaling != nil:
		return p.opt.AnswerToken(n.push.UserID, t.DeviceID, n.push.Signaling.InviteID, n.answerable)
	case p.opt.AckToken != nil && n.push.Kind == protocol.PushTest:
		return p.opt.AckToken(n.push.UserID, t.DeviceID, n.push.TestID, n.answerable)
	}
	return "", nil
}

// choose selects the tokens for a push. A device that can ring by PushKit rings only by PushKit. Other pushes never use
// PushKit, because iOS terminates apps that it wakes up without a call. A withdrawal goes to the devices that have what
// it withdraws, by any token.
func choose(stored []outbox.Token, n *notice, to recipients) ([]*token, error) {
	var list []*token
	voip, devices := map[string]bool{}, map[string]bool{}
	for _, s := range stored {
		t, err := read(s)
		if err != nil {
			return nil, err
		}
		if s.Provider == string(protocol.PushAPNsVoIP) && n.ring && n.voip {
			voip[s.DeviceID] = true
		}
		if slices.Contains(to.only, s.Key) {
			devices[s.DeviceID] = true
		}
		list = append(list, t)
	}
	return slices.DeleteFunc(list, func(t *token) bool {
		isVoIP := t.Provider == string(protocol.PushAPNsVoIP)
		switch {
		case isVoIP && !voip[t.DeviceID], t.Provider == string(protocol.PushAPNs) && voip[t.DeviceID]:
			return true
		case to.only != nil && !devices[t.DeviceID]:
			return true
		}
		return to.except != "" && t.DeviceID == to.except
	}), nil
}

// retire deletes invalid tokens. If since is set, it also clears the user's flag for having tokens, unless one was
// registered since then.
func (p *Push) retire(user string, keys []string, since int64) {
	t := change(user, func(tx *txn.Tx, u *txn.User) (none struct{}) {
		if since != 0 && u.Pushes == since {
			u.Pushes = 0
		}
		if len(keys) > 0 {
			outbox.DropTokens(tx, user, keys...)
		}
		return none
	})
	rpc.Submit(p.store, t, func(_ struct{}, err error) {
		if err != nil {
			p.opt.Log.Warn("deleting dead push tokens failed", "user", user, "error", err)
		}
	})
}

// until returns the expiry of a push.
func until(now, deadline int64, own int, fallback time.Duration) time.Time {
	at := time.UnixMilli(now).Add(fallback)
	if own > 0 {
		at = time.UnixMilli(now).Add(time.Duration(own) * time.Second)
	}
	if end := time.UnixMilli(deadline); deadline != 0 && (own == 0 || end.Before(at)) {
		at = end
	}
	return at
}
