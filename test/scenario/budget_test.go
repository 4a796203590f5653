package scenario

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/beckon-im/beckon"
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
