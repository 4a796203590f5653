package txn

import (
	"context"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// The queues.
const (
	QueueHook = "hook" // webhooks
	QueuePush = "push"
)

// OutboxKey names an event that leaves the house: by whom it is carried, what it must stay in order with, and its place there.
type OutboxKey struct {
	Queue       string
	OrderingKey string
	Seq         int64
}

// OutboxEvent is an event on its way out of the house, and what became of it.
type OutboxEvent struct {
	OutboxKey
	At    int64 // when it happened, milliseconds
	Due   int64 // when it is to be tried next
	Tries int64
	State OutboxState
	Error string // of the last try
	Kind  string
	Body  string // JSON
	Owner string // whose it is; empty = nobody's
}

// OutboxState is what became of an event.
type OutboxState int64

// The states of an event.
const (
	OutgoingWaits OutboxState = iota
	OutgoingDone
	OutgoingDead // given up
)

// OutboxColumns are those that ScanOutgoing reads.
const OutboxColumns = "o.queue, o.line, o.num, o.at, o.due, o.tries, o.state, o.error, o.kind, o.body, o.owner"

// ScanOutboxEvent reads OutgoingColumns.
func ScanOutboxEvent(rows sqldb.Row) (*OutboxEvent, error) {
	var o OutboxEvent
	return &o, rows.Scan(&o.Queue, &o.OrderingKey, &o.Seq, &o.At, &o.Due, &o.Tries, &o.State, &o.Error, &o.Kind, &o.Body, &o.Owner)
}

type outboxRowKey OutboxKey

// OutboxEvent returns a declared event, or nil.
func (tx *Tx) OutboxEvent(k OutboxKey) *OutboxEvent { return tx.outbox.get(k) }

// PutOutboxEvent writes what became of an event.
func (tx *Tx) PutOutboxEvent(o OutboxEvent) {
	tx.mustKnow(outboxRowKey(o.OutboxKey))
	tx.stage(func() { tx.outbox.put(o.OutboxKey, o) })
}

// Enqueue lets events leave the house with what the unit has put.
func (tx *Tx) Enqueue(list ...OutboxEvent) { tx.stage(func() { tx.EnqueueNow(list) }) }

// Exec writes rows of a table by which no unit decides, with a template as of tx.Session.Write.
func (tx *Tx) Exec(template string, width int, values ...any) {
	tx.stage(func() { tx.execs = append(tx.execs, execRow{template, width, values}) })
}

type execRow struct {
	template string
	width    int
	values   []any
}

// EnqueueNow lets events of this batch's records leave the house.
func (tx *Tx) EnqueueNow(list []OutboxEvent) {
	for _, o := range list {
		tx.loaded[outboxRowKey(o.OutboxKey)] = struct{}{}
		tx.outbox.put(o.OutboxKey, o)
		tx.weight += len(o.Body)
	}
}

func (l *loader) gatherOutbox(n *ReadSet) {
	for _, k := range n.Outbox {
		if l.first(outboxRowKey(k)) {
			l.outgoingKeys = append(l.outgoingKeys, k.Queue, k.OrderingKey, k.Seq)
		}
	}
}

func (l *loader) outbox() {
	l.in("SELECT "+OutboxColumns+" FROM outgoing o WHERE (o.queue, o.line, o.num) IN (VALUES ?*)", 3, l.outgoingKeys,
		keep(&l.w.outbox, func(o *OutboxEvent) OutboxKey { return o.OutboxKey }, ScanOutboxEvent))
}

func (tx *Tx) flushOutbox(ctx context.Context, s *sqldb.Session) error {
	rows := flat(&tx.outbox, func(o *OutboxEvent) []any {
		return []any{o.Queue, o.OrderingKey, o.Seq, o.At, o.Due, o.Tries, int64(o.State), o.Error, o.Kind, o.Body, o.Owner}
	})
	if err := s.Write(ctx, `INSERT INTO outgoing (queue, line, num, at, due, tries, state, error, kind, body, owner) VALUES ?*
		ON CONFLICT (queue, line, num) DO UPDATE SET due = excluded.due, tries = excluded.tries, state = excluded.state, error = excluded.error, body = excluded.body`, 11, rows); err != nil {
		return err
	}
	for _, a := range tx.execs {
		if err := s.Write(ctx, a.template, a.width, a.values); err != nil {
			return err
		}
	}
	return nil
}
