package media

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestProxyHasOneOrigin: a response of LiveKit that passes through this server has no Access-Control headers of
// LiveKit, since browsers refuse two Access-Control-Allow-Origin headers.
func TestProxyHasOneOrigin(t *testing.T) {
	livekit := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Content-Type", "text/plain")
	}))
	defer livekit.Close()
	m, err := New(nil, Options{API: livekit.URL, Key: "key", Secret: strings.Repeat("s", 32)})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("Access-Control-Allow-Origin", "https://app.example")
	m.proxy.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/rtc/validate", nil))
	if got := rec.Result().Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "https://app.example" {
		t.Errorf("Access-Control-Allow-Origin: %q", got)
	}
	if rec.Header().Get("Access-Control-Allow-Credentials") != "" || rec.Header().Get("Content-Type") != "text/plain" {
		t.Errorf("headers: %v", rec.Header())
	}
}
