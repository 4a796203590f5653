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

	"github.com/beckon-im/beckon/internal/courier"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/protocol"
)

// sideBySide bounds the devices of one person that are told at the same time.
const sideBySide = 4

// send tries a push once: at every device of the person that has not taken it yet.
func (p *Push) send(ctx context.Context, o *world.Outgoing) courier.Outcome {
	var order outbox.Order
	if err := json.Unmarshal([]byte(o.Body), &order); err != nil {
		return courier.Outcome{Err: err, Never: true}
	}
	if order.Kind == outbox.KindGroupMessage {
		return p.fanOut(ctx, &order)
	}
	n, but, err := p.compose(ctx, &order)
	switch {
	case err != nil:
		return courier.Outcome{Err: err}
	case n == nil && o.Tries > 0 && len(order.Taken) == 0 && order.Kind == outbox.KindInvitation:
		return courier.Outcome{Err: errors.New("the invitation was over, or its person there, before a provider took the push: " + o.Error), Never: true}
	case n == nil: // nobody needs to be told any more
		return courier.Outcome{}
	}
	return p.tellAll(ctx, &order, n, but)
}

// tellAll gives a push to the devices of a person, but for one.
func (p *Push) tellAll(ctx context.Context, order *outbox.Order, n *notice, but string) courier.Outcome {
	stored, err := outbox.Tokens(ctx, p.store, order.UserID)
	if err != nil {
		return courier.Outcome{Err: err}
	}
	if len(stored) == 0 {
		p.change(order.UserID, func(_ *world.World, who *world.Person) { who.Pushes = false }, func(int64, error) {}) // else it is found again
		return courier.Outcome{Err: errors.New("the person has no push token any more"), Never: true}
	}
	list, err := p.choose(stored, n, but)
	if err != nil {
		return courier.Outcome{Err: err, Never: true}
	}
	list = slices.DeleteFunc(list, func(t *token) bool { return slices.Contains(order.Taken, t.Key) })
	var mu sync.Mutex
	var dead []string
	var out courier.Outcome
	failed := 0
	var g errgroup.Group
	g.SetLimit(sideBySide)
	for _, t := range list {
		g.Go(func() error {
			v := p.carry(ctx, t, n)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case v.err == nil:
				order.Taken = append(order.Taken, t.Key)
			case v.dead:
				dead = append(dead, t.Key)
				out.Err = errors.Join(out.Err, v.err)
			default:
				if !v.never {
					failed++
				}
				out.Err, out.After = errors.Join(out.Err, v.err), max(out.After, v.after)
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	p.retire(order.UserID, dead, len(stored) == len(dead))
	out.Body = string(verb.Encode(order))
	if out.Never = failed == 0; out.Never && (len(order.Taken) > 0 || out.Err == nil) {
		out.Err, out.Never = nil, false // whoever could be told was
	}
	return out
}

// carry gives a push to the provider of a token, and counts what became of it.
func (p *Push) carry(ctx context.Context, t *token, n *notice) verdict {
	mine := *n
	p.words.dress(&mine, t.at.Language)
	if p.opt.AnswerToken != nil && n.push.Kind == protocol.PushInvitation && n.push.Signaling != nil {
		answer, err := p.opt.AnswerToken(n.push.UserID, t.DeviceID, n.push.Signaling.InviteID, n.until)
		if err != nil {
			return verdict{err: err, never: true}
		}
		mine.push.AnswerToken = answer
	}
	c := p.carriers[protocol.PushProvider(t.Provider)]
	if c == nil {
		return verdict{err: fmt.Errorf("this server no longer sends pushes by %s", t.Provider), never: true}
	}
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
	return v
}

// choose says which tokens a push is for: a call that may ring by PushKit does so, and then nothing else rings on that device.
// What is not a call never goes there, because iOS ends apps that are woken up for nothing.
func (p *Push) choose(stored []outbox.Token, n *notice, but string) ([]*token, error) {
	var list []*token
	voip := map[string]bool{}
	for _, s := range stored {
		t, err := read(s)
		if err != nil {
			return nil, err
		}
		if s.Provider == string(protocol.PushAPNsVoIP) && n.ring && n.voip {
			voip[s.DeviceID] = true
		}
		list = append(list, t)
	}
	return slices.DeleteFunc(list, func(t *token) bool {
		switch protocol.PushProvider(t.Provider) {
		case protocol.PushAPNsVoIP:
			return !voip[t.DeviceID]
		case protocol.PushAPNs:
			if voip[t.DeviceID] {
				return true
			}
		}
		return but != "" && t.DeviceID == but
	}), nil
}

// retire forgets tokens that are of no use any more.
func (p *Push) retire(user string, keys []string, all bool) {
	if len(keys) == 0 {
		return
	}
	p.change(user, func(w *world.World, who *world.Person) {
		who.Pushes = who.Pushes && !all
		outbox.DropTokens(w, user, keys...)
	}, func(_ int64, err error) {
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
