package view

import (
	"reflect"
	"testing"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// TestInvitation: the state of an invitation at a time.
func TestInvitation(t *testing.T) {
	v, list := invite.New(invite.Terms{ID: "i1", Inviter: "alice", RoomID: "room1", Timeout: 30, Data: "hello",
		Notify: invite.NotifyMembers}, []string{"bob"}, invite.Actor{User: "alice"}, "p", 1_700_000_000_000)
	want := &protocol.Invitation{InviteID: "i1", Inviter: "alice", RoomID: "room1", Data: "hello", Timeout: 30,
		Notify: invite.NotifyMembers, InviteeCount: 1, CreatedAt: 1_700_000_000_000, Deadline: 1_700_000_030_000,
		Remaining: 20_000, Version: 1, Counts: invite.Counts{Open: 1},
		Invitees: []protocol.Invitee{{UserID: "bob"}}, ServerTime: 1_700_000_010_000}
	if got := Invitation(&v, list, 1_700_000_010_000); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}
