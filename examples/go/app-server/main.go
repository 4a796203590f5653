// Command app-server is an app server: it creates a token for a device, invites for a user, and receives webhooks.
// Start the server with
//
//	beckon dev --webhook http://127.0.0.1:9000 --webhook-secret "$BECKON_WEBHOOK_SECRET"
//
// where the secret is the output of: echo whsec_$(openssl rand -base64 32). It prints:
//
//	bob has a token
//	invitation.created: doorbell calls: a parcel
//	invitation.answered: bob accepted: coming
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/beckon-im/beckon/client/appserver"
	"github.com/beckon-im/beckon/examples/go/env"
	"github.com/beckon-im/beckon/protocol"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	events := make(chan appserver.Event, 16)
	hook, err := appserver.Webhook([]string{os.Getenv("BECKON_WEBHOOK_SECRET")},
		func(_ context.Context, e appserver.Event) error { events <- e; return nil })
	if err != nil {
		return err
	}
	receiver := &http.Server{Addr: cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:9000"), Handler: hook,
		ReadHeaderTimeout: 5 * time.Second}
	defer receiver.Close()
	go func() {
		if err := receiver.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Println(err)
		}
	}()

	server, err := env.Server()
	if err != nil {
		return err
	}
	if _, err := server.CreateToken(ctx, protocol.CreateTokenRequest{UserID: "bob"}); err != nil {
		return err
	}
	fmt.Println("bob has a token")
	call, err := server.As("doorbell").Invite(ctx, protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{Data: "a parcel", Timeout: 30}})
	if err != nil {
		return err
	}
	// A device of bob would answer; an app server may too.
	answer := protocol.AnswerRequest{InviteID: call.InviteID, Data: "coming"}
	if _, err := server.As("bob").Accept(ctx, answer); err != nil {
		return err
	}
	for range 2 {
		event, err := env.Receive(ctx, events)
		if err != nil {
			return err
		}
		switch e := event.Data.(*protocol.Signaling); e.ActionType {
		case protocol.ActionInvite:
			fmt.Printf("%s: %s calls: %s\n", event.Kind, e.Inviter, e.Data)
		case protocol.ActionAccept:
			fmt.Printf("%s: %s accepted: %s\n", event.Kind, e.Answers[0].Invitee, e.Answers[0].Data)
		}
	}
	return nil
}
