package txn

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

// OutboxEvent returns a declared event, or nil.
func (tx *Tx) OutboxEvent(k OutboxKey) *OutboxEvent { return tx.outbox.get(k) }

// PutOutboxEvent writes what became of an event.
func (tx *Tx) PutOutboxEvent(o OutboxEvent) {
	tx.mustKnow(outboxRowKey(o.OutboxKey))
	tx.stage(func() { tx.outbox.put(o.OutboxKey, o) })
}

// Enqueue lets events leave the house with what the unit has put.
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

// EnqueueNow lets events of this batch's records leave the house.
func (tx *Tx) EnqueueNow(list []OutboxEvent) {
	for _, o := range list {
		tx.loaded[outboxRowKey(o.OutboxKey)] = struct{}{}
		tx.outbox.put(o.OutboxKey, o)
		tx.weight += len(o.Body)
	}
}
