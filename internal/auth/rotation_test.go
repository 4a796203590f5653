package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/im"
)

// TestRotation replaces the secrets of tokens in the documented steps. Between any two steps a node before the step and
// one after it accept the tokens of each other, and no token is refused before its secret is removed.
func TestRotation(t *testing.T) {
	now := time.Unix(1700000000, 0)
	before, after := strings.Repeat("a", 32), strings.Repeat("b", 32)
	node := func(secret, key string, secrets, keys []string) *Authenticator {
		t.Helper()
		a, err := New(t.Context(), Options{JWTSecret: secret, SecondaryJWTSecrets: secrets,
			UserSigAppID: sigAppID, UserSigKey: key, SecondaryUserSigKeys: keys, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	steps := []*Authenticator{
		node(before, "old", nil, nil),
		node(before, "old", []string{after}, []string{"new"}),
		node(after, "new", []string{before}, []string{"old"}),
		node(after, "new", nil, nil),
	}
	tokens := func(a *Authenticator) (list []string) {
		login, err := a.Mint("alice", "phone", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := a.MintAnswer("alice", "phone", "i1", now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		u := userSig{Version: "2.0", Identifier: "alice", AppID: sigAppID, Expire: 300, Time: now.Unix()}
		u.Sig = u.signature(a.current.Load().opt.UserSigKey)
		return []string{login, answer, packUserSig(t, u)}
	}
	for i := range steps {
		for j := max(0, i-1); j < min(len(steps), i+2); j++ {
			for n, token := range tokens(steps[i]) {
				id, err := steps[j].Check(t.Context(), token)
				if err != nil || id.UserID != "alice" || (id.InviteID != "") != (n == 1) {
					t.Errorf("token %d of step %d at step %d: %+v, %v", n, i, j, id, err)
				}
			}
		}
	}
	for n, token := range tokens(steps[0]) {
		if _, err := steps[3].Check(t.Context(), token); im.CodeOf(err) != im.CodeTokenRefused {
			t.Errorf("token %d of the removed secret: %v", n, err)
		}
	}
}
