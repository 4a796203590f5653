package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/internal/txn"
)

// dueQueries lists the queries that retention runs each minute, with the values of a pass at time 1,000,000.
func dueQueries() map[string][]string {
	hook := "'hook'"
	return map[string][]string{
		queries.Text("TombstonesDue"):        {"1000000", "1"},
		queries.Text("FileHoldersDue"):       {"1000000", "1"},
		queries.Text("OnlineInvitationsDue"): {"1000000", "1"},
		queries.Text("InvitationsDue"):       {"1000000", "1"},
		queries.Text("RoomsEnded"):           {"1000000", "1"},
		queries.Text("CallsEnded"):           {"1000000", "1"},
		queries.Text("ApplicationsDue"):      {"1000000", "1"},
		queries.Text("FilesDue"):             {"1000000", "1"},
		queries.Text("TimelinesDue"):         {"1000000", "1"},
		queries.Text("StatsExpired"):         {"1000000", "1"},
		queries.Text("OutboxExpired"):        {hook, "1", "1000000", "1"},
		queries.Text("OutboxAbandoned"):      {hook, "1000000", "1"},
		queries.Text("ErasuresEnded"):        {"1000000", "1"},
		queries.Text("ErasuresToRun"):        {"'node'", "1000000", "100"},

		queries.Numbered("OutboxDue", 7, 1):   {hook, "1000000", "0", "''", "0", "1000", "'owner'"},
		queries.Numbered("OutboxFresh", 5, 1): {hook, "3000000", "3000000", "1000", "'owner'"},
	}
}

// rowsNotDue is the number of rows of each table that are not due.
const rowsNotDue = 100_000

// TestNothingDue: a pass of retention, a scan of the outbox or a look for erasures that finds nothing reads a few pages
// of indexes, beside many rows that are not due or never will be.
func TestNothingDue(t *testing.T) {
	db, _ := newPostgres(t)
	fill := `
		DELETE FROM invitation; DELETE FROM invitee;
		INSERT INTO topic (name, head, oldest) SELECT 'user:' || n, 1, n + 2000000 FROM generate_series(1, %[1]d) n;
		INSERT INTO topic (name, head, floor, oldest) SELECT 'group:' || n, 1, 1, -1 FROM generate_series(1, %[1]d) n;
		INSERT INTO invitation (id, open, ended_at, flags)
			SELECT 'i' || n, n %% 2, CASE n %% 2 WHEN 0 THEN n + 2000000 ELSE 0 END, n %% 4
			FROM generate_series(1, %[1]d) n;
		INSERT INTO media_call SELECT 'c' || n, 'r' || n, '', '', '', '', n, n,
			CASE n %% 2 WHEN 0 THEN n + 2000000 ELSE 0 END, 0, '', '', 0, 0, 0, 0, 0 FROM generate_series(1, %[1]d) n;
		INSERT INTO room (id, owner, invite_id, latest, created_at, ended_at)
			SELECT 'r' || n, '', '', '', n, CASE n %% 2 WHEN 0 THEN n + 2000000 ELSE 0 END FROM generate_series(1, %[1]d) n;
		INSERT INTO file SELECT 'f' || n, '', '', '', '', 0, '', 0, 0, '', n, n + 2000000
			FROM generate_series(1, %[1]d) n;
		INSERT INTO file_holder SELECT 'f' || n, 't', 'm' || n, CASE n %% 2 WHEN 0 THEN n + 2000000 ELSE 0 END
			FROM generate_series(1, %[1]d) n;
		INSERT INTO application SELECT 'g' || n, '', '', '', n %% 2, n, '', '', n + 2000000
			FROM generate_series(1, %[1]d) n;
		INSERT INTO mark SELECT 'i' || n, '', '', n + 2000000 FROM generate_series(1, %[1]d) n;
		INSERT INTO outgoing SELECT 'hook', 'l' || n, n, n + 2000000, n + 2000000, 0, n %% 3, '', '', ''
			FROM generate_series(1, %[1]d) n;
		INSERT INTO erasure SELECT 'u' || n, n, n, 7, '', 0, 0, 0, '', 'node', 0, n + 2000000
			FROM generate_series(1, %[1]d) n;
		INSERT INTO stat SELECT n + 2000000, '', '', 1 FROM generate_series(1, %[1]d) n;`
	if _, err := db.Exec(t.Context(), fmt.Sprintf(fill, rowsNotDue)); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"topic", "invitation", "media_call", "room", "file", "file_holder", "application",
		"mark", "outgoing", "erasure", "stat"} {
		if _, err := db.Exec(t.Context(), "VACUUM ANALYZE "+table); err != nil {
			t.Fatal(err)
		}
	}
	const most = 8 // pages: the height of an index, and some
	for text, args := range dueQueries() {
		if _, err := db.Exec(t.Context(), "PREPARE due AS "+text); err != nil {
			t.Fatal(err)
		}
		var b []byte
		if err := db.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE due("+
			strings.Join(args, ", ")+")").Scan(&b); err != nil {
			t.Fatal(err)
		}
		var plans []struct {
			Plan struct {
				Hit  int `json:"Shared Hit Blocks"`
				Read int `json:"Shared Read Blocks"`
				Rows int `json:"Actual Rows"`
			}
		}
		if err := json.Unmarshal(b, &plans); err != nil {
			t.Fatal(err)
		}
		p := plans[0].Plan
		if t.Logf("%2d pages: %.90s", p.Hit+p.Read, text); p.Hit+p.Read > most || p.Rows != 0 {
			t.Errorf("%d rows of %d pages, at most %d pages: %s\n%s", p.Rows, p.Hit+p.Read, most, text, b)
		}
		if _, err := db.Exec(t.Context(), "DEALLOCATE due"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneNodeAtATime: of several nodes, the one with the lease removes due rows; another one takes over when the
// lease has ended.
func TestOneNodeAtATime(t *testing.T) {
	s := newShared(t, 2, store.Options{})
	r := make([]*retention.Retention, len(s.stores))
	for i, st := range s.stores {
		r[i] = retention.New(st, retention.Options{Age: time.Hour})
	}
	add := func() {
		t.Helper()
		if err := s.do(0, txn.ReadSet{Tombstones: []txn.InviteeKey{{InviteID: "i", UserID: "a"}}}, func(tx *txn.Tx) error {
			// the clocks of the nodes differ by milliseconds
			tx.PutTombstone(txn.Tombstone{InviteID: "i", UserID: "a", ExpiresAt: tx.Now - 1000})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	pass := func(node int, removes bool) {
		t.Helper()
		if err := r[node].Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lag := r[1-node].Lag(t.Context()); (lag == 0) != removes {
			t.Errorf("after a pass of node %d the lag is %v; it should remove: %v", node, lag, removes)
		}
	}
	add()
	pass(0, true)
	add()
	pass(1, false)
	pass(0, true)
	add()
	if err := s.stores[0].MaintainRows(t.Context(), func(ctx context.Context, sess *sqldb.Session, now int64) error {
		return sess.Exec(ctx, queries.Text("MetaSet"), fmt.Sprintf("dead %d", now), "retention")
	}); err != nil {
		t.Fatal(err)
	}
	pass(1, true)
}
