package appserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/beckon-im/beckon/protocol"
)

// Event is a webhook. PROTOCOL.md lists the kinds.
type Event struct {
	ID   string    // the same in each delivery of this event
	Kind string    // invitation.created, message.sent, …
	Time time.Time // of the event
	// Data is the event that devices receive: *protocol.Signaling, *protocol.Message, *protocol.MessageEvent,
	// *protocol.ReactionEvent, *protocol.GroupEvent or *protocol.RoomEvent; nil for one of a later version.
	Data any
	Raw  json.RawMessage // Data as it came
}

// maxHook limits the body of a webhook or before-hook: a request has at most 1 MiB, and its frame little.
const maxHook = protocol.MaxRequest + 64<<10

// Webhook returns a handler that verifies webhooks with one of the secrets ("whsec_…"), and passes them on. It
// responds with 204 if handle returns nil; otherwise the server delivers the event again, for three days. Deliveries
// may repeat: handle must take an ID that it knows as done. During a rotation give the old and the new secret.
func Webhook(secrets []string, handle func(context.Context, Event) error) (http.Handler, error) {
	return verified(secrets, func(w http.ResponseWriter, r *http.Request, body []byte) error {
		var frame struct {
			Type      string          `json:"type"`
			Timestamp time.Time       `json:"timestamp"`
			Data      json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(body, &frame); err != nil {
			return badRequest{err}
		}
		data, err := protocol.Decode(frame.Data)
		if err != nil {
			return badRequest{err}
		}
		event := Event{ID: r.Header.Get("webhook-id"), Kind: frame.Type, Time: frame.Timestamp, Data: data, Raw: frame.Data}
		if err := handle(r.Context(), event); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// Question is a call that a before-hook decides.
type Question struct {
	UserID   string
	DeviceID string
	Method   string          // invite, inviteInGroup, addInvitees, sendMessage, joinGroup, connect, …
	Request  json.RawMessage // none for connect
}

// Refusal is the error with which a before-hook refuses a call. The caller receives its code and message.
type Refusal struct {
	Code    int // 120001 to 130000
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// The codes of a Refusal.
const (
	MinRefusal = 120001
	MaxRefusal = 130000
)

// Decide decides a call. It returns nil to let it proceed, another request to let it proceed with that, or a *Refusal.
// With another error the server does as configured when a hook does not respond.
type Decide func(context.Context, Question) (request any, err error)

// BeforeHook returns a handler that answers before-hooks, verified with one of the secrets.
func BeforeHook(secrets []string, decide Decide) (http.Handler, error) {
	return verified(secrets, func(w http.ResponseWriter, r *http.Request, body []byte) error {
		var frame struct {
			Data struct {
				UserID   string          `json:"userID"`
				DeviceID string          `json:"deviceID"`
				Method   string          `json:"verb"`
				Request  json.RawMessage `json:"request"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &frame); err != nil {
			return badRequest{err}
		}
		request, err := decide(r.Context(), Question(frame.Data))
		var refusal *Refusal
		switch {
		case errors.As(err, &refusal):
			if refusal.Code < MinRefusal || refusal.Code > MaxRefusal {
				return fmt.Errorf("the code of a refusal is %d; it must be %d to %d", refusal.Code, MinRefusal, MaxRefusal)
			}
			return reply(w, map[string]any{"code": refusal.Code, "message": refusal.Message})
		case err != nil:
			return err
		case request == nil:
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return reply(w, map[string]any{"request": request})
	})
}

func reply(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(b)
	return err
}

// badRequest is the error for a body that is no event.
type badRequest struct{ error }

// verified returns a handler of requests that are signed with one of the secrets.
func verified(secrets []string, handle func(http.ResponseWriter, *http.Request, []byte) error) (http.Handler, error) {
	var keys []*webhooks.Webhook
	for _, s := range secrets {
		key, err := webhooks.NewWebhook(strings.TrimPrefix(s, "whsec_"))
		if err != nil {
			return nil, fmt.Errorf("appserver: a webhook secret is not whsec_ and base64: %w", err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("appserver: no webhook secret is given")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
		if err != nil {
			http.Error(w, "the body could not be read", http.StatusBadRequest)
			return
		}
		if !slices.ContainsFunc(keys, func(k *webhooks.Webhook) bool { return k.Verify(body, r.Header) == nil }) {
			http.Error(w, "the signature is missing, wrong or too old", http.StatusUnauthorized)
			return
		}
		err = handle(w, r, body)
		var bad badRequest
		switch {
		case errors.As(err, &bad):
			http.Error(w, bad.Error(), http.StatusBadRequest)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}), nil
}
