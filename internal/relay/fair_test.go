package relay

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// fill creates events of an owner, each with its own ordering key.
func fill(t *testing.T, s *store.Store, owner string, n int) {
	t.Helper()
	done := make(chan error, 1)
	if err := s.Submit(&store.Unit{Decide: func(tx *txn.Tx) error {
		list := make([]txn.OutboxEvent, n)
		for i := range list {
			list[i] = txn.OutboxEvent{OutboxKey: txn.OutboxKey{Queue: "hook", OrderingKey: fmt.Sprintf("line%05d %s", i, owner),
				Seq: 1}, At: tx.Now, Body: "{}", Owner: owner}
		}
		tx.Enqueue(list...)
		return nil
	}, Done: func(err error) { done <- err }}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestOneOwnerHoldsUpNobody: while an owner has 2,000 due events that all time out, the events of others are sent
// within a second.
func TestOneOwnerHoldsUpNobody(t *testing.T) {
	s, stop := running(t, t.TempDir())
	defer stop()
	fill(t, s, "eve", 2000)
	sent := make(chan string, 100)
	var mu sync.Mutex
	hanging, most := 0, 0
	hangs := make(chan struct{}, 100)
	q := New(s, Options{Name: "hook", Log: slog.New(slog.DiscardHandler)},
		func(ctx context.Context, o *txn.OutboxEvent) Outcome {
			if !strings.HasSuffix(o.OrderingKey, " eve") {
				sent <- o.OrderingKey
				return Outcome{}
			}
			mu.Lock()
			hanging++
			most = max(most, hanging)
			mu.Unlock()
			hangs <- struct{}{}
			<-ctx.Done()
			return Outcome{Err: ctx.Err()}
		})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = q.Run(ctx) })
	<-hangs
	<-hangs
	var took []time.Duration
	for i := range 9 {
		begin := time.Now()
		fill(t, s, fmt.Sprint("bob", i), 1)
		q.Wake()
		<-sent
		took = append(took, time.Since(begin))
	}
	if slices.Sort(took); took[4] > time.Second { // the median, because other tests may use the processors
		t.Errorf("bob's events were sent after %v", took)
	}
	cancel()
	all.Wait()
	if most != ofOwner {
		t.Errorf("eve had %d ordering keys sent concurrently", most)
	}
}
