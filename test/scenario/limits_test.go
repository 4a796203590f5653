package scenario

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestABlockerHearsNothingMore: whatever the blocked do to what there is already.
func TestABlockerHearsNothingMore(t *testing.T) {
	for _, drop := range []bool{false, true} {
		t.Run(fmt.Sprint("drop=", drop), func(t *testing.T) {
			house := newHouse(t, beckon.Config{DropBlocked: drop})
			ctx := t.Context()
			tape := beckontest.NewRecorder(t, "ann")
			var changed []string
			heard := newDiary()
			l := tape.Listener()
			l.OnReceiveMessage = heard.note
			l.OnMessageModified = func(_ string, m protocol.Message) { changed = append(changed, m.Text) }
			ann, bob := house.Device("ann", "a", l), house.Device("bob", "b", client.Listener{})
			if _, err := bob.SendMessage(ctx, protocol.SendMessageRequest{UserID: "ann", MessageID: "m",
				Body: protocol.Body{Text: "hello"}}); err != nil {
				t.Fatal(err)
			}
			if _, err := ann.AddToBlackList(ctx, []string{"bob"}); err != nil {
				t.Fatal(err)
			}
			_, err := bob.ModifyMessage(ctx, protocol.ModifyMessageRequest{
				MessageRequest: protocol.MessageRequest{ConversationID: "c2c_ann", MessageID: "m"},
				Body:           protocol.Body{Text: "abuse"}})
			if !drop {
				refused(t, err, im.CodeBlocked)
				refused(t, second(bob.Invite(ctx, protocol.InviteRequest{InviteeList: []string{"ann"}})), im.CodeBlocked)
			} else {
				if err != nil {
					t.Fatal(err)
				}
				for _, req := range []protocol.InviteRequest{
					{InviteeList: []string{"ann", "cat"}, InviteOptions: protocol.InviteOptions{InviteID: "several", Data: "abuse"}},
					{Invitee: "ann", InviteOptions: protocol.InviteOptions{InviteID: "one", Data: "abuse"}},
				} {
					if _, err := bob.Invite(ctx, req); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := bob.AddInvitees(ctx, protocol.AddInviteesRequest{InviteID: "one",
					InviteeList: []string{"dan"}}); err != nil {
					t.Fatal(err)
				}
				dan := beckontest.NewRecorder(t, "dan")
				house.Device("dan", "d", dan.Listener())
				for _, id := range []string{"several", "one"} {
					if _, err := bob.Cancel(ctx, protocol.CancelRequest{InviteID: id, Data: "abuse"}); err != nil {
						t.Fatal(err)
					}
				}
				dan.Wait("cancelled one")
			}
			eve := house.Device("eve", "e", client.Listener{})
			if _, err := eve.SendMessage(ctx, protocol.SendMessageRequest{UserID: "ann",
				Body: protocol.Body{Text: "after all that"}}); err != nil {
				t.Fatal(err)
			}
			heard.wait(t, 2) // bob's first message and eve's: whatever came between has been heard
			m, err := ann.GetMessage(ctx, protocol.MessageRequest{ConversationID: "c2c_bob", MessageID: "m"})
			if err != nil || m.Message.Text != "hello" || len(changed) > 0 || len(tape.Lines()) > 0 {
				t.Errorf("the blocker reads %q, %v, and heard %v %v", m.Message.Text, err, changed, tape.Lines())
			}
		})
	}
}

// TestParticipantsOfALargeGroup: notify participants keeps answers from the others, however large the group is.
func TestParticipantsOfALargeGroup(t *testing.T) {
	house := newHouse(t, beckon.Config{LargeGroup: 2})
	ctx := t.Context()
	tape := beckontest.NewRecorder(t, "eve")
	ann, bob := house.Device("ann", "a", client.Listener{}), house.Device("bob", "b", client.Listener{})
	house.Device("eve", "e", tape.Listener())
	if _, err := ann.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Meeting",
		MemberList: []string{"bob", "eve", "fay"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: "g", InviteeList: []string{"bob", "fay"},
		Notify: "participants", InviteOptions: protocol.InviteOptions{InviteID: "secret"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Accept(ctx, "secret", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: "g", InviteeList: []string{"bob", "fay"},
		InviteOptions: protocol.InviteOptions{InviteID: "open"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Accept(ctx, "open", ""); err != nil {
		t.Fatal(err)
	}
	tape.Wait("accepted open by bob")
	if got := postFor(ctx, t, house, "fay", "accept", `{"inviteID":"open"}`); !strings.Contains(got, `"version"`) {
		t.Fatal(got)
	}
	tape.Wait("accepted open by fay") // in a later digest: one of the other would have come before
	for _, m := range tape.Raw() {
		if m.InviteID == "secret" {
			t.Errorf("who takes no part hears %+v", m)
		}
	}
}

// TestManyInvitersOneKick: who is open in invitations of many inviters of a large group can still be removed.
func TestManyInvitersOneKick(t *testing.T) {
	house := newHouse(t, beckon.Config{LargeGroup: 2, UserRate: 1e6, UserBurst: 1e6})
	ctx := t.Context()
	ann := house.Device("ann", "a", client.Listener{})
	people := []string{"victim"}
	for i := range 80 {
		people = append(people, fmt.Sprint("p", i))
	}
	if _, err := ann.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Meeting",
		MemberList: people}); err != nil {
		t.Fatal(err)
	}
	for _, u := range people[1:] {
		if got := postFor(ctx, t, house, u, "inviteInGroup",
			`{"groupID":"g","inviteeList":["victim"]}`); !strings.Contains(got, `"inviteID"`) {
			t.Fatal(got)
		}
	}
	if _, err := ann.KickGroupMember(ctx,
		protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "g",
			MemberList: []string{"victim"}}}); err != nil {
		t.Error(err)
	}
}

// TestUnreadOutlivesTrimming: what was trimmed is no longer unread once the conversation is read, and one's own trimmed
// messages do not hide those of others.
func TestUnreadOutlivesTrimming(t *testing.T) {
	now := &clock{now: time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC).UnixMilli()}
	house := beckontest.StartWith(t, beckon.Config{Now: now.read, Retention: time.Hour})
	ctx := t.Context()
	ann, bob := house.Device("ann", "a", client.Listener{}), house.Device("bob", "b", client.Listener{})
	if _, err := ann.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Work",
		MemberList: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	say := func(c *client.Client, n int, to protocol.SendMessageRequest) {
		for range n {
			to.Text = "words"
			if _, err := c.SendMessage(ctx, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	unread := func(want string) {
		t.Helper()
		res, err := bob.GetConversationList(ctx, protocol.ConversationsRequest{})
		if got := unreadOf(res.Conversations); err != nil || got != want {
			t.Errorf("bob is told %s, %v; want %s", got, err, want)
		}
	}
	say(ann, 2, protocol.SendMessageRequest{UserID: "bob"})
	say(bob, 3, protocol.SendMessageRequest{GroupID: "g"})
	say(ann, 1, protocol.SendMessageRequest{GroupID: "g"})
	unread("c2c_ann:2 group_g:1")
	now.move(7200)
	if err := house.Server.Trim(ctx); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{"c2c_ann", "group_g"} {
		if res, err := bob.MarkConversationRead(ctx, where, 0); err != nil || res.Conversation.Unread != 0 {
			t.Errorf("%s: %+v, %v", where, res.Conversation, err)
		}
	}
	say(ann, 2, protocol.SendMessageRequest{GroupID: "g"})
	say(ann, 1, protocol.SendMessageRequest{UserID: "bob"})
	unread("c2c_ann:1 group_g:2")
}

// TestOddQuestions: what looks harmless in a form and is not.
func TestOddQuestions(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	ctx := t.Context()
	ann := house.Device("ann", "a", client.Listener{})
	if _, err := ann.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "silent", Type: "Public",
		GroupInfo: protocol.GroupInfo{Name: "Привет"}}); err != nil {
		t.Fatal(err)
	}
	if res, err := ann.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "silent", Type: "Public"}); err != nil ||
		!res.Repeat {
		t.Errorf("creating it again: %+v, %v", res, err)
	}
	if v, err := ann.GetConversation(ctx, "group_silent"); err != nil || v.Conversation.GroupID != "silent" {
		t.Errorf("a group in which nothing was said is %+v, %v", v.Conversation, err)
	}
	if list, err := ann.GetConversationList(ctx, protocol.ConversationsRequest{}); err != nil ||
		len(list.Conversations) != 1 {
		t.Errorf("the list is %+v, %v", list.Conversations, err)
	}
	if list, err := ann.GetConversationList(ctx, protocol.ConversationsRequest{Offset: 1<<53 - 1}); err != nil ||
		len(list.Conversations) != 0 {
		t.Errorf("far beyond the list is %+v, %v", list.Conversations, err)
	}
	if res, err := ann.SearchGroups(ctx, protocol.SearchGroupsRequest{Text: "Привет"}); err != nil ||
		len(res.Groups) != 1 {
		t.Errorf("%d groups are found, %v", len(res.Groups), err)
	}
	var answer json.RawMessage
	for _, text := range []string{"a\x00b", "- + *", "\x00"} {
		refused(t, ann.Call(ctx, "searchMessages", protocol.SearchRequest{Text: text}, &answer), im.CodeBadParameter)
	}
	people := make([]string, 150)
	for i := range people {
		people[i] = fmt.Sprint("p", i)
	}
	for range 2 {
		if _, err := ann.SubscribeUserStatus(ctx, people); err != nil {
			t.Errorf("subscribing to the same people again: %v", err)
		}
	}
	res, err := ann.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "one"}})
	if err != nil {
		t.Fatal(err)
	}
	zero := int64(0)
	change := protocol.ModifyMessageRequest{MessageRequest: protocol.MessageRequest{ConversationID: "c2c_bob",
		MessageID: res.MessageID}, Version: &zero, Body: protocol.Body{Text: "two"}}
	for range 2 {
		if _, err := ann.ModifyMessage(ctx, change); err != nil {
			t.Errorf("modifying it again: %v", err)
		}
	}
}

