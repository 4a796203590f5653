package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/txn"
)

// TestOrdinaryUnitsStayTogether: beside a slow unit, units that need one more load are committed together, and not each
// alone behind it.
func TestOrdinaryUnitsStayTogether(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, s, nil)
	const ordinary = 200
	ended := make(chan error, ordinary+1)
	submit := func(decide func(*txn.Tx) error) {
		if err := s.Submit(&store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a"}}, Decide: decide,
			Done: func(err error) { ended <- err }}); err != nil {
			t.Fatal(err)
		}
	}
	begun, queued := make(chan struct{}), make(chan struct{})
	submit(func(*txn.Tx) error { close(begun); <-queued; return nil })
	<-begun
	submit(func(*txn.Tx) error { <-time.After(30 * time.Millisecond); return nil })
	for i := range ordinary {
		group := fmt.Sprint("g", i)
		submit(func(tx *txn.Tx) error {
			if !tx.HasRoster(group) {
				return &txn.NeedReads{Reads: txn.ReadSet{AllMembers: []string{group}}}
			}
			tx.Append("user:a", txn.Draft{Body: text(`"x"`)})
			return nil
		})
	}
	batches := s.Stats().Batches
	close(queued)
	for range ordinary + 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Stats().Batches - batches; n > 5 {
		t.Errorf("%d units took %d commits", ordinary, n)
	}
}

// TestLargeUnitGivesWay: a unit that loads more rows after a long time lets waiting units commit first, and then
// continues.
func TestLargeUnitGivesWay(t *testing.T) {
	for _, opt := range []store.Options{{}, {CacheRows: 1}} {
		opt.Dir = t.TempDir()
		s, err := store.Open(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		stop := storetest.Run(t, s, nil)
		ended := make(chan string, 2)
		begun, queued := make(chan struct{}), make(chan struct{})
		submit := func(name string, decide func(*txn.Tx) error) {
			if err := s.Submit(&store.Unit{Decide: decide, Done: func(err error) {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				ended <- name
			}}); err != nil {
				t.Fatal(err)
			}
		}
		first := true
		submit("large", func(tx *txn.Tx) error {
			if first {
				first = false
				close(begun)
				<-queued
				<-time.After(30 * time.Millisecond)
			}
			if !tx.HasRoster("g") {
				return &txn.NeedReads{Reads: txn.ReadSet{AllMembers: []string{"g"}}}
			}
			return nil
		})
		<-begun
		submit("small", func(*txn.Tx) error { return nil })
		close(queued)
		if one, two := <-ended, <-ended; one != "small" || two != "large" {
			t.Errorf("%s ended before %s", one, two)
		}
		stop()
	}
}
