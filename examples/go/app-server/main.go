// Command app-server rings a user over HTTP, as an app server does: it needs the API key and no connection. The
// doorbell calls bob, whose device accepts, and the app server reads the outcome. It prints:
//
//	app server: bob has 1 device connected
//	bob: doorbell calls: a parcel
//	app server: bob accepted: coming
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/beckon-im/beckon/client"
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
	rings := make(chan client.InvitationEvent, 1)
	bob, err := env.Connect(ctx, "bob", client.Listener{
		OnReceiveNewInvitation: func(e client.InvitationEvent) { rings <- e },
	})
	if err != nil {
		return err
	}
	defer bob.Close()

	var call protocol.InviteResponse
	err = env.Call(ctx, "doorbell", "invite", protocol.InviteRequest{
		Invitee:       "bob",
		InviteOptions: protocol.InviteOptions{Data: "a parcel", Timeout: 30},
	}, &call)
	if err != nil {
		return err
	}
	fmt.Printf("app server: bob has %d device connected\n", call.Reach[0].Devices)

	ring, err := env.Receive(ctx, rings)
	if err != nil {
		return err
	}
	fmt.Printf("bob: %s calls: %s\n", ring.Inviter, ring.Data)
	if _, err := bob.Accept(ctx, ring.InviteID, "coming"); err != nil {
		return err
	}

	// An app server that waits for an answer subscribes to webhooks; this one reads the invitation once.
	var state protocol.GetInvitationResponse
	request := protocol.GetInvitationRequest{InviteID: call.InviteID}
	if err := env.Call(ctx, "doorbell", "getInvitation", request, &state); err != nil {
		return err
	}
	for _, invitee := range state.Invitation.Invitees {
		fmt.Printf("app server: %s %s: %s\n", invitee.UserID, invitee.State, invitee.Data)
	}
	return nil
}
