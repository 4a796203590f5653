package beckon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/auth"
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

// refusalOf returns the refusal that a function of the embedding program has returned, an *Error or an *im.Error; nil if
// err is another error. A refusal without a code gets the given one.
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
	return f()
}
