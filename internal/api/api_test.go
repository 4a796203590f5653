package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/engine"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const apiKeyOfTests = "api-key-of-the-tests"

type nobody struct{}

func (nobody) Devices(string) int { return 0 }

// newDoor is the HTTP door over a real store, without devices.
func newDoor(t testing.TB) *httptest.Server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	a, err := New(ctx, engine.New(s, nobody{}, engine.Options{}), Options{
		Auth:   AuthOptions{JWTSecret: secretOfTests, APIKeys: []string{apiKeyOfTests}},
		Limits: Limits{User: 1e6, UserBurst: 1e6, Address: 1e6, AddressBurst: 1e6}, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(a.Guard(a.Handler()))
	t.Cleanup(func() {
		web.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return web
}

func post(t testing.TB, web *httptest.Server, verb, user, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, web.URL+"/v1/"+verb, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKeyOfTests)
	if user != "" {
		req.Header.Set(HeaderUser, user)
	}
	res, err := web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b
}

// TestBadInput walks the table of verbs: a verb without a bad case here fails, so that none is forgotten.
func TestBadInput(t *testing.T) {
	cases := map[string][]struct{ body, field string }{
		"invite":             {{`{}`, "invitee"}, {`{"invitee":"alice"}`, "invitee"}, {`{"inviteeList":["bob","alice"]}`, "inviteeList"}, {`{"invitee":"bob","timeout":"soon"}`, "timeout"}, {`{"invitee":"bob","timeout":1.5}`, "timeout"}, {`{"invitee":"bob","timeout":-1}`, "timeout"}, {`{"invitee":"bob","inviteID":"a/b"}`, "inviteID"}, {`{"invitee":"bob","inviteeList":["c"]}`, "invitee"}, {`{"invitee":7}`, "invitee"}, {`{"invitee":"bob","requestID":"` + strings.Repeat("r", 65) + `"}`, "requestID"}, {`{"invitee":"bob","offlinePush":{"ttl":-1}}`, "offlinePush.ttl"}},
		"inviteInGroup":      {{`{}`, "groupID"}, {`{"groupID":"g","everyone":true,"inviteeList":["b"]}`, "everyone"}, {`{"groupID":"g","inviteeList":["b"],"notify":"all"}`, "notify"}, {`{"groupID":"none","inviteeList":["b"]}`, "groupID"}},
		"accept":             {{`{}`, "inviteID"}, {`{"inviteID":"none"}`, "inviteID"}, {`{"inviteID":"i","data":"` + strings.Repeat("x", 12<<10+1) + `"}`, "data"}},
		"reject":             {{`{}`, "inviteID"}, {`{"inviteID":"i","reason":"` + strings.Repeat("x", 257) + `"}`, "reason"}},
		"cancel":             {{`{}`, "inviteID"}, {`{"inviteID":"i","inviteeList":["/"]}`, "inviteeList"}, {`{"inviteID":"never-came"}`, "inviteID"}},
		"modifyInvitation":   {{`{}`, "inviteID"}, {`{"inviteID":"none","data":"x"}`, "inviteID"}},
		"addInvitees":        {{`{}`, "inviteID"}, {`{"inviteID":"none","inviteeList":["x"]}`, "inviteID"}},
		"ring":               {{`{}`, "inviteID"}, {`{"inviteID":"none"}`, "inviteID"}},
		"getInvitation":      {{`{}`, "inviteID"}, {`{"inviteID":"none"}`, "inviteID"}, {`{"inviteID":"i","limit":1001}`, "limit"}, {`{"inviteID":"i","offset":-1}`, "offset"}},
		"listInvitations":    {{`{"limit":-1}`, "limit"}},
		"createGroup":        {{`{}`, "type"}, {`{"type":"Club"}`, "type"}, {`{"type":"Work","groupID":"a b"}`, "groupID"}, {`{"type":"Work","joinOption":"x"}`, "joinOption"}, {`{"type":"Work","memberList":["b","b"]}`, "memberList"}, {`{"type":"Work","name":"` + strings.Repeat("n", 101) + `"}`, "name"}},
		"joinGroup":          {{`{}`, "groupID"}, {`{"groupID":"none"}`, "groupID"}},
		"quitGroup":          {{`{}`, "groupID"}, {`{"groupID":"none"}`, "groupID"}},
		"inviteUserToGroup":  {{`{"groupID":"none"}`, "memberList"}, {`{"groupID":"none","memberList":["x"]}`, "groupID"}},
		"kickGroupMember":    {{`{"groupID":"none"}`, "memberList"}, {`{"groupID":"none","memberList":["x"]}`, "groupID"}},
		"dismissGroup":       {{`{}`, "groupID"}, {`{"groupID":"none"}`, "groupID"}},
		"getGroup":           {{`{}`, "groupID"}, {`{"groupID":"none"}`, "groupID"}},
		"getGroupMemberList": {{`{}`, "groupID"}, {`{"groupID":"g","limit":-1}`, "limit"}},
		"getJoinedGroupList": {{`{"limit":1001}`, "limit"}},
		"createToken":        {{`{}`, "userID"}, {`{"userID":"a","ttl":-1}`, "ttl"}, {`{"userID":"a","deviceID":"/"}`, "deviceID"}},
	}
	web := newDoor(t)
	a := &API{}
	a.engine = engine.New(nil, nobody{}, engine.Options{})
	for _, v := range a.table() {
		if len(cases[v.name]) == 0 {
			t.Errorf("%s has no bad case", v.name)
		}
		user := "alice"
		if v.admin {
			user = ""
		}
		all := append(cases[v.name], struct{ body, field string }{`{"nonsense":1}`, "nonsense"}, struct{ body, field string }{`[]`, "body"}, struct{ body, field string }{`{`, "body"})
		for _, c := range all {
			status, b := post(t, web, v.name, user, c.body)
			var e protocol.Error
			if err := json.Unmarshal(b, &e); err != nil || status < 400 || status >= 500 || e.Code == 0 || e.Message == "" || e.Field != c.field {
				t.Errorf("%s %.60s: status %d, %s; want a numbered error on %s", v.name, c.body, status, b, c.field)
			}
		}
	}
	if status, b := post(t, web, "listInvitations", "alice", `{}`); status != http.StatusOK || !bytes.Contains(b, []byte(`"invitations":[]`)) {
		t.Errorf("bad input left something open: %d %s", status, b)
	}
	if status, b := post(t, web, "getJoinedGroupList", "alice", `{}`); status != http.StatusOK || !bytes.Contains(b, []byte(`"groups":[]`)) {
		t.Errorf("bad input made a group: %d %s", status, b)
	}
}

func TestWhoMayCall(t *testing.T) {
	web := newDoor(t)
	a, err := NewAuthenticator(t.Context(), AuthOptions{JWTSecret: secretOfTests})
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.Mint("alice", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, verb, auth, user string
		status                 int
	}{
		{"nobody", "listInvitations", "", "", 401},
		{"a wrong key", "listInvitations", "Bearer wrong-key-of-the-tests", "alice", 401},
		{"an app server for nobody", "listInvitations", "Bearer " + apiKeyOfTests, "", 400},
		{"an app server for alice", "listInvitations", "Bearer " + apiKeyOfTests, "alice", 200},
		{"alice", "listInvitations", "Bearer " + token, "", 200},
		{"alice for bob", "listInvitations", "Bearer " + token, "bob", 401},
		{"alice minting", "createToken", "Bearer " + token, "", 400},
		{"an unknown verb", "explode", "Bearer " + apiKeyOfTests, "alice", 400},
	} {
		req, err := http.NewRequest(http.MethodPost, web.URL+"/v1/"+c.verb, strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		if c.auth != "" {
			req.Header.Set("Authorization", c.auth)
		}
		if c.user != "" {
			req.Header.Set(HeaderUser, c.user)
		}
		res, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, res.StatusCode, b, c.status)
		}
	}
	res, err := web.Client().Get(web.URL + "/v1/invite")
	if err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v %v", res.StatusCode, err)
	}
	_ = res.Body.Close()
}

