package beckon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/auth"
	"github.com/beckon-im/beckon/internal/hook"
	"github.com/beckon-im/beckon/internal/hook/sink"
)

// Identity is the user and the device of a token that Config.Authenticate has verified.
type Identity struct {
	// UserID is the user: 1 to 128 bytes of printable UTF-8 without spaces. Required.
	UserID string
	// DeviceID binds the token to a device. Default: the device names itself when it connects.
	DeviceID string
	// IssuedAt is the time of the sign-in. revokeTokens invalidates all tokens issued before it. Default: unknown; a user
	// whose tokens were ever revoked needs one with a time.
	IssuedAt time.Time
	// ExpireAt is the time at which the session ends unless the device has renewed its token. Default: never.
	ExpireAt time.Time
}

// internal converts an identity.
func (i Identity) internal() auth.Identity {
	return auth.Identity{UserID: i.UserID, DeviceID: i.DeviceID, IssuedAt: unix(i.IssuedAt), ExpireAt: unix(i.ExpireAt)}
}

// unix returns a time in Unix seconds; 0 for the zero time only.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, t.Unix())
}

// authenticate returns the function that verifies tokens with Config.Authenticate; nil without it.
func (c *Config) authenticate() func(context.Context, string) (auth.Identity, error) {
	if c.Authenticate == nil {
		return nil
	}
	return func(ctx context.Context, token string) (auth.Identity, error) {
		id, err := recovered(c.Log, func() (Identity, error) { return c.Authenticate(ctx, token) })
		if err == nil {
			return id.internal(), nil
		}
		if refused := refusalOf(err, im.CodeTokenRefused); refused != nil {
			return auth.Identity{}, refused
		}
		c.Log.Warn("authentication function failed", "error", err)
		return auth.Identity{}, err
	}
}

// BeforeCall is a call of a device about which Config.Before decides.
type BeforeCall struct {
	Method   string          // invite, inviteInGroup, addInvitees, sendMessage, joinGroup, connect
	UserID   string          // the user
	DeviceID string          // the device
	Request  json.RawMessage // the request as it would run; for connect, the data of the connect command
}

// before returns the function that asks Config.Before; nil without it.
func (c *Config) before() func(ctx context.Context, method, user, device string, request []byte) ([]byte, error) {
	if c.Before == nil {
		return nil
	}
	return func(ctx context.Context, method, user, device string, request []byte) ([]byte, error) {
		call := BeforeCall{Method: method, UserID: user, DeviceID: device, Request: request}
		rewritten, err := recovered(c.Log, func() (json.RawMessage, error) { return c.Before(ctx, call) })
		switch {
		case err == nil && len(rewritten) == 0:
			return request, nil
		case err == nil:
			return rewritten, nil
		}
		refused := refusalOf(err, appCode)
		if refused != nil && hook.MinCode <= refused.Code && refused.Code <= hook.MaxCode {
			return nil, refused
		}
		c.Log.Warn("before-hook failed", "method", method, "user", user, "refused", true, "error", err)
		return nil, &im.Error{Code: im.CodeInternal, Message: "before-hook failed; retry", Cause: err, RetryAfter: 2000}
	}
}

// Event is something that has happened, with the content of a webhook.
type Event struct {
	ID   string          // the same for each delivery of the event: for detecting repeats
	Key  string          // the ordering key: a group, two users, or an invitation; not a format to parse
	Type string          // invitation.created, message.sent, …
	Time time.Time       // of the commit
	Data json.RawMessage // by type: protocol.Signaling, protocol.Message, …
}

// after returns the receiver of events that calls Config.After; nil without it.
func (c *Config) after() sink.Sink {
	if c.After == nil {
		return nil
	}
	return sink.Func(func(ctx context.Context, e *sink.Event) error {
		var body struct {
			Timestamp time.Time       `json:"timestamp"`
			Data      json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(e.Body, &body); err != nil {
			return err
		}
		event := Event{ID: e.ID, Key: e.Key, Type: e.Kind, Time: body.Timestamp, Data: body.Data}
		_, err := recovered(c.Log, func() (struct{}, error) { return struct{}{}, c.After(ctx, event) })
		return err
	})
}

// refusalOf returns the refusal that a function of the embedding program has returned, an *Error or an *im.Error; nil
// if err is another error. A refusal without a code gets the given one.
func refusalOf(err error, code int) *im.Error {
	var refused im.Error
	var public *Error
	var internal *im.Error
	switch {
	case errors.As(err, &public):
		refused = im.Error{Code: public.Code, Message: public.Message, Field: public.Field, Users: public.UserIDList,
			RetryAfter: public.RetryAfter}
	case errors.As(err, &internal):
		refused = *internal
	default:
		return nil
	}
	refused.Code = cmp.Or(refused.Code, code)
	refused.Message = cmp.Or(refused.Message, "refused by the application")
	return &refused
}

// recovered calls a function of the embedding program, and turns a panic into an error.
func recovered[R any](log *slog.Logger, f func() (R, error)) (res R, err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("function of the embedding program panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if res, err = f(); err != nil && reflect.ValueOf(err).Kind() == reflect.Pointer && reflect.ValueOf(err).IsNil() {
		err = errors.New("a nil pointer was returned as an error")
	}
	return res, err
}
