package delivery

import "github.com/beckon-im/beckon/internal/txn"

// Local is the bus of a single node. It delivers published records synchronously.
type Local struct{ receive func([]txn.Record) }

// NewLocal returns the bus of a single node.
func NewLocal() *Local { return &Local{} }

// Publish delivers records on this node.
func (l *Local) Publish(records []txn.Record) { l.receive(records) }

// OnRecords sets the handler of records.
func (l *Local) OnRecords(f func([]txn.Record), _ func([]byte) bool) { l.receive = f }

// OnLoss does nothing: no record is lost.
func (l *Local) OnLoss(func(string, []int)) {}

// Subscribe does nothing: this node receives all records.
func (l *Local) Subscribe(string) error { return nil }

// Unsubscribe does nothing.
func (l *Local) Unsubscribe(string) error { return nil }