// TestOpenAPI checks that every verb and every field of its request is described.
func TestOpenAPI(t *testing.T) {
	web := newDoor(t)
	res, err := web.Client().Get(web.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var doc struct {
		OpenAPI string         `json:"openapi"`
		Paths   map[string]any `json:"paths"`
		Comps   struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					Description string `json:"description"`
				} `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
	a := &API{engine: engine.New(nil, nobody{}, engine.Options{})}
	for _, v := range a.table() {
		if doc.Paths["/v1/"+v.name] == nil {
			t.Errorf("%s is not described", v.name)
		}
		for _, f := range reflect.VisibleFields(v.request) {
			if !f.Anonymous && doc.Comps.Schemas[v.request.Name()].Properties[jsonName(f)].Description == "" {
				t.Errorf("%s: the field %s has no description", v.name, jsonName(f))
			}
		}
	}
}

func FuzzBody(f *testing.F) {
	web := newDoor(f)
	a := &API{engine: engine.New(nil, nobody{}, engine.Options{})}
	verbs := a.table()
	f.Add(uint8(0), []byte(`{"invitee":"bob","inviteID":"i","timeout":1}`))
	f.Add(uint8(1), []byte(`{"groupID":"g","everyone":true}`))
	f.Add(uint8(4), []byte(`{"inviteID":"i"}`))
	f.Add(uint8(10), []byte(`{"type":"Work","groupID":"g","memberList":["bob"]}`))
	f.Fuzz(func(t *testing.T, n uint8, body []byte) {
		v := verbs[int(n)%len(verbs)]
		user := "alice"
		if v.admin {
			user = ""
		}
		status, b := post(t, web, v.name, user, string(body))
		if status >= 500 || !json.Valid(b) {
			t.Fatalf("%s %q: %d %s", v.name, body, status, b)
		}
	})
}
