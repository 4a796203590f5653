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
