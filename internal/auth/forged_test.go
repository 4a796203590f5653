package auth

import (
	"errors"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestForged: only forged tokens are charged to an address, not expired ones or those of another application or clock.
func TestForged(t *testing.T) {
	a, err := New(t.Context(), Options{JWTSecret: secretOfTests, Audience: "here"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	sign := func(secret string, c jwt.MapClaims) string {
		t.Helper()
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	const foreign = "another secret, of at least 32 characters"
	good := jwt.MapClaims{"sub": "ann", "aud": "here"}
	for name, c := range map[string]struct {
		token  string
		forged bool
	}{
		"another secret":    {sign(foreign, good), true},
		"no algorithm":      {"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJhdWQiOiJoZXJlIn0.", true},
		"another algorithm": {"eyJhbGciOiJYWCJ9.eyJzdWIiOiJhbm4iLCJhdWQiOiJoZXJlIn0.AAAA", true},
		"no token":          {"a.b.c", true},
		"a guessed key":     {"bk_00000000000000000000", true},
		"run out": {sign(secretOfTests,
			jwt.MapClaims{"sub": "ann", "aud": "here", "exp": now.Add(-time.Hour).Unix()}), false},
		"not yet": {sign(secretOfTests,
			jwt.MapClaims{"sub": "ann", "aud": "here", "nbf": now.Add(time.Hour).Unix()}), false},
		"elsewhere": {sign(secretOfTests, jwt.MapClaims{"sub": "ann", "aud": "there"}), false},
		"nothing":   {"", false},
	} {
		if _, err := a.Check(t.Context(), c.token); err == nil || errors.Is(err, ErrForged) != c.forged {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := a.Check(t.Context(), sign(secretOfTests, good)); err != nil {
		t.Error(err)
	}
}
