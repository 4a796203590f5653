package push

import (
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// breaker keeps the endpoints of Web Push from holding up each other: an origin that does not answer is left alone for
// a while, and none, nor all those together that have never answered, has more than a part of the workers.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	origins  map[string]*origin
	unproven int // sends under way to origins that have never answered
	deferred *rate.Limiter
}

// origin is where endpoints are: scheme, name and port.
type origin struct {
	answered bool // it has, once
	inFlight int
	failures int       // one after the other
	until    time.Time // it is left alone
	used     time.Time
}

const (
	openAfter   = 3 // failures
	openFirst   = 5 * time.Second
	openMost    = 5 * time.Minute
	ofOrigin    = 24 // sends at once
	ofUnproven  = 4  // to one that has never answered
	allUnproven = 16 // to all those
	originsKept = 4096
	originIdle  = 10 * time.Minute
	retrySoon   = time.Second
	// Deferred pushes come back at this rate, whatever their origins: each costs a few reads and a commit.
	deferredPerSecond, deferredBurst = 200, 50
)

func newBreaker() *breaker {
	return &breaker{now: time.Now, origins: map[string]*origin{}, deferred: rate.NewLimiter(deferredPerSecond, deferredBurst)}
}

// enter lets a push go to an origin, or says when to come again. Of an origin that was left alone one push goes first.
// done says whether there was an answer.
func (b *breaker) enter(name string) (done func(answered bool), wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	o := b.origins[name]
	if o == nil {
		b.forget(now)
		o = &origin{}
		b.origins[name] = o
	}
	o.used = now
	open := o.failures >= openAfter
	switch {
	case open && now.Before(o.until):
		return nil, o.until.Sub(now) + rand.N(retrySoon) + b.deferred.ReserveN(now, 1).DelayFrom(now)
	case open && o.inFlight > 0, o.inFlight >= ofOrigin, !o.answered &&
		(o.inFlight >= ofUnproven || b.unproven >= allUnproven):
		return nil, retrySoon + rand.N(retrySoon) + b.deferred.ReserveN(now, 1).DelayFrom(now)
	}
	o.inFlight++
	unproven := !o.answered
	if unproven {
		b.unproven++
	}
	return func(answered bool) { b.leave(o, unproven, answered) }, 0
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

// forget drops origins that were not used for long when there are many. The lock must be held.
func (b *breaker) forget(now time.Time) {
	if len(b.origins) < originsKept {
		return
	}
	for name, o := range b.origins {
		if o.inFlight == 0 && now.Sub(o.used) > originIdle {
			delete(b.origins, name)
		}
	}
}
