package store_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/txn"
)

// TestPatience: when PostgreSQL has lost its synchronous standby, and commits hang, each caller has a response within
// the patience, whenever the call came; the age of the commit under way is known; and calls go on when the standby is
// back.
func TestPatience(t *testing.T) {
	pg, url := newDatabase(t)
	const patience = 10 * time.Second
	s, err := store.Open(t.Context(), store.Options{Postgres: url, Writers: 1, Patience: patience,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, s, nil)
	standby := func(name string) {
		t.Helper()
		if err := pg.SQL(t.Context(), "postgres", "ALTER SYSTEM SET synchronous_standby_names = '"+name+"'"); err != nil {
			t.Fatal(err)
		}
		if err := pg.SQL(t.Context(), "postgres", "SELECT pg_reload_conf()"); err != nil {
			t.Fatal(err)
		}
	}
	type answer struct {
		took time.Duration
		err  error
	}
	answers := make(chan answer, 1000)
	submit := func() {
		begin := time.Now()
		if err := s.Submit(&store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a"}}, Decide: func(tx *txn.Tx) error {
			tx.Append("user:a", txn.Draft{Body: text(`"x"`)})
			return nil
		}, Done: func(err error) { answers <- answer{time.Since(begin), err} }}); err != nil {
			t.Fatal(err)
		}
	}
	submit()
	if a := <-answers; a.err != nil {
		t.Fatal(a.err)
	}
	standby("absent")
	<-time.After(300 * time.Millisecond)
	const seconds, crowd = 12, 600
	oldest := time.Duration(0)
	for range crowd { // more than a batch
		submit()
	}
	for range seconds {
		submit()
		<-time.After(time.Second)
		oldest = max(oldest, s.CommitAge())
	}
	for n := range crowd + seconds {
		if n > 0 && s.Reachable() {
			t.Fatal("while commits hang, the store calls itself reachable")
		}
		if a := <-answers; a.err == nil || im.CodeOf(a.err) != im.CodeInternal || a.took > patience+time.Second {
			t.Errorf("a call was answered after %v with %v", a.took, a.err)
		}
	}
	if oldest < time.Second {
		t.Errorf("the oldest commit under way took %v", oldest)
	}
	standby("")
	for limit := time.Now().Add(20 * time.Second); !s.Reachable(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("with its standby back, the store is not reachable")
		}
	}
	submit()
	if a := <-answers; a.err != nil {
		t.Errorf("with its standby back: %v", a.err)
	}
}
