package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/beckon-im/beckon/im"
)

// AuthOptions say whose tokens are believed. At least one of them should be set.
type AuthOptions struct {
	// JWTSecret verifies HS256 tokens, and signs those that createToken mints. Default: none.
	JWTSecret string
	// JWKSURL is where the keys for RS256 and ES256 tokens are; they are read at start and kept fresh. Default: none.
	JWKSURL string
	// Issuer and Audience must stand in a JWT when set. Default: not checked.
	Issuer, Audience string
	// UserSigAppID and UserSigKey verify UserSig (TLSSigAPIv2) tokens. Default: none.
	UserSigAppID int64
	UserSigKey   string
	// APIKeys let app servers act for any user. Default: none.
	APIKeys []string
	// Now is the clock for expiry. Change it only in tests. Default: the system's.
	Now func() time.Time
}

// Identity is what a token proves.
type Identity struct {
	UserID   string
	DeviceID string // when the token is bound to a device
	ExpireAt int64  // unix seconds; 0 = never
	IssuedAt int64  // unix seconds; 0 = it does not say, and so before all revoking
	InviteID string // of an answer token: all that it is for
}

// Authenticator checks tokens and keys.
type Authenticator struct {
	opt    AuthOptions
	keys   map[[sha256.Size]byte]bool // of API keys, so that looking one up tells nothing about another
	jwks   keyfunc.Keyfunc
	parser *jwt.Parser
}

// claims are what a device's JWT carries: sub is the user, device an optional device id.
type claims struct {
	Device   string `json:"device,omitempty"`
	InviteID string `json:"inviteID,omitempty"`
	jwt.RegisteredClaims
}

// maxToken bounds a token, in bytes.
const maxToken = 8 << 10

