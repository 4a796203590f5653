package api

import (
	"cmp"
	"context"
	"io"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Rate and burst of upload bytes of a user on each node. The burst fits a long video.
const (
	uploadBytesPerSecond = 4 << 20
	uploadBytesBurst     = 32 << 20
)

// uploads limits the uploads of each user.
type uploads struct {
	rate  rate.Limit
	burst int
	users *lru.Cache[string, *uploadLimit]
}

// uploadLimit limits the number of uploads and their bytes for one user.
type uploadLimit struct{ count, bytes *rate.Limiter }

// newUploads permits one upload per 50 calls, and a burst of one per 6 calls.
func newUploads(l Limits) *uploads {
	users, _ := lru.New[string, *uploadLimit](maxLimiters) // fails only for a size below one
	return &uploads{rate: rate.Limit(cmp.Or(l.User, 100) / 50), burst: max(1, cmp.Or(l.UserBurst, 200)/6), users: users}
}

func (u *uploads) of(user string) *uploadLimit {
	if l, ok := u.users.Get(user); ok {
		return l
	}
	l := &uploadLimit{count: rate.NewLimiter(u.rate, u.burst),
		bytes: rate.NewLimiter(uploadBytesPerSecond, uploadBytesBurst)}
	if old, found, _ := u.users.PeekOrAdd(user, l); found {
		return old
	}
	return l
}

// admit counts an upload, or rejects it with the time until the next is permitted.
func (l *uploadLimit) admit() error {
	r := l.count.Reserve()
	if wait := r.Delay(); wait > 0 {
		r.Cancel()
		err := tooOften("too many uploads by this user")
		err.RetryAfter = int(wait.Milliseconds()) + 1
		return err
	}
	return nil
}

// pace limits the reading of an upload to its user's rate.
func (l *uploadLimit) pace(ctx context.Context, body io.Reader) io.Reader {
	return &pacedReader{ctx: ctx, body: body, bytes: l.bytes}
}

type pacedReader struct {
	ctx   context.Context
	body  io.Reader
	bytes *rate.Limiter
}

func (p *pacedReader) Read(b []byte) (int, error) {
	n, err := p.body.Read(b[:min(len(b), uploadBytesBurst)])
	if waitErr := p.bytes.WaitN(p.ctx, n); waitErr != nil && err == nil {
		err = waitErr
	}
	return n, err
}
