package auth

import (
	"bytes"
	"compress/zlib"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/beckon-im/beckon/im"
)

// test vector of the TLSSigAPIv2 documentation, with a throw-away key
const (
	sigAppID = 1400000000
	sigKey   = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
)

func packUserSig(t testing.TB, u userSig) string {
	t.Helper()
	text, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	return packText(t, text)
}

func packText(t testing.TB, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("+", "*", "/", "-", "=", "_").Replace(base64.StdEncoding.EncodeToString(b.Bytes()))
}

func TestUserSigVectors(t *testing.T) {
	u := userSig{Version: "2.0", Identifier: "xiaojun", AppID: sigAppID, Expire: 15552000, Time: 1700000000}
	if got, want := u.signature(sigKey), "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	buf, _ := new(big.Int).SetString("0000077869616f6a756e53724e00000027106553f22c0000002a00000000", 16)
	raw := append(make([]byte, 30-len(buf.Bytes())), buf.Bytes()...)
	private := userSig{Version: "2.0", Identifier: "xiaojun", AppID: sigAppID, Expire: 300, Time: 1700000000,
		UserBuf: base64.StdEncoding.EncodeToString(raw)}
	if got, want := private.signature(sigKey), "P5VOZl2puDPO93IxAFRjBiMCup+p9dfpzhDS5mGu/FE="; got != want {
		t.Errorf("signature with a private map key %s, want %s", got, want)
	}
}

func TestUserSig(t *testing.T) {
	at := time.Unix(1700000100, 0)
	good := userSig{Version: "2.0", Identifier: "xiaojun", AppID: sigAppID, Expire: 300, Time: 1700000000}
	good.Sig = good.signature(sigKey)
	forged, expired, other, ahead := good, good, good, good
	ahead.Time = at.Unix() + 3600
	ahead.Sig = ahead.signature(sigKey)
	forged.Identifier = "mallory"
	other.AppID = 7
	other.Sig = other.signature(sigKey)
	expired.Time = 1600000000
	expired.Sig = expired.signature(sigKey)
	for _, c := range []struct {
		name, token string
		code        int
	}{
		{"good", packUserSig(t, good), 0},
		{"forged", packUserSig(t, forged), im.CodeTokenRefused},
		{"another application", packUserSig(t, other), im.CodeTokenApp},
		{"expired", packUserSig(t, expired), im.CodeTokenExpired},
		{"made in an hour", packUserSig(t, ahead), im.CodeTokenRefused},
		{"not base64", "%%%", im.CodeTokenMalformed},
		{"not zlib", "aGVsbG8_", im.CodeTokenMalformed},
		{"a bomb", packText(t, append([]byte(`{"TLS.identifier":"`), bytes.Repeat([]byte("a"), 1<<20)...)),
			im.CodeTokenMalformed},
		{"null", packText(t, []byte("null")), im.CodeTokenApp},
	} {
		id, err := checkUserSig(c.token, sigAppID, []string{sigKey}, at)
		if im.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want code %d", c.name, err, c.code)
		}
		if c.code == 0 && (id.UserID != "xiaojun" || id.ExpireAt != 1700000300) {
			t.Errorf("%s: %+v", c.name, id)
		}
	}
}

const secretOfTests = "0123456789abcdef0123456789abcdef"

