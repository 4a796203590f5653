package beckon_test

import (
	"context"
	"testing"

	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/protocol"
)

func TestSmoke(t *testing.T) {
	h := beckontest.Start(t, 1)
	ta, tb, tb2 := beckontest.NewTape(t, "alice"), beckontest.NewTape(t, "bob"), beckontest.NewTape(t, "bob2")
	alice := h.Device("alice", "a1", ta.Listener())
	bob := h.Device("bob", "b1", tb.Listener())
	h.Device("bob", "b2", tb2.Listener())
	ctx := context.Background()
	res, err := alice.Invite(ctx, protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{InviteID: "i1", Data: "hello", Timeout: 30}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", res)
	tb.Wait("new i1")
	tb2.Wait("new i1")
	if _, err := bob.Ring(ctx, "i1"); err != nil {
		t.Fatal(err)
	}
	ta.Wait("ringing i1 at bob")
	if _, err := bob.Accept(ctx, "i1", "yes"); err != nil {
		t.Fatal(err)
	}
	ta.Wait("accepted i1 by bob")
	tb2.Wait("elsewhere i1 accept")
	_, err = alice.Cancel(ctx, protocol.CancelRequest{InviteID: "i1"})
	t.Logf("%+v", err)
	t.Log(tb.Lines(), ta.Lines(), tb2.Lines())
}
