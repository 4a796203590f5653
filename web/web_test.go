package web

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, path string) (int, string, string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(true, true).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b), w.Header().Get("Content-Security-Policy")
}

// TestPages holds with and without the built pages: CI runs it before they are there.
func TestPages(t *testing.T) {
	code, body, csp := get(t, "/")
	if built := strings.Contains(body, `id="root"`); built &&
		(code != 200 || !strings.Contains(csp, "script-src 'self';")) || !built &&
		(code != 404 || !strings.Contains(body, "make build")) {
		t.Errorf("/ is answered with %d, policy %q: %s", code, csp, body)
	}
	for _, path := range []string{"/.keep", "/assets/", "/none.js", "/../web.go"} {
		if code, body, _ := get(t, path); code != 404 {
			t.Errorf("%s is answered with %d: %.80s", path, code, body)
		}
	}
}
