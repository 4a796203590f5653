package store_test

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/txn"
)

// decided returns the time of a transaction.
func decided(t *testing.T, s *store.Store) (now int64) {
	t.Helper()
	done := make(chan error, 1)
	if err := s.Submit(&store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a"}}, Decide: func(tx *txn.Tx) error {
		now = tx.Now
		tx.Append("user:a", txn.Draft{Body: text(`"x"`)})
		return nil
	}, Done: func(err error) { done <- err }}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return now
}

// course is the begin of a series of decisions, and the time of the first.
type course struct {
	begin time.Time
	first int64
}

func begin(t *testing.T, s *store.Store) course { return course{time.Now(), decided(t, s)} }

// check checks that a decision follows the monotonic clock within 6 %, and a second for the commits.
func (c course) check(t *testing.T, now int64) {
	t.Helper()
	gone, ran := time.Since(c.begin).Milliseconds(), now-c.first
	if ran < gone*94/100-1000 || ran > gone*106/100+1000 {
		t.Fatalf("after %d ms a decision is at +%d ms", gone, ran)
	}
}

// steady checks the decisions of stores for some time; none is before the one before it.
func (c course) steady(t *testing.T, stores []*store.Store, d time.Duration) {
	t.Helper()
	last := int64(0)
	for from := time.Now(); time.Since(from) < d; {
		for i, s := range stores {
			now := decided(t, s)
			if c.check(t, now); now < last {
				t.Fatalf("node %d decides %d ms before the decision before", i, last-now)
			}
			last = now
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestWallClockSteps: on SQLite, setting the machine's clock forward or back by an hour changes no decision, and after
// a restart the time does not go back.
func TestWallClockSteps(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		var skew atomic.Int64
		opt := store.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
			Wall: func() int64 { return time.Now().UnixMilli() + skew.Load() }}
		s, err := store.Open(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		stop := storetest.Run(t, s, nil)
		c := begin(t, s)
		c.steady(t, []*store.Store{s}, 300*time.Millisecond)
		skew.Store(step.Milliseconds())
		c.steady(t, []*store.Store{s}, 600*time.Millisecond)
		if n, behind := s.ClockSteps(), s.ClockBehind(); n != 1 || (behind > 0) != (step > 0) {
			t.Errorf("after a step of %v: %d steps, %d ms behind", step, n, behind)
		}
		last := decided(t, s)
		stop()
		if s, err = store.Open(t.Context(), opt); err != nil {
			t.Fatal(err)
		}
		storetest.Run(t, s, nil)
		if now := decided(t, s); now < last || step < 0 && now > last+60_000 {
			t.Errorf("after a restart with a step of %v the time is %d ms later", step, now-last)
		}
	}
}

// skewed replaces the database's clock by one that tests set.
const skewed = `CREATE TABLE skew (ms bigint);
INSERT INTO skew VALUES (0);
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
$$ SELECT pg_catalog.clock_timestamp() + (SELECT ms FROM public.skew) * interval '1 ms' $$;
ALTER DATABASE test SET search_path = public, pg_catalog`

// onSteppedPostgres runs nodes on a database with a clock that the test sets.
func onSteppedPostgres(t *testing.T, n int) (stores []*store.Store, set func(time.Duration), open func() *store.Store) {
	t.Helper()
	pg, url := newDatabase(t)
	run := func(sql string) {
		t.Helper()
		if err := pg.SQL(t.Context(), databaseName, sql); err != nil {
			t.Fatal(err)
		}
	}
	run(skewed)
	open = func() *store.Store {
		t.Helper()
		s, err := store.Open(t.Context(), store.Options{Postgres: url, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		storetest.Run(t, s, nil)
		return s
	}
	for range n {
		stores = append(stores, open())
	}
	return stores, func(d time.Duration) { run(fmt.Sprint("UPDATE skew SET ms = ", d.Milliseconds())) }, open
}

// TestDatabaseClockSteps: on PostgreSQL, setting the database's clock forward, back, and to the right time changes no
// decision of any node; a node that starts meanwhile has the same time.
func TestDatabaseClockSteps(t *testing.T) {
	stores, set, open := onSteppedPostgres(t, 2)
	c := begin(t, stores[0])
	for _, step := range []time.Duration{time.Hour, -10 * time.Minute, 0, 2 * time.Second} {
		set(step)
		c.steady(t, stores, 2*time.Second)
		if len(stores) == 2 {
			stores = append(stores, open())
			c.steady(t, stores, time.Second)
		}
	}
	steps := int64(0)
	for _, s := range stores {
		steps += s.ClockSteps()
	}
	if steps < 4 {
		t.Errorf("%d steps were counted", steps)
	}
}

// TestTimelineAcrossSteps: the records of a timeline that two nodes write at the same time are in the order of time,
// also when the database's clock is set, by little and by much.
func TestTimelineAcrossSteps(t *testing.T) {
	stores, set, _ := onSteppedPostgres(t, 2)
	done := make(chan struct{})
	var writing sync.WaitGroup
	for _, s := range stores {
		for range 4 {
			writing.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						decided(t, s)
					}
				}
			})
		}
	}
	for _, step := range []time.Duration{time.Hour, 0, -300 * time.Millisecond, -10 * time.Minute, 0} {
		set(step)
		<-time.After(700 * time.Millisecond) // decisions before and after the step
	}
	close(done)
	writing.Wait()
	var after uint64
	var last int64
	for {
		page, err := stores[0].Records(t.Context(), "user:a", after, 1000, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			if r.At < last {
				t.Errorf("record %d is %d ms before the one before it", r.Seq, last-r.At)
			}
			after, last = r.Seq, r.At
		}
		if after == page.Head {
			break
		}
	}
	if after < 100 {
		t.Errorf("only %d records", after)
	}
}

