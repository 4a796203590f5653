package scenario

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/test/cluster"
)

// TestRepeatsAfterOverload: a call that the server sheds is repeated after its retryAfter, with the same IDs, within
// the time of its caller; an online-only message is not, and a client without repeats returns the refusal.
func TestRepeatsAfterOverload(t *testing.T) {
	t.Parallel()
	var shed atomic.Int64 // calls to refuse
	house := newHouse(t, beckon.Config{Full: func() bool { return shed.Add(-1) >= 0 }})
	ann := house.Device("ann", "a", client.Listener{})
	shed.Store(2)
	begin := time.Now()
	res, err := ann.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob"})
	if err != nil || res.Repeat || time.Since(begin) < 2*time.Second {
		t.Errorf("after %v: %+v, %v", time.Since(begin), res, err)
	}
	refusal := func(c *client.Client, call func(context.Context) error) {
		t.Helper()
		shed.Store(1 << 30)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		refused(t, call(ctx), im.CodeTooOften)
		if time.Since(begin) > 20*time.Second {
			t.Errorf("the refusal was returned after %v", time.Since(begin))
		}
		shed.Store(0)
	}
	message := protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "now?"}}
	message.OnlineUserOnly = true
	refusal(ann, func(ctx context.Context) error { return second(ann.SendMessage(ctx, message)) })
	refusal(ann, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond) // less than each retryAfter
		defer cancel()
		return second(ann.Invite(ctx, protocol.InviteRequest{Invitee: "bob"}))
	})
	once := house.DeviceWith(client.Options{Token: house.Token("cem"), DeviceID: "c", NoRepeat: true})
	refusal(once, func(ctx context.Context) error {
		return second(once.Invite(ctx, protocol.InviteRequest{Invitee: "bob"}))
	})
	closing, err := client.New(client.Options{Server: house.URL, Token: house.Token("dan")})
	if err != nil {
		t.Fatal(err)
	}
	if err := closing.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	refusal(closing, func(ctx context.Context) error {
		time.AfterFunc(300*time.Millisecond, closing.Close)
		return second(closing.Invite(ctx, protocol.InviteRequest{Invitee: "bob"}))
	})
}

// TestRepeatsWhileTheDatabaseRestarts: reads and actions that come while the database cannot be reached succeed when it
// is back.
func TestRepeatsWhileTheDatabaseRestarts(t *testing.T) {
	t.Parallel()
	pg, err := pgtest.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Close() })
	url, err := pg.Database(t.Context(), "repeats")
	if err != nil {
		t.Fatal(err)
	}
	link, err := cluster.NewLink(pg.Addr(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	house := beckontest.StartNodes(t, 1, beckon.Config{Postgres: strings.Replace(url, pg.Addr(), link.Addr(), 1)})
	ann := house.Device("ann", "a", client.Listener{})
	once := house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: "once", NoRepeat: true})
	bob := house.Device("bob", "b", client.Listener{})
	if _, err := ann.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{InviteID: "i", Timeout: 600}}); err != nil {
		t.Fatal(err)
	}
	link.Cut()
	answers := make(chan error, 3)
	go func() { answers <- second(ann.GetConversationList(t.Context(), protocol.ConversationsRequest{})) }()
	go func() {
		answers <- second(ann.SendMessage(t.Context(), protocol.SendMessageRequest{UserID: "bob",
			Body: protocol.Body{Text: "hi"}}))
	}()
	go func() { answers <- second(bob.Accept(t.Context(), "i", "")) }()
	var e *protocol.Error
	if _, err := once.GetConversationList(t.Context(), protocol.ConversationsRequest{}); !errors.As(err, &e) ||
		e.Code != im.CodeInternal || e.RetryAfter == 0 {
		t.Errorf("without its database the server answers %v", err)
	}
	select {
	case err := <-answers:
		t.Errorf("a call was answered with %v", err)
	case <-time.After(2 * time.Second):
	}
	link.Heal()
	for range 3 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}
