package hook

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/protocol"
)

// maxReplay bounds the events that one call replays.
const maxReplay = 10_000

func stateOf(s protocol.HookState) (world.OutgoingState, error) {
	switch s {
	case protocol.HookWaiting:
		return world.OutgoingWaits, nil
	case protocol.HookDelivered:
		return world.OutgoingDone, nil
	case protocol.HookDead:
		return world.OutgoingDead, nil
	}
	return 0, im.Bad("state", "is none of waiting, delivered, dead")
}

func span(from, until int64) (int64, error) {
	switch {
	case from < 0:
		return 0, im.Bad("from", "is negative; it is milliseconds")
	case until == 0:
		return math.MaxInt64, nil
	case until < from:
		return 0, im.Bad("until", "is before from")
	}
	return until, nil
}

// ListEvents lists events of the webhook.
func (h *Hooks) ListEvents(ctx context.Context, _ verb.Caller, req protocol.ListHookEventsRequest) (protocol.ListHookEventsResponse, error) {
	res := protocol.ListHookEventsResponse{Events: []protocol.HookEvent{}}
	state, err := stateOf(req.State)
	if err != nil {
		return res, err
	}
	until, err := span(req.From, req.Until)
	if err != nil {
		return res, err
	}
	limit, err := verb.Page(req.Limit)
	if err != nil {
		return res, err
	}
	after, err := parsePlace(req.After)
	if err != nil {
		return res, err
	}
	list, err := outbox.List(ctx, h.store, queueName, state, req.From, until, after, limit)
	if err != nil {
		return res, err
	}
	for i := range list {
		o := &list[i]
		e := protocol.HookEvent{ID: h.id(o.OutgoingKey), Kind: o.Kind, State: req.State, At: o.At, Tries: o.Tries, Error: o.Error, Event: json.RawMessage(o.Body)}
		if o.State == world.OutgoingWaits {
			e.Due = o.Due
		}
		res.Events = append(res.Events, e)
	}
	if len(list) == limit {
		last := &list[limit-1]
		res.Next = strconv.FormatInt(last.At, 10) + "." + strconv.FormatUint(last.Seq, 10) + "." + last.Topic
	}
	if res.Waiting, res.OldestWaiting, err = outbox.Count(ctx, h.store, queueName, world.OutgoingWaits); err == nil {
		res.Dead, _, err = outbox.Count(ctx, h.store, queueName, world.OutgoingDead)
	}
	return res, err
}

func parsePlace(s string) (p outbox.Place, err error) {
	if s == "" {
		return p, nil
	}
	at, rest, _ := strings.Cut(s, ".")
	seq, topic, _ := strings.Cut(rest, ".")
	p.Topic = topic
	if p.At, err = strconv.ParseInt(at, 10, 64); err == nil {
		p.Seq, err = strconv.ParseUint(seq, 10, 63)
	}
	if err != nil || topic == "" {
		return p, im.Bad("after", "is not the next of a page")
	}
	return p, nil
}

// Replay sends events again, in the order in which they happened.
func (h *Hooks) Replay(ctx context.Context, _ verb.Caller, req protocol.ReplayHookEventsRequest) (protocol.ReplayHookEventsResponse, error) {
	var res protocol.ReplayHookEventsResponse
	if req.State == protocol.HookWaiting {
		return res, im.Bad("state", "is waiting; what waits is sent anyway")
	}
	state, err := stateOf(req.State)
	if err != nil {
		return res, err
	}
	until, err := span(req.From, req.Until)
	if err != nil {
		return res, err
	}
	if h.opt.URL == "" {
		return res, im.Bad("state", "cannot be replayed: this server has no webhook")
	}
	until = min(until, h.store.Now())
	var n atomic.Int64
	for after := (outbox.Place{}); n.Load() < maxReplay; {
		list, err := outbox.List(ctx, h.store, queueName, state, req.From, until, after, verb.MaxPage)
		if err != nil || len(list) == 0 {
			res.Replayed = int(n.Load())
			return res, err
		}
		var g errgroup.Group
		g.SetLimit(4 * workers) // that many share a commit
		for i := range list {
			k := list[i].OutgoingKey
			g.Go(func() error {
				again, err := h.queue.change(ctx, k, func(o *world.Outgoing, now int64) bool {
					if o.State != state {
						return false
					}
					o.State, o.Tries, o.Due, o.Error = world.OutgoingWaits, 0, now, ""
					return true
				})
				if again {
					n.Add(1)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return res, err
		}
		h.queue.nudge()
		last := &list[len(list)-1]
		after = outbox.Place{At: last.At, Topic: last.Topic, Seq: last.Seq}
	}
	res.Replayed, res.More = int(n.Load()), true
	return res, nil
}
