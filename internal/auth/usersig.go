package auth

import (
	"bytes"
	"compress/zlib"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/beckon-im/beckon/im"
)

// maxUserSig limits the inflated size of a UserSig, in bytes. Real ones are under 1 KiB.
const maxUserSig = 8 << 10

// userSig is the content of a TLSSigAPIv2 token.
type userSig struct {
	Version    string `json:"TLS.ver"`
	Identifier string `json:"TLS.identifier"`
	AppID      int64  `json:"TLS.sdkappid"`
	Expire     int64  `json:"TLS.expire"` // seconds
	Time       int64  `json:"TLS.time"`   // Unix seconds
	UserBuf    string `json:"TLS.userbuf,omitempty"`
	Sig        string `json:"TLS.sig"`
}

// fromUserSig restores the three base64 characters that TLSSigAPIv2 replaces.
func fromUserSig(s string) string {
	return strings.NewReplacer("*", "+", "-", "/", "_", "=").Replace(s)
}

// readUserSig decodes a token without verifying it.
func readUserSig(token string) (userSig, error) {
	var u userSig
	packed, err := base64.StdEncoding.DecodeString(fromUserSig(token))
	if err != nil {
		return u, err
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return u, err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxUserSig+1))
	if err != nil {
		return u, err
	}
	if len(text) > maxUserSig {
		return u, fmt.Errorf("inflates to more than %d bytes", maxUserSig)
	}
	return u, json.Unmarshal(text, &u)
}

// signature returns the HMAC of TLSSigAPIv2. The key is used as text, and every line ends in a newline.
func (u *userSig) signature(key string) string {
	m := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(m, "TLS.identifier:%s\nTLS.sdkappid:%d\nTLS.time:%d\nTLS.expire:%d\n", u.Identifier, u.AppID, u.Time,
		u.Expire)
	if u.UserBuf != "" {
		fmt.Fprintf(m, "TLS.userbuf:%s\n", u.UserBuf)
	}
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func checkUserSig(token string, appID int64, keys []string, now time.Time) (Identity, error) {
	u, err := readUserSig(token)
	if err != nil {
		return Identity{}, forged(im.CodeTokenMalformed,
			"the token is not an API key of this server, a JWT or a UserSig", err)
	}
	switch {
	case keys[0] == "":
		return Identity{}, foreign(im.CodeTokenRefused, "this server does not accept UserSig tokens", nil)
	case u.AppID != appID:
		return Identity{}, foreign(im.CodeTokenApp, "the UserSig is for another application", nil)
	case !slices.ContainsFunc(keys, func(key string) bool { return hmac.Equal([]byte(u.Sig), []byte(u.signature(key))) }):
		return Identity{}, forged(im.CodeTokenRefused, "the UserSig signature does not match", nil)
	case u.Expire <= 0 || u.Time <= 0 || u.Time > 1<<40 || u.Expire > 1<<40:
		return Identity{}, im.Refuse(im.CodeTokenMalformed, "the UserSig has no valid creation time and expiry")
	case u.Time > now.Add(clockLeeway).Unix():
		return Identity{}, im.Refuse(im.CodeTokenRefused,
			"the UserSig was created in the future: check the clocks of this server and the token issuer")
	case now.Unix() >= u.Time+u.Expire:
		return Identity{}, im.Refuse(im.CodeTokenExpired, "the UserSig has expired; get a new one")
	}
	return Identity{UserID: u.Identifier, ExpireAt: u.Time + u.Expire, IssuedAt: u.Time}, nil
}
