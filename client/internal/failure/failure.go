// Package failure makes the errors of failed calls.
package failure

import (
	"context"
	"errors"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Codes of the failures that the SDK itself finds; the TypeScript SDK has the same.
const (
	CodeDisconnected = 9508
	CodeTimeout      = 9520
)

// The causes that package client exports.
var (
	ErrClosed       = errors.New("the client is closed")
	ErrNotConnected = errors.New("not connected")
	ErrTimeout      = errors.New("timeout")
)

// New returns the error of a failed call. A *protocol.Error is returned as it is; any other error becomes its cause.
func New(call string, err error) *protocol.Error {
	if e, ok := err.(*protocol.Error); ok { //nolint:errorlint // a wrapped one has more causes
		return e
	}
	return &protocol.Error{Code: code(err), Message: "beckon: " + call + ": " + err.Error(), Cause: err}
}

// Bad returns the error of an invalid argument.
func Bad(field, message string) *protocol.Error {
	return &protocol.Error{Code: im.CodeBadParameter, Field: field, Message: "beckon: " + field + ": " + message}
}

// Response returns the error of a response that is not one of a Beckon server.
func Response(call string, err error) *protocol.Error {
	e := New(call, err)
	e.Code = im.CodeInternal
	return e
}

// code returns the code of a failure without one: that of a lost connection, unless it is a timeout.
func code(err error) int {
	var coded interface{ ErrorCode() int }
	switch {
	case errors.Is(err, ErrClosed):
		return CodeDisconnected
	case errors.As(err, &coded):
		return coded.ErrorCode()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, ErrTimeout):
		return CodeTimeout
	}
	return CodeDisconnected
}

// Ended returns the error of a context that has ended, and nil for another.
func Ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(cause, ErrClosed):
		return cause
	case errors.Is(err, context.DeadlineExceeded):
		err = Causes(ErrTimeout, err)
	}
	if errors.Is(err, cause) {
		return err
	}
	return Causes(err, cause)
}

// Causes returns an error with several causes; nil ones are left out.
func Causes(list ...error) error {
	var c causes
	for _, err := range list {
		if err != nil {
			c = append(c, err)
		}
	}
	return c
}

type causes []error

func (c causes) Error() string {
	texts := make([]string, len(c))
	for i, err := range c {
		texts[i] = err.Error()
	}
	return strings.Join(texts, ": ")
}

func (c causes) Unwrap() []error { return c }
