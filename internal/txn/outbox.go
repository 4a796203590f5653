package txn

// The queues.
const (
	QueueHook = "hook" // webhooks
	QueuePush = "push"
)

// OutboxKey names an event of the outbox: its queue, its ordering key, and its position there.
type OutboxKey struct {
	Queue       string
	OrderingKey string
	Seq         int64
}

// OutboxEvent is an event for a webhook or a push, with its state.
type OutboxEvent struct {
	OutboxKey
	At    int64 // time of the event, milliseconds
	Due   int64 // time of the next attempt
	Tries int64
	State OutboxState
	Error string // of the last attempt
	Kind  string
	Body  string // JSON
	Owner string // a user; empty = none
}

// OutboxState is the state of an event.
type OutboxState int64

// The states of an event.
const (
	OutgoingWaits OutboxState = iota
	OutgoingDone
	OutgoingDead // given up
)

// OutboxEvent returns a declared event, or nil.
func (tx *Tx) OutboxEvent(k OutboxKey) *OutboxEvent { return tx.outbox.get(k) }

// PutOutboxEvent writes the state of an event.
func (tx *Tx) PutOutboxEvent(o OutboxEvent) {
	tx.mustKnow(outboxRowKey(o.OutboxKey))
	tx.stage(func() { tx.outbox.put(o.OutboxKey, o) })
}

// Enqueue adds events to the outbox when the unit is applied.
func (tx *Tx) Enqueue(list ...OutboxEvent) { tx.stage(func() { tx.EnqueueNow(list) }) }

// Upsert writes rows of a table that no unit reads.
func (tx *Tx) Upsert(d *Schema, values ...any) { tx.Exec(d.Upsert, d.Width, values...) }

// Exec runs a template of sqldb.Session.Write on a table that no unit reads.
func (tx *Tx) Exec(template string, width int, values ...any) {
	tx.stage(func() { tx.execs = append(tx.execs, execRow{template, width, values}) })
}

type execRow struct {
	template string
	width    int
	values   []any
}

// EnqueueNow adds events of this batch's records to the outbox.
func (tx *Tx) EnqueueNow(list []OutboxEvent) {
	for _, o := range list {
		tx.loaded[outboxRowKey(o.OutboxKey)] = struct{}{}
		tx.outbox.put(o.OutboxKey, o)
		tx.weight += len(o.Body)
	}
}
