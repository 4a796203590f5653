package api

import (
	"cmp"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limits configures the rate limits of users. Each node counts separately.
type Limits struct {
	// User is the calls per second of one user, over all devices. Default: 100.
	User float64
	// UserBurst is the number of calls a user may make at once. Default: 200.
	UserBurst int
}

// cost returns the rate and burst of a user's budget (see budget.go): five units per permitted call, and enough for an
// invitation of the largest group.
func (l Limits) cost() (rate, burst float64) {
	return 5 * cmp.Or(l.User, 100), 75 * float64(cmp.Or(l.UserBurst, 200))
}

// uploads returns the uploads that a user may begin per second and at once: one for 50 calls, and one for 6.
func (l Limits) uploads() (rate float64, burst int) {
	return cmp.Or(l.User, 100) / 50, max(1, cmp.Or(l.UserBurst, 200)/6)
}

// maxLimiters limits the cached limiters. Those of the least recently active users are evicted, which resets them.
const maxLimiters = 100_000

type limiters struct {
	opt            Limits
	users, answers *lru.Cache[string, *rate.Limiter]
}

func newLimiters(opt Limits) *limiters {
	if opt.User == 0 {
		opt.User = 100
	}
	if opt.UserBurst == 0 {
		opt.UserBurst = 200
	}
	users, _ := lru.New[string, *rate.Limiter](maxLimiters) // fails only for a size below one
	answers, _ := lru.New[string, *rate.Limiter](maxLimiters)
	return &limiters{opt: opt, users: users, answers: answers}
}

// user counts a call of a user that is not an answer.
func (l *limiters) user(id string) bool { return l.allow(l.users, id) }

func (l *limiters) allow(users *lru.Cache[string, *rate.Limiter], id string) bool {
	r, ok := users.Get(id)
	if !ok {
		r = rate.NewLimiter(rate.Limit(l.opt.User), l.opt.UserBurst)
		if old, found, _ := users.PeekOrAdd(id, r); found {
			r = old
		}
	}
	return r.Allow()
}
