package im

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// UserOfToken returns the user of a JWT, without verifying it, or "".
func UserOfToken(token string) string {
	var claims struct{ Sub string }
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return ""
	}
	return claims.Sub
}
