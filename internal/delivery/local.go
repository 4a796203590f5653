package delivery

import "github.com/beckon-im/beckon/internal/txn"

// Local is the bus of a single node: what is published is offered at once.
type Local struct{ receive func([]txn.Record) }

// NewLocal makes the bus of a single node.
func NewLocal() *Local { return &Local{} }

// Publish offers records to this node.
func (l *Local) Publish(records []txn.Record) { l.receive(records) }

// OnRecords sets who is offered records.
func (l *Local) OnRecords(f func([]txn.Record)) { l.receive = f }

// Subscribe does nothing: this node is offered everything.
func (l *Local) Subscribe(string) error { return nil }

// Unsubscribe does nothing.
func (l *Local) Unsubscribe(string) error { return nil }
