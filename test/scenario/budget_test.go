package scenario

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestAnswersHaveABudget: a user who has spent all that there is for reading and writing still answers, rings, cancels
// and hangs up; other users do not notice.
func TestAnswersHaveABudget(t *testing.T) {
	s := newModerated(t, beckon.Config{UserRate: 0.001, UserBurst: 20})
	for i := range 3 {
		s.act(fmt.Sprint("x", i), "invite", call("b", fmt.Sprint("to-b-", i), 60), nil)
	}
	s.act("b", "invite", call("c", "of-b", 60), nil)
	var e *protocol.Error
	for range 21 * *nodes { // each node has a budget of its own
		e = s.try("b", "Bearer "+s.Server.APIKey(), "listInvitations", struct{}{}, nil)
	}
	if e == nil || e.Code != im.CodeTooOften {
		t.Fatalf("the reads were not refused: %+v", e)
	}
	s.act("b", "ring", map[string]string{"inviteID": "to-b-0"}, nil)
	s.act("b", "accept", map[string]string{"inviteID": "to-b-0"}, nil)
	s.act("b", "reject", map[string]string{"inviteID": "to-b-1"}, nil)
	s.act("b", "cancel", map[string]string{"inviteID": "of-b"}, nil)
	s.act("y", "invite", call("b", "to-b-y", 60), nil)
}

// TestLargeInvitationsAreCharged: one after another, and within what the user may spend; others go on meanwhile.
func TestLargeInvitationsAreCharged(t *testing.T) {
	s := newModerated(t, beckon.Config{UserRate: 1, UserBurst: 10, MembersPerDay: -1})
	members := make([]string, 400)
	for i := range members {
		members[i] = fmt.Sprintf("member-%03d", i)
	}
	s.act("o", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Community", MemberList: members}, nil)
	var last *protocol.Error
	for i := range 5 * *nodes {
		if last = s.try("o", "Bearer "+s.Server.APIKey(), "inviteInGroup",
			json.RawMessage(fmt.Sprintf(`{"groupID":"g","everyone":true,"inviteID":"i%d"}`, i)), nil); last != nil {
			break
		}
	}
	if last == nil || last.Code != im.CodeTooOften || last.RetryAfter <= 0 || *nodes == 1 && last.RetryAfter < 1000 {
		t.Errorf("the last was answered %+v", last)
	}
	s.act("x", "invite", call("y", "other", 60), nil)
}

// TestBlockListIsBounded: a user blocks a limited number of users, and pays for the conversations that a list reads.
func TestBlockListIsBounded(t *testing.T) {
	s := newModerated(t, beckon.Config{UserRate: 5}) // slow machines read lists slowly, and the budget grows
	names := make([]string, 200)
	var last *protocol.Error
	for i := 0; i < 60 && last == nil; i++ {
		for j := range names {
			names[j] = fmt.Sprintf("user-%05d", i*len(names)+j)
		}
		last = s.try("mallory", "Bearer "+s.Server.APIKey(), "addToBlackList", protocol.UsersRequest{UserIDList: names}, nil)
	}
	if last == nil || last.Code != im.CodeTooMany || last.Message != "you block 10000 users; the limit is 10000" {
		t.Fatalf("the call above the limit was answered %+v", last)
	}
	s.act("mallory", "deleteFromBlackList", protocol.UsersRequest{UserIDList: []string{"user-00000"}}, nil)
	last = nil
	for i := 0; i < 20**nodes && last == nil; i++ {
		last = s.try("mallory", "Bearer "+s.Server.APIKey(), "getConversationList",
			protocol.ConversationsRequest{Limit: 1}, nil)
	}
	if last == nil || last.Code != im.CodeTooOften {
		t.Errorf("lists of 10,000 contacts were all answered: %+v", last)
	}
	s.act("x", "getConversationList", protocol.ConversationsRequest{}, nil)
}

// TestApplicationsTogether: the applications of one call are one event per administrator and 100 applicants.
func TestApplicationsTogether(t *testing.T) {
	s := newModerated(t, beckon.Config{MembersPerDay: -1})
	raised := make(chan string, 200)
	s.Device("o", "phone", client.Listener{
		OnReceiveJoinApplication: func(e protocol.GroupEvent) { raised <- e.Members[0] }})
	s.act("o", "createGroup", json.RawMessage(
		`{"groupID":"g","type":"Community","memberList":["m"],"inviteOption":"approval"}`), nil)
	users := make([]string, 150)
	for i := range users {
		users[i] = fmt.Sprintf("user-%03d", i)
	}
	s.act("m", "inviteUserToGroup", protocol.GroupMembersRequest{GroupID: "g", MemberList: users}, nil)
	for i := range users {
		select {
		case member := <-raised:
			if member != users[i] {
				t.Fatalf("the application %d is of %s", i, member)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d applications were raised", i, len(users))
		}
	}
	events := 0
	for _, line := range s.exported("o", 100) {
		if strings.Contains(line, string(protocol.TipApplication)) {
			events++
		}
	}
	if events != 2 {
		t.Errorf("%d applications are %d events", len(users), events)
	}
}

// TestCountersAreBounded: a call with too many counters is refused before it is prepared.
func TestCountersAreBounded(t *testing.T) {
	s := newModerated(t, beckon.Config{})
	s.act("o", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public"}, nil)
	counters := map[string]int64{}
	for i := range im.MaxCounters + 1 {
		counters[fmt.Sprint("k", i)] = 1
	}
	set := func() *protocol.Error {
		return s.try("o", "Bearer "+s.Server.APIKey(), "setGroupCounters",
			protocol.SetCountersRequest{GroupID: "g", Counters: counters}, nil)
	}
	if e := set(); e == nil || e.Code != im.CodeTooMany {
		t.Errorf("%d counters: %+v", len(counters), e)
	}
	delete(counters, "k0")
	if e := set(); e != nil {
		t.Errorf("%d counters: %+v", len(counters), e)
	}
}
