package scenario

import (
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

// TestUserIDsOfIdentityProviders: users whose IDs are those of identity providers call, chat, meet in groups, are
// found, blocked and exported like others.
func TestUserIDsOfIdentityProviders(t *testing.T) {
	s := &scene{Cluster: newHouse(t, beckon.Config{}), t: t}
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "@TGS#2J4SZEAEL", Type: "Public"}, nil)
	for i, id := range []string{
		"auth0|5f7c8ec7c33c6c004bbafe82", "ann@example.org/phone", "o'brien@example.org", "张伟", `a"b\c`, "100%", "a,b;c",
		"<b>&amp;",
		"samlp|corp|" + strings.Repeat("a", 110) + "@x.org",
	} {
		rang, text := make(chan client.InvitationEvent, 1), make(chan protocol.Message, 10)
		device := s.Device(id, "d", client.Listener{
			OnReceiveNewInvitation: func(e client.InvitationEvent) { rang <- e },
			OnReceiveMessage: func(conversation string, _ uint64, m protocol.Message) {
				if conversation == "c2c_ann" {
					text <- m
				}
			},
		})
		if list, err := device.GetDeviceList(t.Context()); err != nil || len(list.Devices) != 1 {
			t.Fatalf("%s: %+v, %v", id, list, err)
		}
		call := "call-" + string(rune('a'+i))
		s.act("ann", "invite", protocol.InviteRequest{Invitee: id,
			InviteOptions: protocol.InviteOptions{InviteID: call, RoomID: "room-" + call, Timeout: 60}}, nil)
		if e := <-rang; e.InviteID != call {
			t.Errorf("%s: %+v", id, e)
		}
		if _, err := device.Accept(t.Context(), call, ""); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		s.act("ann", "inviteUserToGroup", protocol.GroupMembersRequest{GroupID: "@TGS#2J4SZEAEL", MemberList: []string{id}},
			nil)
		s.act(id, "sendMessage", protocol.SendMessageRequest{GroupID: "@TGS#2J4SZEAEL",
			Body: protocol.Body{Text: "hello of " + call}}, nil)
		s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: id, Body: protocol.Body{Text: "hi " + call}}, nil)
		if m := <-text; m.Text != "hi "+call {
			t.Errorf("%s: %+v", id, m)
		}
		var found protocol.SearchResponse
		s.act("ann", "searchMessages", protocol.SearchRequest{Text: call, From: id}, &found)
		if len(found.Found) != 1 {
			t.Errorf("%s: ann finds %+v", id, found)
		}
		var history protocol.HistoryResponse
		s.act("ann", "getHistoryMessageList", protocol.HistoryRequest{ConversationID: "c2c_" + id, Limit: 10}, &history)
		if len(history.Messages) == 0 {
			t.Errorf("%s: no history", id)
		}
		s.act(id, "addToBlackList", protocol.UsersRequest{UserIDList: []string{"ann"}}, nil)
		var export operator.ExportUserResponse
		s.act("", "exportUser", operator.ExportUserRequest{UserID: id}, &export)
		if len(export.Entries) == 0 {
			t.Errorf("%s: nothing is exported", id)
		}
		s.act("", "eraseUser", operator.EraseUserRequest{UserID: id}, nil)
		device.Close()
	}
	for _, id := range []string{"a b", "a\tb", "\u202eabc", "e\u0301", strings.Repeat("x", 129), "a\u00a0b"} {
		if e := s.try("", "Bearer "+s.Server.APIKey(), "createToken", protocol.CreateTokenRequest{UserID: id},
			nil); e == nil || e.Field != "userID" {
			t.Errorf("%q was accepted: %+v", id, e)
		}
	}
	if e := s.try("ann", "Bearer "+s.Server.APIKey(), "getSelfInfo", nil, nil); e == nil {
		t.Error("an unknown method was accepted")
	}
}

// TestImportNamesTheOwner: other systems list the owner of a group among its members.
func TestImportNamesTheOwner(t *testing.T) {
	s := &scene{Cluster: newHouse(t, beckon.Config{}), t: t}
	g := protocol.ImportGroup{GroupID: "@TGS#2J4SZEAEL", Type: "Public", Owner: "ann", Members: []protocol.ImportMember{
		{UserID: "bob"}, {UserID: "ann", NameCard: "The chair"}}}
	s.act("", "importGroups", protocol.ImportGroupsRequest{Groups: []protocol.ImportGroup{g}}, nil)
	var list protocol.MembersResponse
	s.act("ann", "getGroupMemberList", protocol.PageRequest{GroupID: g.GroupID}, &list)
	if len(list.Members) != 2 || list.Members[0].UserID != "ann" || list.Members[0].Role != 400 ||
		list.Members[0].NameCard != "The chair" {
		t.Errorf("the members are %+v", list.Members)
	}
	g.GroupID, g.Members = "twice", append(g.Members, protocol.ImportMember{UserID: "ann"})
	s.refuses(6017, "", "importGroups", `{"groups":[{"groupID":"twice","type":"Public","owner":"ann",`+
		`"members":[{"userID":"ann"},{"userID":"ann"}]}]}`)
}
