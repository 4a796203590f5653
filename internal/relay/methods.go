package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol/operator"
)

// maxReplay limits the events that one call examines.
const maxReplay = 10_000

func stateOf(s operator.HookState) (txn.OutboxState, error) {
	switch s {
	case operator.HookWaiting:
		return txn.OutgoingWaits, nil
	case operator.HookDelivered:
		return txn.OutgoingDone, nil
	case operator.HookDead:
		return txn.OutgoingDead, nil
	}
	return 0, im.Bad("state", "must be one of: waiting, delivered, dead")
}

func span(from, until int64) (int64, error) {
	switch {
	case from < 0:
		return 0, im.Bad("from", "must not be negative; it is a Unix time in milliseconds")
	case until == 0:
		return math.MaxInt64, nil
	case until < from:
		return 0, im.Bad("until", "must not be before from")
	}
	return until, nil
}

// Admin implements the methods by which app servers inspect and replay queues.
type Admin struct {
	queues map[operator.Queue]*Dispatcher
}

// NewAdmin returns the methods for the given queues.
func NewAdmin(queues map[operator.Queue]*Dispatcher) *Admin { return &Admin{queues: queues} }

func (d *Admin) queue(name operator.Queue) (*Dispatcher, error) {
	if q := d.queues[cmp.Or(name, operator.QueueWebhook)]; q != nil {
		return q, nil
	}
	return nil, im.Bad("queue", "must be one of: webhook, push")
}

// ListEvents returns a page of the events of a queue.
func (d *Admin) ListEvents(ctx context.Context, _ rpc.Caller,
	req operator.ListHookEventsRequest) (operator.ListHookEventsResponse, error) {
	res := operator.ListHookEventsResponse{Events: []operator.HookEvent{}}
	q, err := d.queue(req.Queue)
	if err != nil {
		return res, err
	}
	state, err := stateOf(req.State)
	if err != nil {
		return res, err
	}
	until, err := span(req.From, req.Until)
	if err != nil {
		return res, err
	}
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	after, err := parsePlace(req.After)
	if err != nil {
		return res, err
	}
	list, err := outbox.List(ctx, q.store, q.opt.Name, state, req.From, until, after, limit)
	if err != nil {
		return res, err
	}
	for i := range list {
		o := &list[i]
		e := operator.HookEvent{ID: ID(o), Kind: o.Kind, State: req.State, At: o.At, Tries: o.Tries, Error: o.Error,
			Event: json.RawMessage(o.Body)}
		if o.State == txn.OutgoingWaits {
			e.Due = o.Due
		}
		res.Events = append(res.Events, e)
	}
	if len(list) == limit {
		res.Next = placeOf(&list[limit-1])
	}
	if res.Waiting, res.OldestWaiting, err = outbox.Count(ctx, q.store, q.opt.Name, txn.OutgoingWaits); err == nil {
		res.Dead, _, err = outbox.Count(ctx, q.store, q.opt.Name, txn.OutgoingDead)
	}
	return res, err
}

func placeOf(o *txn.OutboxEvent) string {
	return strconv.FormatInt(o.At, 10) + "." + strconv.FormatInt(o.Seq, 10) + "." + o.OrderingKey
}

func parsePlace(s string) (p outbox.Place, err error) {
	if s == "" {
		return p, nil
	}
	at, rest, _ := strings.Cut(s, ".")
	num, key, _ := strings.Cut(rest, ".")
	p.OrderingKey = key
	if p.At, err = strconv.ParseInt(at, 10, 64); err == nil {
		p.Seq, err = strconv.ParseInt(num, 10, 64)
	}
	if err != nil || key == "" {
		return p, im.Bad("after", "must be the next value of a previous page")
	}
	return p, nil
}

// Replay queues delivered or dead events again.
func (d *Admin) Replay(ctx context.Context, _ rpc.Caller,
	req operator.ReplayHookEventsRequest) (operator.ReplayHookEventsResponse, error) {
	var res operator.ReplayHookEventsResponse
	q, err := d.queue(req.Queue)
	if err != nil {
		return res, err
	}
	if req.State == operator.HookWaiting {
		return res, im.Bad("state", "must be delivered or dead; waiting events are sent anyway")
	}
	state, err := stateOf(req.State)
	if err != nil {
		return res, err
	}
	until, err := span(req.From, req.Until)
	if err != nil {
		return res, err
	}
	if q.opt.Off {
		return res, im.Bad("state", "cannot be replayed: this queue is disabled on this server")
	}
	after, err := parsePlace(req.After)
	if err != nil {
		return res, err
	}
	until = min(until, q.store.Now())
	for seen := 0; seen < maxReplay; {
		list, err := outbox.List(ctx, q.store, q.opt.Name, state, req.From, until, after, rpc.MaxPage)
		if err != nil {
			return res, err
		}
		n, err := q.replay(ctx, list, state)
		if res.Replayed += n; err != nil || len(list) < rpc.MaxPage {
			return res, err
		}
		last := &list[len(list)-1]
		after, res.Next = outbox.Place{At: last.At, OrderingKey: last.OrderingKey, Seq: last.Seq}, placeOf(last)
		seen += len(list)
	}
	return res, nil
}

// replay resets events to waiting and returns how many it reset.
func (q *Dispatcher) replay(ctx context.Context, list []txn.OutboxEvent, state txn.OutboxState) (int, error) {
	var n atomic.Int64
	var g errgroup.Group
	g.SetLimit(workers) // that many updates share a commit
	for i := range list {
		k := list[i].OutboxKey
		g.Go(func() error {
			reset, err := q.update(ctx, k, func(o *txn.OutboxEvent, now int64) bool {
				if o.State != state {
					return false
				}
				o.State, o.Tries, o.Due, o.Error = txn.OutgoingWaits, 0, now, ""
				if q.opt.Renew != nil {
					o.Body = q.opt.Renew(o.Body)
				}
				return true
			})
			if reset {
				n.Add(1)
			}
			return err
		})
	}
	err := g.Wait()
	q.Wake()
	return int(n.Load()), err
}
