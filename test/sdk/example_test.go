// Package sdk shows calls with the Go SDK against a real server. Its tests are not in the package client, whose tests
// import nothing of the server (docs/adr/0019).
package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

func TestMain(m *testing.M) { beckontest.VerifyNoLeaks(m) }

// exampleServer runs a server for the examples.
func exampleServer() (url string, token func(user string) string, stop func()) {
	dir, err := os.MkdirTemp("", "beckon-example-")
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	srv, err := beckon.New(ctx, beckon.Config{DataDir: dir, Log: slog.New(slog.DiscardHandler)})
	must(err)
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	<-srv.Ready()
	web := httptest.NewServer(srv.Handler())
	return web.URL, func(user string) string {
			t, err := srv.Token(user, "", 0)
			must(err)
			return t
		}, func() {
			cancel()
			must(<-done)
			web.CloseClientConnections()
			web.Close()
			must(os.RemoveAll(dir))
		}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// A one-to-one call.
func Example() {
	url, token, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	rings, answered := make(chan string, 1), make(chan bool, 1)
	bob, err := client.New(client.Options{Server: url, Token: token("bob"), DeviceID: "bobs-phone",
		Listener: client.Listener{
			OnReceiveNewInvitation: func(e client.InvitationEvent) {
				fmt.Printf("bob's phone rings: %s says %q\n", e.Inviter, e.Data)
				rings <- e.InviteID
			},
		}})
	must(err)
	defer bob.Close()
	must(bob.Connect(ctx))

	alice, err := client.New(client.Options{Server: url, Token: token("alice"), DeviceID: "alices-phone",
		Listener: client.Listener{
			OnInviteeAccepted: func(e client.InvitationEvent) {
				fmt.Printf("alice hears: %s accepted, %q\n", e.Invitee, e.Data)
				answered <- true
			},
		}})
	must(err)
	defer alice.Close()
	must(alice.Connect(ctx))

	res, err := alice.Invite(ctx, protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{Data: "dinner?", Timeout: 30}})
	must(err)
	fmt.Printf("bob has %d device connected\n", res.Reach[0].Devices)

	_, err = bob.Accept(ctx, <-rings, "at eight")
	must(err)
	<-answered
	// Unordered output:
	// bob has 1 device connected
	// bob's phone rings: alice says "dinner?"
	// alice hears: bob accepted, "at eight"
}

// The first of several accepts wins; a later one returns an error with the outcome.
func Example_firstToPickUpWins() {
	url, token, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	device := func(user string) *client.Client {
		c, err := client.New(client.Options{Server: url, Token: token(user), DeviceID: user + "-1"})
		must(err)
		must(c.Connect(ctx))
		return c
	}
	alice, bob, carol := device("alice"), device("bob"), device("carol")
	defer alice.Close()
	defer bob.Close()
	defer carol.Close()

	res, err := alice.Invite(ctx, protocol.InviteRequest{InviteeList: []string{"bob", "carol"},
		InviteOptions: protocol.InviteOptions{AcceptLimit: 1, Timeout: 30}})
	must(err)
	_, err = carol.Accept(ctx, res.InviteID, "")
	fmt.Println("carol:", err)
	_, err = bob.Accept(ctx, res.InviteID, "")
	fmt.Println("bob:", err)
	// Output:
	// carol: <nil>
	// bob: others answered first, so the invitation was closed for bob
}
