package group

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
)

// TestDailyBound: the limit of a user refills during the day, refusals have a retryAfter, and refunds are credited.
func TestDailyBound(t *testing.T) {
	now := time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC).UnixMilli()
	d := newDaily(24, 0, "may", func() int64 { return now })
	ann, bob := rpc.Caller{UserID: "ann"}, rpc.Caller{UserID: "bob"}
	take := func(by rpc.Caller, n, code int) func() {
		t.Helper()
		back, err := d.take(by, n)
		if im.CodeOf(err) != code {
			t.Errorf("%d for %s: %v, want %d", n, by.UserID, err, code)
		}
		return back
	}
	take(ann, 25, im.CodeTooMany)
	take(ann, 20, 0)
	back := take(ann, 4, 0)
	take(ann, 1, im.CodeTooOften)
	take(bob, 1, 0)
	take(rpc.Caller{UserID: "ann", Server: true}, 100, 0)
	back()
	take(ann, 4, 0)
	_, err := d.take(ann, 2)
	var e *im.Error
	if !errors.As(err, &e) || e.RetryAfter < 7_190_000 || e.RetryAfter > 7_210_000 {
		t.Errorf("of two in 24 a day: %v after %d", err, e.RetryAfter)
	}
	now += int64(e.RetryAfter)
	take(ann, 2, 0)
	now += 30 * time.Hour.Milliseconds()
	take(bob, 1, 0)
	if len(d.users) != 1 {
		t.Errorf("%d users are cached", len(d.users))
	}
	if _, err := newDaily(-1, 5, "may", func() int64 { return now }).take(ann, 1000); err != nil {
		t.Errorf("without a bound: %v", err)
	}
}

// TestOnlineIsCountedSeldom: many requests share one count of a group, and few groups are counted at once.
func TestOnlineIsCountedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOnlineCounts()
		var walks, at, most atomic.Int64
		count := func(context.Context) (int, error) {
			most.Store(max(most.Load(), at.Add(1)))
			defer at.Add(-1)
			time.Sleep(time.Second)
			return int(walks.Add(1)), nil
		}
		ask := func(group string, want int) {
			if n, err := o.get(t.Context(), group, count); err != nil || n != want {
				t.Errorf("%s: %d, %v; want %d", group, n, err, want)
			}
		}
		for range 100 {
			go ask("g", 1)
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		ask("g", 1)
		time.Sleep(21 * time.Second) // the count took a second
		go ask("g", 2)
		synctest.Wait()
		ask("g", 1) // the previous count, during a refresh
		time.Sleep(2 * time.Second)
		for _, g := range []string{"a", "b", "c", "d"} {
			go func() { _, _ = o.get(t.Context(), g, count) }()
		}
		time.Sleep(10 * time.Second)
		if most.Load() != onlineWalks || walks.Load() != 6 {
			t.Errorf("%d walks, %d at once", walks.Load(), most.Load())
		}
		failed := errors.New("no")
		fails := func(context.Context) (int, error) { return 0, failed }
		if _, err := o.get(t.Context(), "e", fails); !errors.Is(err, failed) {
			t.Errorf("%v", err)
		}
		ask("e", 7)
	})
}
