// Command embedded runs the server in a program with an HTTP server and a sign-in of its own: the server is below
// /chat/, and the session IDs of the program are the tokens of devices. It needs no other server. It prints:
//
//	event invitation.created
//	bob is called by alice
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/examples/go/env"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "embedded") // a real program keeps its data directory
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var sessions sync.Map // the identity by session ID; a real program has them in its database
	events := make(chan beckon.Event, 1)
	server, err := beckon.New(ctx, beckon.Config{DataDir: dir,
		Authenticate: func(_ context.Context, token string) (beckon.Identity, error) {
			if id, ok := sessions.Load(token); ok {
				return id.(beckon.Identity), nil
			}
			return beckon.Identity{}, &beckon.Error{Code: im.CodeTokenRefused, Message: "sign in again"}
		},
		After: func(ctx context.Context, e beckon.Event) error { // at least once; an error repeats the event
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- server.Run(running) }()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sign-in", func(w http.ResponseWriter, r *http.Request) { // without a password
		id := rand.Text()
		sessions.Store(id, beckon.Identity{UserID: r.FormValue("user"), IssuedAt: time.Now()})
		_, _ = io.WriteString(w, id)
	})
	mux.Handle("/chat/", http.StripPrefix("/chat", server.Handler()))
	web := httptest.NewServer(mux) // an http.Server with any free port
	select {
	case <-server.Ready():
		err = call(ctx, server, web.URL, events)
		stop()
	case err = <-done: // it could not start
		done <- nil
	}
	err = errors.Join(err, <-done)
	web.Close() // after Run, which has closed the connections of devices
	return err
}

// call signs bob in, connects a device of his, and calls it for alice.
func call(ctx context.Context, server *beckon.Server, url string, events <-chan beckon.Event) error {
	res, err := http.PostForm(url+"/sign-in", map[string][]string{"user": {"bob"}})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	session, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	rings := make(chan client.InvitationEvent, 1)
	bob, err := client.New(client.Options{Server: url + "/chat", Token: string(session),
		Listener: client.Listener{OnReceiveNewInvitation: func(e client.InvitationEvent) { rings <- e }}})
	if err != nil {
		return err
	}
	defer bob.Close()
	err = bob.Connect(ctx)
	if err == nil {
		err = server.Call(ctx, beckon.Caller{UserID: "alice"}, "invite", protocol.InviteRequest{Invitee: "bob"}, nil)
	}
	if err != nil {
		return err
	}
	ring, err := env.Receive(ctx, rings)
	if err != nil {
		return err
	}
	event, err := env.Receive(ctx, events)
	if err == nil {
		fmt.Printf("event %s\nbob is called by %s\n", event.Type, ring.Inviter)
	}
	return err
}
