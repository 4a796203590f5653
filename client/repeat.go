package client

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/beckon-im/beckon/protocol"
)

// maxRepeats limits how often a refused call is repeated. The context usually ends earlier.
const maxRepeats = 20

// pause waits for the retryAfter of a refusal and up to a quarter of it more, so that callers refused together do not
// return together. It returns false at once if ctx ends before, and when the client is closed meanwhile.
func (c *Client) pause(ctx context.Context, refused *protocol.Error) bool {
	wait := time.Duration(refused.RetryAfter) * time.Millisecond
	wait += rand.N(wait/4 + 1)
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) < wait {
		return false
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-c.closing:
	}
	return false
}

// onceKey marks a context without repeats after refusals: those of the callback goroutine, which would
// delay the callbacks.
type onceKey struct{}

func once(ctx context.Context) context.Context { return context.WithValue(ctx, onceKey{}, true) }
