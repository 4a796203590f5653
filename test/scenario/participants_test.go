package scenario

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

func (s *scene) unread(user, conversation string) int64 {
	s.t.Helper()
	var res protocol.ConversationResponse
	s.act(user, "getConversation", protocol.ConversationRequest{ConversationID: conversation}, &res)
	return res.Conversation.Unread
}

// history lists the actions of an invitation in a conversation, the newest first, as "action/version".
func (s *scene) history(user, conversation, inviteID string) string {
	s.t.Helper()
	var res protocol.HistoryResponse
	s.act(user, "getHistoryMessageList", protocol.HistoryRequest{ConversationID: conversation}, &res)
	var list []string
	for _, e := range res.Messages {
		var m protocol.Signaling
		if json.Unmarshal(e.Event, &m) == nil && m.InviteID == inviteID {
			list = append(list, fmt.Sprintf("%d/%d", m.ActionType, m.Version))
		}
	}
	return strings.Join(list, " ")
}

// TestHistoryOfSeveral: each action of an invitation to several is once in the conversation of each participant, and
// for the participants of a group only there; what was missed counts as unread once, and what was answered does not.
func TestHistoryOfSeveral(t *testing.T) {
	s := newScene(t)
	s.act("a", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Work",
		MemberList: []string{"b", "c", "d", "e"}}, nil)
	for _, p := range []struct{ id, verb, body, read string }{
		{"several", "invite", `{"inviteID":"several","inviteeList":["b","c"]}`, "c2c_a"},
		{"part", "inviteInGroup", `{"inviteID":"part","groupID":"g","inviteeList":["b","c"],"notify":"participants"}`,
			"group_g"},
	} {
		s.act("a", p.verb, json.RawMessage(p.body), nil)
		s.act("b", "accept", protocol.AnswerRequest{InviteID: p.id}, nil)
		s.act("a", "addInvitees", protocol.AddInviteesRequest{InviteID: p.id, InviteeList: []string{"d"}}, nil)
		s.act("a", "cancel", protocol.CancelRequest{InviteID: p.id}, nil)
		for user, want := range map[string]int64{"b": 0, "c": 1, "d": 1, "e": 0} {
			if got := s.unread(user, p.read); got != want {
				t.Errorf("%s: %s has %d unread, want %d", p.id, user, got, want)
			}
		}
	}
	const all, added = "2/4 7/3 3/2 1/1", "2/4 1/3"
	for _, c := range []struct{ user, conversation, id, want string }{
		{"a", "c2c_b", "several", all}, {"a", "c2c_c", "several", all}, {"a", "c2c_d", "several", added},
		{"b", "c2c_a", "several", all}, {"c", "c2c_a", "several", all}, {"d", "c2c_a", "several", added},
		{"a", "group_g", "part", all}, {"b", "group_g", "part", all}, {"d", "group_g", "part", all},
		{"e", "group_g", "part", ""},
	} {
		if got := s.history(c.user, c.conversation, c.id); got != c.want {
			t.Errorf("%s finds %q of %s in %s, want %q", c.user, got, c.id, c.conversation, c.want)
		}
	}
}

