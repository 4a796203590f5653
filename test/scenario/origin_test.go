package scenario

import (
	"errors"
	"net/http"
	"slices"
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

// TestSignalingOrigins: LiveKit accepts every origin, and this server passes its signaling on to pages of the allowed
// origins only, with its own CORS header alone, also on a refusal.
func TestSignalingOrigins(t *testing.T) {
	s := newStudio(t)
	s.Stop()
	s.origins = []string{"https://app.example"}
	s.open(t, "ann")
	token := s.key("ann")
	for _, c := range []struct {
		origin, token string
		status        int
		allowed       []string
	}{
		{"", token, http.StatusOK, nil},
		{s.URL, token, http.StatusOK, []string{s.URL}},
		{"https://app.example", token, http.StatusOK, []string{"https://app.example"}},
		{"https://app.example", "wrong", http.StatusForbidden, []string{"https://app.example"}},
		{"https://evil.example", token, http.StatusForbidden, nil},
		{"https://evil.example", "wrong", http.StatusForbidden, nil},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/rtc/validate", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Values("Access-Control-Allow-Origin"); res.StatusCode != c.status ||
			!slices.Equal(got, c.allowed) || res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("a page of %q with token %.5s: %d, allowed for %q", c.origin, c.token, res.StatusCode, got)
		}
		dialer := websocket.Dialer{}
		head := http.Header{"Authorization": {"Bearer " + c.token}}
		if c.origin != "" {
			head.Set("Origin", c.origin)
		}
		conn, _, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/rtc", head)
		if err == nil {
			_ = conn.Close()
		} else if c.status == http.StatusOK && !errors.Is(err, websocket.ErrBadHandshake) {
			t.Errorf("a page of %q: %v", c.origin, err)
		}
		if err == nil && c.status != http.StatusOK {
			t.Errorf("a page of %q opened a connection", c.origin)
		}
	}
}
