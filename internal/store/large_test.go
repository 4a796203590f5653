package store_test

import (
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/txn"
)

// TestLargeUnitGivesWay: a unit that loads more rows after a long time lets waiting units commit first, and then
// continues. Neither order of its loads, nor a stop of the store, loses it.
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
