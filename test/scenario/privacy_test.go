package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

// exported reads all pages of what is stored about a user.
func (s *scene) exported(user string, limit int) (lines []string) {
	s.t.Helper()
	for after := ""; ; {
		var res operator.ExportUserResponse
		s.act("", "exportUser", operator.ExportUserRequest{UserID: user, Limit: limit, After: after}, &res)
		if len(res.Entries) > limit {
			s.t.Fatalf("%d entries where %d were asked for", len(res.Entries), limit)
		}
		for _, e := range res.Entries {
			lines = append(lines, string(e))
		}
		if after = res.Next; after == "" {
			return lines
		}
	}
}

// TestExportUser: a person's data has what they said, what was told to them, and what is noted of them, whole and once,
// however it is paged; and nothing that is others' alone.
func TestExportUser(t *testing.T) {
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{})}
	s.act("ann", "setSelfInfo", map[string]any{"nick": "Ann the first"}, nil)
	s.act("ann", "setDoNotDisturb", protocol.DoNotDisturb{DailyFrom: "22:00", DailyUntil: "07:00"}, nil)
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public",
		GroupInfo: protocol.GroupInfo{Name: "Hers"}, MemberList: []string{"bob", "cem"}}, nil)
	s.act("bob", "createGroup", protocol.CreateGroupRequest{GroupID: "not-hers", Type: "Public",
		MemberList: []string{"cem"}}, nil)
	for i := range 5 {
		s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: "bob", MessageID: fmt.Sprint("to-bob-", i),
			Body: protocol.Body{Text: fmt.Sprint("for bob ", i)}}, nil)
		s.act("bob", "sendMessage", protocol.SendMessageRequest{UserID: "ann", MessageID: fmt.Sprint("to-ann-", i),
			Body: protocol.Body{Text: fmt.Sprint("for ann ", i)}}, nil)
		s.act("ann", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: fmt.Sprint("to-all-", i),
			Body: protocol.Body{Text: fmt.Sprint("for all ", i)}}, nil)
		s.act("cem", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: fmt.Sprint("cem-", i),
			MessageOptions: protocol.MessageOptions{NeedReadReceipt: true},
			Body:           protocol.Body{Text: fmt.Sprint("others' talk ", i)}}, nil)
		s.act("bob", "sendMessage", protocol.SendMessageRequest{UserID: "cem", MessageID: fmt.Sprint("to-cem-", i),
			Body: protocol.Body{Text: fmt.Sprint("others' secret about \"ann\" ", i)}}, nil)
	}
	s.act("cem", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: "aside",
		MessageOptions: protocol.MessageOptions{ReceiverList: []string{"bob"}}, Body: protocol.Body{Text: "others' whisper"}},
		nil)
	s.act("bob", "sendMessage", protocol.SendMessageRequest{GroupID: "not-hers",
		Body: protocol.Body{Text: "others' group"}}, nil)
	s.act("ann", "sendMessageReadReceipts", protocol.ReceiptsRequest{GroupID: "g", MessageIDList: []string{"cem-1"}}, nil)
	s.act("ann", "addMessageReaction", react("group_g", "cem-1", "her-wave"), nil)
	s.act("bob", "addMessageReaction", react("group_g", "cem-1", "others'-wave"), nil)
	var sent protocol.SendMessageResponse
	s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "to be hidden"}},
		&sent)
	s.act("ann", "deleteMessages", protocol.DeleteMessagesRequest{ConversationID: "c2c_bob", SeqList: []uint64{sent.Seq}},
		nil)
	s.act("ann", "invite", protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{InviteID: "i1", Timeout: 60, Data: "her call"}}, nil)
	s.act("bob", "reject", protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: "i1",
		Data: "his answer"}}, nil)
	s.act("bob", "inviteInGroup", protocol.InviteInGroupRequest{GroupID: "g", InviteeList: []string{"ann", "cem"},
		InviteOptions: protocol.InviteOptions{InviteID: "i2", Timeout: 60, Data: "his call"}}, nil)
	s.act("ann", "accept", protocol.AnswerRequest{InviteID: "i2", Data: "her answer"}, nil)
	s.act("cem", "sendMessage", protocol.SendMessageRequest{GroupID: "g",
		MessageOptions: protocol.MessageOptions{ReceiverList: []string{"ann"}}, Body: protocol.Body{Text: "for her alone"}},
		nil)
	s.act("cem", "invite", protocol.InviteRequest{InviteeList: []string{"ann", "bob"},
		InviteOptions: protocol.InviteOptions{InviteID: "i3", Timeout: 60, Data: "call of several"}}, nil)
	s.act("bob", "reject", protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: "i3",
		Data: "told to all three"}}, nil)
	for id, more := range map[string]string{"i4": `"groupID":"g","notify":"participants",`, "i5": ""} {
		verb := map[bool]string{true: "inviteInGroup", false: "invite"}[more != ""]
		s.act("ann", verb, json.RawMessage(`{`+more+`"inviteID":"`+id+`","inviteeList":["bob","cem"],"timeout":60}`), nil)
		s.act("bob", "reject", protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: id,
			Data: "his answer to " + id}}, nil)
		s.act("ann", "modifyInvitation", protocol.ModifyRequest{InviteID: id, Data: "her change of " + id}, nil)
		s.act("ann", "cancel", protocol.CancelRequest{InviteID: id, Data: "her end of " + id}, nil)
	}
	s.act("cem", "createGroup", protocol.CreateGroupRequest{GroupID: "left", Type: "Public",
		GroupInfo: protocol.GroupInfo{JoinOption: "free"}, MemberList: []string{"ann", "bob"}}, nil)
	s.act("ann", "sendMessage", protocol.SendMessageRequest{GroupID: "left", Body: protocol.Body{Text: "her last words"}},
		nil)
	s.act("ann", "quitGroup", map[string]any{"groupID": "left"}, nil)
	s.act("cem", "sendMessage", protocol.SendMessageRequest{GroupID: "left",
		MessageOptions: protocol.MessageOptions{Mentions: []string{"bob"}},
		Body:           protocol.Body{Text: "others' thoughts of \"ann\""}}, nil)
	s.act("bob", "createGroup", protocol.CreateGroupRequest{GroupID: "closed", Type: "Public",
		GroupInfo: protocol.GroupInfo{JoinOption: "approval"}}, nil)
	s.act("ann", "joinGroup", protocol.JoinGroupRequest{GroupID: "closed", Reason: "her reason"}, nil)
	s.act("text", "joinGroup", protocol.JoinGroupRequest{GroupID: "left"}, nil) // whose name is that of a field
	s.act("cem", "sendMessage", protocol.SendMessageRequest{GroupID: "left", Body: protocol.Body{Text: "others' talk"}},
		nil)
	s.act("ann", "subscribeUserStatus", protocol.UsersRequest{UserIDList: []string{"bob"}}, nil)
	s.act("ann", "addToBlackList", protocol.UsersRequest{UserIDList: []string{"cem"}}, nil)
	s.act("bob", "addToBlackList", protocol.UsersRequest{UserIDList: []string{"ann"}}, nil)

	whole := s.exported("ann", 1000)
	text := strings.Join(whole, "\n")
	for _, kind := range []string{"person", "contact", "follows", "membership", "application", "inviteEvent", "invited",
		"wasInvited", "event", "groupEvent", "read", "deletedForMe", "reaction"} {
		if !strings.Contains(text, `"kind":"`+kind+`"`) {
			t.Errorf("there is no %s", kind)
		}
	}
	for _, said := range []string{"Ann the first", "for bob 4", "for ann 4", "for all 4", "her call", "his answer",
		"his call", "her answer", "for her alone", "call of several", "told to all three", "his answer to i4",
		"her end of i4", "his answer to i5", "her end of i5", "her last words", "her reason", "her-wave", `"groupName"`, `"blockedAt"`} {
		if !strings.Contains(text, said) {
			t.Errorf("%q is missing", said)
		}
	}
	for _, line := range whole {
		if strings.Contains(line, "others'") {
			t.Errorf("others' words are told: %s", line)
		}
	}
	for _, line := range s.exported("text", 1000) {
		if strings.Contains(line, "others'") {
			t.Errorf("others' words are told to who is called text: %s", line)
		}
	}
	if n := strings.Count(text, `"blockedAt"`); n != 1 {
		t.Errorf("%d blocks are told; hers is one", n)
	}
	for _, limit := range []int{1, 3, 10} {
		if paged := s.exported("ann", limit); !slices.Equal(paged, whole) {
			t.Errorf("by pages of %d there are %d entries, not %d", limit, len(paged), len(whole))
		}
	}
	if none := s.exported("nobody", 100); len(none) != 0 {
		t.Errorf("of nobody is told %q", none)
	}
	s.act("ann", "dismissGroup", map[string]any{"groupID": "g"}, nil)
	s.act("", "eraseUser", operator.EraseUserRequest{UserID: "ann"}, nil)
	after := strings.Join(s.exported("ann", 1000), "\n")
	for _, said := range []string{"Ann the first", "for bob", "for ann", "for all", "her "} {
		if strings.Contains(after, said) {
			t.Errorf("after she was taken out %q is still told", said)
		}
	}
}

