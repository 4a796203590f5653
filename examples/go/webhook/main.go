// Command webhook receives webhooks and verifies their signatures. Start the server with
//
//	beckon dev --webhook http://127.0.0.1:9000 --webhook-secret "$BECKON_WEBHOOK_SECRET"
//
// where the secret is the output of: echo whsec_$(openssl rand -base64 32). The program calls bob to cause events, and
// exits when it has received them. It prints:
//
//	invitation.created: alice calls
//	invitation.cancelled: alice calls
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/beckon-im/beckon/examples/go/env"
	"github.com/beckon-im/beckon/protocol"
)

// Event is the body of a webhook.
type Event struct {
	Type string             `json:"type"` // invitation.created, message.sent, …
	Data protocol.Signaling `json:"data"`
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	verifier, err := webhooks.NewWebhook(strings.TrimPrefix(os.Getenv("BECKON_WEBHOOK_SECRET"), "whsec_"))
	if err != nil {
		return err
	}
	events := make(chan Event, 16)
	receiver := &http.Server{
		Addr:              cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:9000"),
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := receive(verifier, r, events); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest) // the server retries until a response is 2xx
			}
		}),
	}
	done := make(chan error, 1)
	go func() { done <- receiver.ListenAndServe() }()

	var call protocol.InviteResponse
	if err := env.Call(ctx, "alice", "invite", protocol.InviteRequest{Invitee: "bob"}, &call); err != nil {
		return err
	}
	var cancelled protocol.ActionResponse
	err = env.Call(ctx, "alice", "cancel", protocol.CancelRequest{InviteID: call.InviteID}, &cancelled)
	if err != nil {
		return err
	}
	for received := 0; received < 2; {
		event, err := env.Receive(ctx, events)
		if err != nil {
			return err
		}
		if event.Data.InviteID == call.InviteID {
			fmt.Printf("%s: %s calls\n", event.Type, event.Data.Inviter)
			received++
		}
	}
	if err := receiver.Shutdown(ctx); err != nil {
		return err
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// receive verifies and decodes a webhook. An event may arrive more than once: the same webhook-id is the same event.
func receive(verifier *webhooks.Webhook, r *http.Request, events chan<- Event) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := verifier.Verify(body, r.Header); err != nil {
		return err
	}
	var event Event
	if err := json.Unmarshal(body, &event); err != nil {
		return err
	}
	events <- event
	return nil
}
