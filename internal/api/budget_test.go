package api

import (
	"errors"
	"strings"
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
	long := `{"inviteeList":["` + strings.Repeat(`aaaaaaa","`, 2000) + `"]}`
	for _, c := range []struct {
		method, data string
		want         bool
	}{
		{"inviteInGroup", `{"groupID":"g","everyone":true}`, true},
		{"inviteInGroup", `{"groupID":"g", "every\u006fne" : true}`, true},
		{"inviteInGroup", `{"groupID":"g","everyone":false}`, false},
		{"invite", `{"invitee":"b","data":"\"everyone\":true"}`, false},
		{"inviteInGroup", long, true},
		{"sendMessage", long, false},
	} {
		if weigh(c.method, []byte(c.data)).heavy != c.want {
			t.Errorf("%s %.60s: heavy is %t", c.method, c.data, !c.want)
		}
	}
}

// TestCostOfNames: the cost of a list of users does not depend on the spelling of the JSON.
func TestCostOfNames(t *testing.T) {
	for _, c := range []struct {
		method, data string
		want         int
	}{
		{"invite", `{"invitee":"b","data":"[x]"}`, 0},
		{"invite", `{"inviteeList":["a]","b\\"],"data":"]]"}`, 12},
		{"invite", `{"inviteeList":["a"`, 0}, // refused as malformed
		{"inviteInGroup", `{"inviteeList" : ["ab","cd"]}`, 11},
		{"inviteInGroup", `{"invitee\u004cist":["ab","cd"]}`, 11},
		{"createGroup", "{\"memberList\":\n[\"ab\"]}", 6},
		{"kickGroupMember", `{"memberList":["ab"]}`, 6},
		{"markGroupMemberList", `{"memberList":["ab"]}`, 6},
		{"addToBlackList", `{"userIDList":["ab"]}`, 6},
		{"deleteFromBlackList", `{"userIDList":["ab"]}`, 6},
		{"subscribeUserStatus", `{"userIDList":["ab"]}`, 6},
		{"unsubscribeUserStatus", `{"userIDList":["ab"]}`, 6},
		{"getUsersProfile", `{"userIDList":["ab"]}`, 0}, // its response pays
	} {
		if got := weigh(c.method, []byte(c.data)).listBytes; got != c.want {
			t.Errorf("the users in %s %s take %d bytes, want %d", c.method, c.data, got, c.want)
		}
	}
	long := weigh("invite", []byte(`{"invitee":"b","data":"`+strings.Repeat("x", 12<<10)+`"}`))
	if cost := long.cost("invite", make([]byte, 12<<10), 0); cost > 20 {
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
