package api

import (
	"cmp"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limits bound how often people call. They are counted on each node.
type Limits struct {
	// User is calls per second of one user, over all devices. Default: 100.
	User float64
	// UserBurst is how many calls a user may make at once. Default: 200.
	UserBurst int
}

// cost is the units that a user may spend in a second, and at once (see budget.go): five for each call that is allowed,
// and room for an invitation of the largest group.
func (l Limits) cost() (rate, burst float64) {
	return 5 * cmp.Or(l.User, 100), 75 * float64(cmp.Or(l.UserBurst, 200))
}

// maxLimiters bounds the memory of limiters; who has not called for long is forgotten first, and is full again.
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
	users, _ := lru.New[string, *rate.Limiter](maxLimiters) // it fails only for a size below one
	answers, _ := lru.New[string, *rate.Limiter](maxLimiters)
	return &limiters{opt: opt, users: users, answers: answers}
}

// user counts a call of a user, as all but answers are.
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
