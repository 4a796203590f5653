package health

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/protocol/pushcheck"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newHealth(t testing.TB) *Health {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, s, nil)
	return New(s, Options{Log: slog.New(slog.DiscardHandler)})
}

// stored applies writes at a time to a token, as the next push reads it.
func stored(t *outbox.Token, list []outbox.HealthChange, now int64) {
	for _, c := range list {
		if c.AcceptedAt != 0 {
			t.AcceptedAt, t.Failures = now, 0
		}
		if c.FailedAt != 0 {
			t.FailedAt = now
		}
		if c.AcknowledgedAt != 0 {
			t.AcknowledgedAt = now
		}
		t.Failures += c.Failures
	}
}

// TestWritesOfAHealthyToken: 1,000 pushes to a token whose provider accepts them cost a row in the first second, one a
// minute, and one at the end; without a push nothing is written.
func TestWritesOfAHealthyToken(t *testing.T) {
	for _, c := range []struct {
		name  string
		every time.Duration // between the pushes
		want  int           // rows
	}{
		{"a thousand in a second", time.Millisecond, 2},
		{"one a second", time.Second, 18},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHealth(t)
			token := &outbox.Token{Key: "k", UserID: "bob"}
			rows, now, looked := 0, h.store.Now(), int64(0)
			look := func(all bool) {
				looked = now
				list := h.due(now, all)
				rows += len(list)
				h.write(t.Context(), list)
				stored(token, list, now)
			}
			units := h.store.Stats().Units
			for range 1000 {
				h.Sent(token, nil)
				if now-looked >= writeEvery.Milliseconds() {
					look(false)
				}
				now += c.every.Milliseconds()
			}
			look(true)
			look(true)
			if rows > c.want || rows == 0 {
				t.Errorf("1,000 pushes wrote %d rows; at most %d", rows, c.want)
			}
			if n := h.store.Stats().Units - units; n != int64(rows) {
				t.Errorf("%d transactions wrote %d rows", n, rows)
			}
			t.Logf("1,000 pushes wrote %d rows", rows)
		})
	}
}

// TestWritesOfOutcomes: a change of the kind of outcomes is written at the next write, and other outcomes are counted
// until a minute has passed.
func TestWritesOfOutcomes(t *testing.T) {
	h := newHealth(t)
	token := &outbox.Token{Key: "k", UserID: "bob"}
	now := h.store.Now()
	expect := func(what string, after time.Duration, want ...outbox.Health) {
		t.Helper()
		now += after.Milliseconds()
		list := h.due(now, false)
		stored(token, list, now)
		if len(list) != len(want) {
			t.Fatalf("%s: %+v is written, want %+v", what, list, want)
		}
		for i, w := range want {
			got := list[i].Health
			if got.Failures != w.Failures || got.Error != w.Error || (got.AcceptedAt != 0) != (w.AcceptedAt != 0) ||
				(got.FailedAt != 0) != (w.FailedAt != 0) || (got.AcknowledgedAt != 0) != (w.AcknowledgedAt != 0) {
				t.Errorf("%s: %+v is written, want %+v", what, got, w)
			}
		}
	}
	expect("nothing", time.Second)
	h.Sent(token, nil)
	expect("the first outcome", time.Second, outbox.Health{AcceptedAt: 1})
	h.Sent(token, nil)
	expect("the same again", time.Second)
	h.acknowledged(token, now)
	expect("the first acknowledgement", time.Second, outbox.Health{AcceptedAt: 1, AcknowledgedAt: 1})
	h.Sent(token, nil)
	h.acknowledged(token, now)
	expect("both again", time.Second)
	h.Sent(token, errors.New("one"))
	h.Sent(token, errors.New("two"))
	expect("a failure", time.Second,
		outbox.Health{AcceptedAt: 1, AcknowledgedAt: 1, FailedAt: 1, Failures: 2, Error: "two"})
	h.Sent(token, errors.New("three"))
	expect("another failure", time.Second)
	expect("after a minute", time.Minute, outbox.Health{FailedAt: 1, Failures: 1, Error: "three"})
	h.Sent(token, errors.New("four"))
	h.Sent(token, nil)
	expect("an acceptance", time.Second, outbox.Health{AcceptedAt: 1, FailedAt: 1, Error: "four"})
	h.Sent(&outbox.Token{Key: "k", UserID: "eve"}, nil)         // another user registered the token
	h.acknowledged(&outbox.Token{Key: "k", UserID: "bob"}, now) // late
	if list := h.due(now, false); len(list) != 2 {
		t.Errorf("of both users %+v is written", list)
	}
}

