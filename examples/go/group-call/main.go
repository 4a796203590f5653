// Command group-call calls the members of a group. With acceptLimit 2 the server ends the invitation for everyone who
// is still open when the second member accepts. It prints:
//
//	bob: accepted
//	carol: accepted
//	dave: the call is over (answered)
//	dave: too late (error 8010)
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/examples/go/env"
	"github.com/beckon-im/beckon/im"
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
	ended := make(chan client.InvitationEvent, 1)
	devices := map[string]*client.Client{}
	for _, user := range []string{"alice", "bob", "carol", "dave"} {
		var l client.Listener
		if user == "dave" {
			l.OnInvitationCancelled = func(e client.InvitationEvent) { ended <- e }
		}
		c, err := env.Connect(ctx, user, l)
		if err != nil {
			return err
		}
		defer c.Close()
		devices[user] = c
	}

	team, err := devices["alice"].CreateGroup(ctx, protocol.CreateGroupRequest{
		Type: "Work", MemberList: []string{"bob", "carol", "dave"},
	})
	if err != nil {
		return err
	}
	call, err := devices["alice"].InviteInGroup(ctx, protocol.InviteInGroupRequest{
		GroupID:       team.Group.GroupID,
		InviteeList:   []string{"bob", "carol", "dave"},
		InviteOptions: protocol.InviteOptions{AcceptLimit: 2, Timeout: 30},
	})
	if err != nil {
		return err
	}
	for _, user := range []string{"bob", "carol"} {
		if _, err := devices[user].Accept(ctx, call.InviteID, ""); err != nil {
			return err
		}
		fmt.Printf("%s: accepted\n", user)
	}
	end, err := env.Receive(ctx, ended)
	if err != nil {
		return err
	}
	fmt.Printf("dave: the call is over (%s)\n", end.Reason)

	_, err = devices["dave"].Accept(ctx, call.InviteID, "")
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code != im.CodeOver {
		return fmt.Errorf("a third accept was not refused: %w", err)
	}
	fmt.Printf("dave: too late (error %d)\n", refused.Code)
	return nil
}