// TestPausedNode: after a pause of its machine, which stops the monotonic clock, a node follows the database, and does
// not set the time of the others back.
func TestPausedNode(t *testing.T) {
	stores, _, _ := onSteppedPostgres(t, 2)
	c := begin(t, stores[1])
	<-time.After(1500 * time.Millisecond) // both have noted the time
	store.Pause(stores[0], 6*time.Second)
	c.steady(t, stores[1:], 3*time.Second)
	c.check(t, decided(t, stores[0]))
	if n := stores[0].ClockSteps() + stores[1].ClockSteps(); n != 0 {
		t.Errorf("%d steps were counted", n)
	}
}

// TestDatabaseClockBehindAtStart: a node that starts while the database's clock is behind continues with the latest
// time.
func TestDatabaseClockBehindAtStart(t *testing.T) {
	stores, set, open := onSteppedPostgres(t, 1)
	<-time.After(3 * time.Second) // the time is stored every second
	last := decided(t, stores[0])
	set(-10 * time.Minute)
	if now := decided(t, open()); now < last-10_000 {
		t.Errorf("a node that starts decides %d ms before the latest decision", last-now)
	}
}

// TestStartAfterNote: a node that starts while the last noted time is a little ahead of the database's clock follows
// that time, and goes no further.
func TestStartAfterNote(t *testing.T) {
	pg, url := newDatabase(t)
	opt := store.Options{Postgres: url, Log: slog.New(slog.DiscardHandler)}
	first, err := store.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	const ahead = 900
	if err := pg.SQL(t.Context(), databaseName, fmt.Sprintf("INSERT INTO meta (name, value) "+
		"SELECT 'time', (ms + %d) || ' ' || ms FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms) c "+
		"ON CONFLICT (name) DO UPDATE SET value = excluded.value", ahead)); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, s, nil)
	if off := decided(t, s) - time.Now().UnixMilli(); off > ahead+500 {
		t.Errorf("the node decides %d ms ahead of the database's clock", off)
	}
}
