package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/holder"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/test/cluster"
)

// shared is several stores on one database, each over a link that can be cut.
type shared struct {
	stores []*store.Store
	links  []*cluster.Link
}

func newShared(t *testing.T, n int, opt store.Options) *shared {
	t.Helper()
	pg, _ := newDatabase(t)
	s := &shared{}
	for range n {
		l, err := cluster.NewLink(pg.Addr(), false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		one := opt
		one.Postgres = urlOver(l)
		one.Log = slog.New(slog.DiscardHandler)
		st, err := store.Open(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			if err := st.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(func() { l.Heal(); stop(); running.Wait(); _ = st.Close() })
		s.stores, s.links = append(s.stores, st), append(s.links, l)
	}
	return s
}

// urlOver is the address of a test's database over a link.
func urlOver(l *cluster.Link) string {
	return "postgres://beckon@" + l.Addr() + "/" + databaseName + "?sslmode=disable"
}

// do runs a unit on a store and waits for its outcome.
func (s *shared) do(node int, need txn.ReadSet, decide func(*txn.Tx) error) error {
	done := make(chan error, 1)
	if err := s.stores[node].Submit(&store.Unit{Reads: need, Decide: decide,
		Done: func(err error) { done <- err }}); err != nil {
		return err
	}
	return <-done
}

// TestStoresShareTopics: units of several stores and writers that meet on the same topics, some of which they name only
// on the way, never lose or double a number.
func TestStoresShareTopics(t *testing.T) {
	s := newShared(t, 3, store.Options{Writers: 2})
	const workers, each, topics = 12, 60, 7
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range each {
				first, second := fmt.Sprint("user:", rand.IntN(topics)), fmt.Sprint("user:", rand.IntN(topics))
				body := text(fmt.Sprintf(`"%d-%d"`, w, i))
				err := s.do(w%3, txn.ReadSet{Topics: []string{first}}, func(v *txn.Tx) error {
					if err := v.Require(second); err != nil {
						return err
					}
					v.Append(first, txn.Draft{Body: body})
					if second != first {
						v.Append(second, txn.Draft{Body: body})
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	count := map[string]int{}
	for i := range topics {
		p, err := s.stores[0].Records(t.Context(), fmt.Sprint("user:", i), 0, 10_000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for n, r := range p.Records {
			if r.Seq != uint64(n+1) {
				t.Fatalf("user:%d has a gap before %d", i, r.Seq)
			}
			count[string(r.Body)]++
		}
	}
	if len(count) != workers*each {
		t.Errorf("%d of %d units are there", len(count), workers*each)
	}
}

// TestOneIDOneInvitation: two people who propose the same inviteID at the same time on different nodes: one has it, the
// other sees it.
func TestOneIDOneInvitation(t *testing.T) {
	s := newShared(t, 2, store.Options{})
	for i := range 40 {
		id := fmt.Sprint("i", i)
		var taken sync.Map
		var both sync.WaitGroup
		for n, who := range []string{"ann", "bob"} {
			both.Go(func() {
				err := s.do(n, txn.ReadSet{Topics: []string{"user:" + who}, Invitations: []string{id}}, func(tx *txn.Tx) error {
					if tx.Invitation(id) != nil {
						return errors.New("taken")
					}
					v, _ := invite.New(invite.Terms{ID: id, Inviter: who}, nil, invite.Actor{}, "p", tx.Now)
					tx.PutInvitation(v)
					return nil
				})
				if err != nil {
					taken.Store(who, err.Error())
				}
			})
		}
		both.Wait()
		losers := 0
		taken.Range(func(_, why any) bool {
			if losers++; why != "taken" {
				t.Errorf("%s: %v", id, why)
			}
			return true
		})
		if losers != 1 {
			t.Fatalf("%s: %d of 2 were refused", id, losers)
		}
	}
}

// TestBrokenLinks: however often the links to the database break, what is acknowledged stands there once, and what is
// refused at most once.
func TestBrokenLinks(t *testing.T) {
	s := newShared(t, 2, store.Options{Patience: 3 * time.Second})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	done, failed := map[string]bool{}, 0
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				body := fmt.Sprintf(`"%d-%d"`, w, i)
				topics := []string{fmt.Sprint("user:", w/2), fmt.Sprint("user:new-", w, "-", i/50)} // new topics come too
				err := s.do(w%2, txn.ReadSet{Topics: topics}, func(v *txn.Tx) error {
					for _, t := range topics {
						v.Append(t, txn.Draft{Body: text(body)})
					}
					return nil
				})
				mu.Lock()
				if done[body] = err == nil; err != nil {
					failed++
				}
				mu.Unlock()
			}
		})
	}
	for i := range 30 {
		<-time.After(time.Duration(20+rand.IntN(120)) * time.Millisecond) // load, not a wait for an outcome
		s.links[i%2].Cut()
		<-time.After(time.Duration(rand.IntN(100)) * time.Millisecond)
		s.links[i%2].Heal()
	}
	stop()
	all.Wait()
	found := map[string]int{}
	for w := range 8 {
		for after := uint64(0); ; {
			p, err := s.stores[0].Records(t.Context(), fmt.Sprint("user:", w), after, 5000, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				if after++; r.Seq != after {
					t.Fatalf("user:%d has a gap before %d", w, r.Seq)
				}
				found[string(r.Body)]++
			}
			if len(p.Records) == 0 {
				break
			}
		}
	}
	acked := 0
	for body, ok := range done {
		if n := found[body]; ok && n != 1 || n > 1 {
			t.Errorf("%s: acknowledged %v, and it stands there %d times", body, ok, n)
		}
		if ok {
			acked++
		}
	}
	if acked < 100 {
		t.Errorf("only %d units were acknowledged", acked)
	}
	t.Logf("%d units acknowledged, %d refused, over 30 broken links", acked, failed)
}

// TestUpgradeWhileRunning: a node of the release before continues while new ones bring the schema up to date, and
// retention finds the records that it appends.
func TestUpgradeWhileRunning(t *testing.T) {
	_, url := newDatabase(t)
	quiet := slog.New(slog.DiscardHandler)
	s, err := store.Open(t.Context(), store.Options{Postgres: url, Schema: 13, Log: quiet})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	done := make([]int, 4)
	for w := range done {
		all.Go(func() {
			db, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = db.Close(t.Context()) }()
			for ; ctx.Err() == nil; done[w]++ {
				if err := appendAsBefore(t.Context(), db, fmt.Sprint("user:", w), done[w]+1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	stores := make([]*store.Store, 2)
	var opening sync.WaitGroup
	for i := range stores { // two new nodes start together
		opening.Go(func() {
			var err error
			if stores[i], err = store.Open(t.Context(), store.Options{Postgres: url, Log: quiet}); err != nil {
				t.Error(err)
			}
		})
	}
	opening.Wait()
	stop()
	all.Wait()
	if t.Failed() {
		return
	}
	if err := stores[1].Close(); err != nil {
		t.Error(err)
	}
	storetest.Run(t, stores[0], nil)
	now := stores[0].Now()
	if due, err := stores[0].DueSoon(t.Context(), now, store.Deadline{}, store.Share{Count: 1}, now, 10); err != nil ||
		len(due) != 0 {
		t.Error(due, err)
	}
	for w, n := range done {
		if head, err := stores[0].Head(t.Context(), fmt.Sprint("user:", w)); err != nil || head != uint64(n) || n == 0 {
			t.Errorf("user:%d has %d of %d records, %v", w, head, n, err)
		}
	}
	if err := retention.New(stores[0], retention.Options{Age: time.Hour}).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	for w, n := range done {
		p, err := stores[0].Records(t.Context(), fmt.Sprint("user:", w), 0, 10, 1<<20)
		if err != nil || len(p.Records) != 0 || p.Floor != uint64(n) {
			t.Errorf("retention leaves %d records of user:%d behind %d, %v", len(p.Records), w, p.Floor, err)
		}
	}
}

// appendAsBefore appends an old record with the statements of the release before.
func appendAsBefore(ctx context.Context, db *pgx.Conn, topic string, seq int) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue("INSERT INTO topic (name, head) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING", topic)
		b.Queue("SELECT name, head, counted FROM topic WHERE name = $1 FOR UPDATE", topic)
		b.Queue("INSERT INTO record (topic, seq, at, device, listen, body) VALUES ($1, $2, $3, '', '', '{}')", topic, seq,
			seq)
		b.Queue("INSERT INTO topic (name, head, counted) VALUES ($1, $2, 0) ON CONFLICT (name) DO UPDATE SET "+
			"head = excluded.head, counted = excluded.counted", topic, seq)
		return tx.SendBatch(ctx, b).Close()
	})
}

// TestTheDatabasesClock: a node whose clock is wrong decides by the database's, and its own Now follows it.
func TestTheDatabasesClock(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		s := newShared(t, 1, store.Options{Now: func() int64 { return time.Now().Add(skew).UnixMilli() }})
		var now int64
		if err := s.do(0, txn.ReadSet{}, func(tx *txn.Tx) error { now = tx.Now; return nil }); err != nil {
			t.Fatal(err)
		}
		for what, at := range map[string]int64{"a unit's time": now, "the store's time": s.stores[0].Now()} {
			if d := time.Since(time.UnixMilli(at)).Abs(); d > time.Minute {
				t.Errorf("%s is %v away from the database's", what, d)
			}
		}
	}
}

// TestNULStands: people may send U+0000, which PostgreSQL's text does not have.
func TestNULStands(t *testing.T) {
	s := newShared(t, 1, store.Options{})
	odd := "a\x00b\uFFFEc"
	if err := s.do(0, txn.ReadSet{Topics: []string{"user:a"}, Users: []string{"a"}}, func(tx *txn.Tx) error {
		tx.PutUser(txn.User{UserID: "a", Profile: odd, Status: strings.Repeat(odd, 3)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if p, err := s.stores[0].User(t.Context(), "a"); err != nil || p.Profile != odd || p.Status != strings.Repeat(odd, 3) {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestMigrationOfHolders: the files of messages that were sent before the migration are held by them.
func TestMigrationOfHolders(t *testing.T) {
	s := newShared(t, 1, store.Options{Schema: 10})
	err := s.stores[0].Once(t.Context(), func(sess *sqldb.Session) error {
		for i, r := range [][3]any{
			{`{"image":{"fileID":"f-1","thumbID":"t-1"},"customData":"\u0000"}`, "m1", 0},
			{`{"revoked":true}`, "m3", 1},
			{`{"text":"\"fileID\":\"f-3\""}`, "m4", 0},
			{`{"video":{"fileID":"f-2"}}`, "m5", 0},
		} {
			if err := sess.Exec(t.Context(), "INSERT INTO record (topic, seq, at, device, listen, body, msg, flags) VALUES "+
				"('user:a', $1, 1, '', '', $2, $3, $4)", i+1, r[0], r[1], r[2]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := store.Open(t.Context(), store.Options{Postgres: urlOver(s.links[0])})
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	for id, want := range map[string]bool{"f-1": true, "t-1": true, "f-2": true, "f-3": false} {
		if may, err := holder.MayRead(t.Context(), fresh, id, "a"); err != nil || may != want {
			t.Errorf("%s: %v, %v", id, may, err)
		}
	}
}