// TestManyTokens: the repeated outcomes of many tokens are written in limited transactions, in the order of keys, and
// leave room for the first failure of another.
func TestManyTokens(t *testing.T) {
	h := newHealth(t)
	now := h.store.Now()
	for range 3 {
		for i := range maxChanges - 1 {
			h.Sent(&outbox.Token{Key: fmt.Sprint(i), UserID: "bob", Health: outbox.Health{AcceptedAt: now}}, nil)
		}
		h.Sent(&outbox.Token{Key: "k", UserID: "eve", Health: outbox.Health{AcceptedAt: now}}, errors.New("gone"))
		failures := 0
		for n := maxRows; n == maxRows; {
			list := h.due(now, false)
			if n = len(list); n > maxRows || !slices.IsSortedFunc(list, func(a, b outbox.HealthChange) int {
				return strings.Compare(a.Key, b.Key)
			}) {
				t.Fatalf("one transaction writes %d rows, or not in order", n)
			}
			for _, c := range list {
				failures += int(c.Failures)
			}
		}
		if left := len(h.changes); failures != 1 || left > maxChanges/2 || h.lost {
			t.Errorf("%d failures are written, %d changes are left, lost: %v", failures, left, h.lost)
		}
	}
}

// TestManyRings: only the first ring of a device is looked up, and a full queue blocks nobody.
func TestManyRings(t *testing.T) {
	h := newHealth(t)
	first := &ack{user: "bob", device: "phone", inviteID: "i"}
	if !h.isNew(first) || h.isNew(first) || !h.isNew(&ack{user: "bob", device: "tablet", inviteID: "i"}) {
		t.Error("a repeated ring is looked up, or another device's is not")
	}
	for range maxAcks + 100 {
		h.enqueue(ack{user: "bob"})
	}
	if !h.lost {
		t.Error("dropped rings are not noted")
	}
}

// TestStates are the states of a test push over time.
func TestStates(t *testing.T) {
	wait := AckWait.Milliseconds()
	for _, c := range []struct {
		name string
		row  outbox.TestPush
		age  int64
		want pushcheck.PushTestState
		said bool // there is an error
	}{
		{"new", outbox.TestPush{}, 5, pushcheck.PushTestWaiting, false},
		{"not sent", outbox.TestPush{}, wait, pushcheck.PushTestFailed, true},
		{"accepted", outbox.TestPush{AcceptedAt: 1100}, wait - 1, pushcheck.PushTestAccepted, false},
		{"not acknowledged", outbox.TestPush{AcceptedAt: 1100}, wait, pushcheck.PushTestUnacknowledged, true},
		{"refused", outbox.TestPush{Error: "403"}, 5, pushcheck.PushTestFailed, true},
		{"acknowledged", outbox.TestPush{AcceptedAt: 1100, AcknowledgedAt: 1200}, 300, pushcheck.PushTestAcknowledged, false},
		{"acknowledged first", outbox.TestPush{AcknowledgedAt: 1200}, 300, pushcheck.PushTestAcknowledged, false},
		{"acknowledged late", outbox.TestPush{AcceptedAt: 1100, AcknowledgedAt: 90_000}, 2 * wait,
			pushcheck.PushTestAcknowledged, false},
	} {
		c.row.At = 1000
		if got := resultOf(&c.row, 1000+c.age); got.State != c.want || (got.Error != "") != c.said {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	v := resultsOf([]outbox.TestPush{{At: 1000, AcceptedAt: 1120, AcknowledgedAt: 1250}, {At: 1000}}, 2000)
	if v.Over || v.Devices[0].AcceptedMs != 120 || v.Devices[0].AcknowledgedMs != 250 {
		t.Errorf("the results are %+v", v)
	}
}

// TestPlatforms: devices cannot create labels of the metric.
func TestPlatforms(t *testing.T) {
	for declared, want := range map[string]string{"web": "web", "ios": "ios", "android": "android", "go": "go",
		"node": "node", "": "other", "toaster": "other", "WEB": "other"} {
		if got := platform(declared); got != want {
			t.Errorf("%q is counted as %q", declared, got)
		}
	}
}
