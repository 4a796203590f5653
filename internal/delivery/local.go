package delivery

import "github.com/beckon-im/beckon/internal/txn"

// Local is the bus of a single node: what is published is offered at once.
type Local struct{ receive func([]txn.Record) }

// NewLocal makes the bus of a single node.
func NewLocal() *Local { return &Local{} }

// Publish offers records to this node.
func (l *Local) Publish(records []txn.Record) { l.receive(records) }

// Receive sets who is offered records.
func (l *Local) Receive(f func([]txn.Record)) { l.receive = f }

// Follow does nothing: this node is offered everything.
func (l *Local) Follow(string) error { return nil }

// Unfollow does nothing.
func (l *Local) Unfollow(string) error { return nil }
