package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is an in-memory log.
type memory struct {
	mu     sync.Mutex
	topics map[string][]txn.Record
	broken bool
	heads  int // that were read
}

func (m *memory) append(topic string, n int) []txn.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []txn.Record
	for range n {
		r := txn.Record{Topic: topic, Seq: uint64(len(m.topics[topic]) + 1)}
		m.topics[topic] = append(m.topics[topic], r)
		list = append(list, r)
	}
	return list
}

func (m *memory) read() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heads
}

func (m *memory) breakDown(broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = broken
}

func (m *memory) Records(_ context.Context, topic string, after uint64, limit, _ int) (store.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return store.Page{}, fmt.Errorf("log unavailable")
	}
	all := m.topics[topic]
	p := store.Page{Head: uint64(len(all))}
	if int(after) < len(all) {
		p.Records = all[after:min(len(all), int(after)+min(limit, 7))] // short pages, so that several are needed
	}
	return p, nil
}

func (m *memory) Heads(_ context.Context, topics []string) (map[string]uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return nil, fmt.Errorf("log unavailable")
	}
	heads := map[string]uint64{}
	for _, t := range topics {
		heads[t] = uint64(len(m.topics[t]))
	}
	m.heads += len(topics)
	return heads, nil
}

// wild is a bus that drops, duplicates and reorders records.
type wild struct {
	Local
	drop float64
}

func (w *wild) Publish(records []txn.Record) {
	list := slices.Clone(records)
	for _, r := range records {
		if rand.Float64() < 0.3 {
			list = append(list, r)
		}
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, r := range list {
		if rand.Float64() >= w.drop {
			w.Local.Publish([]txn.Record{r})
		}
	}
}

// ears records the delivered records.
type ears struct {
	mu    sync.Mutex
	heard map[string][]uint64
	order []string
}

func (e *ears) Deliver(r txn.Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard[r.Topic] = append(e.heard[r.Topic], r.Seq)
	e.order = append(e.order, fmt.Sprintf("record %d", r.Seq))
}

func (e *ears) Listen(topic string, _ uint64, l listen.Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.order = append(e.order, fmt.Sprintf("listen to %s after %d", l.Topic, l.From))
}

func (e *ears) count(topic string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.heard[topic])
}

