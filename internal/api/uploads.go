package api

import (
	"cmp"
	"context"
	"io"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// The bytes of uploads are read at this rate for each user on each node, after a burst of a long video.
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

// uploadLimit is one user's: uploads begun, and their bytes.
type uploadLimit struct{ count, bytes *rate.Limiter }

// newUploads allows one upload for 50 calls, and at once one for 6.
func newUploads(l Limits) *uploads {
	users, _ := lru.New[string, *uploadLimit](maxLimiters) // it fails only for a size below one
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

// admit counts an upload, and refuses it with the time until one is allowed again.
func (l *uploadLimit) admit() error {
	r := l.count.Reserve()
	if wait := r.Delay(); wait > 0 {
		r.Cancel()
		err := tooOften("you upload too often")
		err.RetryAfter = int(wait.Milliseconds()) + 1
		return err
	}
	return nil
}

// pace slows the reading of an upload down to its user's rate.
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
	if wait := p.bytes.WaitN(p.ctx, n); wait != nil && err == nil {
		err = wait
	}
	return n, err
}