// TestMutedIsMuted: to leave and come back, or to modify what one has said, gives no voice back.
func TestMutedIsMuted(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	ctx := t.Context()
	ann, bob := house.Device("ann", "a", client.Listener{}), house.Device("bob", "b", client.Listener{})
	if _, err := ann.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Meeting",
		MemberList: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.SendMessage(ctx, protocol.SendMessageRequest{GroupID: "g", MessageID: "m",
		Body: protocol.Body{Text: "hello"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.MuteGroupMember(ctx, protocol.MuteMemberRequest{GroupID: "g", UserID: "bob",
		Seconds: 600}); err != nil {
		t.Fatal(err)
	}
	change := protocol.ModifyMessageRequest{MessageRequest: protocol.MessageRequest{ConversationID: "group_g",
		MessageID: "m"}, Body: protocol.Body{Text: "shout"}}
	refused(t, second(bob.ModifyMessage(ctx, change)), im.CodeMuted)
	if _, err := bob.QuitGroup(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.JoinGroup(ctx, protocol.JoinGroupRequest{GroupID: "g"}); err != nil {
		t.Fatal(err)
	}
	refused(t, second(bob.SendMessage(ctx, protocol.SendMessageRequest{GroupID: "g", Body: protocol.Body{Text: "back"}})),
		im.CodeMuted)
}

// TestInboxOverTheRateLimit: so many people write to ann at once that her device may not ask about each of them. It
// asks again.
func TestInboxOverTheRateLimit(t *testing.T) {
	house := newHouse(t, beckon.Config{UserRate: 5, UserBurst: 5})
	ctx := t.Context()
	here := newDiary()
	ann := house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: "ann-1", Inbox: true,
		Listener: client.Listener{OnReceiveMessage: here.note}})
	var list []string
	for i := range 30 {
		from := fmt.Sprintf("writer-%02d", i)
		list = append(list, "c2c_"+from+":1")
		req := protocol.SendMessageRequest{UserID: "ann", Body: protocol.Body{Text: "hello"}}
		if _, err := house.Device(from, from, client.Listener{}).SendMessage(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	here.wait(t, len(list))
	eventually(t, "all thirty conversations are in the list",
		func() bool { return unreadOf(ann.Conversations()) == strings.Join(list, " ") })
}