// absentFromFiles fails when a file of a directory has a text, also in parts that are out of use.
func absentFromFiles(t *testing.T, dir, text string) {
	t.Helper()
	read := 0
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if n := bytes.Count(b, []byte(text)); n > 0 {
			t.Errorf("%s has it %d times", filepath.Base(path), n)
		}
		read++
		return err
	}); err != nil || read < 3 {
		t.Errorf("%d files were read, %v", read, err)
	}
}

// TestErase: what somebody said and said of themselves is nowhere in the database afterwards, and what others said
// still is.
func TestErase(t *testing.T) {
	dir, postgres := t.TempDir(), onGround(t)
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{DataDir: dir, Postgres: postgres})}
	secret := "thesecret"
	s.act("ann", "setSelfInfo", map[string]any{"nick": secret + "-nick"}, nil)
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public",
		MemberList: []string{"bob", "cem"}}, nil)
	s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: "bob", MessageID: "m1",
		Body: protocol.Body{Text: secret + " for bob"}}, nil)
	s.act("ann", "modifyMessage", map[string]any{"conversationID": "c2c_bob", "messageID": "m1", "text": secret +
		" changed"}, nil)
	s.act("bob", "sendMessage", protocol.SendMessageRequest{UserID: "ann", MessageID: "m2",
		Body: protocol.Body{Text: "bob keeps this"}}, nil)
	s.act("ann", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: "m3",
		Body: protocol.Body{Text: secret + " for all"}}, nil)
	s.act("cem", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: "m4",
		Body: protocol.Body{Text: "cem keeps this"}}, nil)
	s.act("ann", "invite", protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{InviteID: "i1", Timeout: 60, Data: secret + " call", OfflinePush: nil}}, nil)
	s.act("bob", "accept", protocol.AnswerRequest{InviteID: "i1", Data: "bob answers"}, nil)
	s.act("bob", "inviteInGroup", protocol.InviteInGroupRequest{GroupID: "g", InviteeList: []string{"ann", "cem"},
		InviteOptions: protocol.InviteOptions{InviteID: "i2", Timeout: 60, Data: "bob asks"}}, nil)
	s.act("ann", "reject", protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: "i2", Data: secret +
		" answer"}}, nil)
	s.act("ann", "invite", protocol.InviteRequest{Invitee: "cem",
		InviteOptions: protocol.InviteOptions{InviteID: "i3", Timeout: 600, Data: secret}}, nil)
	s.act("ann", "setGroupMemberInfo", map[string]any{"groupID": "g", "userID": "ann", "nameCard": secret + " card"}, nil)
	s.act("ann", "setGroupInfo", map[string]any{"groupID": "g", "notification": secret + " notice"}, nil)
	s.act("ann", "setGroupInfo", map[string]any{"groupID": "g", "notification": "nothing"}, nil)
	token := s.Token("ann")
	for _, user := range []string{"ann", "bob"} {
		s.act(user, "addMessageReaction", react("group_g", "m4", "wave"), nil)
	}
	s.act("ann", "addMessageReaction", react("group_g", "m4", secret), nil)
	s.act("ann", "addMessageReaction", react("c2c_bob", "m2", secret), nil)

	if e := s.try("", "Bearer "+s.Server.APIKey(), "eraseUser", operator.EraseUserRequest{UserID: "ann"}, nil); e == nil ||
		!strings.Contains(e.Message, "owns g") {
		t.Fatalf("who owns a group was erased: %v", e)
	}
	s.act("ann", "transferGroupOwner", map[string]any{"groupID": "g", "userID": "bob"}, nil)
	var res operator.EraseUserResponse
	s.act("", "eraseUser", operator.EraseUserRequest{UserID: "ann"}, &res)
	if res.Groups != 1 || res.Records < 5 {
		t.Errorf("cleared were %+v", res)
	}
	if postgres == "" {
		absentFromFiles(t, dir, secret)
	}
	// who reads elsewhere sees what was read here
	s.act("bob", "getInvitation", protocol.GetInvitationRequest{InviteID: "i1"}, nil)
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
	if got := s.reactionsOf("bob", "group_g", "m4"); got != "wave1 mine wave" {
		t.Errorf("the reactions are %q", got)
	}
	var history protocol.HistoryResponse
	s.act("bob", "getHistoryMessageList", protocol.HistoryRequest{ConversationID: "c2c_ann", Limit: 50}, &history)
	b, err := json.Marshal(history)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b); strings.Contains(text, secret) || !strings.Contains(text, "bob keeps this") ||
		!strings.Contains(text, `"revoked":true`) {
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
	s.act("", "eraseUser", operator.EraseUserRequest{UserID: "ann"}, &res) // again is harmless
	if res.Records != 0 || res.Groups != 0 {
		t.Errorf("the second time %+v were cleared", res)
	}
}
