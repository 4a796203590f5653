// Package outbox reads the events for webhooks and pushes and the push tokens, and removes old events.
//
// It does not send. Events are written with the records that they announce, and their outcome by transactions.
package outbox

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// Kept is the retention of delivered events, which can be replayed. DeadKept is that of dead events, and of pending
// ones that no node tries to send: their receiver is no longer configured.
const (
	Kept     = 7 * 24 * time.Hour
	DeadKept = 30 * 24 * time.Hour
)

// DuePlace is a position in the list of due events: after an event. BeforeDue is before all.
type DuePlace struct {
	Due         int64
	OrderingKey string
	Seq         int64
}

// BeforeDue returns the position before all due events.
func BeforeDue() DuePlace { return DuePlace{Due: math.MinInt64} }

// Event is a pending event, with the sequence of the first pending event of its ordering key: the only one to send.
type Event struct {
	txn.OutboxEvent
	First int64
}

// IsFirst reports whether no event of the same ordering key is pending before it.
func (e *Event) IsFirst() bool { return e.First == e.Seq }

// Due reads a page of the due events of a queue in the order of their due times, without the events of some owners.
func Due(ctx context.Context, s *store.Store, queue string, now int64, after DuePlace, without []string,
	limit int) ([]Event, error) {
	args := []any{queue, now, after.Due, after.OrderingKey, after.Seq, limit}
	first, all := withoutOwners(args, without)
	return readEvents(ctx, s, queries.Numbered("OutboxDue", first, len(all)-len(args)), all...)
}

// Fresh reads due events that happened after a time, the latest first, without the events of some owners.
func Fresh(ctx context.Context, s *store.Store, queue string, since, now int64, without []string,
	limit int) ([]Event, error) {
	args := []any{queue, since, now, limit}
	first, all := withoutOwners(args, without)
	return readEvents(ctx, s, queries.Numbered("OutboxFresh", first, len(all)-len(args)), all...)
}

// withoutOwners appends owners to arguments, and returns the number of the first.
func withoutOwners(args []any, owners []string) (first int, all []any) {
	all = append(slices.Clip(args), noOwner)
	for _, o := range owners {
		all = append(all, o)
	}
	return len(args) + 1, all
}

func readEvents(ctx context.Context, s *store.Store, query string, args ...any) (list []Event, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, func(row sqldb.Row) (*Event, error) {
			e := &Event{}
			o, err := txn.ScanOutboxEvent(sqldb.And(row, &e.First))
			e.OutboxEvent = *o
			return e, err
		}, query, args...)
		return err
	})
	return list, err
}

// noOwner is the name of no user: a list of owners is never empty.
const noOwner = "\n"

// Parked is the time for which an event behind another one is not due, beyond the due time of that one, whose end makes
// it due. The time limits the delay when an earlier version ended that one, which does not.
const Parked = 10 * time.Minute

// Park defers due events behind the first of their ordering keys, so that reads of due events do not pass over them
// again and again. The unit has declared all these events, and the first ones.
func Park(tx *txn.Tx, list []Event) {
	for i := range list {
		first := list[i].OutboxKey
		first.Seq = list[i].First
		o, head := tx.OutboxEvent(list[i].OutboxKey), tx.OutboxEvent(first)
		if o == nil || head == nil || o.State != txn.OutgoingWaits || head.State != txn.OutgoingWaits || o.Due > tx.Now {
			continue
		}
		o.Due = max(tx.Now, head.Due) + Parked.Milliseconds()
		tx.PutOutboxEvent(*o)
	}
}

// Unpark makes the first pending event of an ordering key due, after the end of the one before.
func Unpark(tx *txn.Tx, k txn.OutboxKey) {
	tx.Exec(queries.Text("OutboxUnpark"), 2, k.Queue, k.OrderingKey)
}

// Next reads the pending events of an ordering key after one of them.
func Next(ctx context.Context, s *store.Store, k txn.OutboxKey, limit int) ([]txn.OutboxEvent, error) {
	return read(ctx, s, queries.Text("OutboxNext"), k.Queue, k.OrderingKey, k.Seq, limit)
}

// RingPushes reads the first hundred pushes that ring an invitation for a user, in any state.
func RingPushes(ctx context.Context, s *store.Store, inviteID, user string) ([]txn.OutboxEvent, error) {
	return read(ctx, s, queries.Text("OutboxOfKey"), txn.QueuePush, ringKey(inviteID, user))
}

// MessagePushes reads the pushes of messages to users, in any state.
func MessagePushes(ctx context.Context, s *store.Store, messageIDs, users []string) ([]txn.OutboxEvent, error) {
	args := []any{txn.QueuePush}
	for _, id := range messageIDs {
		for _, u := range users {
			args = append(args, messageKey(id, u))
		}
	}
	if len(args) == 1 {
		return nil, nil
	}
	return read(ctx, s, queries.Numbered("OutboxOfKeys", 2, len(args)-1), args...)
}

// Place is a position in a list of events: after an event.
type Place struct {
	At          int64
	OrderingKey string
	Seq         int64
}

// List reads a page of the events of a queue in one state that happened in a range of milliseconds, the oldest first.
func List(ctx context.Context, s *store.Store, queue string, state txn.OutboxState, from, until int64, after Place,
	limit int) ([]txn.OutboxEvent, error) {
	return read(ctx, s, queries.Text("OutboxInState"), queue, int64(state), from, until, after.At, after.OrderingKey,
		after.Seq, limit)
}

// MaxCount is the largest result of Count: its cost is limited.
const MaxCount = 10_000

// Count counts the events of a queue in a state, up to MaxCount, and returns the time of the oldest; 0 when there is
// none.
func Count(ctx context.Context, s *store.Store, queue string, state txn.OutboxState) (n, oldest int64, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, queries.Text("OutboxCount"), func(row sqldb.Row) error { return row.Scan(&n, &oldest) }, queue,
			int64(state), MaxCount)
	})
	return n, oldest, err
}

// NextDue returns the time of the next due event of a queue, at the cost of one row; ok is false without events.
func NextDue(ctx context.Context, s *store.Store, queue string) (at int64, ok bool, err error) {
	var due *int64
	err = s.View(ctx, func(r sqldb.Reader) (err error) {
		due, err = sqldb.One(ctx, r, func(row sqldb.Row) (*int64, error) {
			var at int64
			return &at, row.Scan(&at)
		}, queries.Text("OutboxNextDue"), queue)
		return err
	})
	if due == nil {
		return 0, false, err
	}
	return *due, true, err
}

func read(ctx context.Context, s *store.Store, query string, args ...any) (list []txn.OutboxEvent, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, txn.ScanOutboxEvent, query, args...)
		return err
	})
	return list, err
}
