package txn

import "github.com/beckon-im/beckon/internal/sqldb"

var outbox = &schema[OutboxKey, OutboxEvent]{
	Schema: Schema{
		Name: "outgoing", Key: columns("queue line num"),
		Columns:  columns("queue line num at due tries state error kind body owner"),
		Fixed:    columns("at kind owner"),
		Personal: personal{Erase: "pushes that name the user are removed; an export leaves out events of minutes"},
	}.Build(),
	key: func(o *OutboxEvent) OutboxKey { return o.OutboxKey },
	encode: func(row []any, o *OutboxEvent) []any {
		return append(row, o.Queue, o.OrderingKey, o.Seq, o.At, o.Due, o.Tries, int64(o.State), o.Error, o.Kind, o.Body,
			o.Owner)
	},
	decode: ScanOutboxEvent,
}

// ScanOutboxEvent reads the columns of an outbox event.
func ScanOutboxEvent(row sqldb.Row) (*OutboxEvent, error) {
	var o OutboxEvent
	return &o, row.Scan(&o.Queue, &o.OrderingKey, &o.Seq, &o.At, &o.Due, &o.Tries, &o.State, &o.Error, &o.Kind, &o.Body,
		&o.Owner)
}

// PushTokens holds the addresses of devices for pushes.
var PushTokens = Schema{
	Name: "push_token", Key: columns("key"), Columns: columns("key user_id device_id provider body at"),
	Fixed:    columns("provider"),
	Personal: personal{Export: []string{"device"}, Private: columns("user_id"), Erase: "its rows are removed"},
}.Build()

// Stats holds the counters of nodes in steps of five minutes.
var Stats = Schema{
	Name: "stat", Key: columns("at node name"), Columns: columns("at node name n"),
	Personal: personal{None: "counts"},
}.Build()

// Erasures holds the erasures of users.
var Erasures = Schema{
	Name: "erasure", Key: columns("user_id"),
	Columns:  columns("user_id at until stage place rewritten memberships files error owner owned_until ended_at"),
	Personal: personal{Erase: "kept: 30 days"},
}.Build()

// meta holds the identity of the database. An export has the epoch in its first line.
var meta = Schema{
	Name: "meta", Key: columns("name"), Columns: columns("name value"),
	NoDump: "each database has its own", Personal: personal{None: "the identity of the database"},
}.Build()
