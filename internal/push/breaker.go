package push

import (
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// breaker is a circuit breaker for Web Push endpoints, so that they do not hold up each other. An origin that does not
// respond is paused. Each origin, and all unproven origins together, may use only a part of the workers. mu guards all
// fields below it.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	origins  map[string]*origin
	unproven int           // requests in flight to unproven origins
	deferred *rate.Limiter // limits the retries of requests to proven origins
	unknown  *rate.Limiter // and of those to origins that have failed and never responded
}

// origin is the state of a scheme, host and port.
type origin struct {
	answered bool // proven: it has responded before
	inFlight int
	failures int       // consecutive failures
	until    time.Time // end of the pause
	used     time.Time
}

const (
	openAfter   = 3 // failures
	openFirst   = 5 * time.Second
	openMost    = 5 * time.Minute
	ofOrigin    = 24 // requests in flight
	ofUnproven  = 4  // requests in flight to an unproven origin
	allUnproven = 16 // requests in flight to all unproven origins
	originsKept = 4096
	originIdle  = 10 * time.Minute
	retrySoon   = time.Second
	// Deferred requests are retried at these rates, whatever their origins: each retry costs a few reads and a commit.
	deferredPerSecond, deferredBurst = 200, 50
	unknownPerSecond, unknownBurst   = 20, 50
)

func newBreaker() *breaker {
	return &breaker{now: time.Now, origins: map[string]*origin{},
		deferred: rate.NewLimiter(deferredPerSecond, deferredBurst),
		unknown:  rate.NewLimiter(unknownPerSecond, unknownBurst)}
}

// enter permits a request to an origin, or returns how long to wait. After a pause a single request probes the origin.
// done reports whether there was a response.
func (b *breaker) enter(name string) (done func(answered bool), wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	o := b.origins[name]
	if o == nil {
		b.evict(now)
		o = &origin{}
		b.origins[name] = o
	}
	o.used = now
	open := o.failures >= openAfter
	switch {
	case open && now.Before(o.until):
		return nil, o.until.Sub(now) + rand.N(retrySoon) + b.spread(o, now)
	case open && o.inFlight > 0, o.inFlight >= ofOrigin, !o.answered &&
		(o.inFlight >= ofUnproven || b.unproven >= allUnproven):
		return nil, retrySoon + rand.N(retrySoon) + b.spread(o, now)
	}
	o.inFlight++
	unproven := !o.answered
	if unproven {
		b.unproven++
	}
	return func(answered bool) { b.leave(o, unproven, answered) }, 0
}

// spread returns the delay that keeps retries of deferred requests at their rate.
func (b *breaker) spread(o *origin, now time.Time) time.Duration {
	limiter := b.deferred
	if !o.answered && o.failures > 0 {
		limiter = b.unknown
	}
	return limiter.ReserveN(now, 1).DelayFrom(now)
}

func (b *breaker) leave(o *origin, unproven, answered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.inFlight--
	if unproven {
		b.unproven--
	}
	if answered {
		o.answered, o.failures = true, 0
		return
	}
	if o.failures++; o.failures >= openAfter {
		o.until = b.now().Add(min(openMost, openFirst<<min(o.failures-openAfter, 10)))
	}
}

// evict removes idle origins if there are many. b.mu must be held.
func (b *breaker) evict(now time.Time) {
	if len(b.origins) < originsKept {
		return
	}
	for name, o := range b.origins {
		if o.inFlight == 0 && now.Sub(o.used) > originIdle {
			delete(b.origins, name)
		}
	}
}
