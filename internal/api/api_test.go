package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/address"
	"github.com/beckon-im/beckon/internal/auth"
	"github.com/beckon-im/beckon/internal/chat"
	"github.com/beckon-im/beckon/internal/console"
	"github.com/beckon-im/beckon/internal/files"
	"github.com/beckon-im/beckon/internal/group"
	"github.com/beckon-im/beckon/internal/hook"
	"github.com/beckon-im/beckon/internal/media"
	"github.com/beckon-im/beckon/internal/privacy"
	"github.com/beckon-im/beckon/internal/push"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/signaling/snapshot"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/user"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

const secretOfTests = "0123456789abcdef0123456789abcdef"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const apiKeyOfTests = "api-key-of-the-tests"

type nobody struct{}

func (nobody) Devices(users ...string) []int { return make([]int, len(users)) }
func (nobody) List(string, string, string, int) ([]protocol.Connection, int) {
	return []protocol.Connection{}, 0
}
func (nobody) Connected(string) []protocol.Device   { return []protocol.Device{} }
func (nobody) Known(string) []protocol.Device       { return nil }
func (nobody) Probe(string)                         {}
func (nobody) Kick(string, string, string) []string { return []string{} }

// newServer is the HTTP API over a real store, without devices.
func newServer(t testing.TB) *httptest.Server { return newServerIn(t, t.TempDir()) }

func newServerIn(t testing.TB, dir string) *httptest.Server { return newServerWith(t, dir, Options{}) }

func newServerWith(t testing.TB, dir string, opt Options) *httptest.Server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	pushes, err := push.New(ctx, s, push.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	e := signaling.New(s, nobody{}, signaling.Options{OpenPerPair: -1})
	kept, err := files.New(ctx, s, files.Options{URL: "mem://", Keys: [][]byte{[]byte("k")}})
	if err != nil {
		t.Fatal(err)
	}
	rooms, err := media.New(s, media.Options{Key: "key", Secret: secretOfTests, API: "http://127.0.0.1:1", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := hook.New(hook.Options{})
	if err != nil {
		t.Fatal(err)
	}
	hooks.Serve(s)
	opt.Auth = auth.Options{JWTSecret: secretOfTests, APIKeys: []string{apiKeyOfTests}}
	opt.Limits = Limits{User: 1e6, UserBurst: 1e6}
	if opt.Addresses, err = address.New(address.Options{Rate: 1e6, Burst: 1e6}); err != nil {
		t.Fatal(err)
	}
	opt.Log = quiet
	a, err := New(ctx, Services{Store: s, Invitations: e, Snapshots: &snapshot.Reader{Store: s, Log: slog.Default()},
		Chat:   chat.New(s, nobody{}, chat.Options{}),
		Groups: group.New(s, e, nobody{}, group.Options{PerDay: -1, MembersPerDay: -1}), Users: user.New(s, nobody{}),
		Files: kept, Rooms: rooms, Hooks: hooks, Pushes: pushes, PushHealth: pushes.Health(),
		Privacy: privacy.New(privacy.Deps{Store: s, Invitations: e,
			Groups: group.New(s, e, nobody{}, group.Options{PerDay: -1, MembersPerDay: -1}), Users: user.New(s, nobody{}),
			Files: kept, Log: quiet}), Console: console.New(s, nobody{}, nobody{}, func() int { return 1 }),
		Events: relay.NewAdmin(map[operator.Queue]*relay.Dispatcher{operator.QueueWebhook: hooks.Queue(),
			operator.QueuePush: pushes.Queue()})}, opt)
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
		if err := errors.Join(kept.Close(), s.Close()); err != nil {
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

func TestWhoMayCall(t *testing.T) {
	web := newServer(t)
	a, err := auth.New(t.Context(), auth.Options{JWTSecret: secretOfTests})
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
		{"an app server for itself", "listInvitations", "Bearer " + apiKeyOfTests, "", 400},
		{"an app server for alice", "listInvitations", "Bearer " + apiKeyOfTests, "alice", 200},
		{"alice", "listInvitations", "Bearer " + token, "", 200},
		{"alice for bob", "listInvitations", "Bearer " + token, "bob", 401},
		{"alice minting", "createToken", "Bearer " + token, "", 400},
		{"an unknown method", "explode", "Bearer " + apiKeyOfTests, "alice", 400},
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

// TestOpenAPI checks that every method and every request field is described.
func TestOpenAPI(t *testing.T) {
	web := newServer(t)
	res, err := web.Client().Get(web.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := web.Client().Get(web.URL + "/docs")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	for _, r := range []*http.Response{res, page} {
		if p := r.Header.Get("Content-Security-Policy"); r.StatusCode != http.StatusOK ||
			r.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(p, "default-src 'none'") ||
			!strings.Contains(p, "frame-ancestors 'none'") {
			t.Errorf("%s: %d, %v", r.Request.URL, r.StatusCode, r.Header)
		}
	}
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
	a := &API{}
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
	web := newServer(f)
	a := &API{}
	verbs := a.table()
	f.Add(uint8(0), []byte(`{"invitee":"bob","inviteID":"i","timeout":1}`))
	f.Add(uint8(1), []byte(`{"groupID":"g","everyone":true}`))
	f.Add(uint8(4), []byte(`{"inviteID":"i"}`))
	f.Add(uint8(10), []byte(`{"userID":"bob","text":"hi","messageID":"m"}`))
	f.Add(uint8(15), []byte(`{"conversationID":"c2c_bob","seq":1,"direction":"newer"}`))
	f.Add(uint8(16), []byte(`{"text":"a \"b (c* OR","conversationID":"c2c_bob"}`))
	f.Add(uint8(28), []byte(`{"type":"Work","groupID":"g","memberList":["bob"]}`))
	f.Fuzz(func(t *testing.T, n uint8, body []byte) {
		v := verbs[int(n)%len(verbs)]
		user := "alice"
		if v.callers == servers {
			user = ""
		}
		status, b := post(t, web, v.name, user, string(body))
		if status >= 500 || !json.Valid(b) {
			t.Fatalf("%s %q: %d %s", v.name, body, status, b)
		}
	})
}
