package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

// TestCallInProcess: the embedding program calls every method without HTTP, as an app server and as a device of a user.
func TestCallInProcess(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.log")
	s := newHouse(t, beckon.Config{AuditLog: audit})
	call := func(by beckon.Caller, method string, req, res any) error {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return s.Server.Call(ctx, by, method, req, res)
	}
	invited := make(chan client.InvitationEvent, 4)
	listener := client.Listener{OnReceiveNewInvitation: func(e client.InvitationEvent) { invited <- e }}
	bob := s.Device("bob", "phone", listener)
	s.Device("ann", "pad", client.Listener{})

	var opened protocol.InviteResponse
	if err := call(beckon.Caller{UserID: "ann"}, "invite", protocol.InviteRequest{Invitee: "bob"}, &opened); err != nil {
		t.Fatal(err)
	}
	if e := <-invited; e.InviteID != opened.InviteID || e.Inviter != "ann" {
		t.Errorf("bob received %+v", e)
	}
	if _, err := bob.Accept(t.Context(), opened.InviteID, ""); err != nil {
		t.Fatal(err)
	}
	err := call(beckon.Caller{UserID: "bob"}, "reject", map[string]string{"inviteID": opened.InviteID}, nil)
	var refused *beckon.Error
	if !errors.As(err, &refused) || refused.Code != im.CodeOver || refused.Won == nil || refused.Won.UserID != "bob" {
		t.Errorf("a late answer: %+v", err)
	}
	err = call(beckon.Caller{UserID: "ann", DeviceID: "phone"}, "sendMessage", json.RawMessage(
		`{"userID":"bob","text":"from a device"}`), nil)
	if err != nil {
		t.Error(err)
	}
	var token protocol.CreateTokenResponse
	if err := call(beckon.Caller{}, "createToken", protocol.CreateTokenRequest{UserID: "eve"}, &token); err != nil ||
		token.Token == "" {
		t.Errorf("createToken: %+v, %v", token, err)
	}
	var raw json.RawMessage
	if err := call(beckon.Caller{UserID: "ann"}, "listInvitations", nil, &raw); err != nil ||
		!strings.HasPrefix(string(raw), "{") {
		t.Errorf("listInvitations: %s, %v", raw, err)
	}
	var connections operator.ListConnectionsResponse
	if err := call(beckon.Caller{}, "listConnections", nil, &connections); err != nil || connections.Total != 2 {
		t.Errorf("listConnections: %+v, %v", connections, err)
	}
	b, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	log := string(b)
	if *nodes == 1 && (strings.Count(log, `"from":"in-process"`) != 3 || strings.Contains(log, "sendMessage")) {
		t.Errorf("the audit log has\n%s", log)
	}
}

// TestRefusedCallsInProcess: wrong callers, methods and requests are refused with a code and a field.
func TestRefusedCallsInProcess(t *testing.T) {
	s := newHouse(t, beckon.Config{UserRate: 1, UserBurst: 3})
	for name, c := range map[string]struct {
		by      beckon.Caller
		method  string
		request any
		code    int
		field   string
	}{
		"no user":              {beckon.Caller{}, "invite", nil, im.CodeBadParameter, "userID"},
		"a device of no user":  {beckon.Caller{DeviceID: "d"}, "listUsers", nil, im.CodeBadParameter, "userID"},
		"a wrong user":         {beckon.Caller{UserID: "a b"}, "invite", nil, im.CodeBadParameter, "userID"},
		"a wrong device":       {beckon.Caller{UserID: "a", DeviceID: "/"}, "invite", nil, im.CodeBadParameter, "deviceID"},
		"no such method":       {beckon.Caller{UserID: "b"}, "fly", nil, im.CodeBadParameter, "verb"},
		"of operators only":    {beckon.Caller{UserID: "c"}, "listUsers", nil, im.CodeBadParameter, "Beckon-User"},
		"operators, by device": {beckon.Caller{UserID: "d", DeviceID: "d"}, "listUsers", nil, im.CodeBadParameter, "verb"},
		"an unknown field": {beckon.Caller{UserID: "e"}, "invite", map[string]int{"invitees": 1}, im.CodeBadParameter,
			"invitees"},
		"no object": {beckon.Caller{UserID: "f"}, "invite", 7, im.CodeBadParameter, "body"},
		"too long": {beckon.Caller{UserID: "g"}, "invite", strings.Repeat("x", protocol.MaxRequest+1),
			im.CodeTooLong, ""},
	} {
		var refused *beckon.Error
		err := s.Server.Call(t.Context(), c.by, c.method, c.request, nil)
		if !errors.As(err, &refused) || refused.Code != c.code || refused.Field != c.field {
			t.Errorf("%s: %+v", name, err)
		}
	}
	if err := s.Server.Call(t.Context(), beckon.Caller{}, "listUsers", func() {}, nil); err == nil {
		t.Error("a function was encoded")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Server.Call(ctx, beckon.Caller{UserID: "ann"}, "invite", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled call: %v", err)
	}
	var refused *beckon.Error
	for range 5 {
		errors.As(s.Server.Call(t.Context(), beckon.Caller{UserID: "fast"}, "listInvitations", nil, nil), &refused)
	}
	if refused == nil || refused.Code != im.CodeTooOften || refused.RetryAfter == 0 {
		t.Errorf("the rate limit: %+v", refused)
	}
}

// TestCallOutsideOfRun: a call before the server is ready, and one after it has stopped, fail at once.
func TestCallOutsideOfRun(t *testing.T) {
	s := newServer(t, beckon.Config{})
	call := func() error {
		return s.Call(context.Background(), beckon.Caller{}, "listUsers", nil, nil)
	}
	if err := call(); !errors.Is(err, beckon.ErrNotReady) {
		t.Errorf("before Run: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	calls := make(chan error, 1)
	go func() { // calls while the server stops are answered or refused
		for {
			if err := call(); err != nil {
				calls <- err
				return
			}
		}
	}()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	var refused *beckon.Error
	if err := <-calls; !errors.Is(err, beckon.ErrClosed) && !errors.As(err, &refused) {
		t.Errorf("while it stopped: %v", err)
	}
	if err := call(); !errors.Is(err, beckon.ErrClosed) {
		t.Errorf("after Run: %v", err)
	}
	closed := newServer(t, beckon.Config{})
	if err := closed.Close(); err != nil {
		t.Error(err)
	}
	err := closed.Call(t.Context(), beckon.Caller{}, "listUsers", nil, nil)
	if !errors.Is(err, beckon.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
