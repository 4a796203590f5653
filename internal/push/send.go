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

	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

const (
	sideBySide = 8               // devices of one person that are told at the same time
	stayFor    = 2 * time.Second // for which somebody who is there again is trusted to stay
	ringWait   = time.Second     // that an ending waits for the push that rings
)

// send tries a push once: at every device of the person that has not taken it yet.
func (p *Push) send(ctx context.Context, o *txn.OutboxEvent) relay.Outcome {
	var order outbox.Order
	if err := json.Unmarshal([]byte(o.Body), &order); err != nil {
		return relay.Outcome{Err: err, Never: true}
	}
	var rang []string // the tokens at which it rings
	switch order.Kind {
	case outbox.KindGroupMessage:
		return p.fanOut(ctx, &order)
	case outbox.KindEnded:
		var waits bool
		var err error
		if rang, waits, err = p.rang(ctx, &order); err != nil {
			return relay.Outcome{Err: err}
		}
		if len(rang) == 0 && waits {
			return relay.Outcome{Err: errors.New("the push that rings is under way"), Later: true, After: ringWait}
		}
		if len(rang) == 0 {
			return relay.Outcome{} // it rings nowhere
		}
	}
	n, but, err := p.compose(ctx, &order)
	switch {
	case errors.Is(err, errThere):
		return relay.Outcome{Err: err, Later: true, After: stayFor}
	case err != nil:
		return relay.Outcome{Err: err}
	case n == nil && o.Tries > 0 && len(order.Taken) == 0 && order.Kind == outbox.KindInvitation:
		return relay.Outcome{Err: errors.New("the invitation was over before a provider took the push: " + o.Error),
			Never: true}
	case n == nil: // nobody needs to be told any more
		return relay.Outcome{}
	}
	return p.sendToUsers(ctx, &order, n, rang, but)
}

// rang reads at which tokens an invitation rings for a person, and whether that may still become more.
func (p *Push) rang(ctx context.Context, order *outbox.Order) (tokens []string, waits bool, err error) {
	list, err := outbox.RingPushes(ctx, p.store, order.InviteID, order.UserID)
	if err != nil || len(list) == 0 {
		return nil, false, err
	}
	var ring outbox.Order
	err = json.Unmarshal([]byte(list[0].Body), &ring)
	return ring.Taken, list[0].State == txn.OutgoingWaits, err
}

// sendToUsers gives a push to the devices of a person: those where it rang, when that is said, and not to one that
// knows.
func (p *Push) sendToUsers(ctx context.Context, order *outbox.Order, n *notice, rang []string,
	but string) relay.Outcome {
	since, stored, err := p.known(ctx, order.UserID)
	if err != nil {
		return relay.Outcome{Err: err}
	}
	if len(stored) == 0 {
		p.retire(order.UserID, nil, since)
		return relay.Outcome{Err: errors.New("the person has no push token any more"), Never: true}
	}
	list, err := choose(stored, n, rang, but)
	if err != nil {
		return relay.Outcome{Err: err, Never: true}
	}
	list = slices.DeleteFunc(list, func(t *token) bool { return slices.Contains(order.Taken, t.Key) })
	told := p.sendToDevices(ctx, list, n)
	order.Taken = append(order.Taken, told.taken...)
	if len(told.dead) < len(stored) {
		since = 0 // some are left
	}
	if len(told.dead) > 0 {
		p.retire(order.UserID, told.dead, since)
	}
	out := relay.Outcome{Err: told.err, After: told.after, Body: string(rpc.Encode(order)), Never: !told.again,
		Later: told.err != nil && !told.tried}
	if out.Never && (len(order.Taken) > 0 || out.Err == nil) {
		out.Err, out.Never = nil, false // whoever could be told was
	}
	return out
}

// deviceResults is what became of a push at several devices.
type deviceResults struct {
	taken, dead []string // keys of tokens
	again       bool     // some may take it later
	tried       bool     // some were asked and did not take it
	err         error
	after       time.Duration
}

