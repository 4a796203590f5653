package web

import (
	"io"
	"net/http"
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

// TestEncodings: a file is sent in the smallest encoding that the client accepts, and not again while it is the same.
func TestEncodings(t *testing.T) {
	f := &file{body: []byte("plain"), gzip: []byte("as gzip"), brotli: []byte("as brotli"), kind: "text/css", tag: "t"}
	for accepted, want := range map[string]string{"": "plain", "gzip, deflate, br": "as brotli", "gzip": "as gzip",
		"br;q=0, gzip;q=0.5": "as gzip", "identity": "plain", "GZIP": "as gzip"} {
		r := httptest.NewRequest("GET", "/a.css", nil)
		r.Header.Set("Accept-Encoding", accepted)
		w := httptest.NewRecorder()
		f.send(w, r)
		h := w.Header()
		if w.Body.String() != want || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Type") != "text/css" {
			t.Errorf("accepting %q: %q, %v", accepted, w.Body, h)
		}
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		again := httptest.NewRecorder()
		if f.send(again, r); again.Code != http.StatusNotModified {
			t.Errorf("accepting %q, unchanged: status %d", accepted, again.Code)
		}
	}
}
