package scenario

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// refuses checks that a call is refused with a number.
func (s *scene) refuses(code int, user, verb, body string) *protocol.Error {
	s.t.Helper()
	e := s.try(user, "Bearer "+s.Server.APIKey(), verb, json.RawMessage(body), nil)
	if e == nil {
		s.t.Fatalf("%s by %s took %s", verb, user, body)
	}
	if e.Code != code {
		s.t.Fatalf("%s by %s: %+v, want %d", verb, user, e, code)
	}
	return e
}

func newModerated(t *testing.T, cfg beckon.Config, devices ...string) *scene {
	s := &scene{Cluster: newHouse(t, cfg), t: t, who: map[string]*client.Client{},
		tapes: map[string]*beckontest.Recorder{}}
	for _, d := range devices {
		s.connect(d)
	}
	return s
}

// TestOpenBounds: open invitations are bounded from one user to another, for one user, and of one inviter; what ends
// makes room.
func TestOpenBounds(t *testing.T) {
	s := newModerated(t, beckon.Config{OpenPerPair: 2, OpenPerInvitee: 3, OpenPerInviter: 4})
	for i := range 2 {
		s.act("a", "invite", call("b", fmt.Sprint("p", i), 0), nil)
	}
	if e := s.refuses(im.CodeTooOften, "a", "invite", `{"invitee":"b"}`); e.RetryAfter == 0 || e.Field != "inviteeList" {
		t.Errorf("the refusal is %+v", e)
	}
	s.act("a", "invite", json.RawMessage(`{"invitee":"b","notice":true}`), nil)
	s.act("c", "invite", call("b", "q", 0), nil)
	s.refuses(im.CodeTooOften, "d", "invite", `{"invitee":"b"}`)
	s.act("a", "invite", call("x", "x", 0), nil)
	s.act("a", "invite", call("y", "y", 0), nil)
	s.refuses(im.CodeTooOften, "a", "invite", `{"invitee":"z"}`)
	s.refuses(im.CodeTooOften, "a", "addInvitees", `{"inviteID":"x","inviteeList":["b"]}`)
	s.act("b", "reject", map[string]string{"inviteID": "p0"}, nil)
	s.act("a", "invite", call("b", "p2", 0), nil)
}

// TestTimeoutBounds: a server may give a timeout to those who give none, and bound it.
func TestTimeoutBounds(t *testing.T) {
	s := newModerated(t, beckon.Config{DefaultTimeout: 20e9, MaxTimeout: 60e9})
	var res protocol.InviteResponse
	s.act("a", "invite", json.RawMessage(`{"invitee":"b","inviteID":"i"}`), &res)
	if res.Invitation.Timeout != 20 {
		t.Errorf("the timeout is %d", res.Invitation.Timeout)
	}
	if s.act("a", "invite", json.RawMessage(`{"invitee":"b","inviteID":"i"}`), &res); !res.Repeat {
		t.Error("the same call was not a repeat")
	}
	if e := s.refuses(im.CodeBadParameter, "a", "invite", `{"invitee":"b","timeout":61}`); e.Field != "timeout" {
		t.Errorf("the refusal is %+v", e)
	}
}

// TestModeratedInvitations: muted members neither invite nor modify; inviting everyone needs the right to mention all.
func TestModeratedInvitations(t *testing.T) {
	s := newModerated(t, beckon.Config{})
	s.act("o", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"m", "x"}},
		nil)
	s.refuses(im.CodeGroupDenied, "m", "inviteInGroup", `{"groupID":"g","everyone":true}`)
	s.act("m", "inviteInGroup", json.RawMessage(`{"groupID":"g","inviteID":"i","inviteeList":["x"]}`), nil)
	s.act("o", "muteGroupMember", json.RawMessage(`{"groupID":"g","userID":"m","seconds":600}`), nil)
	s.refuses(im.CodeMuted, "m", "inviteInGroup", `{"groupID":"g","inviteeList":["x"]}`)
	s.refuses(im.CodeMuted, "m", "modifyInvitation", `{"inviteID":"i","data":"more"}`)
	s.refuses(im.CodeMuted, "m", "addInvitees", `{"inviteID":"i","inviteeList":["o"]}`)
	s.act("m", "cancel", map[string]string{"inviteID": "i"}, nil)
	s.act("o", "inviteInGroup", json.RawMessage(`{"groupID":"g","everyone":true}`), nil)
}

// TestInviterLeaves: what an inviter who is removed from a group has open there is cancelled for all, and no answer
// comes between.
func TestInviterLeaves(t *testing.T) {
	s := newModerated(t, beckon.Config{}, "x/1", "y/1")
	s.act("o", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public",
		MemberList: []string{"m", "x", "y"}}, nil)
	for i, notify := range []string{"members", "participants"} {
		s.act("m", "inviteInGroup", json.RawMessage(fmt.Sprintf(`{"groupID":"g","inviteID":"i%d","inviteeList":["x","y"],"notify":%q,"timeout":60}`, i, notify)), nil)
	}
	s.act("o", "kickGroupMember", json.RawMessage(`{"groupID":"g","memberList":["m"]}`), nil)
	s.refuses(im.CodeOver, "x", "accept", `{"inviteID":"i0"}`)
	for _, d := range []string{"x/1", "y/1"} {
		for i := range 2 {
			s.tapes[d].Wait(fmt.Sprintf("cancelled i%d", i))
		}
	}
	var res protocol.GetInvitationResponse
	s.act("x", "getInvitation", map[string]string{"inviteID": "i1"}, &res)
	if !res.Invitation.Over || res.Mine.Reason != "left" {
		t.Errorf("it stands as %+v, %+v", res.Invitation, res.Mine)
	}
}

