// Package auth verifies the tokens of devices (JWT, UserSig) and the API keys of app servers, and mints tokens.
//
// It does not know methods, sessions or addresses.
package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/beckon-im/beckon/im"
)

// Options configures the accepted tokens and keys. At least one kind should be set.
type Options struct {
	// JWTSecret verifies HS256 tokens, and signs tokens minted by createToken. Default: none.
	JWTSecret string
	// SecondaryJWTSecrets verify HS256 tokens too. Default: none.
	SecondaryJWTSecrets []string
	// JWKSURL is the URL of the key set for RS256 and ES256 tokens. It is fetched at start and refreshed. Default: none.
	JWKSURL string
	// Issuer and Audience are required in JWTs if set. Default: not checked.
	Issuer, Audience string
	// UserSigAppID and UserSigKey verify UserSig (TLSSigAPIv2) tokens, as SecondaryUserSigKeys. Default: none.
	UserSigAppID         int64
	UserSigKey           string
	SecondaryUserSigKeys []string
	// APIKeys let app servers act for any user. Default: none.
	APIKeys []string
	// External verifies the tokens that no key above has signed: its own refusals are *im.Error, and other errors mean
	// that it cannot decide now. Default: they are refused.
	External func(ctx context.Context, token string) (Identity, error)
	// Now is the clock for expiry. Set it only in tests. Default: time.Now.
	Now func() time.Time
}

// Validate reports the first invalid setting. It does not fetch the public keys.
func (o Options) Validate() error {
	_, err := newVerifier(o)
	return err
}

// Identity is the verified content of a token.
type Identity struct {
	UserID   string
	DeviceID string // set if the token is bound to a device
	ExpireAt int64  // Unix seconds; 0 = never
	IssuedAt int64  // Unix seconds; 0 = unknown, treated as before all revocations
	InviteID string // set for answer tokens, which are valid only for this invitation
	TestID   string // set for tokens of test pushes, which are valid only for the acknowledgement of this test
}

// IsOfPush reports whether the token came with a push: it permits little, and no session.
func (i Identity) IsOfPush() bool { return i.InviteID != "" || i.TestID != "" }

// Authenticator verifies tokens and API keys, and mints tokens. Its settings may change while it is used.
type Authenticator struct{ current atomic.Pointer[verifier] }

// New returns an authenticator. ctx ends the refreshing of public keys.
func New(ctx context.Context, opt Options) (*Authenticator, error) {
	v, err := newVerifier(opt)
	if err != nil {
		return nil, err
	}
	if opt.JWKSURL != "" {
		if v.jwks, err = keyfunc.NewDefaultCtx(ctx, []string{opt.JWKSURL}); err != nil {
			return nil, fmt.Errorf("fetching keys from %s: %w", opt.JWKSURL, err)
		}
	}
	a := &Authenticator{}
	a.current.Store(v)
	return a, nil
}

// Set replaces the settings, except JWKSURL and External; after an error the old ones stay.
func (a *Authenticator) Set(opt Options) error {
	old := a.current.Load()
	opt.JWKSURL, opt.External = old.opt.JWKSURL, old.opt.External
	v, err := newVerifier(opt)
	if err != nil {
		return err
	}
	v.jwks = old.jwks
	a.current.Store(v)
	return nil
}

// Now returns the time by which tokens expire.
func (a *Authenticator) Now() time.Time { return a.current.Load().opt.Now() }

// IsAPIKey reports whether a bearer token is an API key.
func (a *Authenticator) IsAPIKey(token string) bool { return a.current.Load().isAPIKey(token) }

// Check verifies a device token: a JWT, which contains two dots, or a UserSig, which contains none. A token that no key
// of this server has signed is passed to Options.External.
func (a *Authenticator) Check(ctx context.Context, token string) (Identity, error) {
	v := a.current.Load()
	id, err := v.check(token)
	if v.opt.External != nil && errors.Is(err, errForeign) {
		mayBeOurs := errors.Is(err, errNoKeys)
		own := err
		if id, err = v.external(ctx, token); mayBeOurs && errors.Is(err, ErrForged) {
			err = own // its signature may be valid: it does not count as forged
		}
	}
	if err != nil {
		return Identity{}, err
	}
	return id, nil
}

// Mint returns a token for a device of a user. It never expires if ttl is 0.
func (a *Authenticator) Mint(userID, deviceID string, ttl time.Duration) (string, error) {
	return a.current.Load().mint(claims{Device: deviceID}, userID, ttl)
}

// MintAnswer returns a token that permits a device to answer one invitation and nothing else. It is sent in a push.
func (a *Authenticator) MintAnswer(userID, deviceID, inviteID string, until time.Time) (string, error) {
	return a.current.Load().mintOfPush(claims{Device: deviceID, InviteID: inviteID}, userID, until)
}

