package health

import (
	"errors"
	"fmt"
	"log/slog"
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
		{"one a minute", time.Minute, 1000},
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
	h.Sent(&outbox.Token{Key: "k", UserID: "eve"}, nil) // another user registered the token
	h.Sent(&outbox.Token{Key: "k", UserID: "eve"}, nil)
	if list := h.due(now, false); len(list) != 1 || list[0].UserID != "eve" {
		t.Errorf("of the next user %+v is written", list)
	}
}

// TestManyTokens: outcomes are kept for a limited number of tokens, and written in limited transactions.
func TestManyTokens(t *testing.T) {
	h := newHealth(t)
	for i := range maxChanges + 100 {
		h.Sent(&outbox.Token{Key: fmt.Sprint(i), UserID: "bob"}, nil)
	}
	total := 0
	for list := h.due(h.store.Now(), false); len(list) > 0; list = h.due(h.store.Now(), false) {
		if total += len(list); len(list) > maxRows {
			t.Fatalf("one transaction writes %d rows", len(list))
		}
	}
	if total != maxChanges {
		t.Errorf("%d tokens are written; at most %d", total, maxChanges)
	}
	for range maxAcks + 100 { // none blocks
		h.enqueue(ack{user: "bob"})
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
