package client

import (
	"github.com/beckon-im/beckon/client/internal/failure"
	"github.com/beckon-im/beckon/protocol"
)

// Error is the error of every failed call, of Connect and of New: use errors.As with an *Error. Its Code is also that
// of im.CodeOf(err). Refusals of the server have the codes of package im, and no Cause; the failures of this side wrap
// their cause, which errors.Is finds:
//
//	var refused *client.Error
//	switch {
//	case errors.Is(err, client.ErrTimeout): // it may have taken effect
//	case errors.As(err, &refused) && refused.Code == im.CodeOver: // refused.Invitation has the outcome
//	}
type Error = protocol.Error

// Codes of failures without a refusal of the server. The TypeScript SDK has the same.
const (
	CodeDisconnected = failure.CodeDisconnected // ErrClosed, ErrNotConnected, or a failed upload or download
	CodeTimeout      = failure.CodeTimeout      // ErrTimeout, or the context of the call was cancelled
)

// Causes of failed calls, for errors.Is.
var (
	// ErrClosed is the cause of the failure of Connect and of calls after Close, and of those that Close ends. A call that
	// was sent before may have taken effect.
	ErrClosed = failure.ErrClosed
	// ErrNotConnected is the cause of the failure of a call that was not sent: before Connect or after a permanent
	// disconnect, at once; while the client reconnects, when the context of the call ends, with ErrTimeout.
	ErrNotConnected = failure.ErrNotConnected
	// ErrTimeout is the cause of the failure of a call whose context reached its deadline, or that took longer than
	// Options.CallTimeout. Without ErrNotConnected it may have taken effect. context.DeadlineExceeded is a cause, too.
	ErrTimeout = failure.ErrTimeout
)
