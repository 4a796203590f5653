package signaling_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/test/cluster"
)

// nobody is a presence without devices.
type nobody struct{}

func (nobody) Devices(users ...string) []int      { return make([]int, len(users)) }
func (nobody) Connected(string) []protocol.Device { return nil }
func (nobody) Known(string) []protocol.Device     { return nil }
func (nobody) Probe(string)                       {}

// TestAnswersWaitForTheDatabase: while the database cannot be reached, an accept, a reject, a ring, a cancel and a
// modify on a node that does not know the invitation wait, like an invite, and take effect when it is back.
func TestAnswersWaitForTheDatabase(t *testing.T) {
	pg, err := pgtest.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Close() })
	if _, err := pg.Database(t.Context(), "answers"); err != nil {
		t.Fatal(err)
	}
	link, err := cluster.NewLink(pg.Addr(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	s, err := store.Open(t.Context(), store.Options{Log: slog.New(slog.DiscardHandler),
		Postgres: "postgres://beckon@" + link.Addr() + "/answers?sslmode=disable", Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() { link.Heal(); stop(); running.Wait(); _ = s.Close() })
	first, second := signaling.New(s, nobody{}, signaling.Options{}),
		signaling.New(s, nobody{}, signaling.Options{}) // each with routes of its own
	alice, bob := rpc.Caller{UserID: "alice", DeviceID: "a"}, rpc.Caller{UserID: "bob", DeviceID: "b"}
	for _, id := range []string{"accepted", "rejected", "rung", "cancelled", "modified"} {
		if _, err := rpc.Call(t.Context(), s, first.Invite, alice, protocol.InviteRequest{Invitee: "bob",
			InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 600, RoomID: "room-" + id}}); err != nil {
			t.Fatal(err)
		}
	}
	link.Cut()
	answers := make(chan error, 5)
	answer := func(call func() (protocol.ActionResponse, error)) {
		go func() {
			_, err := call()
			answers <- err
		}()
	}
	answer(func() (protocol.ActionResponse, error) {
		return rpc.Call(t.Context(), s, second.Accept, bob, protocol.AnswerRequest{InviteID: "accepted"})
	})
	answer(func() (protocol.ActionResponse, error) {
		return rpc.Call(t.Context(), s, second.Reject, bob,
			protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: "rejected"}})
	})
	answer(func() (protocol.ActionResponse, error) {
		return rpc.Call(t.Context(), s, second.Ring, bob, protocol.RingRequest{InviteID: "rung"})
	})
	answer(func() (protocol.ActionResponse, error) {
		return rpc.Call(t.Context(), s, second.Cancel, alice, protocol.CancelRequest{InviteID: "cancelled"})
	})
	answer(func() (protocol.ActionResponse, error) {
		return rpc.Call(t.Context(), s, second.Modify, alice, protocol.ModifyRequest{InviteID: "modified", Data: "new"})
	})
	select {
	case err := <-answers:
		t.Fatalf("while the database cannot be reached, a call was answered with %v", err)
	case <-time.After(2 * time.Second):
	}
	link.Heal()
	for range 5 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	for id, want := range map[string]string{"accepted": "accepted", "rejected": "rejected", "rung": "open",
		"cancelled": "cancelled", "modified": "open"} {
		p, err := s.Invitee(t.Context(), id, "bob")
		if err != nil || p == nil || p.State.String() != want || (p.RingingAt != 0) != (id == "rung") {
			t.Errorf("%s: %+v, %v", id, p, err)
		}
	}
	if v, err := s.Invitation(t.Context(), "modified"); err != nil || v.Data != "new" {
		t.Errorf("the data is %+v, %v", v, err)
	}
}
