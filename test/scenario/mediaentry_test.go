package scenario

import (
	"net/http"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestEntryWithAnAnswer: the responses of invite and accept have the entry to the room, for users that may enter it.
func TestEntryWithAnAnswer(t *testing.T) {
	s := newStudio(t, "ann", "bob", "cid")
	ctx := t.Context()
	into := func(room string, to ...string) protocol.InviteRequest {
		return protocol.InviteRequest{InviteeList: to, InviteOptions: protocol.InviteOptions{RoomID: room}}
	}
	enters := func(who string, e *protocol.EnterRoomResponse, host bool) {
		t.Helper()
		if e == nil {
			t.Fatalf("%s has no entry", who)
		}
		if e.RoomID != "r" || e.Role != im.RoomAnchor || e.Granted != im.RoomAnchor || e.Host != host || e.ExpireAt == 0 {
			t.Errorf("the entry of %s is %+v", who, e)
		}
		if status := s.connects(e.Token); status != http.StatusOK {
			t.Errorf("the token of %s: %d", who, status)
		}
	}
	inv := s.invite("ann", into("r", "bob", "cid"))
	enters("the inviter", inv.Room, true)
	req := into("r", "bob", "cid")
	req.InviteID = inv.InviteID
	enters("the inviter who repeats the call", s.invite("ann", req).Room, true)
	ring, err := s.who["bob"].Ring(ctx, inv.InviteID)
	if err != nil || ring.Room != nil {
		t.Errorf("an invitee that rings has %+v, %v", ring.Room, err)
	}
	if calls := s.calls(); len(calls) != 0 {
		t.Errorf("there are records before somebody enters: %+v", calls)
	}
	res, err := s.who["bob"].Accept(ctx, inv.InviteID, "")
	if err != nil {
		t.Fatal(err)
	}
	enters("who accepts", res.Room, false)
	if res, err := s.who["cid"].Reject(ctx, inv.InviteID, "", ""); err != nil || res.Room != nil {
		t.Errorf("who rejects has %+v, %v", res.Room, err)
	}
	if plain := s.invite("ann", into("", "bob")); plain.Room != nil {
		t.Errorf("an invitation without a room has the entry %+v", plain.Room)
	}
	if notice := s.invite("ann", protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{RoomID: "another", Notice: true}}); notice.Room != nil {
		t.Errorf("a notice has the entry %+v", notice.Room)
	}
	s.live.down.Store(true)
	down := s.invite("bob", into("r2", "cid"))
	if down.Room == nil {
		t.Error("the entry waits for LiveKit")
	}
	s.live.down.Store(false)
}
