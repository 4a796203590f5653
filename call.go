package beckon

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/protocol"
)

// Error is the error of a call: a code for programs (constants in package im), a message for users, and the invalid
// field. It is the error of the Go SDK as well.
type Error = protocol.Error

// Caller is the identity in which Server.Call runs a method. The zero value is the app server itself.
type Caller struct {
	// UserID is the user for whom the method runs. Default: none; the app server acts for itself.
	UserID string
	// DeviceID makes the call one of this device of the user: its events reach the other devices only, the before-hooks
	// are called, and it is not in the audit log. Default: the app server acts for the user, with a key's permissions.
	DeviceID string
}

// Call runs a method in this process, with the table, permissions, limits and audit log of POST /v1/<method>: any
// method of PROTOCOL.md, by its name. request is encoded as JSON; nil is an empty request. The response is decoded into
// response, unless that is nil. Types of both are in package protocol; a json.RawMessage is passed as it is.
//
// A refusal is an *Error. Before Ready is closed, Call returns ErrNotReady, and after Run ErrClosed, at once. If ctx
// ends first, Call returns its error, and the outcome of a method that changes something is unknown: a request with a
// requestID may be repeated.
func (s *Server) Call(ctx context.Context, by Caller, method string, request, response any) error {
	if err := s.life.enter(s.ready); err != nil {
		return err
	}
	defer s.life.calls.Done()
	body := []byte("{}")
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return fmt.Errorf("beckon: encoding the request of %s: %w", method, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	answer, err := s.api.Invoke(ctx, rpc.Caller{UserID: by.UserID, DeviceID: by.DeviceID, Server: by.DeviceID == ""},
		method, body)
	if err != nil || response == nil {
		return err
	}
	if err := json.Unmarshal(answer, response); err != nil {
		return fmt.Errorf("beckon: decoding the response of %s: %w", method, err)
	}
	return nil
}