// TestInviterAndInviteeLeave: when one call removes an inviter and an invitee, the invitation ends for the other
// invitees, too.
func TestInviterAndInviteeLeave(t *testing.T) {
	s := newModerated(t, beckon.Config{}, "y/1")
	s.act("o", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public",
		MemberList: []string{"m", "x", "y"}}, nil)
	s.act("m", "inviteInGroup", json.RawMessage(`{"groupID":"g","inviteID":"i","inviteeList":["x","y"],"timeout":0}`), nil)
	s.act("o", "kickGroupMember", json.RawMessage(`{"groupID":"g","memberList":["m","x"]}`), nil)
	s.refuses(im.CodeOver, "y", "accept", `{"inviteID":"i"}`)
	s.tapes["y/1"].Wait("cancelled i")
}

// TestBlockWhileItRings: by the policy of refusal the invitation is rejected; in silence only the devices of who blocks
// stop.
func TestBlockWhileItRings(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprint("silent ", silent), func(t *testing.T) {
			s := newModerated(t, beckon.Config{DropBlocked: silent}, "x/1", "y/1", "y/2")
			s.invite("x/1", call("y", "one", 60))
			s.act("x", "invite", json.RawMessage(`{"inviteeList":["y","z"],"inviteID":"several"}`), nil)
			s.tapes["y/2"].Wait("new several")
			if _, err := s.who["y/1"].AddToBlackList(t.Context(), []string{"x"}); err != nil {
				t.Fatal(err)
			}
			want := "elsewhere one reject"
			if silent {
				want = "cancelled one"
			}
			s.tapes["y/2"].Wait(want)
			var got protocol.GetInvitationResponse
			s.act("x", "getInvitation", map[string]string{"inviteID": "one"}, &got)
			if got.Invitation.Over == silent {
				t.Errorf("for the inviter it is over: %v", got.Invitation.Over)
			}
			if !silent {
				s.tapes["x/1"].Wait("rejected one by y")
				s.refuses(im.CodeOver, "x", "modifyInvitation", `{"inviteID":"one","data":"abuse"}`)
			}
			if err := s.Server.Trim(t.Context()); err != nil { // from here on it is as the database has it
				t.Fatal(err)
			}
			if silent {
				s.act("x", "modifyInvitation", json.RawMessage(`{"inviteID":"one","data":"abuse"}`), nil)
			}
			s.act("x", "modifyInvitation", json.RawMessage(`{"inviteID":"several","data":"abuse"}`), nil)
			if list, err := s.who["y/1"].ListInvitations(t.Context()); err != nil || len(list.Invitations) != 0 {
				t.Errorf("the blocker is shown %+v, %v", list.Invitations, err)
			}
			s.barrier()
			if n := s.tapes["y/2"].Count("modified"); n != 0 {
				t.Errorf("%d changes of the blocked user arrived", n)
			}
			var h protocol.HistoryResponse
			s.act("y", "getHistoryMessageList", protocol.HistoryRequest{ConversationID: "c2c_x"}, &h)
			all := ""
			for _, m := range h.Messages {
				all += string(m.Event) + "\n"
			}
			if strings.Contains(all, "abuse") || !strings.Contains(all, `"several"`) {
				t.Errorf("the history has %s", all)
			}
		})
	}
}

// TestOneOfSeveralBlocks: the refusal of one is not that of the call, and skipInvalid leaves out whoever cannot be
// invited.
func TestOneOfSeveralBlocks(t *testing.T) {
	s := newModerated(t, beckon.Config{}, "x/1", "q/1")
	s.act("p", "addToBlackList", json.RawMessage(`{"userIDList":["x"]}`), nil)
	s.refuses(im.CodeBlocked, "x", "invite", `{"invitee":"p"}`)
	var res protocol.InviteResponse
	s.act("x", "invite", json.RawMessage(`{"inviteeList":["p","q"],"inviteID":"i"}`), &res)
	s.tapes["q/1"].Wait("new i")
	s.tapes["x/1"].Wait("rejected i by p")
	if res.Invitation.Counts.Rejected != 1 || res.Invitation.Counts.Open != 1 {
		t.Errorf("it stands as %+v", res.Invitation.Counts)
	}
	s.act("x", "invite", json.RawMessage(`{"inviteeList":["p","q","x","q"," "],"skipInvalid":true}`), &res)
	codes := map[string]int{}
	for _, k := range res.Skipped {
		codes[k.UserID] = k.Code
	}
	if len(res.Skipped) != 4 || codes["p"] != im.CodeBlocked || codes["x"] != im.CodeBadParameter ||
		res.Invitation.Counts.Open != 1 {
		t.Errorf("it stands as %+v, skipped %+v", res.Invitation.Counts, res.Skipped)
	}
	s.act("o", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Work", MemberList: []string{"x", "q"}}, nil)
	if e := s.refuses(im.CodeGroupDenied, "x", "inviteInGroup",
		`{"groupID":"g","inviteeList":["q","s1","s2"]}`); len(e.UserIDList) != 2 {
		t.Errorf("the refusal names %v", e.UserIDList)
	}
	s.act("x", "inviteInGroup", json.RawMessage(`{"groupID":"g","inviteeList":["q","s1","s2"],"skipInvalid":true}`), &res)
	if len(res.Skipped) != 2 || res.Invitation.Counts.Open != 1 {
		t.Errorf("it stands as %+v, skipped %+v", res.Invitation.Counts, res.Skipped)
	}
}
