package scenario

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/beckon-im/beckon"
)

// TestOrigins: pages of others neither connect nor read what a verb answers, unless the operator names them.
func TestOrigins(t *testing.T) {
	for _, named := range []bool{false, true} {
		var cfg beckon.Config
		if named {
			cfg.Origins = []string{"https://app.example"}
		}
		h := newHouse(t, cfg)
		for origin, welcome := range map[string]bool{"": true, h.URL: true, "https://evil.example": false,
			"https://app.example": named, "https://app.example.evil.example": false, "null": false} {
			head := http.Header{}
			if origin != "" {
				head.Set("Origin", origin)
			}
			c, res, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(h.URL, "http")+
				"/connection/websocket", head)
			if (err == nil) != welcome {
				t.Errorf("named %v: a page of %q was let in: %v (%v)", named, origin, err == nil, res)
			}
			if err == nil {
				_ = c.Close()
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+"/v1/listInvitations",
				strings.NewReader(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = head.Clone()
			req.Header.Set("Authorization", "Bearer "+h.Token("ann"))
			res, err = http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if allowed := res.Header.Get("Access-Control-Allow-Origin"); origin != "" && origin != h.URL &&
				(allowed != "") != welcome {
				t.Errorf("named %v: a page of %q may read answers: %q", named, origin, allowed)
			}
		}
	}
}
