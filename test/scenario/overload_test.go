package scenario

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestFull: a server without room takes nothing new and nobody more; what rings is answered, and who waited outside
// comes in by themselves as soon as there is room.
func TestFull(t *testing.T) {
	var full atomic.Bool
	var asked atomic.Int64
	house := newHouse(t, beckon.Config{Full: func() bool { asked.Add(1); return full.Load() }})
	ann := house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: "a", NoRepeat: true})
	bob := house.Device("bob", "b", client.Listener{})
	if _, err := ann.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{InviteID: "rings"}}); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	var e *protocol.Error
	if _, err := ann.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob"}); !errors.As(err, &e) ||
		e.Code != im.CodeTooOften {
		t.Errorf("something new is answered with %v", err)
	}
	if _, err := bob.Accept(t.Context(), "rings", ""); err != nil {
		t.Errorf("what rings cannot be answered: %v", err)
	}
	cat, err := client.New(client.Options{Server: house.URL, Token: house.Token("cat")})
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	came := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), beckontest.Patience)
		defer cancel()
		came <- cat.Connect(ctx)
	}()
	before := asked.Load()
	eventually(t, "who was not let in comes again", func() bool { return asked.Load() > before+2 })
	select {
	case err := <-came:
		t.Fatalf("who came when it was full was let in: %v", err)
	default:
	}
	full.Store(false)
	if err := <-came; err != nil {
		t.Errorf("who waited outside did not come in: %v", err)
	}
}
