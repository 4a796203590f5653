package auth

import (
	"context"
	"errors"
	"time"

	"github.com/beckon-im/beckon/im"
)

// externalTime is the timeout of Options.External.
const externalTime = 10 * time.Second

// external verifies a token with Options.External. A token that it refuses counts as forged, so that addresses that
// guess are limited.
func (a *verifier) external(ctx context.Context, token string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, externalTime)
	defer cancel()
	id, err := a.opt.External(ctx, token)
	var refused *im.Error
	switch {
	case errors.As(err, &refused):
		if refused.Code == im.CodeTokenRefused || refused.Code == im.CodeTokenMalformed {
			e := *refused
			e.Cause = errors.Join(ErrForged, e.Cause)
			return id, &e
		}
		return id, refused
	case err != nil:
		return id, &im.Error{Code: im.CodeInternal, Message: "the token cannot be verified now; retry", Cause: err,
			RetryAfter: 2000}
	}
	id.InviteID, id.TestID = "", "" // only this server issues tokens of pushes
	if now := a.opt.Now(); id.ExpireAt != 0 && id.ExpireAt <= now.Unix() {
		return id, im.Refuse(im.CodeTokenExpired, "the token has expired; get a new one")
	} else if id.IssuedAt > now.Add(clockLeeway).Unix() {
		return id, im.Refuse(im.CodeTokenRefused,
			"the token was issued in the future: check the clocks of this server and the token issuer")
	}
	return id, id.check()
}
