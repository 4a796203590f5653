package api

import (
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limits bound how often people and addresses call. They are counted on each node.
type Limits struct {
	// User is calls per second of one user, over all devices. Default: 100.
	User float64
	// UserBurst is how many calls a user may make at once. Default: 200.
	UserBurst int
	// Address is connects and HTTP requests per second of one address. Raise it behind a proxy that hides addresses.
	// Default: 1000.
	Address float64
	// AddressBurst is how many an address may make at once. Default: 5000.
	AddressBurst int
}

// maxLimiters bounds the memory of limiters; who has not called for long is forgotten first, and is full again.
const maxLimiters = 100_000

type limiters struct {
	opt              Limits
	users, addresses *lru.Cache[string, *rate.Limiter]
}

func newLimiters(opt Limits) *limiters {
	if opt.User == 0 {
		opt.User = 100
	}
	if opt.UserBurst == 0 {
		opt.UserBurst = 200
	}
	if opt.Address == 0 {
		opt.Address = 1000
	}
	if opt.AddressBurst == 0 {
		opt.AddressBurst = 5000
	}
	users, _ := lru.New[string, *rate.Limiter](maxLimiters) // it fails only for a size below one
	addresses, _ := lru.New[string, *rate.Limiter](maxLimiters)
	return &limiters{opt: opt, users: users, addresses: addresses}
}

func (l *limiters) user(id string) bool {
	return allow(l.users, id, l.opt.User, l.opt.UserBurst)
}

func (l *limiters) address(addr string) bool {
	return allow(l.addresses, addr, l.opt.Address, l.opt.AddressBurst)
}

func allow(c *lru.Cache[string, *rate.Limiter], key string, perSecond float64, burst int) bool {
	r, ok := c.Get(key)
	if !ok {
		r = rate.NewLimiter(rate.Limit(perSecond), burst)
		if old, found, _ := c.PeekOrAdd(key, r); found {
			r = old
		}
	}
	return r.Allow()
}
