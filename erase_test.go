package beckon_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/protocol"
)

// TestErase: what somebody said and said of themselves is nowhere in the database afterwards, and what others said still is.
func TestErase(t *testing.T) {
	dir, postgres := t.TempDir(), onGround(t)
	s := &scene{t: t, House: newHouse(t, beckon.Config{DataDir: dir, Postgres: postgres})}
	secret := "thesecret"
	s.act("ann", "setSelfInfo", map[string]any{"nick": secret + "-nick"}, nil)
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob", "cem"}}, nil)
	s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: "bob", MessageID: "m1", Body: protocol.Body{Text: secret + " for bob"}}, nil)
	s.act("ann", "modifyMessage", map[string]any{"conversationID": "c2c_bob", "messageID": "m1", "text": secret + " changed"}, nil)
	s.act("bob", "sendMessage", protocol.SendMessageRequest{UserID: "ann", MessageID: "m2", Body: protocol.Body{Text: "bob keeps this"}}, nil)
	s.act("ann", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: "m3", Body: protocol.Body{Text: secret + " for all"}}, nil)
	s.act("cem", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: "m4", Body: protocol.Body{Text: "cem keeps this"}}, nil)
	s.act("ann", "invite", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{InviteID: "i1", Timeout: 60, Data: secret + " call", OfflinePush: nil}}, nil)
	s.act("bob", "accept", protocol.AnswerRequest{InviteID: "i1", Data: "bob answers"}, nil)
	s.act("bob", "inviteInGroup", protocol.InviteInGroupRequest{GroupID: "g", Everyone: true, InviteOptions: protocol.InviteOptions{InviteID: "i2", Timeout: 60, Data: "bob asks"}}, nil)
	s.act("ann", "reject", protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: "i2", Data: secret + " answer"}}, nil)
	s.act("ann", "invite", protocol.InviteRequest{Invitee: "cem", InviteOptions: protocol.InviteOptions{InviteID: "i3", Timeout: 600, Data: secret}}, nil)
	s.act("ann", "setGroupMemberInfo", map[string]any{"groupID": "g", "userID": "ann", "nameCard": secret + " card"}, nil)
	s.act("ann", "setGroupInfo", map[string]any{"groupID": "g", "notification": secret + " notice"}, nil)
	s.act("ann", "setGroupInfo", map[string]any{"groupID": "g", "notification": "nothing"}, nil)
	token := s.Token("ann")

	if e := s.try("", "Bearer "+s.Server.APIKey(), "eraseUser", protocol.EraseUserRequest{UserID: "ann"}, nil); e == nil || !strings.Contains(e.Message, "owns g") {
		t.Fatalf("who owns a group was erased: %v", e)
	}
	s.act("ann", "transferGroupOwner", map[string]any{"groupID": "g", "userID": "bob"}, nil)
	var res protocol.EraseUserResponse
	s.act("", "eraseUser", protocol.EraseUserRequest{UserID: "ann"}, &res)
	if res.Groups != 1 || res.Records < 5 {
		t.Errorf("cleared were %+v", res)
	}
	s.act("bob", "getInvitation", protocol.GetInvitationRequest{InviteID: "i1"}, nil) // who reads elsewhere sees what was read here
	var out bytes.Buffer
	if _, err := beckon.Export(t.Context(), dir, postgres, &out); err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(out.String(), "\n") {
		if strings.Contains(l, secret) {
			t.Errorf("the database still has %s", l)
		}
	}
	for _, kept := range []string{"bob keeps this", "cem keeps this", "bob answers", "bob asks"} {
		if !strings.Contains(out.String(), kept) {
			t.Errorf("%q of others is gone", kept)
		}
	}
	var history protocol.HistoryResponse
	s.act("bob", "getHistoryMessageList", protocol.HistoryRequest{ConversationID: "c2c_ann", Limit: 50}, &history)
	b, err := json.Marshal(history)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b); strings.Contains(text, secret) || !strings.Contains(text, "bob keeps this") || !strings.Contains(text, `"revoked":true`) {
		t.Errorf("bob reads %s", text)
	}
	var found protocol.SearchResponse
	s.act("bob", "searchMessages", protocol.SearchRequest{Text: secret}, &found)
	if len(found.Found) != 0 {
		t.Errorf("bob finds %+v", found)
	}
	var open protocol.GetInvitationResponse
	s.act("cem", "getInvitation", protocol.GetInvitationRequest{InviteID: "i3"}, &open)
	if !open.Invitation.Over {
		t.Error("the invitation of who is gone still rings")
	}
	req, err := http.NewRequest(http.MethodPost, s.URL+"/v1/getUsersInfo", strings.NewReader(`{"userIDList":["bob"]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = answer.Body.Close(); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the token of who is gone is answered with %d", answer.StatusCode)
	}
	s.act("", "eraseUser", protocol.EraseUserRequest{UserID: "ann"}, &res) // again is harmless
	if res.Records != 0 || res.Groups != 0 {
		t.Errorf("the second time %+v were cleared", res)
	}
}
