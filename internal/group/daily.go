package group

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
)

// daily is a rate limit for each user and day, on this node. App servers are exempt. mu guards users and purged.
type daily struct {
	most int
	unit string
	now  func() int64 // milliseconds

	mu     sync.Mutex
	users  map[string]*rate.Limiter
	purged int64
}

func newDaily(most, def int, unit string, now func() int64) *daily {
	if most == 0 {
		most = def
	}
	return &daily{most: most, unit: unit, now: now, users: map[string]*rate.Limiter{}}
}

const day = 24 * time.Hour

// take charges a user n times; refund undoes the charge.
func (d *daily) take(by rpc.Caller, n int) (refund func(), err error) {
	if by.Server || n == 0 || d.most < 0 {
		return func() {}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := time.UnixMilli(d.now())
	d.purge(at)
	l := d.users[by.UserID]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(float64(d.most)/day.Seconds()), d.most)
		d.users[by.UserID] = l
	}
	r := l.ReserveN(at, n)
	switch wait := r.DelayFrom(at); {
	case !r.OK():
		return nil, &im.Error{Code: im.CodeTooMany,
			Message: fmt.Sprintf("the limit is %d %s per user and day", d.most, d.unit)}
	case wait > 0:
		r.CancelAt(at)
		return nil, &im.Error{Code: im.CodeTooOften,
			Message:    fmt.Sprintf("the limit is %d %s per user and day", d.most, d.unit),
			RetryAfter: int(wait.Milliseconds()) + 1}
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		r.CancelAt(at)
	}, nil
}

// purge evicts users with their full limit, once an hour.
func (d *daily) purge(at time.Time) {
	if at.UnixMilli()-d.purged < time.Hour.Milliseconds() {
		return
	}
	d.purged = at.UnixMilli()
	for u, l := range d.users {
		if l.TokensAt(at) >= float64(d.most) {
			delete(d.users, u)
		}
	}
}
