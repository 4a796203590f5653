// Command chat sends two messages from alice to bob, whose inbox keeps his conversations with unread counts. When bob
// has read them, alice receives a read receipt. It prints:
//
//	bob: alice writes: hello
//	bob: alice writes: are you there?
//	bob: c2c_alice has 2 unread
//	bob: c2c_alice has 0 unread
//	alice: bob has read c2c_bob
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
	messages, read := make(chan protocol.Message, 2), make(chan string, 1)
	bob, err := env.Connect(ctx, "bob", client.Listener{
		OnReceiveMessage: func(_ string, _ uint64, m protocol.Message) { messages <- m },
	})
	if err != nil {
		return err
	}
	defer bob.Close()
	alice, err := env.Connect(ctx, "alice", client.Listener{
		OnPeerRead: func(conversationID string, _ uint64) { read <- conversationID },
	})
	if err != nil {
		return err
	}
	defer alice.Close()

	for _, text := range []string{"hello", "are you there?"} {
		_, err := alice.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: text}})
		if err != nil {
			return err
		}
		m, err := env.Receive(ctx, messages)
		if err != nil {
			return err
		}
		fmt.Printf("bob: %s writes: %s\n", m.From, m.Text)
	}
	printUnread(bob)
	if _, err := bob.MarkConversationRead(ctx, "c2c_alice", 0); err != nil {
		return err
	}
	printUnread(bob)

	conversationID, err := env.Receive(ctx, read)
	if err != nil {
		return err
	}
	fmt.Printf("alice: bob has read %s\n", conversationID)
	return nil
}

func printUnread(c *client.Client) {
	for _, conversation := range c.Conversations() {
		if conversation.ConversationID == "c2c_alice" {
			fmt.Printf("bob: %s has %d unread\n", conversation.ConversationID, conversation.Unread)
		}
	}
}
