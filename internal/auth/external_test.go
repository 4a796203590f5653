package auth

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/beckon-im/beckon/im"
)

// TestExternal: tokens that no key of the server has signed are verified by the external function, and no others.
func TestExternal(t *testing.T) {
	now := time.Unix(1700000000, 0)
	var asked []string
	a, err := New(t.Context(), Options{JWTSecret: secretOfTests, UserSigAppID: sigAppID, UserSigKey: sigKey,
		Now: func() time.Time { return now },
		External: func(_ context.Context, token string) (Identity, error) {
			asked = append(asked, token)
			id := Identity{UserID: "alice", DeviceID: "d", ExpireAt: now.Unix() + 9, IssuedAt: now.Unix(), InviteID: "i"}
			switch token {
			case "refused":
				return Identity{}, im.Refuse(im.CodeTokenRefused, "no such session")
			case "expired":
				return Identity{}, im.Refuse(im.CodeTokenExpired, "expired")
			case "unavailable":
				return Identity{}, errors.New("the database is down")
			case "old":
				id.ExpireAt = now.Unix()
			case "future":
				id.IssuedAt = now.Unix() + 120
			case "user":
				id.UserID = ""
			case "device":
				id.DeviceID = "/"
			}
			return id, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	own := func(c jwt.RegisteredClaims, key string) string {
		return sign(t, jwt.SigningMethodHS256, []byte(key), c, "")
	}
	answer, err := a.MintAnswer("bob", "d", "invite", now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	past := jwt.RegisteredClaims{Subject: "bob", ExpiresAt: jwt.NewNumericDate(now.Add(-time.Hour))}
	for _, c := range []struct {
		name, token string
		asked       bool
		user        string
		code        int
		forged      bool
	}{
		{"a session ID", "session", true, "alice", 0, false},
		{"a JWT of another issuer", own(jwt.RegisteredClaims{Subject: "eve"}, "another secret of 32 characters!"), true,
			"alice", 0, false},
		{"a JWT of this server", own(jwt.RegisteredClaims{Subject: "bob"}, secretOfTests), false, "bob", 0, false},
		{"an expired JWT of this server", own(past, secretOfTests), false, "", im.CodeTokenExpired, false},
		{"a token of a push", answer, false, "bob", 0, false},
		{"no token", "", false, "", im.CodeTokenMalformed, false},
		{"a refused one", "refused", true, "", im.CodeTokenRefused, true},
		{"an expired one", "expired", true, "", im.CodeTokenExpired, false},
		{"one with an expired identity", "old", true, "", im.CodeTokenExpired, false},
		{"one of the future", "future", true, "", im.CodeTokenRefused, false},
		{"without a user", "user", true, "", im.CodeTokenMalformed, false},
		{"with a wrong device", "device", true, "", im.CodeTokenMalformed, false},
		{"one that cannot be verified", "unavailable", true, "", im.CodeInternal, false},
	} {
		asked = nil
		id, err := a.Check(t.Context(), c.token)
		if id.UserID != c.user || im.CodeOf(err) != c.code || errors.Is(err, ErrForged) != c.forged ||
			(len(asked) == 1) != c.asked {
			t.Errorf("%s: %+v, %v, asked for %q", c.name, id, err, asked)
		}
		if c.asked && id.IsOfPush() {
			t.Errorf("%s: an external function issued a token of a push", c.name)
		}
	}
	if err := a.Set(Options{JWTSecret: secretOfTests, Now: func() time.Time { return now }}); err != nil {
		t.Fatal(err)
	}
	if id, err := a.Check(t.Context(), "session"); err != nil || id.UserID != "alice" {
		t.Errorf("after new settings: %+v, %v", id, err)
	}
}
