package api

import (
	"errors"
	"sync"
	"testing"

	"github.com/beckon-im/beckon/im"
)

// heldCall is a call that ends when the test releases it.
type heldCall struct {
	started chan struct{}
	refused chan error
}

func begin(s *budgets, user string, heavy bool) *heldCall {
	c := &heldCall{make(chan struct{}), make(chan error, 1)}
	s.begin(s.of(user), queuedCall{heavy: heavy, run: func() { close(c.started) },
		reject: func(err error) { c.refused <- err },
		wait:   func() {}})
	return c
}

func (c *heldCall) running() bool {
	select {
	case <-c.started:
		return true
	default:
		return false
	}
}

// TestTurns: calls over the limit wait for the user's own calls only.
func TestTurns(t *testing.T) {
	s := newBudgets(1e9, 1e9)
	for range maxRunning {
		if !begin(s, "a", false).running() {
			t.Fatal("a call within the bound waits")
		}
	}
	waits := begin(s, "a", false)
	if waits.running() {
		t.Error("a call above the bound runs")
	}
	if !begin(s, "b", false).running() {
		t.Error("a call of another user waits")
	}
	s.end(s.of("a"), false, 1)
	<-waits.started
	for range maxWaiting {
		begin(s, "a", false)
	}
	over := begin(s, "a", false)
	if err := <-over.refused; im.CodeOf(err) != im.CodeTooOften {
		t.Errorf("a call above all bounds: %v", err)
	}
}

// TestHeavyTurns: a user has at most one heavy call running.
func TestHeavyTurns(t *testing.T) {
	s := newBudgets(1e9, 1e9)
	if !begin(s, "a", true).running() {
		t.Fatal("the first waits")
	}
	second := begin(s, "a", true)
	if second.running() {
		t.Error("the second runs beside the first")
	}
	s.end(s.of("a"), true, 1)
	<-second.started
	if !heavy("inviteInGroup", []byte(`{"groupID":"g","everyone":true}`)) || heavy("sendMessage", make([]byte, 1<<17)) ||
		heavy("invite", []byte(`{"invitee":"b"}`)) {
		t.Error("the wrong calls are heavy")
	}
}

func TestCostOfNames(t *testing.T) {
	for data, want := range map[string]int{
		`{"invitee":"b","data":"[x]"}`: 0, `{"inviteeList":["a]","b\\"]"],"data":"]]"}`: 10, `{"memberList":[]}`: 0,
		`{"inviteeList":["a"`: 3,
	} {
		if got := userListSize("invite", []byte(data)); got != want {
			t.Errorf("the names in %s take %d bytes, want %d", data, got, want)
		}
	}
	if cost := costOf("invite", 12<<10, 0, make([]byte, 12<<10)); cost > 20 {
		t.Errorf("an invitation of one user with long data costs %v", cost)
	}
}

// TestDebt: a user with a negative balance is rejected with the time until it is positive.
func TestDebt(t *testing.T) {
	s := newBudgets(0.001, 100)
	if !begin(s, "a", false).running() {
		t.Fatal("the first call waits")
	}
	s.end(s.of("a"), false, 150)
	refusal := begin(s, "a", false)
	err := <-refusal.refused
	s.end(s.of("a"), false, 0)
	var e *im.Error
	if !errors.As(err, &e) || e.Code != im.CodeTooOften || e.RetryAfter < 40_000_000 {
		t.Errorf("the refusal is %+v", e)
	}
	if !begin(s, "b", false).running() {
		t.Error("another user pays for it")
	}
}

// TestManyCallsOfOneUser ends each call once, with any concurrency.
func TestManyCallsOfOneUser(t *testing.T) {
	s := newBudgets(1e9, 1e9)
	var done, makers sync.WaitGroup
	for i := range 8 {
		makers.Go(func() {
			for n := range 100 {
				done.Add(1)
				heavy := (i+n)%5 == 0
				b := s.of("a")
				s.begin(b, queuedCall{heavy: heavy, wait: func() {}, run: func() {
					go func() { s.end(b, heavy, 1); done.Done() }()
				}, reject: func(error) { s.end(b, heavy, 1); done.Done() }})
			}
		})
	}
	makers.Wait()
	done.Wait()
	s.running.Wait()
	if b := s.of("a"); b.calls != 0 || b.heavyCalls != 0 || len(b.queue) != 0 {
		t.Errorf("left over are %+v", b)
	}
}
