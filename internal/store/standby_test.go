package store_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
	"github.com/beckon-im/beckon/internal/txn"
)

// standbys is a store with a standby for reading, and a second one on the same database, another node.
type standbys struct {
	*testing.T
	store, other *store.Store
	primary      *pgtest.Server
	standby      *pgtest.Server
	head         uint64
}

func newStandbys(t *testing.T) *standbys {
	t.Helper()
	pg, url := newDatabase(t)
	standby, err := pg.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = standby.Close() })
	if err := pg.Set(t.Context(), "synchronous_standby_names", ""); err != nil { // it may be behind
		t.Fatal(err)
	}
	s := &standbys{T: t, primary: pg, standby: standby}
	for _, st := range []**store.Store{&s.store, &s.other} {
		if *st, err = store.Open(t.Context(), store.Options{Postgres: url, Standby: standby.URL(databaseName),
			Log: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		storetest.Run(t, *st, nil)
	}
	return s
}

// write appends a record through a node.
func (s *standbys) write(node *store.Store) {
	s.Helper()
	err := storetest.Do(s, node, txn.ReadSet{Topics: []string{"user:a"}}, func(tx *txn.Tx) error {
		tx.Append("user:a", txn.Draft{Body: text(`"x"`)})
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	s.head++
}

// reads reads the head, and fails unless all commits are in it and the read was counted as the outcome says.
func (s *standbys) reads(outcome string) {
	s.Helper()
	before := s.store.Stats()
	var head, floor uint64
	err := s.store.ViewStandby(s.Context(), func(r sqldb.Reader) error {
		return r.Read(s.Context(), queries.Text("TopicHead"), func(row sqldb.Row) error { return row.Scan(&head, &floor) },
			"user:a")
	})
	if err != nil || head != s.head {
		s.Errorf("the head is %d, %v; %d was committed", head, err, s.head)
	}
	after := s.store.Stats()
	got := "primary"
	switch {
	case after.Standby > before.Standby:
		got = "standby"
	case after.StandbyBehind > before.StandbyBehind:
		got = "behind"
	case after.StandbyFailed > before.StandbyFailed:
		got = "failed"
	}
	if outcome != "" && got != outcome {
		s.Errorf("a read had the outcome %s, not %s", got, outcome)
	}
}

// recovers reads until a standby serves again.
func (s *standbys) recovers() {
	s.Helper()
	served := s.store.Stats().Standby
	limit := time.Now().Add(30 * time.Second)
	for ; s.store.Stats().Standby == served; <-time.After(100 * time.Millisecond) {
		if time.Now().After(limit) {
			s.Fatal("no read is served by the standby again")
		}
		s.reads("")
	}
}

func (s *standbys) onStandby(text string) {
	s.Helper()
	if err := s.standby.SQL(s.Context(), "postgres", text); err != nil {
		s.Fatal(err)
	}
}

// TestStandby: a read from a standby has all commits before it, of this node and of others; while the standby is behind
// or away, the primary is read; one that was promoted is not read any more.
func TestStandby(t *testing.T) {
	s := newStandbys(t)
	s.write(s.store)
	s.recovers()
	for i := range 300 {
		s.write([]*store.Store{s.store, s.other}[i%2])
		s.reads("")
	}
	served := s.store.Stats().Standby
	if served < 100 {
		t.Errorf("the standby served %d of 300 reads", served)
	}
	s.onStandby("SELECT pg_wal_replay_pause()")
	s.write(s.other)
	s.reads("behind")
	s.reads("primary") // without asking it
	s.onStandby("SELECT pg_wal_replay_resume()")
	s.recovers()
	if err := s.standby.Stop(9); err != nil {
		t.Fatal(err)
	}
	s.write(s.other)
	s.reads("failed")
	s.reads("primary")
	if err := s.standby.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.recovers()
	if err := s.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.write(s.other)
	s.reads("behind")
}

// TestStandbyOfAnother: the standby of another database is never read, and its log says why.
func TestStandbyOfAnother(t *testing.T) {
	pg, url := newDatabase(t)
	_, foreign := newDatabase(t)
	if err := pg.SQL(t.Context(), "postgres", "CREATE DATABASE second"); err != nil {
		t.Fatal(err)
	}
	for _, standby := range []string{foreign, pg.URL("second")} {
		var log strings.Builder
		st, err := store.Open(t.Context(), store.Options{Postgres: url, Standby: standby,
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		err = st.ViewStandby(t.Context(), func(sqldb.Reader) error { return nil })
		if stats := st.Stats(); err != nil || stats.StandbyFailed != 1 || stats.Standby != 0 {
			t.Errorf("a read gave %v, %+v", err, stats)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "a standby of the primary has") {
			t.Errorf("the log does not name the cause: %s", log.String())
		}
	}
	for parameter, want := range map[string]string{"pgbouncer=true": "connect to the standby itself",
		"pgbouncer=maybe": "must be true or false"} {
		_, err := store.Open(t.Context(), store.Options{Postgres: url, Standby: url + "&" + parameter})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a standby with %s: %v", parameter, err)
		}
	}
}

// TestStandbyOfAnotherTimeline: after a failover, the standby of the old primary is not read, even if it has replayed
// more of its log than the new primary has written.
func TestStandbyOfAnotherTimeline(t *testing.T) {
	s := newStandbys(t)
	s.write(s.store)
	s.recovers()
	promoted, err := s.primary.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = promoted.Close() })
	if err := s.primary.Set(t.Context(), "synchronous_standby_names", ""); err != nil {
		t.Fatal(err)
	}
	if err := promoted.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2000 { // of the old primary, which nobody sees after the failover
		s.write(s.other)
	}
	s.recovers() // its standby has them
	after, err := store.Open(t.Context(), store.Options{Postgres: promoted.URL(databaseName),
		Standby: s.standby.URL(databaseName), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, after, nil)
	old := s.store
	s.store, s.head = after, 1
	s.write(after)
	s.reads("behind")
	s.store = old
}