// TestUnreadOfCalls: an invitation counts as unread once when it was missed, not when it was answered, and not for its
// inviter; a notice counts like a message.
func TestUnreadOfCalls(t *testing.T) {
	s := newScene(t)
	for i, action := range []string{"accept", "reject", "cancel"} {
		by, id := "b", fmt.Sprint("i", i)
		s.act("a", "invite", call("b", id, 30), nil)
		if action == "cancel" {
			by = "a"
			s.act("a", "modifyInvitation", protocol.ModifyRequest{InviteID: id, Data: "x"}, nil)
		}
		s.act(by, action, map[string]string{"inviteID": id}, nil)
	}
	s.act("a", "invite", json.RawMessage(`{"invitee":"b","inviteID":"n","notice":true,"data":"ended"}`), nil)
	if got := s.unread("b", "c2c_a"); got != 2 {
		t.Errorf("one missed call and a notice: %d unread", got)
	}
	if got := s.unread("a", "c2c_b"); got != 0 {
		t.Errorf("the caller has %d unread", got)
	}
	if e := s.try("b", "Bearer "+s.Server.APIKey(), "accept", map[string]string{"inviteID": "n"}, nil); e == nil ||
		e.Code != im.CodeOver {
		t.Errorf("a notice was accepted: %+v", e)
	}
	for _, bad := range []string{`"timeout":1`, `"minRing":1`, `"acceptLimit":1`, `"mergeGlare":true`} {
		e := s.try("a", "Bearer "+s.Server.APIKey(), "invite", json.RawMessage(`{"invitee":"b","notice":true,`+bad+`}`), nil)
		if e == nil || e.Field != "notice" {
			t.Errorf("a notice with %s: %+v", bad, e)
		}
	}
}

