package api

import (
	"bytes"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/beckon-im/beckon/im"
)

// What one user has under way at once, over all devices: what comes above waits its turn behind the user's own calls,
// so that a backlog delays that user alone.
const (
	maxRunning = 32
	maxWaiting = 1000
)

// Costs are in units of about one row written. A call costs 1, and 1 for each KiB that it sends and each 4 KiB that it
// gets. A call that writes for each user that it names costs 1 more for each 16 bytes of the list of names, and 64
// bytes of what it gets about them.
const (
	sentPerUnit, gotPerUnit    = 1024, 4096
	namedPerUnit, reachPerUnit = 16, 64
)

// heavyRequest is the size of a list of names, in bytes, above which a call is alone of its kind under way for its
// user.
const heavyRequest = 16 << 10

// naming are the verbs that write rows for each user that they name.
func naming(verb string) bool {
	switch verb {
	case "invite", "inviteInGroup", "addInvitees", "createGroup", "inviteUserToGroup", "kickGroupMember":
		return true
	}
	return false
}

// answers are the verbs that end what goes on. They have a limit of their own and no cost, so that a user who has read
// or written a lot can still answer a call.
func answers(verb string) bool {
	switch verb {
	case "accept", "reject", "cancel", "ring", "exitRoom", "dismissRoom":
		return true
	}
	return false
}

func heavy(verb string, data []byte) bool {
	return naming(verb) && (namedIn(verb, data) > heavyRequest || bytes.Contains(data, []byte(`"everyone"`)))
}

func costOf(verb string, sent, named int, got []byte) float64 {
	cost := 1 + float64(sent)/sentPerUnit + float64(len(got))/gotPerUnit
	if naming(verb) {
		cost += float64(named)/namedPerUnit + float64(listSize(got, `"reach":[`))/reachPerUnit
	}
	return cost
}

// namedIn is the size of the list of users that a call names.
func namedIn(verb string, data []byte) int {
	if !naming(verb) {
		return 0
	}
	return listSize(data, `"inviteeList":[`) + listSize(data, `"memberList":[`)
}

// listSize is the size of a list in JSON that begins with a text, in bytes.
func listSize(data []byte, begins string) int {
	at := bytes.Index(data, []byte(begins))
	if at < 0 {
		return 0
	}
	list := data[at+len(begins):]
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

// budgets holds what users may spend. They are kept on each node.
type budgets struct {
	rate, burst float64
	users       *lru.Cache[string, *budget]
	running     sync.WaitGroup
}

// budget is one user's: units that are left, and calls under way.
type budget struct {
	mu      sync.Mutex
	left    float64 // may be below zero: a call is charged when its size is known
	at      time.Time
	calls   int
	heavies int
	queue   []turn
}

// turn is a call that waits or runs.
type turn struct {
	heavy  bool
	run    func()
	refuse func(error)
	wait   func() // called before it waits
}

func newBudgets(rate, burst float64) *budgets {
	users, _ := lru.New[string, *budget](maxLimiters) // it fails only for a size below one
	return &budgets{rate: rate, burst: burst, users: users}
}

func (s *budgets) of(user string) *budget {
	if b, ok := s.users.Get(user); ok {
		return b
	}
	b := &budget{left: s.burst, at: time.Now()}
	if old, found, _ := s.users.PeekOrAdd(user, b); found {
		return old
	}
	return b
}

// begin runs a call now or in its turn, or refuses it. Each is followed by end.
func (s *budgets) begin(b *budget, t turn) {
	b.mu.Lock()
	switch {
	case len(b.queue) == 0 && b.free(t):
		b.calls++
		b.heavies += count(t.heavy)
		err := s.debt(b)
		b.mu.Unlock()
		if err != nil {
			t.refuse(err)
			return
		}
		t.run()
	case len(b.queue) < maxWaiting:
		t.wait()
		b.queue = append(b.queue, t)
		b.mu.Unlock()
	default:
		b.calls++ // for end
		b.heavies += count(t.heavy)
		b.mu.Unlock()
		t.refuse(tooOften("you have too many calls under way"))
	}
}

func (b *budget) free(t turn) bool {
	return b.calls < maxRunning && (!t.heavy || b.heavies == 0)
}

func count(on bool) int {
	if on {
		return 1
	}
	return 0
}

// debt refuses while a user has spent more than there was. The lock must be held.
func (s *budgets) debt(b *budget) error {
	now := time.Now()
	b.left = min(s.burst, b.left+now.Sub(b.at).Seconds()*s.rate)
	if b.at = now; b.left > 0 {
		return nil
	}
	wait := 1 + int(-b.left/s.rate*1000)
	return &im.Error{Code: im.CodeTooOften, Message: "you have read or written too much; wait and try again",
		RetryAfter: wait}
}

// end charges a call and lets the next of its user run.
func (s *budgets) end(b *budget, wasHeavy bool, cost float64) {
	b.mu.Lock()
	b.left -= cost
	b.calls--
	b.heavies -= count(wasHeavy)
	if len(b.queue) == 0 || !b.free(b.queue[0]) {
		b.mu.Unlock()
		return
	}
	next := b.queue[0]
	b.queue = b.queue[1:]
	b.calls++
	b.heavies += count(next.heavy)
	err := s.debt(b)
	b.mu.Unlock()
	s.running.Go(func() { // who ends a call may be the store, which must not wait for another
		if err != nil {
			next.refuse(err)
			return
		}
		next.run()
	})
}

// Wait waits for the calls that had to wait for their turn.
func (a *API) Wait() {
	a.budgets.running.Wait()
	a.running.Wait()
}