func sign(t *testing.T, m jwt.SigningMethod, key any, c jwt.Claims, kid string) string {
	t.Helper()
	tok := jwt.NewWithClaims(m, c)
	if kid != "" {
		tok.Header["kid"] = kid
	}
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJWT(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(jwks(t, rsaKey, ecKey))
	defer keys.Close()
	a, err := New(t.Context(), Options{JWTSecret: secretOfTests, JWKSURL: keys.URL, Audience: "beckon"})
	if err != nil {
		t.Fatal(err)
	}
	body := func(sub string, ttl time.Duration, aud string) claims {
		return claims{Device: "d1", RegisteredClaims: jwt.RegisteredClaims{Subject: sub, Audience: jwt.ClaimStrings{aud},
			ExpiresAt: jwt.NewNumericDate(time.Now().Add(ttl))}}
	}
	made := func(ahead time.Duration) claims {
		c := body("alice", 2*time.Hour, "beckon")
		c.IssuedAt = jwt.NewNumericDate(time.Now().Add(ahead))
		return c
	}
	for _, c := range []struct {
		name, token string
		code        int
	}{
		{"HS256", sign(t, jwt.SigningMethodHS256, []byte(secretOfTests), body("alice", time.Hour, "beckon"), ""), 0},
		{"RS256", sign(t, jwt.SigningMethodRS256, rsaKey, body("alice", time.Hour, "beckon"), "r"), 0},
		{"ES256", sign(t, jwt.SigningMethodES256, ecKey, body("alice", time.Hour, "beckon"), "e"), 0},
		{"expired", sign(t, jwt.SigningMethodHS256, []byte(secretOfTests), body("alice", -time.Hour, "beckon"), ""),
			im.CodeTokenExpired},
		{"another secret", sign(t, jwt.SigningMethodHS256, []byte("another secret of the same size!"),
			body("alice", time.Hour, "beckon"), ""), im.CodeTokenRefused},
		{"another audience", sign(t, jwt.SigningMethodHS256, []byte(secretOfTests), body("alice", time.Hour, "shop"), ""),
			im.CodeTokenApp},
		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, body("alice", time.Hour, "beckon"), ""),
			im.CodeTokenRefused},
		{"HS384", sign(t, jwt.SigningMethodHS384, []byte(secretOfTests), body("alice", time.Hour, "beckon"), ""),
			im.CodeTokenRefused},
		{"public key as secret", sign(t, jwt.SigningMethodHS256, rsaKey.N.Bytes(), body("alice", time.Hour, "beckon"), "r"),
			im.CodeTokenRefused},
		{"no user", sign(t, jwt.SigningMethodHS256, []byte(secretOfTests), body("", time.Hour, "beckon"), ""),
			im.CodeTokenMalformed},
		{"a user with a space", sign(t, jwt.SigningMethodHS256, []byte(secretOfTests), body("a b", time.Hour, "beckon"), ""),
			im.CodeTokenMalformed},
		{"made in 30 s", sign(t, jwt.SigningMethodHS256, []byte(secretOfTests), made(30*time.Second), ""), 0},
		{"made in an hour", sign(t, jwt.SigningMethodHS256, []byte(secretOfTests), made(time.Hour), ""), im.CodeTokenRefused},
		{"an unknown crit", critical(t, body("alice", time.Hour, "beckon"), []string{"exp"}), im.CodeTokenRefused},
		{"an empty crit", critical(t, body("alice", time.Hour, "beckon"), []string{}), im.CodeTokenRefused},
		{"nothing", "", im.CodeTokenMalformed},
		{"dots", "a.b.c", im.CodeTokenMalformed},
		{"long", strings.Repeat("a", maxToken+1), im.CodeTokenMalformed},
	} {
		id, err := a.Check(t.Context(), c.token)
		if im.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want code %d", c.name, err, c.code)
		}
		if c.code == 0 && (id.UserID != "alice" || id.DeviceID != "d1" || id.ExpireAt == 0) {
			t.Errorf("%s: %+v", c.name, id)
		}
	}
}

// critical signs a token with critical extensions in its header.
func critical(t *testing.T, c jwt.Claims, crit []string) string {
	t.Helper()
	tok := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	tok.Header["crit"] = crit
	s, err := tok.SignedString([]byte(secretOfTests))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNoKeys: a server without keys rejects all tokens, including an empty key and other algorithms.
func TestNoKeys(t *testing.T) {
	a, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := jwt.RegisteredClaims{Subject: "alice"}
	for _, token := range []string{sign(t, jwt.SigningMethodHS256, []byte(""), c, ""),
		sign(t, jwt.SigningMethodRS256, key, c, "x")} {
		if id, err := a.Check(t.Context(), token); im.CodeOf(err) != im.CodeTokenRefused {
			t.Errorf("%+v, %v", id, err)
		}
	}
}

func jwks(t *testing.T, r *rsa.PrivateKey, e *ecdsa.PrivateKey) http.Handler {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	point, err := e.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "RSA", "kid": "r", "alg": "RS256", "use": "sig", "n": b64(r.N.Bytes()),
			"e": b64(big.NewInt(int64(r.E)).Bytes())},
		{"kty": "EC", "kid": "e", "alg": "ES256", "use": "sig", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) })
}

func FuzzToken(f *testing.F) {
	a, err := New(f.Context(),
		Options{JWTSecret: secretOfTests, UserSigAppID: sigAppID, UserSigKey: sigKey})
	if err != nil {
		f.Fatal(err)
	}
	good, err := a.Mint("alice", "d", time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(packUserSig(f, userSig{Version: "2.0", Identifier: "x", AppID: sigAppID, Expire: 1 << 62, Time: 1 << 62}))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		id, err := a.Check(t.Context(), token)
		code := im.CodeOf(err)
		if err != nil && (code < 70001 || code > 70014) {
			t.Fatalf("refused with %d: %v", code, err)
		}
		if err == nil && token != good && id.UserID != "alice" {
			t.Fatalf("a forged token is believed: %q is %+v", token, id)
		}
	})
}
