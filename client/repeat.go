package client

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// maxRepeats limits how often a refused call is repeated. The context usually ends earlier.
const maxRepeats = 20

// repeatable reports whether a call may be repeated after this refusal: reads, and calls with an ID. After 10002
// another call may have had an effect; after 9506 it had none, but its repeat may come after a later call that
// contradicts it, as deletePushToken does setPushToken. An online-only message would arrive late.
func repeatable(method string, body []byte, refused *protocol.Error) bool {
	if refused.RetryAfter <= 0 {
		return false
	}
	var ids struct {
		RequestID, MessageID string
		OnlineUserOnly       bool
	}
	_ = json.Unmarshal(body, &ids) // a malformed request has no IDs
	send := method == "sendMessage"
	switch {
	case send && ids.OnlineUserOnly:
		return false
	case refused.Code != im.CodeInternal && refused.Code != im.CodeTooOften:
		return false
	}
	return ids.RequestID != "" || send && ids.MessageID != "" || reads(method)
}

// reads reports whether a method changes nothing.
func reads(method string) bool {
	return strings.HasPrefix(method, "get") || strings.HasPrefix(method, "list") || strings.HasPrefix(method, "search")
}

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
