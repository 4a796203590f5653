// Package outbox reads the events for webhooks and pushes and the push tokens, and removes old events.
//
// It does not send. Events are written with the records that they announce, and their outcome by transactions.
package outbox

import (
	"context"
	"math"
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

// Due reads a page of the due events of a queue in the order of their due times: of each ordering key the first pending
// event, without the events of some owners.
func Due(ctx context.Context, s *store.Store, queue string, now int64, after DuePlace, without []string,
	limit int) ([]txn.OutboxEvent, error) {
	args := []any{queue, now, after.Due, after.OrderingKey, after.Seq, limit}
	owners := append([]string{noOwner}, without...)
	for _, o := range owners {
		args = append(args, o)
	}
	return read(ctx, s, queries.Numbered("OutboxDue", len(args)-len(owners)+1, len(owners)), args...)
}

// noOwner is the name of no user: a list of owners is never empty.
const noOwner = "\n"

// Rest defers the events behind an event until it is due.
func Rest(tx *txn.Tx, k txn.OutboxKey) {
	tx.Exec(queries.Text("OutboxRest"), 2, k.Queue, k.OrderingKey)
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

// Count counts the events of a queue in a state, and returns the time of the oldest; 0 when there is none.
func Count(ctx context.Context, s *store.Store, queue string, state txn.OutboxState) (n, oldest int64, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, queries.Text("OutboxCount"), func(row sqldb.Row) error { return row.Scan(&n, &oldest) }, queue,
			int64(state))
	})
	return n, oldest, err
}

// Waiting reports whether any event of a queue waits, at the cost of one row.
func Waiting(ctx context.Context, s *store.Store, queue string) (bool, error) {
	var n *int
	err := s.View(ctx, func(r sqldb.Reader) (err error) {
		n, err = sqldb.One(ctx, r, sqldb.Int, queries.Text("OutboxWaiting"), queue)
		return err
	})
	return n != nil, err
}

func read(ctx context.Context, s *store.Store, query string, args ...any) (list []txn.OutboxEvent, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, txn.ScanOutboxEvent, query, args...)
		return err
	})
	return list, err
}