// TestWelcome: a device that connects later is shown what waits, and what its user answered and others have not;
// neither a notice nor an online-only invitation, unless the device says that it holds it.
func TestWelcome(t *testing.T) {
	s := newScene(t, "a/1", "b/1")
	s.act("a", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Work", MemberList: []string{"b", "c"}}, nil)
	for _, req := range []string{`{"inviteID":"one","invitee":"b"}`,
		`{"inviteID":"online","invitee":"b","onlineUserOnly":true}`,
		`{"inviteID":"note","invitee":"b","notice":true}`, `{"inviteID":"several","inviteeList":["b","c"]}`} {
		s.act("a", "invite", json.RawMessage(req), nil)
	}
	s.act("a", "inviteInGroup", json.RawMessage(`{"inviteID":"group","groupID":"g","everyone":true}`), nil)
	s.act("a", "inviteInGroup", json.RawMessage(`{"inviteID":"part","groupID":"g","everyone":true,"notify":"participants"}`), nil)
	for _, id := range []string{"several", "group", "part"} {
		s.act("b", "accept", protocol.AnswerRequest{InviteID: id}, nil)
	}
	welcome := make(chan protocol.Welcome, 1)
	s.Device("b", "late", client.Listener{OnConnected: func(w protocol.Welcome) { welcome <- w }})
	w := <-welcome
	got := map[string]string{}
	for i := range w.Invitations {
		v := &w.Invitations[i]
		got[v.InviteID] = fmt.Sprint(v.Invitees[0].State, " ", v.InviteeList, " ", v.InviteeCount)
	}
	want := map[string]string{"one": "open [b] 1", "several": "accepted [b c] 2", "group": "accepted [b c] 2",
		"part": "accepted [b c] 2"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the welcome has %v, want %v", got, want)
	}
	s.act("a", "cancel", protocol.CancelRequest{InviteID: "online"}, nil)
	var res protocol.ListInvitationsResponse
	s.act("b", "listInvitations", protocol.ListInvitationsRequest{InviteIDs: []string{"online", "one", "none"}}, &res)
	if len(res.Invitations) != 2 || !slices.ContainsFunc(res.Invitations,
		func(v protocol.Invitation) bool { return v.InviteID == "online" && v.Over }) {
		t.Errorf("by their ids: %+v", res.Invitations)
	}
	s.act("x", "listInvitations", protocol.ListInvitationsRequest{InviteIDs: []string{"online", "one"}}, &res)
	if len(res.Invitations) != 0 {
		t.Errorf("a stranger finds %+v", res.Invitations)
	}
	if res.More {
		t.Error("a stranger is told that there is something")
	}
}

// TestBoundedAnswers: one answer about invitations by their ids is bounded, and says whether there are more.
func TestBoundedAnswers(t *testing.T) {
	s := newModerated(t, beckon.Config{OpenPerPair: 20}, "b/1")
	ids := make([]string, 12)
	for i := range ids {
		ids[i] = fmt.Sprint("i", i)
		s.act("a", "invite", protocol.InviteRequest{Invitee: "b",
			InviteOptions: protocol.InviteOptions{InviteID: ids[i], Data: strings.Repeat("x", 12<<10)}}, nil)
		s.tapes["b/1"].Wait("new " + ids[i])
	}
	for rest := ids; len(rest) > 0; {
		var res protocol.ListInvitationsResponse
		s.act("b", "listInvitations", protocol.ListInvitationsRequest{InviteIDs: rest}, &res)
		if n := len(res.Invitations); n == 0 || n > 7 || res.More != (n < len(rest)) {
			t.Fatalf("of %d came %d, more is %v", len(rest), n, res.More)
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(id string) bool {
			return slices.ContainsFunc(res.Invitations, func(v protocol.Invitation) bool { return v.InviteID == id })
		})
	}
}

// TestManyParticipants: the events of an invitation to many carry 100 names and a count, and are stored once.
func TestManyParticipants(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	s := &scene{Cluster: house, t: t, who: map[string]*client.Client{}, tapes: map[string]*beckontest.Recorder{}}
	members := make([]string, 300)
	for i := range members {
		members[i] = fmt.Sprintf("m%03d", i)
	}
	s.act("a", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Community", MemberList: members}, nil)
	s.connect("m000/1")
	s.connect("a/1")
	s.act("a", "inviteInGroup", json.RawMessage(`{"inviteID":"i","groupID":"g","everyone":true,"notify":"participants","timeout":1}`), nil)
	for _, d := range []string{"m000/1", "a/1"} {
		s.tapes[d].Wait("timeout i")
		var ends []protocol.Signaling
		for _, m := range s.tapes[d].Raw() {
			if m.ActionType == protocol.ActionTimeout {
				ends = append(ends, m)
			}
		}
		if len(ends) != 1 || len(ends[0].InviteeList) != 100 || !ends[0].Everyone || ends[0].InviteeCount != 300 ||
			!ends[0].Over {
			t.Errorf("%s received %d endings: %+v", d, len(ends), ends)
		}
	}
	var got protocol.GetInvitationResponse
	s.act("a", "getInvitation", protocol.GetInvitationRequest{InviteID: "i"}, &got)
	if got.Invitation.Counts.TimedOut != 300 {
		t.Errorf("it stands as %+v", got.Invitation.Counts)
	}
	if _, err := s.who["a/1"].Cancel(t.Context(),
		protocol.CancelRequest{InviteID: "i", InviteeList: members[:101]}); im.CodeOf(err) == im.CodeOver {
		t.Errorf("a cancel of 101 names was looked at: %v", err)
	}
}

// TestNeverNegative: what a modify says of the time that remains is never negative, also while minRing holds.
func TestNeverNegative(t *testing.T) {
	s := newModerated(t, beckon.Config{UserRate: 1e6, UserBurst: 1e6}, "a/1", "b/1", "b/2")
	s.act("a", "invite", json.RawMessage(`{"inviteID":"i","invitee":"b","timeout":1,"minRing":5}`), nil)
	s.tapes["b/1"].Wait("new i")
	if _, err := s.who["b/1"].Ring(t.Context(), "i"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(beckontest.Patience)
	for n := 0; ; n++ { // until the first deadline has passed
		s.act("a", "modifyInvitation", protocol.ModifyRequest{InviteID: "i", Data: fmt.Sprint(n)}, nil)
		s.tapes["b/2"].Wait(fmt.Sprintf("modified i data %q", fmt.Sprint(n)))
		raw := s.tapes["b/2"].Raw()
		last := raw[len(raw)-1]
		if last.Remaining < 0 {
			t.Fatalf("%d ms remain", last.Remaining)
		}
		if last.Time > last.Deadline || time.Now().After(deadline) {
			break
		}
	}
}
