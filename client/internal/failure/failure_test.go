package failure

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestCauses: every failure is one type, with the code of its cause, and errors.Is finds all causes.
func TestCauses(t *testing.T) {
	over, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	closed, end := context.WithCancelCause(context.Background())
	end(ErrClosed)
	reason := errors.New("the user hung up")
	hung, hang := context.WithCancelCause(context.Background())
	hang(reason)
	dial := errors.New("connection refused")
	refusal := &protocol.Error{Code: im.CodeOver, Message: "over"}
	for name, c := range map[string]struct {
		err  error
		code int
		is   []error
	}{
		"closed":              {ErrClosed, CodeDisconnected, []error{ErrClosed}},
		"closed, by context":  {Ended(closed), CodeDisconnected, []error{ErrClosed}},
		"a deadline":          {Ended(over), CodeTimeout, []error{ErrTimeout, context.DeadlineExceeded}},
		"a cancelled context": {Ended(hung), CodeTimeout, []error{context.Canceled, reason}},
		"a deadline, without a connection": {Causes(ErrNotConnected, Ended(over), dial), CodeTimeout,
			[]error{ErrNotConnected, ErrTimeout, context.DeadlineExceeded, dial}},
		"an expired token": {Causes(ErrNotConnected, &protocol.Error{Code: im.CodeTokenExpired}), im.CodeTokenExpired,
			[]error{ErrNotConnected}},
		"a refusal":       {refusal, im.CodeOver, []error{refusal}},
		"an error of im":  {im.Bad("data", "is long"), im.CodeBadParameter, nil},
		"a network error": {dial, CodeDisconnected, []error{dial}},
	} {
		err := fmt.Errorf("wrapped: %w", New("accept", c.err))
		var e *protocol.Error
		if !errors.As(err, &e) || e.Code != c.code || im.CodeOf(err) != c.code {
			t.Errorf("%s: %d, %v", name, im.CodeOf(err), err)
		}
		for _, want := range c.is {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v is not %v", name, err, want)
			}
		}
	}
	err := New("accept", Causes(ErrNotConnected, dial))
	if err.Error() != "beckon: accept: not connected: connection refused" {
		t.Error(err)
	}
	if Ended(context.Background()) != nil {
		t.Error("an endless context has ended")
	}
}
