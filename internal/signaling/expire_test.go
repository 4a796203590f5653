package signaling

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type present struct{}

func (present) Devices(users ...string) []int      { return make([]int, len(users)) }
func (present) Connected(string) []protocol.Device { return nil }
func (present) Known(string) []protocol.Device     { return nil }
func (present) Probe(string)                       {}

// hand is a clock set by the test.
type hand struct {
	mu  sync.Mutex
	now int64
}

func (h *hand) read() int64 { h.mu.Lock(); defer h.mu.Unlock(); return h.now }
func (h *hand) move(ms int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += ms
}

// TestTheRuleDecides: with a clock that jumps past the deadline, an accept is refused before any timer has fired, and
// the timeout is announced once, also after a restart with the deadline long past.
func TestTheRuleDecides(t *testing.T) {
	dir, clock := t.TempDir(), &hand{now: 1 << 41}
	var mu sync.Mutex
	timeouts := map[string]int{}
	announced := make(chan struct{}, 1000)
	run := func(deadlines bool) (*Service, func()) {
		ctx, stop := context.WithCancel(context.Background())
		s, err := store.Open(ctx, store.Options{Dir: dir, Now: clock.read})
		if err != nil {
			t.Fatal(err)
		}
		s.Announce(func(list []txn.Record) {
			for _, r := range list {
				v, err := protocol.Decode(r.Body)
				if m, ok := v.(*protocol.Signaling); err == nil && ok && m.ActionType == protocol.ActionTimeout &&
					r.Topic == "user:alice" {
					mu.Lock()
					timeouts[m.InviteID]++
					mu.Unlock()
					announced <- struct{}{}
				}
			}
		})
		e := New(s, present{}, Options{})
		if err := e.Restore(ctx); err != nil {
			t.Fatal(err)
		}
		var g sync.WaitGroup
		g.Go(func() { _ = s.Run(ctx) })
		if deadlines {
			g.Go(func() { _ = e.Run(ctx) })
		}
		return e, func() { stop(); g.Wait(); _ = s.Close() }
	}
	e, stop := run(false) // no timers
	invite := func(id string, timeout int64) {
		t.Helper()
		req := protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: timeout}}
		if _, err := rpc.Call(t.Context(), e.store, e.Invite, rpc.Caller{UserID: "alice"}, req); err != nil {
			t.Fatal(err)
		}
	}
	accept := func(id string) error {
		_, err := rpc.Call(t.Context(), e.store, e.Accept, rpc.Caller{UserID: "bob", DeviceID: "d"},
			protocol.AnswerRequest{InviteID: id})
		return err
	}
	invite("in-time", 30)
	invite("late", 30)
	invite("never", 0)
	clock.move(29_999)
	if err := accept("in-time"); err != nil {
		t.Error(err)
	}
	clock.move(1)
	if err := accept("late"); err == nil {
		t.Error("an accept at the deadline took effect")
	}
	stop()
	clock.move(3_600_000)
	e, stop = run(true)
	select {
	case <-announced:
	case <-time.After(20 * time.Second):
		t.Fatal("the timeout was not announced after the restart")
	}
	if err := accept("never"); err != nil {
		t.Errorf("an invitation without a timeout: %v", err)
	}
	stop()
	if len(timeouts) != 1 || timeouts["late"] != 1 {
		t.Errorf("timeouts: %v", timeouts)
	}
}
