// Command call is a call between two users: alice invites bob, and bob accepts. It prints:
//
//	bob: alice calls: dinner?
//	alice: bob accepted: at eight
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
	rings, answers := make(chan client.InvitationEvent, 1), make(chan client.InvitationEvent, 1)
	bob, err := env.Connect(ctx, "bob", client.Listener{
		OnReceiveNewInvitation: func(e client.InvitationEvent) { rings <- e },
	})
	if err != nil {
		return err
	}
	defer bob.Close()
	alice, err := env.Connect(ctx, "alice", client.Listener{
		OnInviteeAccepted: func(e client.InvitationEvent) { answers <- e },
	})
	if err != nil {
		return err
	}
	defer alice.Close()

	_, err = alice.Invite(ctx, protocol.InviteRequest{
		Invitee:       "bob",
		InviteOptions: protocol.InviteOptions{Data: "dinner?", Timeout: 30},
	})
	if err != nil {
		return err
	}
	ring, err := env.Receive(ctx, rings)
	if err != nil {
		return err
	}
	fmt.Printf("bob: %s calls: %s\n", ring.Inviter, ring.Data)
	if _, err := bob.Accept(ctx, ring.InviteID, "at eight"); err != nil {
		return err
	}
	answer, err := env.Receive(ctx, answers)
	if err != nil {
		return err
	}
	fmt.Printf("alice: %s accepted: %s\n", answer.Invitee, answer.Data)
	return nil
}