// open opens a topic at its head.
func (m *memory) open(d *Delivery, topic string) error {
	err := d.Open(topic)
	if err == nil {
		d.Begin(topic, uint64(len(m.topics[topic])))
	}
	return err
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestInOrderOverAnyBus: whatever the bus does, each record is delivered once and in order, at the latest by the sweep.
func TestInOrderOverAnyBus(t *testing.T) {
	for _, drop := range []float64{0, 0.5, 1} {
		t.Run(fmt.Sprintf("drop %.0f%%", drop*100), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, bus, e := &memory{topics: map[string][]txn.Record{}}, &wild{drop: drop}, &ears{heard: map[string][]uint64{}}
				d := New(log, bus, Options{Sweep: time.Second, Log: quiet()})
				d.Serve(e)
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- d.Run(ctx) }()
				log.append("user:a", 3) // before the topic has readers
				for _, topic := range []string{"user:a", "user:b"} {
					if err := log.open(d, topic); err != nil {
						t.Fatal(err)
					}
				}
				for range 50 {
					d.Announce(log.append("user:a", rand.IntN(20)))
					d.Announce(log.append("user:b", rand.IntN(3)))
				}
				time.Sleep(5 * time.Second) // fake clock: more than two sweeps
				synctest.Wait()
				for topic, begin := range map[string]int{"user:a": 3, "user:b": 0} {
					want := len(log.topics[topic]) - begin
					if got := e.count(topic); got != want {
						t.Errorf("%s: %d of %d records were delivered", topic, got, want)
					}
					for i, seq := range e.heard[topic] {
						if seq != uint64(begin+i+1) {
							t.Fatalf("%s: the %d-th delivered is %d", topic, i, seq)
						}
					}
				}
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestABrokenLogHeals: while the log is unavailable nothing is delivered out of order, and everything afterwards.
func TestABrokenLogHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, bus, e := &memory{topics: map[string][]txn.Record{}}, &wild{drop: 1}, &ears{heard: map[string][]uint64{}}
		d := New(log, bus, Options{Sweep: time.Second, Log: quiet()})
		d.Serve(e)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		if err := log.open(d, "user:a"); err != nil {
			t.Fatal(err)
		}
		log.append("user:a", 30)
		log.breakDown(true)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := e.count("user:a"); n != 0 {
			t.Errorf("%d records were delivered that do not exist", n)
		}
		log.breakDown(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := e.count("user:a"); n != 30 {
			t.Errorf("%d of 30 records were delivered", n)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestListenComesAfterItsRecord: a subscription change is applied after its record, and only for topics with readers.
func TestListenComesAfterItsRecord(t *testing.T) {
	log, e := &memory{topics: map[string][]txn.Record{}}, &ears{heard: map[string][]uint64{}}
	d := New(log, NewLocal(), Options{Log: quiet()})
	d.Serve(e)
	if err := log.open(d, "user:a"); err != nil {
		t.Fatal(err)
	}
	d.Announce([]txn.Record{
		{Topic: "user:a", Seq: 2},
		{Topic: "user:a", Seq: 1, Listen: listen.To("group:g", 7)},
		{Topic: "user:nobody", Seq: 1},
		{Topic: "user:a", Seq: 0},
	})
	if want := []string{"record 1", "listen to group:g after 7", "record 2", "record 0"}; !slices.Equal(e.order, want) {
		t.Errorf("%v, want %v", e.order, want)
	}
	if err := d.Close("user:a"); err != nil {
		t.Fatal(err)
	}
	d.Announce([]txn.Record{{Topic: "user:a", Seq: 3}})
	if n := e.count("user:a"); n != 3 {
		t.Errorf("%d records were delivered to a topic without readers", n)
	}
}

// reporting is a bus that loses everything, and reports losses on request.
type reporting struct {
	Local
	loss func(string, []int)
}

func (*reporting) Publish([]txn.Record)           {}
func (r *reporting) OnLoss(f func(string, []int)) { r.loss = f }

// TestSweepOfLosses: while the bus reports all losses, only the heads of the shards concerned are read, and all of them
// once a minute. A failed read is repeated.
func TestSweepOfLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, bus, e := &memory{topics: map[string][]txn.Record{}}, &reporting{}, &ears{heard: map[string][]uint64{}}
		var complete atomic.Bool
		complete.Store(true)
		d := New(log, bus, Options{Sweep: time.Second, Complete: complete.Load, Log: quiet()})
		d.Serve(e)
		const topics = 500
		for i := range topics {
			if err := log.open(d, fmt.Sprint("user:", i)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		after := func(wait time.Duration, least, most int) {
			t.Helper()
			before := log.read()
			time.Sleep(wait)
			synctest.Wait()
			if n := log.read() - before; n < least || n > most {
				t.Errorf("in %v %d heads were read, want %d to %d", wait, n, least, most)
			}
		}
		after(35*time.Second, 0, 0)
		log.append("user:7", 3)
		log.breakDown(true)
		bus.loss("node", []int{Shard("user:7")})
		after(500*time.Millisecond, 0, 0)
		log.breakDown(false)
		after(2*time.Second, topics, topics) // after a failure
		if n := e.count("user:7"); n != 3 {
			t.Errorf("%d of 3 records were delivered", n)
		}
		log.append("user:8", 2)
		bus.loss("node", []int{Shard("user:8")})
		after(500*time.Millisecond, 1, 5)
		if n := e.count("user:8"); n != 2 {
			t.Errorf("%d of 2 records were delivered", n)
		}
		after(2*time.Minute, 2*topics, 2*topics)
		complete.Store(false)
		after(10*time.Second, 9*topics, 10*topics)
		complete.Store(true)
		after(10*time.Second, topics, 2*topics)
		stop()
		<-done
	})
}
