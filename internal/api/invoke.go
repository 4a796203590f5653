package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/protocol"
)

// inProcess is the address of callers in this process, in the audit log.
const inProcess = "in-process"

// Invoke runs a method for a caller in this process, by the rules for POST: an app server with or without a user to act
// for, or a device of a user. It returns the encoded response, or the error for the wire. If ctx ends first, Invoke
// returns its error; a call that changes something continues.
func (a *API) Invoke(ctx context.Context, by rpc.Caller, name string, request []byte) ([]byte, error) {
	by.CallID, by.From = uuid.NewString(), inProcess
	err := a.checkInvoke(by, name)
	if err == nil {
		err = a.limitRate(name, by)
	}
	if err != nil {
		return nil, a.wireError(name, by, err)
	}
	type outcome struct {
		body []byte
		err  *protocol.Error
	}
	done := make(chan outcome, 1)
	a.call(ctx, by, name, request, func(b []byte, e *protocol.Error) { done <- outcome{b, e} })
	select {
	case o := <-done:
		if o.err != nil {
			return nil, o.err
		}
		return o.body, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hookKey marks the context of a before-hook in this process.
type hookKey struct{}

// withinHook reports whether a call is made by a before-hook in this process. It must not wait in the queue of its user
// for the call that waits for the hook.
func withinHook(ctx context.Context) bool { return ctx.Value(hookKey{}) != nil }

// checkInvoke checks the user and the device of a caller in this process.
func (a *API) checkInvoke(by rpc.Caller, name string) error {
	v := a.methods[name]
	switch {
	case by.UserID == "" && (by.DeviceID != "" || v != nil && v.callers == users):
		return im.Bad("userID", "is required: it names the user that this call acts for")
	case by.UserID == "":
		return nil
	case by.DeviceID != "":
		if err := im.CheckDeviceID(by.DeviceID); err != nil {
			return err
		}
	}
	return im.CheckUserID("userID", by.UserID)
}