// sendToDevices gives a push to devices. Who has many that do not answer has the others told in time.
func (p *Push) sendToDevices(ctx context.Context, list []*token, n *notice) (out deviceResults) {
	ctx, cancel := context.WithTimeout(ctx, p.opt.Time+p.opt.Time/2)
	defer cancel()
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(sideBySide)
	for _, t := range list {
		g.Go(func() error {
			v := p.carry(ctx, t, n)
			mu.Lock()
			defer mu.Unlock()
			out.tried = out.tried || v.err != nil && !v.later
			switch {
			case v.err == nil:
				out.taken = append(out.taken, t.Key)
				return nil
			case v.dead:
				out.dead = append(out.dead, t.Key)
				out.again = out.again || t.Provider == string(protocol.PushAPNsVoIP) // then the alert of that device rings
			default:
				out.again = out.again || !v.never
			}
			out.err, out.after = errors.Join(out.err, v.err), max(out.after, v.after)
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	return out
}

// carry gives a push to the provider of a token, and counts what became of it.
func (p *Push) carry(ctx context.Context, t *token, n *notice) verdict {
	mine := *n
	p.words.dress(&mine, t.at.Language)
	if p.opt.AnswerToken != nil && n.push.Kind == protocol.PushInvitation && n.push.Signaling != nil {
		answer, err := p.opt.AnswerToken(n.push.UserID, t.DeviceID, n.push.Signaling.InviteID, n.answerable)
		if err != nil {
			return verdict{err: err, never: true}
		}
		mine.push.AnswerToken = answer
	}
	c := p.carriers[protocol.PushProvider(t.Provider)]
	if c == nil {
		return verdict{err: fmt.Errorf("this server no longer sends pushes by %s", t.Provider), never: true}
	}
	begin := time.Now()
	v := c.send(ctx, t, &mine)
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

// choose says which tokens a push is for: a call that may ring by PushKit does so, and then nothing else rings on that
// device. What is not a call never goes there, because iOS ends apps that are woken up for nothing; an ending goes to
// the devices where it rang, by whichever token.
func choose(stored []outbox.Token, n *notice, rang []string, but string) ([]*token, error) {
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
		if slices.Contains(rang, s.Key) {
			devices[s.DeviceID] = true
		}
		list = append(list, t)
	}
	return slices.DeleteFunc(list, func(t *token) bool {
		isVoIP := t.Provider == string(protocol.PushAPNsVoIP)
		switch {
		case isVoIP && !voip[t.DeviceID], t.Provider == string(protocol.PushAPNs) && voip[t.DeviceID]:
			return true
		case rang != nil && !devices[t.DeviceID]:
			return true
		}
		return but != "" && t.DeviceID == but
	}), nil
}

// retire forgets tokens that are of no use any more, and that the person has any, unless one was registered since.
func (p *Push) retire(user string, keys []string, since int64) {
	t := change(user, func(tx *txn.Tx, who *txn.User) (none struct{}) {
		if since != 0 && who.Pushes == since {
			who.Pushes = 0
		}
		if len(keys) > 0 {
			outbox.DropTokens(tx, user, keys...)
		}
		return none
	})
	rpc.Submit(p.store, t, func(_ struct{}, err error) {
		if err != nil {
			p.opt.Log.Warn("dead push tokens could not be forgotten; their provider says so again", "user", user, "error", err)
		}
	})
}

// until is when a push is of no use any more.
func until(now, deadline int64, own int, otherwise time.Duration) time.Time {
	at := time.UnixMilli(now).Add(otherwise)
	if own > 0 {
		at = time.UnixMilli(now).Add(time.Duration(own) * time.Second)
	}
	if end := time.UnixMilli(deadline); deadline != 0 && (own == 0 || end.Before(at)) {
		at = end
	}
	return at
}
