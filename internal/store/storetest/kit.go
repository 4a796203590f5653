package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// Run runs a store until the returned function stops it.
func Run(t testing.TB, s *store.Store, announce store.Announcer) (stop func()) {
	if announce != nil {
		s.Announce(announce)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-done, s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// note is a body of text; notes are merged when they begin with a plus sign.
type note struct{ text string }

func (n *note) JSON() []byte { return []byte(`"` + n.text + `"`) }
func (n *note) Absorb(next txn.Body) bool {
	m, ok := next.(*note)
	if !ok || n.text[0] != '+' || m.text[0] != '+' {
		return false
	}
	n.text += m.text
	return true
}

// Do runs a unit and waits for its outcome.
func Do(t testing.TB, s *store.Store, need txn.ReadSet, decide func(*txn.Tx) error) error {
	t.Helper()
	done := make(chan error, 1)
	if err := s.Submit(&store.Unit{Reads: need, Decide: decide, Done: func(err error) { done <- err }}); err != nil {
		t.Fatal(err)
	}
	return <-done
}

// together queues units so that they share a batch: the first waits in its decision until all are queued.
func together(t testing.TB, s *store.Store, units ...*store.Unit) []error {
	t.Helper()
	errs := make([]error, len(units))
	var done sync.WaitGroup
	gate, entered := make(chan struct{}), make(chan struct{})
	var once sync.Once
	done.Add(1)
	if err := s.Submit(&store.Unit{Decide: func(*txn.Tx) error { once.Do(func() { close(entered) }); <-gate; return nil },
		Done: func(error) { done.Done() }}); err != nil {
		t.Fatal(err)
	}
	<-entered
	for i, u := range units {
		done.Add(1)
		u.Done = func(err error) { errs[i] = err; done.Done() }
		if err := s.Submit(u); err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	done.Wait()
	return errs
}

func records(t testing.TB, s *store.Store, topic string, after uint64) []string {
	t.Helper()
	p, err := s.Records(t.Context(), topic, after, 10_000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for i, r := range p.Records {
		if r.Seq != after+uint64(i)+1 {
			t.Errorf("%s: record %d has the sequence %d", topic, i, r.Seq)
		}
		list = append(list, string(r.Body))
	}
	if len(p.Records) > 0 && p.Head != p.Records[len(p.Records)-1].Seq {
		t.Errorf("%s: the head is %d after %d records", topic, p.Head, len(p.Records))
	}
	return list
}
