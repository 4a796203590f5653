package files

import (
	"context"
	"io"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/beckon-im/beckon/im"
)

// Rate and burst of upload bytes of a user on each node. The burst fits a long video.
const (
	uploadBytesPerSecond = 4 << 20
	uploadBytesBurst     = 32 << 20
)

// Limits limits the uploads of each user on this node, in number and bytes.
type Limits struct {
	rate  rate.Limit
	burst int
	users *lru.Cache[string, *UserLimit]
}

// UserLimit is the limit of one user.
type UserLimit struct{ count, bytes *rate.Limiter }

// maxLimits bounds the memory of limits: users without recent uploads are evicted, and start with a full burst again.
const maxLimits = 100_000

// NewLimits allows uploads per second, and a burst, for each user.
func NewLimits(perSecond float64, burst int) *Limits {
	users, _ := lru.New[string, *UserLimit](maxLimits) // fails only for a size below one
	return &Limits{rate: rate.Limit(perSecond), burst: burst, users: users}
}

// Of returns the limit of a user.
func (u *Limits) Of(user string) *UserLimit {
	if l, ok := u.users.Get(user); ok {
		return l
	}
	l := &UserLimit{count: rate.NewLimiter(u.rate, u.burst),
		bytes: rate.NewLimiter(uploadBytesPerSecond, uploadBytesBurst)}
	if old, found, _ := u.users.PeekOrAdd(user, l); found {
		return old
	}
	return l
}

// Admit counts an upload, or rejects it with the time until the next is permitted.
func (l *UserLimit) Admit() error {
	r := l.count.Reserve()
	if wait := r.Delay(); wait > 0 {
		r.Cancel()
		return &im.Error{Code: im.CodeTooOften, Message: "too many uploads by this user; wait and retry",
			RetryAfter: int(wait.Milliseconds()) + 1}
	}
	return nil
}

// Pace limits the reading of an upload to its user's rate.
func (l *UserLimit) Pace(ctx context.Context, body io.Reader) io.Reader {
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
