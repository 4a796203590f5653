package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/client/appserver"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

const appSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw7V9PMzFQ2h8="

// TestAppServerClient: the client of an app server creates tokens, acts for users, receives webhooks with verified
// signatures, and decides calls of devices.
func TestAppServerClient(t *testing.T) {
	events := make(chan appserver.Event, 16)
	var failed atomic.Bool
	hook, err := appserver.Webhook([]string{"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", appSecret},
		func(_ context.Context, e appserver.Event) error {
			if failed.CompareAndSwap(false, true) {
				return errors.New("not now") // the server delivers it again
			}
			events <- e
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	before, err := appserver.BeforeHook([]string{appSecret}, func(_ context.Context, q appserver.Question) (any, error) {
		switch {
		case q.Method == "sendMessage" && strings.Contains(string(q.Request), "rude"):
			return nil, &appserver.Refusal{Code: appserver.MinRefusal, Message: "be polite"}
		case q.Method == "sendMessage":
			return protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "changed"}}, nil
		}
		return nil, nil //nolint:nilnil // the call proceeds
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/hook", hook)
	mux.Handle("/before", before)
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	h := beckontest.StartWith(t, beckon.Config{Webhook: web.URL + "/hook", BeforeHook: web.URL + "/before",
		WebhookSecret: appSecret, WebhookEvents: []string{"invitation"}})
	server, err := appserver.New(appserver.Options{URL: h.URL + "/", APIKey: h.Server.APIKey()})
	if err != nil {
		t.Fatal(err)
	}

	ctx := t.Context()
	token, err := server.CreateToken(ctx, protocol.CreateTokenRequest{UserID: "ann"})
	if err != nil || token.Token == "" {
		t.Fatalf("the token is %+v, %v", token, err)
	}
	call, err := server.As("Ann Müller").Invite(ctx, protocol.InviteRequest{Invitee: "bob"})
	var refused *protocol.Error
	if !errors.As(err, &refused) || refused.Code != im.CodeBadParameter || refused.Field != "Beckon-User" {
		t.Errorf("a user ID with a space: %+v, %v", call, err)
	}
	if call, err = server.As("änn").Invite(ctx, protocol.InviteRequest{Invitee: "bob"}); err != nil {
		t.Fatal(err)
	}
	if _, err := server.As("bob").Accept(ctx, protocol.AnswerRequest{InviteID: call.InviteID}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"invitation.created", "invitation.answered"} {
		select {
		case e := <-events:
			s, ok := e.Data.(*protocol.Signaling)
			if e.Kind != want || !ok || s.InviteID != call.InviteID || e.ID == "" || time.Since(e.Time) > time.Hour {
				t.Errorf("the event is %+v; want %s", e, want)
			}
		case <-time.After(beckontest.Patience):
			t.Fatalf("no webhook %s", want)
		}
	}

	ann := h.Device("ann", "phone", client.Listener{})
	text := func(s string) protocol.SendMessageRequest {
		return protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: s}}
	}
	_, err = ann.SendMessage(ctx, text("rude"))
	if !errors.As(err, &refused) || refused.Code != appserver.MinRefusal || refused.Message != "be polite" {
		t.Errorf("a message that the hook refuses: %v", err)
	}
	sent, err := ann.SendMessage(ctx, text("hello"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := server.As("bob").GetMessage(ctx,
		protocol.MessageRequest{ConversationID: "c2c_ann", MessageID: sent.MessageID})
	if err != nil || m.Message.Text != "changed" {
		t.Errorf("the message that the hook changed is %+v, %v", m, err)
	}
}

// TestAppServerForgery: a webhook without a valid signature is refused, and does not reach the program.
func TestAppServerForgery(t *testing.T) {
	hook, err := appserver.Webhook([]string{appSecret}, func(context.Context, appserver.Event) error {
		t.Error("a forged webhook reached the program")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, signature := range []string{"", "v1,AAAA"} {
		body := strings.NewReader(`{"type":"invitation.created","data":{"type":"signaling"}}`)
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.Header.Set("webhook-id", "msg_1")
		r.Header.Set("webhook-timestamp", "1764518400")
		r.Header.Set("webhook-signature", signature)
		w := httptest.NewRecorder()
		hook.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("with the signature %q: %d", signature, w.Code)
		}
	}
	for _, secrets := range [][]string{nil, {"whsec_%"}} {
		if _, err := appserver.Webhook(secrets, nil); err == nil {
			t.Errorf("the secrets %q are accepted", secrets)
		}
	}
}

// TestAppServerRepeats: a call with an ID is repeated after a refusal with a time, and after a failed connection;
// another call is not.
func TestAppServerRepeats(t *testing.T) {
	var calls atomic.Int32
	var first atomic.Value
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			RequestID string `json:"requestID"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		switch calls.Add(1) {
		case 1:
			first.Store(q.RequestID)
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"code":9506,"message":"later","retryAfter":1}`))
		case 2:
			panic(http.ErrAbortHandler)
		default:
			if q.RequestID == "" || q.RequestID != first.Load() {
				t.Errorf("the requestID is %q, before %v", q.RequestID, first.Load())
			}
			_, _ = w.Write([]byte(`{"inviteID":"i","version":1,"serverTime":1}`))
		}
	}))
	t.Cleanup(web.Close)
	server, err := appserver.New(appserver.Options{URL: web.URL, APIKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.As("ann").Cancel(t.Context(), protocol.CancelRequest{InviteID: "i"})
	if err != nil || res.InviteID != "i" || calls.Load() != 3 {
		t.Errorf("%+v, %v after %d calls", res, err, calls.Load())
	}
	calls.Store(0)
	_, err = server.As("ann").SetSelfStatus(t.Context(), protocol.SetSelfStatusRequest{})
	if err == nil || calls.Load() != 1 {
		t.Errorf("a call without an ID: %v after %d calls", err, calls.Load())
	}
}