// MintAck returns a token that permits a device to acknowledge one test push and nothing else. It is sent in the push.
func (a *Authenticator) MintAck(userID, deviceID, testID string, until time.Time) (string, error) {
	return a.current.Load().mintOfPush(claims{Device: deviceID, TestID: testID}, userID, until)
}

// verifier is an authenticator with one state of the settings.
type verifier struct {
	opt    Options
	keys   map[[sha256.Size]byte]bool // hashes of API keys, so that lookup time reveals nothing about a key
	jwks   keyfunc.Keyfunc
	parser *jwt.Parser
}

// claims are the claims of a device's JWT: sub is the user, device an optional device ID.
type claims struct {
	Device   string `json:"device,omitempty"`
	InviteID string `json:"inviteID,omitempty"`
	TestID   string `json:"testID,omitempty"`
	jwt.RegisteredClaims
}

// maxToken limits the size of a token, in bytes.
const maxToken = 8 << 10

func newVerifier(opt Options) (*verifier, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	a := &verifier{opt: opt, keys: map[[sha256.Size]byte]bool{}}
	for _, k := range opt.APIKeys {
		if len(k) < 16 {
			return nil, errors.New("an API key has less than 16 characters and can be guessed; use a longer one")
		}
		a.keys[sha256.Sum256([]byte(k))] = true
	}
	var methods []string
	if opt.JWTSecret != "" {
		methods = append(methods, jwt.SigningMethodHS256.Alg())
	}
	if opt.JWKSURL != "" {
		methods = append(methods, jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg())
	}
	p := []jwt.ParserOption{jwt.WithValidMethods(methods), jwt.WithTimeFunc(opt.Now)}
	if opt.Issuer != "" {
		p = append(p, jwt.WithIssuer(opt.Issuer))
	}
	if opt.Audience != "" {
		p = append(p, jwt.WithAudience(opt.Audience))
	}
	a.parser = jwt.NewParser(p...)
	return a, nil
}

func (a *verifier) isAPIKey(token string) bool { return a.keys[sha256.Sum256([]byte(token))] }

func (a *verifier) check(token string) (Identity, error) {
	var id Identity
	var err error
	switch {
	case token == "":
		return id, im.Refuse(im.CodeTokenMalformed, "missing token")
	case len(token) > maxToken:
		return id, im.Refuse(im.CodeTokenMalformed, "the token exceeds 8 KiB")
	case strings.Count(token, ".") == 2:
		id, err = a.checkJWT(token)
	default:
		keys := append([]string{a.opt.UserSigKey}, a.opt.SecondaryUserSigKeys...)
		id, err = checkUserSig(token, a.opt.UserSigAppID, keys, a.opt.Now())
	}
	if err != nil {
		return Identity{}, err
	}
	return id, id.check()
}

// check checks the IDs of an identity.
func (i Identity) check() error {
	if im.CheckUserID("sub", i.UserID) != nil {
		return im.Refuse(im.CodeTokenMalformed, "the token has no valid user ID")
	}
	if i.DeviceID != "" && im.CheckDeviceID(i.DeviceID) != nil {
		return im.Refuse(im.CodeTokenMalformed, "the token has an invalid device ID")
	}
	return nil
}

// ErrForged is the cause of errors for forged tokens, as opposed to expired ones or those of another application.
var ErrForged = errors.New("forged token")

// errNoKeys is a cause of errors for tokens that are verified while the public keys have not been fetched yet.
var errNoKeys = errors.New("no public keys")

// errForeign is a cause of errors for tokens that no key of this server has signed.
var errForeign = errors.New("token of another issuer")

// forged returns the error of a forged token.
func forged(code int, message string, cause error) error {
	return foreign(code, message, errors.Join(ErrForged, cause))
}

// foreign returns the error of a token that no key of this server has signed, but maybe another issuer has.
func foreign(code int, message string, cause error) error {
	return &im.Error{Code: code, Message: message, Cause: errors.Join(errForeign, cause)}
}

