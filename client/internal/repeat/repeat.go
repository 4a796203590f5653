// Package repeat reads the refusals of calls, and decides whether and when a client repeats them.
package repeat

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Refusal decodes the error object of a reply; nil if it is none. An error object begins with its code, and no other
// reply has one.
func Refusal(reply []byte) *protocol.Error {
	var e protocol.Error
	if !bytes.HasPrefix(reply, []byte(`{"code":`)) || json.Unmarshal(reply, &e) != nil {
		return nil
	}
	return &e
}

// Allowed reports whether a call may be repeated after this refusal: reads, and calls with an ID. After 10002
// another call may have had an effect; after 9506 it had none, but its repeat may come after a later call that
// contradicts it, as deletePushToken does setPushToken. An online-only message would arrive late.
func Allowed(method string, body []byte, refused *protocol.Error) bool {
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

// Most limits how often a refused call is repeated. The context usually ends earlier.
const Most = 20

// Pause waits for the retryAfter of a refusal and up to a quarter of it more, so that callers refused together do not
// return together. It returns false at once if ctx ends before, and when the life of the client ends meanwhile.
func Pause(ctx, life context.Context, refused *protocol.Error) bool {
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
	case <-life.Done():
	}
	return false
}

type onceKey struct{}

// Once returns a context without repeats after refusals: for calls of the callback goroutine, which would delay the
// callbacks.
func Once(ctx context.Context) context.Context { return context.WithValue(ctx, onceKey{}, true) }

// IsOnce reports whether a context is one of Once.
func IsOnce(ctx context.Context) bool { return ctx.Value(onceKey{}) != nil }
