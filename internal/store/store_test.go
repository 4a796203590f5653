package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSQLite(t *testing.T) { onSQLite(t, store.Options{}) }

// TestForgetful runs the suite with a writer that loads everything anew for each batch, right behind what is being
// applied.
func TestForgetful(t *testing.T) { onSQLite(t, store.Options{CacheRows: 1}) }

func onSQLite(t *testing.T, opt store.Options) {
	storetest.Exercise(t, func(t testing.TB) storetest.Engine {
		opt := opt
		opt.Dir = t.TempDir()
		return func(t testing.TB) *store.Store {
			s, err := store.Open(t.Context(), opt)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

// databaseName is the name of a test's database.
const databaseName = "test"

// newDatabase starts PostgreSQL with an empty database.
func newDatabase(t *testing.T) (pg *pgtest.Server, url string) {
	t.Helper()
	pg, err := pgtest.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Close() })
	if url, err = pg.Database(t.Context(), databaseName); err != nil {
		t.Fatal(err)
	}
	return pg, url
}

// TestPostgres runs the same suite over PostgreSQL, each test in a database of its own.
func TestPostgres(t *testing.T) {
	exerciseThrough(t, func(_ *pgtest.Server, url string) (string, error) { return url, nil })
}

// TestPgBouncer runs it through PgBouncer in transaction mode, with four connections to the database.
func TestPgBouncer(t *testing.T) {
	var pooler *pgtest.Pooler
	exerciseThrough(t, func(pg *pgtest.Server, url string) (_ string, err error) {
		if pooler == nil {
			if pooler, err = pg.Pooler(t.Context()); err != nil {
				return "", err
			}
			t.Cleanup(func() { _ = pooler.Close() })
		}
		return pooler.Through(url)
	})
}

func exerciseThrough(t *testing.T, through func(pg *pgtest.Server, url string) (string, error)) {
	pg, err := pgtest.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Close() })
	n := 0
	storetest.Exercise(t, func(t testing.TB) storetest.Engine {
		n++
		url, err := pg.Database(t.Context(), fmt.Sprintf("suite%d", n))
		if err == nil {
			url, err = through(pg, url)
		}
		if err != nil {
			t.Fatal(err)
		}
		return func(t testing.TB) *store.Store {
			s, err := store.Open(t.Context(), store.Options{Postgres: url, Writers: 1})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

func TestListenOrders(t *testing.T) {
	for order, want := range map[string]listen.Change{
		listen.To("group:a@b", 7): {Topic: "group:a@b", From: 7},
		listen.Stop("group:x"):    {Topic: "group:x", Stop: true},
		listen.EndOfTopic:         {End: true},
	} {
		if got, ok := listen.Parse(order); !ok || got != want {
			t.Errorf("%s is %+v", order, got)
		}
	}
	for _, nonsense := range []string{"", "+x", "+x@y", "x"} {
		if l, ok := listen.Parse(nonsense); ok {
			t.Errorf("%q is %+v", nonsense, l)
		}
	}
}

type text string

func (text) Absorb(txn.Body) bool { return false }
func (b text) JSON() []byte       { return []byte(b) }

// BenchmarkInvite is one one-to-one invite through the store: a row, an invitee, two records. Parallel callers share
// commits.
func BenchmarkInvite(b *testing.B) {
	s, err := store.Open(b.Context(), store.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	defer func() { stop(); running.Wait(); _ = s.Close() }()
	var n sync.WaitGroup
	b.ReportAllocs()
	for i := range b.N {
		n.Add(1)
		from, to := fmt.Sprintf("user:%d", i%1000), fmt.Sprintf("user:%d", (i+500)%1000)
		id := fmt.Sprintf("i%d", i)
		err := s.Submit(&store.Unit{Reads: txn.ReadSet{Topics: []string{from, to}, Invitations: []string{id}},
			Decide: func(tx *txn.Tx) error {
				v, list := invite.New(invite.Terms{ID: id, Inviter: from, Timeout: 60, Data: "hello"}, []string{to}, invite.Actor{},
					"p", tx.Now)
				tx.PutInvitation(v)
				tx.PutInvitee(list[0])
				tx.Append(from, txn.Draft{Body: text(`{"x":1}`)})
				tx.Append(to, txn.Draft{Body: text(`{"x":1}`)})
				return nil
			}, Done: func(err error) {
				if err != nil {
					b.Error(err)
				}
				n.Done()
			}})
		if err != nil {
			b.Fatal(err)
		}
	}
	n.Wait()
}