func (a *verifier) checkJWT(token string) (Identity, error) {
	if a.opt.JWTSecret == "" && a.jwks == nil {
		return Identity{}, foreign(im.CodeTokenRefused, "this server does not accept JWTs", nil)
	}
	var c claims
	parsed, err := a.parser.ParseWithClaims(token, &c, a.key)
	switch {
	case err == nil:
	case errors.Is(err, jwt.ErrTokenExpired):
		return Identity{}, &im.Error{Code: im.CodeTokenExpired, Message: "the token has expired; get a new one", Cause: err}
	case errors.Is(err, jwt.ErrTokenMalformed):
		return Identity{}, forged(im.CodeTokenMalformed, "the token is not a valid JWT", err)
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return Identity{}, &im.Error{Code: im.CodeTokenRefused,
			Message: "the token is not valid yet: check the clocks of this server and the token issuer", Cause: err}
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return Identity{}, &im.Error{Code: im.CodeTokenApp, Message: "the token is for another application", Cause: err}
	case errors.Is(err, jwkset.ErrKeyNotFound) && a.noKeys():
		return Identity{}, foreign(im.CodeTokenRefused, "the public keys have not been fetched yet; retry later",
			errors.Join(errNoKeys, err))
	default:
		return Identity{}, forged(im.CodeTokenRefused, "the token signature does not match any key of this server", err)
	}
	if _, has := parsed.Header["crit"]; has { // RFC 7515, 4.1.11: unknown critical extensions must be rejected
		return Identity{}, im.Refuse(im.CodeTokenRefused,
			"the token header crit has unknown extensions")
	}
	if c.IssuedAt != nil && c.IssuedAt.After(a.opt.Now().Add(clockLeeway)) {
		return Identity{}, im.Refuse(im.CodeTokenRefused,
			"the token was issued in the future (iat): check the clocks of this server and the token issuer")
	}
	id := Identity{UserID: c.Subject, DeviceID: c.Device}
	if parsed.Header["kid"] != answerKID && c.InviteID != "" {
		return Identity{}, im.Refuse(im.CodeTokenRefused,
			"this answer token was issued by an older server version; answer the invitation in the app")
	}
	if parsed.Header["kid"] == answerKID {
		if id.InviteID, id.TestID = c.InviteID, c.TestID; !id.IsOfPush() {
			return Identity{}, im.Refuse(im.CodeTokenRefused, "this token of a push has neither an invitation ID nor a test ID")
		}
	}
	if c.ExpiresAt != nil {
		id.ExpireAt = c.ExpiresAt.Unix()
	}
	if c.IssuedAt != nil {
		id.IssuedAt = c.IssuedAt.Unix()
	}
	return id, nil
}

// clockLeeway is the tolerated clock difference of a token issuer that is ahead of the server.
const clockLeeway = time.Minute

// noKeys reports whether no public key has been fetched yet.
func (a *verifier) noKeys() bool {
	keys, err := a.jwks.Storage().KeyReadAll(context.Background())
	return err != nil || len(keys) == 0
}

func (a *verifier) key(t *jwt.Token) (any, error) {
	switch {
	case t.Method == jwt.SigningMethodHS256 && a.opt.JWTSecret != "":
		var set jwt.VerificationKeySet // all are tried
		for _, secret := range append([]string{a.opt.JWTSecret}, a.opt.SecondaryJWTSecrets...) {
			key := []byte(secret)
			if t.Header["kid"] == answerKID {
				key = answerKey(secret)
			}
			set.Keys = append(set.Keys, key)
		}
		return set, nil
	case t.Method != jwt.SigningMethodHS256 && a.jwks != nil:
		return a.jwks.Keyfunc(t)
	}
	return nil, jwt.ErrTokenUnverifiable
}

// ErrNoSecret means that this server cannot mint tokens.
var ErrNoSecret = errors.New("this server cannot mint tokens: no JWT secret is configured")

func (a *verifier) mintOfPush(c claims, userID string, until time.Time) (string, error) {
	return a.mint(c, userID, max(until.Sub(a.opt.Now()), time.Second))
}

func (a *verifier) mint(c claims, userID string, ttl time.Duration) (string, error) {
	if a.opt.JWTSecret == "" {
		return "", ErrNoSecret
	}
	key, ofPush := []byte(a.opt.JWTSecret), c.InviteID != "" || c.TestID != ""
	if ofPush {
		key = answerKey(a.opt.JWTSecret)
	}
	now := a.opt.Now()
	c.RegisteredClaims = jwt.RegisteredClaims{Subject: userID, IssuedAt: jwt.NewNumericDate(now), Issuer: a.opt.Issuer}
	if a.opt.Audience != "" {
		c.Audience = jwt.ClaimStrings{a.opt.Audience}
	}
	if ttl > 0 {
		c.ExpiresAt = jwt.NewNumericDate(now.Add(ttl))
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	if ofPush {
		t.Header["kid"] = answerKID
	}
	return t.SignedString(key)
}

// answerKID is the key ID of the tokens of pushes. They have a separate key, so that other holders of the JWT secret do
// not accept them as login tokens.
const answerKID = "answer"

func answerKey(secret string) []byte {
	m := hmac.New(sha256.New, []byte(secret))
	_, _ = m.Write([]byte("answer tokens")) // never fails
	return m.Sum(nil)
}
