package group

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
)

// daily bounds how often each user does something within a day, on this node. App servers have no bound.
type daily struct {
	most int
	what string
	now  func() int64 // milliseconds

	mu     sync.Mutex
	users  map[string]*rate.Limiter
	purged int64
}

func newDaily(most, usual int, what string, now func() int64) *daily {
	if most == 0 {
		most = usual
	}
	return &daily{most: most, what: what, now: now, users: map[string]*rate.Limiter{}}
}

const day = 24 * time.Hour

// take charges a user n times; back returns what was refused afterwards.
func (d *daily) take(by rpc.Caller, n int) (back func(), err error) {
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
		return nil, &im.Error{Code: im.CodeTooMany, Message: fmt.Sprintf("one user %s at most %d a day", d.what, d.most)}
	case wait > 0:
		r.CancelAt(at)
		return nil, &im.Error{Code: im.CodeTooOften, Message: fmt.Sprintf("one user %s at most %d a day", d.what, d.most),
			RetryAfter: int(wait.Milliseconds()) + 1}
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		r.CancelAt(at)
	}, nil
}

// purge forgets those who have their whole bound again, once an hour.
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
