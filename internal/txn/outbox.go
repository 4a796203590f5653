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

// OutgoingKey names an event that leaves the house: by whom it is carried, what it must stay in order with, and its place there.
type OutgoingKey struct {
	Queue string
	Line  string
	Num   int64
}

// Outgoing is an event on its way out of the house, and what became of it.
type Outgoing struct {
	OutgoingKey
	At    int64 // when it happened, milliseconds
	Due   int64 // when it is to be tried next
	Tries int64
	State OutgoingState
	Error string // of the last try
	Kind  string
	Body  string // JSON
	Owner string // whose it is; empty = nobody's
}

// OutgoingState is what became of an event.
type OutgoingState int64

// The states of an event.
const (
	OutgoingWaits OutgoingState = iota
	OutgoingDone
	OutgoingDead // given up
)

// OutgoingColumns are those that ScanOutgoing reads.
const OutgoingColumns = "o.queue, o.line, o.num, o.at, o.due, o.tries, o.state, o.error, o.kind, o.body, o.owner"

// ScanOutgoing reads OutgoingColumns.
func ScanOutgoing(rows sqldb.Row) (*Outgoing, error) {
	var o Outgoing
	return &o, rows.Scan(&o.Queue, &o.Line, &o.Num, &o.At, &o.Due, &o.Tries, &o.State, &o.Error, &o.Kind, &o.Body, &o.Owner)
}

type outgoingKey OutgoingKey

// Outgoing returns a declared event, or nil.
func (w *World) Outgoing(k OutgoingKey) *Outgoing { return w.outgoing.get(k) }

// PutOutgoing writes what became of an event.
func (w *World) PutOutgoing(o Outgoing) {
	w.mustKnow(outgoingKey(o.OutgoingKey))
	w.stage(func() { w.outgoing.put(o.OutgoingKey, o) })
}

// Post lets events leave the house with what the unit has put.
func (w *World) Post(list ...Outgoing) { w.stage(func() { w.Leave(list) }) }

// Also writes rows of a table by which no unit decides, with a template as of tx.Session.Write.
func (w *World) Also(template string, width int, values ...any) {
	w.stage(func() { w.also = append(w.also, also{template, width, values}) })
}

type also struct {
	template string
	width    int
	values   []any
}

// Leave lets events of this batch's records leave the house.
func (w *World) Leave(list []Outgoing) {
	for _, o := range list {
		w.loaded[outgoingKey(o.OutgoingKey)] = struct{}{}
		w.outgoing.put(o.OutgoingKey, o)
		w.weight += len(o.Body)
	}
}

func (l *loader) gatherOutgoing(n *Need) {
	for _, k := range n.Outgoing {
		if l.first(outgoingKey(k)) {
			l.outgoingKeys = append(l.outgoingKeys, k.Queue, k.Line, k.Num)
		}
	}
}

func (l *loader) outgoing() {
	l.in("SELECT "+OutgoingColumns+" FROM outgoing o WHERE (o.queue, o.line, o.num) IN (VALUES ?*)", 3, l.outgoingKeys,
		keep(&l.w.outgoing, func(o *Outgoing) OutgoingKey { return o.OutgoingKey }, ScanOutgoing))
}

func (w *World) flushOutgoing(ctx context.Context, s *sqldb.Session) error {
	rows := flat(&w.outgoing, func(o *Outgoing) []any {
		return []any{o.Queue, o.Line, o.Num, o.At, o.Due, o.Tries, int64(o.State), o.Error, o.Kind, o.Body, o.Owner}
	})
	if err := s.Write(ctx, `INSERT INTO outgoing (queue, line, num, at, due, tries, state, error, kind, body, owner) VALUES ?*
		ON CONFLICT (queue, line, num) DO UPDATE SET due = excluded.due, tries = excluded.tries, state = excluded.state, error = excluded.error, body = excluded.body`, 11, rows); err != nil {
		return err
	}
	for _, a := range w.also {
		if err := s.Write(ctx, a.template, a.width, a.values); err != nil {
			return err
		}
	}
	return nil
}
