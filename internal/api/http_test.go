package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/auth"
	"github.com/beckon-im/beckon/protocol"
)

// TestAppServerRepeatsAnswer: an app server has no device, and its repeat of an answer succeeds without a requestID.
func TestAppServerRepeatsAnswer(t *testing.T) {
	web := newServer(t)
	if code, b := post(t, web, "invite", "alice", `{"invitee":"bob","timeout":30,"inviteID":"i"}`); code != http.StatusOK {
		t.Fatal(string(b))
	}
	for _, c := range []struct {
		method string
		status int
		want   string
	}{
		{"accept", http.StatusOK, `"version":2`}, {"accept", http.StatusOK, `"repeat":true`},
		{"reject", http.StatusConflict, `"code":8010`},
	} {
		code, b := post(t, web, c.method, "bob", `{"inviteID":"i"}`)
		if code != c.status || !strings.Contains(string(b), c.want) {
			t.Errorf("%s: %d %s, want %d and %s", c.method, code, b, c.status, c.want)
		}
	}
}

// TestAnswersWithoutDevice: two devices that have no ID are not taken for one, nor for an app server.
func TestAnswersWithoutDevice(t *testing.T) {
	web := newServer(t)
	if code, b := post(t, web, "invite", "alice", `{"invitee":"bob","timeout":30,"inviteID":"i"}`); code != http.StatusOK {
		t.Fatal(string(b))
	}
	a, err := auth.New(t.Context(), auth.Options{JWTSecret: secretOfTests})
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.Mint("bob", "", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if code, b := callWith(t, web, token, "/v1/accept", `{"inviteID":"i","requestID":"one"}`); code != http.StatusOK {
		t.Fatal(string(b))
	}
	if code, b := callWith(t, web, token, "/v1/accept", `{"inviteID":"i"}`); code != http.StatusConflict {
		t.Errorf("another device: %d %s", code, b)
	}
	if code, b := post(t, web, "accept", "bob", `{"inviteID":"i"}`); code != http.StatusConflict {
		t.Errorf("an app server: %d %s", code, b)
	}
}

// TestRetryAfter: the header says what the error does, in whole seconds that are never too short.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		code, ms int
		want     string
	}{
		{im.CodeTooOften, 1000, "1"}, {im.CodeTooOften, 2400, "3"}, {im.CodeNoMedia, 1, "1"}, {im.CodeInternal, 2000, "2"},
		{im.CodeNoMedia, 0, ""}, {im.CodeBadParameter, 0, ""},
	} {
		w := httptest.NewRecorder()
		writeError(w, status(c.code), &protocol.Error{Code: c.code, RetryAfter: c.ms})
		if got := w.Header().Get("Retry-After"); got != c.want {
			t.Errorf("code %d with %d ms: Retry-After %q, want %q", c.code, c.ms, got, c.want)
		}
	}
}

// TestRequestID: every response of a method or an upload has the ID of its call.
func TestRequestID(t *testing.T) {
	web := newServer(t)
	for _, path := range []string{"/v1/getSelfInfo", "/v1/none", "/v1/files?kind=file", "/v1/files?kind=none"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(HeaderCall, "call-1")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if id := res.Header.Get(HeaderCall); id != "call-1" {
			t.Errorf("%s: %s %q", path, HeaderCall, id)
		}
	}
}
