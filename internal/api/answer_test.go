package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/auth"
)

// TestAnswerToken: the token of a push permits its device to answer that invitation, and nothing else, until it ends.
func TestAnswerToken(t *testing.T) {
	web := newServer(t)
	for _, id := range []string{"one", "two"} {
		if code, b := post(t, web, "invite", "alice", `{"invitee":"bob","timeout":30,"inviteID":"`+id+
			`"}`); code != http.StatusOK {
			t.Fatal(string(b))
		}
	}
	a, err := auth.New(t.Context(), auth.Options{JWTSecret: secretOfTests})
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.MintAnswer("bob", "phone", "one", time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{"/v1/accept", `{"inviteID":"two"}`, http.StatusUnauthorized},
		{"/v1/accept", `{"inviteID":"one","InviteID":"two"}`, http.StatusUnauthorized},
		{"/v1/accept", `{}`, http.StatusUnauthorized},
		{"/v1/accept", `nonsense`, http.StatusUnauthorized},
		{"/v1/invite", `{"invitee":"cem","timeout":30,"inviteID":"one"}`, http.StatusUnauthorized},
		{"/v1/cancel", `{"inviteID":"one"}`, http.StatusUnauthorized},
		{"/v1/listInvitations", `{}`, http.StatusUnauthorized},
		{"/v1/setPushToken", `{"inviteID":"one"}`, http.StatusUnauthorized},
		{"/v1/files?kind=file", `x`, http.StatusUnauthorized},
		{"/v1/ring", `{"inviteID":"one"}`, http.StatusOK},
		{"/v1/getInvitation", `{"inviteID":"one"}`, http.StatusOK},
		{"/v1/accept", `{"inviteID":"one"}`, http.StatusOK},
		{"/v1/reject", `{"inviteID":"one"}`, http.StatusConflict},
	} {
		if status, b := callWith(t, web, token, c.path, c.body); status != c.want {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, b)
		}
	}
	late, err := auth.New(t.Context(),
		auth.Options{JWTSecret: secretOfTests, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	old, err := late.MintAnswer("bob", "phone", "two", time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if status, b := callWith(t, web, old, "/v1/accept", `{"inviteID":"two"}`); status != http.StatusUnauthorized {
		t.Errorf("a token of a call that is over: %d %s", status, b)
	}
}

// TestAckToken: the token of a test push permits the acknowledgement of that test, and nothing else.
func TestAckToken(t *testing.T) {
	web := newServer(t)
	a, err := auth.New(t.Context(), auth.Options{JWTSecret: secretOfTests})
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.MintAck("bob", "phone", "one", time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{"/v1/ackPushTest", `{"testID":"two"}`, http.StatusUnauthorized},
		{"/v1/ackPushTest", `{"testID":"one","TestID":"two"}`, http.StatusUnauthorized},
		{"/v1/ackPushTest", `{}`, http.StatusUnauthorized},
		{"/v1/ackPushTest", `nonsense`, http.StatusUnauthorized},
		{"/v1/getPushTest", `{"testID":"one"}`, http.StatusUnauthorized},
		{"/v1/testPush", `{"testID":"one"}`, http.StatusUnauthorized},
		{"/v1/getPushHealth", `{}`, http.StatusUnauthorized},
		{"/v1/accept", `{"inviteID":"one","testID":"one"}`, http.StatusUnauthorized},
		{"/v1/files?kind=file", `x`, http.StatusUnauthorized},
		{"/v1/ackPushTest", `{"testID":"one"}`, http.StatusNotFound}, // permitted, and there is no such test
	} {
		if status, b := callWith(t, web, token, c.path, c.body); status != c.want {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, b)
		}
	}
}

// callWith posts a request with a token.
func callWith(t *testing.T, web *httptest.Server, token, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}
