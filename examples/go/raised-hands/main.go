// Command raised-hands is a classroom: the teacher invites all students to raise a hand, an accept is a raised hand,
// and the teacher's cancel lowers all hands. Every member receives every answer. It prints:
//
//	teacher: ann raised a hand
//	teacher: ben raised a hand
//	teacher: ann may speak
//	cem: hands are lowered
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
	hands, lowered := make(chan client.InvitationEvent, 2), make(chan client.InvitationEvent, 1)
	teacher, err := env.Connect(ctx, "teacher", client.Listener{
		OnInviteeAccepted: func(e client.InvitationEvent) { hands <- e },
	})
	if err != nil {
		return err
	}
	defer teacher.Close()
	students := map[string]*client.Client{}
	for _, user := range []string{"ann", "ben", "cem"} {
		var l client.Listener
		if user == "cem" {
			l.OnInvitationCancelled = func(e client.InvitationEvent) { lowered <- e }
		}
		if students[user], err = env.Connect(ctx, user, l); err != nil {
			return err
		}
		defer students[user].Close()
	}

	class, err := teacher.CreateGroup(ctx, protocol.CreateGroupRequest{
		Type: "Public", MemberList: []string{"ann", "ben", "cem"},
	})
	if err != nil {
		return err
	}
	question, err := teacher.InviteInGroup(ctx, protocol.InviteInGroupRequest{
		GroupID: class.Group.GroupID, Everyone: true,
		InviteOptions: protocol.InviteOptions{Data: `{"scene":"hands"}`, Timeout: 120},
	})
	if err != nil {
		return err
	}
	for _, user := range []string{"ann", "ben"} {
		if _, err := students[user].Accept(ctx, question.InviteID, ""); err != nil {
			return err
		}
		hand, err := env.Receive(ctx, hands)
		if err != nil {
			return err
		}
		fmt.Printf("teacher: %s raised a hand\n", hand.Invitee)
	}

	speak, err := teacher.InviteInGroup(ctx, protocol.InviteInGroupRequest{
		GroupID: class.Group.GroupID, InviteeList: []string{"ann"},
		InviteOptions: protocol.InviteOptions{Data: `{"scene":"speak"}`, Timeout: 30},
	})
	if err != nil {
		return err
	}
	if _, err := students["ann"].Accept(ctx, speak.InviteID, ""); err != nil {
		return err
	}
	fmt.Println("teacher: ann may speak")

	if _, err := teacher.Cancel(ctx, protocol.CancelRequest{InviteID: question.InviteID}); err != nil {
		return err
	}
	if _, err := env.Receive(ctx, lowered); err != nil {
		return err
	}
	fmt.Println("cem: hands are lowered")
	return nil
}
