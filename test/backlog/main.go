// Command backlog measures the outbox with a million waiting ordering keys, on SQLite or PostgreSQL: the time from the
// commit of a new event to its delivery, and the cost of the queue while nothing is due. docs/performance.md has the
// results.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/test/database"
)

const (
	queue     = txn.QueueHook
	old       = "old "      // begins the ordering keys of the backlog
	perCommit = 20_000      // events
	slow      = 50          // milliseconds of an attempt that fails
	rounds    = 100         // new events of a measurement
	warmup    = 10          // new events before
	idleTime  = time.Minute // of the measurement of the cost
)

func main() {
	keys := flag.Int("keys", 1_000_000, "waiting ordering keys, each with one event")
	engine := flag.String("engine", "sqlite", "sqlite or postgres")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *engine, *keys); err != nil {
		fmt.Fprintln(os.Stderr, "backlog:", err)
		os.Exit(1)
	}
}

// measurement is a store with a backlog.
type measurement struct {
	store *store.Store
	pg    *pgtest.Server // nil on SQLite
	sent  chan string
}

func run(ctx context.Context, engine string, keys int) error {
	fmt.Printf("%s, %d waiting ordering keys, %s\n\n| state | new event until its delivery: median | 95th of 100 | "+
		"longest | processor time of the queue |\n|---|---|---|---|---|\n", engine, keys,
		time.Now().UTC().Format(time.DateOnly))
	if err := measure(ctx, engine, keys, "all due, their receiver fails after 50 ms", -time.Hour); err != nil {
		return err
	}
	return measure(ctx, engine, keys, "none due", time.Hour)
}

// measure measures a backlog that is due in a time, and prints a line.
func measure(ctx context.Context, engine string, keys int, state string, due time.Duration) (err error) {
	db, err := database.New(ctx, engine)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	m := measurement{sent: make(chan string, rounds), pg: db.Postgres}
	if m.store, err = store.Open(ctx, db.Options); err != nil {
		return err
	}
	if err := m.fill(ctx, keys, due); err != nil {
		return errors.Join(err, m.store.Close())
	}
	if err := m.vacuum(ctx); err != nil {
		return errors.Join(err, m.store.Close())
	}
	// SQLite moves its log when it is closed; during the measurement it would move the log of the whole backlog.
	if err := m.store.Close(); err != nil {
		return err
	}
	syscall.Sync() // an fsync of the measurement would wait for the pages of the backlog
	if m.store, err = store.Open(ctx, db.Options); err != nil {
		return err
	}
	stop := database.Run(ctx, m.store)
	defer func() { err = errors.Join(err, stop()) }()
	return m.run(ctx, state, due > 0)
}

// fill creates the backlog: events that happened an hour ago.
func (m *measurement) fill(ctx context.Context, keys int, due time.Duration) error {
	at, dueAt := m.store.Now()-time.Hour.Milliseconds(), m.store.Now()+due.Milliseconds()
	body := `{"event":"invitationAccepted","data":"` + strings.Repeat("x", 300) + `"}`
	for done := 0; done < keys; done += perCommit {
		if err := m.store.Once(ctx, func(sess *sqldb.Session) error {
			var rows []any
			for i := range perCommit {
				row := []any{queue, fmt.Sprintf("%s%08d", old, done+i), 1, at, dueAt, 0, 0, "", "x", body, ""}
				rows = append(rows, row...)
			}
			s := outboxSchema()
			return sess.Write(ctx, s.Insert, s.Width, rows)
		}); err != nil {
			return err
		}
	}
	return nil
}

// vacuum does what PostgreSQL's autovacuum would do after the inserts, in the middle of a measurement.
func (m *measurement) vacuum(ctx context.Context) error {
	if m.pg == nil {
		return nil
	}
	conn, err := pgx.Connect(ctx, m.pg.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "VACUUM ANALYZE outgoing")
	return errors.Join(err, conn.Close(ctx))
}

func outboxSchema() *txn.Schema {
	for _, s := range txn.Schemas() {
		if s.Name == "outgoing" {
			return s
		}
	}
	panic("there is no outbox")
}

// run sends new events, and prints a line. With idle it measures the cost without any.
func (m *measurement) run(ctx context.Context, state string, idle bool) error {
	d := relay.New(m.store, relay.Options{Name: queue, Log: slog.New(slog.DiscardHandler)},
		func(ctx context.Context, o *txn.OutboxEvent) relay.Outcome {
			if !strings.HasPrefix(o.OrderingKey, old) {
				m.sent <- o.OrderingKey
				return relay.Outcome{}
			}
			t := time.NewTimer(slow * time.Millisecond)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			return relay.Outcome{Err: errors.New("the receiver fails")}
		})
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- d.Run(running) }()
	defer func() { stop(); <-done }()
	var took []time.Duration
	for i := -warmup; i < rounds; i++ {
		begin := time.Now()
		if err := m.enqueue(ctx, fmt.Sprintf("new %s %d", state, i)); err != nil {
			return err
		}
		d.Wake()
		select {
		case <-m.sent:
		case <-ctx.Done():
			return ctx.Err()
		}
		if i >= 0 {
			took = append(took, time.Since(begin))
		}
		<-time.After(100 * time.Millisecond)
	}
	slices.Sort(took)
	cost := "–"
	if idle {
		<-time.After(5 * time.Second) // until the scans are rare
		before, err := m.cpu()
		if err != nil {
			return err
		}
		<-time.After(idleTime)
		after, err := m.cpu()
		if err != nil {
			return err
		}
		cost = fmt.Sprintf("%.2f %% of a core", 100*(after-before).Seconds()/idleTime.Seconds())
	}
	fmt.Printf("| %s | %d ms | %d ms | %d ms | %s |\n", state, took[rounds/2].Milliseconds(),
		took[rounds*95/100].Milliseconds(), took[rounds-1].Milliseconds(), cost)
	return nil
}

func (m *measurement) enqueue(ctx context.Context, key string) error {
	return rpc.Write(ctx, m.store, txn.ReadSet{}, func(tx *txn.Tx) error {
		tx.Enqueue(txn.OutboxEvent{OutboxKey: txn.OutboxKey{Queue: queue, OrderingKey: key, Seq: 1}, At: tx.Now, Due: tx.Now,
			Kind: "x", Body: "{}"})
		return nil
	})
}

// cpu returns the processor time of this process, and of PostgreSQL.
func (m *measurement) cpu() (sum time.Duration, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	sum = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if m.pg != nil {
		more, err := m.pg.CPU()
		return sum + more, err
	}
	return sum, nil
}
