package api

import (
	"bytes"
	"encoding/json"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/beckon-im/beckon/im"
)

// maxRunning and maxWaiting limit the concurrent and queued calls of a user, over all devices. A call over maxRunning
// waits behind the user's own calls, so that a backlog delays only that user.
const (
	maxRunning = 32
	maxWaiting = 1000
)

// Divisors of the cost of a call, in units of about one written row. A call costs 1, plus 1 per KiB of the request and
// per 4 KiB of the response. A call that writes rows for each named user costs another 1 per 16 bytes of the user list
// and per 64 bytes of the reach list in the response. A call that reads rows beyond its response costs another 1 per 10
// rows.
const (
	requestPerUnit, responsePerUnit = 1024, 4096
	userListPerUnit, reachPerUnit   = 16, 64
	rowsPerUnit                     = 10
)

// heavyRequest is the size of a user list, in bytes, above which a call is heavy: a user has at most one heavy call
// running.
const heavyRequest = 16 << 10

// namesUsers reports whether a method reads or writes rows for each user it names.
func namesUsers(method string) bool {
	switch method {
	case "invite", "inviteInGroup", "addInvitees", "createGroup", "inviteUserToGroup", "kickGroupMember",
		"markGroupMemberList", "addToBlackList", "deleteFromBlackList", "subscribeUserStatus", "unsubscribeUserStatus":
		return true
	}
	return false
}

// isAnswer reports whether a method ends or answers a call. These methods have a separate rate limit and no cost, so
// that a user over the limits can still answer a call.
func isAnswer(method string) bool {
	switch method {
	case "accept", "reject", "cancel", "ring", "exitRoom", "dismissRoom":
		return true
	}
	return false
}

// weight is the cost of a request before its response is known.
type weight struct {
	size      int // bytes of the request
	listBytes int // bytes of the user lists, if the method names users
	heavy     bool
}

// weigh parses the user lists of a request as its method does, so that no spelling of the JSON makes it cheaper. A
// malformed request has no lists: it fails before it reads a row.
func weigh(method string, data []byte) weight {
	w := weight{size: len(data)}
	if !namesUsers(method) {
		return w
	}
	var lists struct {
		InviteeList, MemberList, UserIDList json.RawMessage
		Everyone                            bool
	}
	if json.Unmarshal(data, &lists) != nil {
		return w
	}
	w.listBytes = len(lists.InviteeList) + len(lists.MemberList) + len(lists.UserIDList)
	w.heavy = lists.Everyone || w.listBytes > heavyRequest
	return w
}

// cost returns the cost of the call with its response, and with the rows that it read beyond it.
func (w weight) cost(method string, response []byte, rows int) float64 {
	cost := 1 + float64(w.size)/requestPerUnit + float64(len(response))/responsePerUnit + float64(rows)/rowsPerUnit
	if namesUsers(method) {
		cost += float64(w.listBytes)/userListPerUnit + float64(reachSize(response))/reachPerUnit
	}
	return cost
}

// reachSize returns the size in bytes of the reach list in a response, which the server has encoded.
func reachSize(response []byte) int {
	const prefix = `"reach":[`
	at := bytes.Index(response, []byte(prefix))
	if at < 0 {
		return 0
	}
	list := response[at+len(prefix):]
	quoted := false
	for i := 0; i < len(list); i++ {
		switch {
		case quoted && list[i] == '\\':
			i++
		case list[i] == '"':
			quoted = !quoted
		case !quoted && list[i] == ']':
			return i
		}
	}
	return len(list)
}

// budgets holds the budgets of users on this node.
type budgets struct {
	rate, burst float64
	users       *lru.Cache[string, *budget]
	running     sync.WaitGroup
}

// budget is the balance and the calls of one user. mu guards all fields.
type budget struct {
	mu         sync.Mutex
	balance    float64 // units; may be negative, because a call is charged when its response size is known
	at         time.Time
	calls      int
	heavyCalls int
	queue      []queuedCall
}

// queuedCall is a call that waits or runs.
type queuedCall struct {
	heavy  bool
	run    func()
	reject func(error)
	wait   func() // called before the call is queued
}

func newBudgets(rate, burst float64) *budgets {
	users, _ := lru.New[string, *budget](maxLimiters) // fails only for a size below one
	return &budgets{rate: rate, burst: burst, users: users}
}

func (s *budgets) of(user string) *budget {
	if b, ok := s.users.Get(user); ok {
		return b
	}
	b := &budget{balance: s.burst, at: time.Now()}
	if old, found, _ := s.users.PeekOrAdd(user, b); found {
		return old
	}
	return b
}

// begin runs a call now or later, or rejects it. Each begin is followed by end.
func (s *budgets) begin(b *budget, t queuedCall) {
	b.mu.Lock()
	switch {
	case len(b.queue) == 0 && b.free(t):
		b.calls++
		b.heavyCalls += count(t.heavy)
		err := s.debt(b)
		b.mu.Unlock()
		if err != nil {
			t.reject(err)
			return
		}
		t.run()
	case len(b.queue) < maxWaiting:
		t.wait()
		b.queue = append(b.queue, t)
		b.mu.Unlock()
	default:
		b.calls++ // undone by end
		b.heavyCalls += count(t.heavy)
		b.mu.Unlock()
		t.reject(tooOften("too many concurrent calls by this user"))
	}
}

func (b *budget) free(t queuedCall) bool {
	return b.calls < maxRunning && (!t.heavy || b.heavyCalls == 0)
}

func count(on bool) int {
	if on {
		return 1
	}
	return 0
}

// debt returns an error while the balance is not positive. b.mu must be held.
func (s *budgets) debt(b *budget) error {
	now := time.Now()
	b.balance = min(s.burst, b.balance+now.Sub(b.at).Seconds()*s.rate)
	if b.at = now; b.balance > 0 {
		return nil
	}
	wait := 1 + int(-b.balance/s.rate*1000)
	return &im.Error{Code: im.CodeTooOften, Message: "call budget exhausted; retry later",
		RetryAfter: wait}
}

// inDebt refuses a call of a user with a negative balance, and charges it for its size.
func (s *budgets) inDebt(b *budget, size int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := s.debt(b)
	if err != nil {
		b.balance -= weight{size: size}.cost("", nil, 0)
	}
	return err
}

// end charges a call and starts the next one of its user.
func (s *budgets) end(b *budget, wasHeavy bool, cost float64) {
	b.mu.Lock()
	b.balance -= cost
	b.calls--
	b.heavyCalls -= count(wasHeavy)
	if len(b.queue) == 0 || !b.free(b.queue[0]) {
		b.mu.Unlock()
		return
	}
	next := b.queue[0]
	b.queue = b.queue[1:]
	b.calls++
	b.heavyCalls += count(next.heavy)
	err := s.debt(b)
	b.mu.Unlock()
	s.running.Go(func() { // the caller of end may be the store's writer, which must not run the next call
		if err != nil {
			next.reject(err)
			return
		}
		next.run()
	})
}

// Wait waits for queued calls and for calls in their own goroutines.
func (a *API) Wait() {
	a.budgets.running.Wait()
	a.running.Wait()
}
