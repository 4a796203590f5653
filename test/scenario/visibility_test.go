package scenario

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestWhoIsBlockedSeesOffline: a blocked user sees the blocker offline in each way to ask and to be told, and sees the
// truth again when the block ends; others are not concerned.
func TestWhoIsBlockedSeesOffline(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	ctx := t.Context()
	seen := map[string]chan string{"eve": make(chan string, 20), "bob": make(chan string, 20)}
	device := func(user, id string) *client.Client {
		l := client.Listener{}
		if c := seen[user]; c != nil {
			l.OnUserStatusChanged = func(s protocol.UserStatus) {
				if s.UserID == "ann" {
					c <- s.Status + s.CustomStatus
				}
			}
		}
		return house.Device(user, id, l)
	}
	ann, eve, bob := device("ann", "a"), device("eve", "e"), device("bob", "b")
	for _, d := range []*client.Client{eve, bob} {
		if res, err := d.SubscribeUserStatus(ctx, []string{"ann"}); err != nil ||
			res.Statuses[0].Status != protocol.StatusOnline {
			t.Fatalf("before: %+v, %v", res, err)
		}
	}
	blocked := false
	wait := func(user, status string) {
		t.Helper()
		for got := range seen[user] {
			if got == status {
				return
			}
			if user == "eve" && blocked {
				t.Errorf("eve was told %q", got)
			}
		}
	}
	asked := func(want string) {
		t.Helper()
		if res, err := eve.GetUserStatus(ctx, []string{"ann", "bob"}); err != nil || res.Statuses[0].Status != want ||
			want == protocol.StatusOffline && res.Statuses[0].CustomStatus != "" ||
			res.Statuses[1].Status != protocol.StatusOnline {
			t.Errorf("eve asks and gets %+v, %v", res, err)
		}
	}
	if _, err := ann.AddToBlackList(ctx, []string{"eve"}); err != nil {
		t.Fatal(err)
	}
	wait("eve", protocol.StatusOffline) // after what was on its way
	blocked = true
	asked(protocol.StatusOffline)
	if _, err := ann.SetSelfStatus(ctx, protocol.SetSelfStatusRequest{CustomStatus: "busy"}); err != nil {
		t.Fatal(err)
	}
	wait("bob", protocol.StatusOnline+"busy")
	if res, err := eve.SubscribeUserStatus(ctx, []string{"ann"}); err != nil ||
		res.Statuses[0].Status != protocol.StatusOffline {
		t.Errorf("eve subscribes again and gets %+v, %v", res, err)
	}
	eve.Close()
	eve = device("eve", "e") // what it is told at connect, and then
	wait("eve", protocol.StatusOffline)
	ann.Close()
	wait("bob", protocol.StatusOffline+"busy")
	ann = device("ann", "a")
	wait("bob", protocol.StatusOnline+"busy")
	asked(protocol.StatusOffline)
	if len(seen["eve"]) != 0 {
		t.Errorf("eve was told %q", <-seen["eve"])
	}
	blocked = false
	if _, err := ann.DeleteFromBlackList(ctx, []string{"eve"}); err != nil {
		t.Fatal(err)
	}
	wait("eve", protocol.StatusOnline+"busy")
	asked(protocol.StatusOnline)
	if _, err := ann.SetSelfStatus(ctx, protocol.SetSelfStatusRequest{CustomStatus: "free"}); err != nil {
		t.Fatal(err)
	}
	wait("eve", protocol.StatusOnline+"free")
}

// TestAWorkGroupIsUnknownToStrangers: what is asked of a Work group by who is no member, or was one, is refused as of a
// group that there is not.
func TestAWorkGroupIsUnknownToStrangers(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	ctx := t.Context()
	ann, eve, bob := house.Device("ann", "a", client.Listener{}), house.Device("eve", "e",
		client.Listener{}), house.Device("bob", "b", client.Listener{})
	if _, err := ann.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "secret", Type: "Work",
		MemberList: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.KickGroupMember(ctx,
		protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "secret",
			MemberList: []string{"bob"}}}); err != nil {
		t.Fatal(err)
	}
	for user, d := range map[string]*client.Client{"eve": eve, "bob": bob} {
		for name, ask := range map[string]func(group string) error{
			"join":     func(g string) error { _, err := d.JoinGroup(ctx, protocol.JoinGroupRequest{GroupID: g}); return err },
			"quit":     func(g string) error { _, err := d.QuitGroup(ctx, g); return err },
			"dismiss":  func(g string) error { _, err := d.DismissGroup(ctx, g); return err },
			"bring in": func(g string) error { _, err := d.InviteUserToGroup(ctx, g, []string{"eve"}); return err },
			"members": func(g string) error {
				_, err := d.GetGroupMemberList(ctx, protocol.PageRequest{GroupID: g})
				return err
			},
			"how many": func(g string) error { _, err := d.GetGroupOnlineMemberCount(ctx, g); return err },
			"send": func(g string) error {
				_, err := d.SendMessage(ctx, protocol.SendMessageRequest{GroupID: g, Body: protocol.Body{Text: "x"}})
				return err
			},
			"history": func(g string) error {
				_, err := d.GetHistoryMessageList(ctx, protocol.HistoryRequest{ConversationID: "group_" + g})
				return err
			},
			"invite": func(g string) error {
				_, err := d.InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: g, InviteeList: []string{"ann"}})
				return err
			},
			"everybody": func(g string) error {
				_, err := d.InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: g, Everyone: true})
				return err
			},
		} {
			hidden, missing := &protocol.Error{}, &protocol.Error{}
			if !errors.As(ask("secret"), &hidden) || !errors.As(ask("missing"), &missing) || hidden.Code != im.CodeNoGroup ||
				!reflect.DeepEqual(hidden, missing) {
				t.Errorf("%s of %s: %+v, and of a group that there is not: %+v", name, user, hidden, missing)
			}
		}
		if res, err := d.GetGroupsInfo(ctx, protocol.GroupsRequest{GroupIDList: []string{"secret"}}); err != nil ||
			len(res.Groups) != 0 {
			t.Errorf("%s reads %+v, %v", user, res, err)
		}
	}
}

// TestSnapshotData: what strangers leave is read up to a bound at each connect, and does not hide a user's own
// invitations.
func TestSnapshotData(t *testing.T) {
	s := newModerated(t, beckon.Config{OpenPerPair: 50})
	for i := range 100 {
		s.act(fmt.Sprint("stranger", i/25), "invite", protocol.InviteRequest{Invitee: "b",
			InviteOptions: protocol.InviteOptions{Data: strings.Repeat("x", 12<<10), Timeout: 600}}, nil)
	}
	s.act("b", "invite", protocol.InviteRequest{InviteeList: []string{"c", "d"},
		InviteOptions: protocol.InviteOptions{InviteID: "own", Timeout: 600}}, nil)
	welcome, accepted := make(chan protocol.Welcome, 1), make(chan string, 1)
	s.Device("b", "late", client.Listener{OnConnected: func(w protocol.Welcome) { welcome <- w },
		OnInviteeAccepted: func(e client.InvitationEvent) { accepted <- e.InviteID }})
	if w := <-welcome; !w.More || len(w.Invitations) == 0 {
		t.Errorf("the welcome has %d invitations, more: %v", len(w.Invitations), w.More)
	}
	s.act("c", "accept", protocol.AnswerRequest{InviteID: "own"}, nil)
	if id := <-accepted; id != "own" {
		t.Errorf("the answer to %s", id)
	}
}