// NewAuthenticator makes an authenticator; ctx ends the refreshing of keys.
func NewAuthenticator(ctx context.Context, opt AuthOptions) (*Authenticator, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	a := &Authenticator{opt: opt, keys: map[[sha256.Size]byte]bool{}}
	for _, k := range opt.APIKeys {
		if len(k) < 16 {
			return nil, errors.New("an API key is shorter than 16 characters, which can be guessed; use a longer one")
		}
		a.keys[sha256.Sum256([]byte(k))] = true
	}
	var methods []string
	if opt.JWTSecret != "" {
		methods = append(methods, jwt.SigningMethodHS256.Alg())
	}
	if opt.JWKSURL != "" {
		methods = append(methods, jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg())
		set, err := keyfunc.NewDefaultCtx(ctx, []string{opt.JWKSURL})
		if err != nil {
			return nil, fmt.Errorf("keys at %s: %w", opt.JWKSURL, err)
		}
		a.jwks = set
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

// IsAPIKey reports whether a bearer token is one of the app servers' keys.
func (a *Authenticator) IsAPIKey(token string) bool { return a.keys[sha256.Sum256([]byte(token))] }

// Check verifies a device's token: a JWT, which has two dots, or a UserSig, which has none.
func (a *Authenticator) Check(token string) (Identity, error) {
	var id Identity
	var err error
	switch {
	case token == "":
		return id, im.Refuse(im.CodeTokenMalformed, "the token is missing")
	case len(token) > maxToken:
		return id, im.Refuse(im.CodeTokenMalformed, "the token is over 8 KiB")
	case strings.Count(token, ".") == 2:
		id, err = a.checkJWT(token)
	default:
		id, err = checkUserSig(token, a.opt.UserSigAppID, a.opt.UserSigKey, a.opt.Now())
	}
	if err != nil {
		return Identity{}, err
	}
	if im.CheckUserID("sub", id.UserID) != nil {
		return Identity{}, im.Refuse(im.CodeTokenMalformed, "the token names no valid user")
	}
	if id.DeviceID != "" && im.CheckDeviceID(id.DeviceID) != nil {
		return Identity{}, im.Refuse(im.CodeTokenMalformed, "the token names an invalid device")
	}
	return id, nil
}

// errForged is the cause of refusals of tokens that were made up, and are not only of another time or place.
var errForged = errors.New("nobody made this token who may")

// forged marks a refusal of a token that was made up.
func forged(code int, message string, cause error) error {
	return &im.Error{Code: code, Message: message, Cause: errors.Join(errForged, cause)}
}

func (a *Authenticator) checkJWT(token string) (Identity, error) {
	if a.opt.JWTSecret == "" && a.jwks == nil {
		return Identity{}, im.Refuse(im.CodeTokenRefused, "this server takes no JWT")
	}
	var c claims
	parsed, err := a.parser.ParseWithClaims(token, &c, a.key)
	switch {
	case err == nil:
	case errors.Is(err, jwt.ErrTokenExpired):
		return Identity{}, &im.Error{Code: im.CodeTokenExpired, Message: "the token has expired; get a new one", Cause: err}
	case errors.Is(err, jwt.ErrTokenMalformed):
		return Identity{}, forged(im.CodeTokenMalformed, "the token is not a readable JWT", err)
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return Identity{}, &im.Error{Code: im.CodeTokenRefused,
			Message: "the token is not valid yet: compare the clocks of the server and of who made it", Cause: err}
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return Identity{}, &im.Error{Code: im.CodeTokenApp, Message: "the token is for another application", Cause: err}
	case errors.Is(err, jwkset.ErrKeyNotFound) && a.noKeys():
		return Identity{}, &im.Error{Code: im.CodeTokenRefused,
			Message: "the keys that tokens are checked with could not be fetched yet; try again", Cause: err}
	default:
		return Identity{}, forged(im.CodeTokenRefused, "the token's signature does not verify with a key of this server", err)
	}
	if _, has := parsed.Header["crit"]; has { // RFC 7515, 4.1.11: who does not know what is critical refuses
		return Identity{}, im.Refuse(im.CodeTokenRefused,
			"the token's header crit names extensions that this server does not know")
	}
	if c.IssuedAt != nil && c.IssuedAt.After(a.opt.Now().Add(clockLeeway)) {
		return Identity{}, im.Refuse(im.CodeTokenRefused,
			"the token was issued in the future (iat): compare the clocks of the server and of who made it")
	}
	id := Identity{UserID: c.Subject, DeviceID: c.Device}
	if parsed.Header["kid"] != answerKID && c.InviteID != "" {
		return Identity{}, im.Refuse(im.CodeTokenRefused,
			"this answer token is of a program before this one; the invitation can be answered from the app")
	}
	if parsed.Header["kid"] == answerKID {
		if id.InviteID = c.InviteID; id.InviteID == "" {
			return Identity{}, im.Refuse(im.CodeTokenRefused, "this answer token names no invitation")
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

// clockLeeway is how far the clock of who makes tokens may be ahead of the server's.
const clockLeeway = time.Minute

// noKeys says that no public key was fetched so far.
func (a *Authenticator) noKeys() bool {
	keys, err := a.jwks.Storage().KeyReadAll(context.Background())
	return err != nil || len(keys) == 0
}

func (a *Authenticator) key(t *jwt.Token) (any, error) {
	switch {
	case t.Method == jwt.SigningMethodHS256 && a.opt.JWTSecret != "" && t.Header["kid"] == answerKID:
		return a.answerKey(), nil
	case t.Method == jwt.SigningMethodHS256 && a.opt.JWTSecret != "":
		return []byte(a.opt.JWTSecret), nil
	case t.Method != jwt.SigningMethodHS256 && a.jwks != nil:
		return a.jwks.Keyfunc(t)
	}
	return nil, jwt.ErrTokenUnverifiable
}

// ErrNoSecret says that this server cannot mint tokens.
var ErrNoSecret = errors.New("this server has no JWT secret, so it cannot mint tokens")

// Mint makes a token for a device of a user. ttl 0 never expires.
func (a *Authenticator) Mint(userID, deviceID string, ttl time.Duration) (string, error) {
	return a.mint(userID, deviceID, "", ttl)
}

// MintAnswer makes a token by which a device may answer one invitation, and nothing else: it travels in a push.
func (a *Authenticator) MintAnswer(userID, deviceID, inviteID string, until time.Time) (string, error) {
	return a.mint(userID, deviceID, inviteID, max(until.Sub(a.opt.Now()), time.Second))
}

func (a *Authenticator) mint(userID, deviceID, inviteID string, ttl time.Duration) (string, error) {
	if a.opt.JWTSecret == "" {
		return "", ErrNoSecret
	}
	key := []byte(a.opt.JWTSecret)
	if inviteID != "" {
		key = a.answerKey()
	}
	now := a.opt.Now()
	c := claims{Device: deviceID, InviteID: inviteID,
		RegisteredClaims: jwt.RegisteredClaims{Subject: userID, IssuedAt: jwt.NewNumericDate(now), Issuer: a.opt.Issuer}}
	if a.opt.Audience != "" {
		c.Audience = jwt.ClaimStrings{a.opt.Audience}
	}
	if ttl > 0 {
		c.ExpiresAt = jwt.NewNumericDate(now.Add(ttl))
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	if inviteID != "" {
		t.Header["kid"] = answerKID
	}
	return t.SignedString(key)
}

// answerKID marks answer tokens, which have a key of their own: whoever shares the secret to let people in does not
// take one for theirs.
const answerKID = "answer"

func (a *Authenticator) answerKey() []byte {
	m := hmac.New(sha256.New, []byte(a.opt.JWTSecret))
	_, _ = m.Write([]byte("answer tokens")) // it never fails
	return m.Sum(nil)
}
