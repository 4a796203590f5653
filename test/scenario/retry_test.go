package scenario

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// counts reads an invitation as its inviter.
func (s *scene) counts(inviter, id string) invite.Counts {
	s.t.Helper()
	res, err := s.who[inviter].GetInvitation(s.t.Context(), protocol.GetInvitationRequest{InviteID: id})
	if err != nil {
		s.t.Fatal(err)
	}
	return res.Invitation.Counts
}

func TestACancelNamesNobodyTwice(t *testing.T) {
	s := newScene(t, "alice/1", "carol/1")
	s.invite("alice/1", protocol.InviteRequest{InviteeList: []string{"bob", "carol"},
		InviteOptions: protocol.InviteOptions{InviteID: "p", Timeout: 60}})
	refused(t, second(s.who["alice/1"].Cancel(t.Context(),
		protocol.CancelRequest{InviteID: "p", InviteeList: []string{"bob", "bob"}})), im.CodeBadParameter)
	if c := s.counts("alice/1", "p"); c.Open != 2 {
		t.Errorf("a refused cancel left %+v", c)
	}
}

// TestManyOpenInAGroup: kicking several invitees of one invitation, and dismissing a group in which much is open.
func TestManyOpenInAGroup(t *testing.T) {
	s := newScene(t, "owner/1")
	ctx, owner := t.Context(), s.who["owner/1"]
	if _, err := owner.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Meeting",
		MemberList: []string{"bob", "carol", "dave"}}); err != nil {
		t.Fatal(err)
	}
	open := func(id string, notify invite.Notify, who ...string) {
		t.Helper()
		if _, err := owner.InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: "g", InviteeList: who, Notify: notify,
			InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 600}}); err != nil {
			t.Fatal(err)
		}
	}
	open("both", "", "bob", "carol")
	for i := range 80 {
		open(fmt.Sprintf("m%d", i), invite.NotifyMembers, "dave")
		open(fmt.Sprintf("p%d", i), invite.NotifyParticipants, "bob", "dave")
	}
	if _, err := owner.KickGroupMember(ctx,
		protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "g",
			MemberList: []string{"bob", "carol"}}}); err != nil {
		t.Fatal(err)
	}
	if c := s.counts("owner/1", "both"); c.Open != 0 || c.Cancelled != 2 {
		t.Errorf("after both were kicked: %+v", c)
	}
	if c := s.counts("owner/1", "p7"); c.Open != 1 || c.Cancelled != 1 {
		t.Errorf("after one was kicked: %+v", c)
	}
	if _, err := owner.DismissGroup(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the dismissal has cancelled all", func() bool {
		res, err := owner.ListInvitations(ctx)
		return err == nil && len(res.Invitations) == 0
	})
}

// TestWhoLeftSaysNoMore: what an inviter who is kicked has open is cancelled, and may not be changed any more.
func TestWhoLeftSaysNoMore(t *testing.T) {
	s := newScene(t, "owner/1", "bob/1", "carol/1")
	ctx := t.Context()
	if _, err := s.who["owner/1"].CreateGroup(ctx,
		protocol.CreateGroupRequest{GroupID: "g", Type: "Meeting", MemberList: []string{"bob", "carol"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.who["bob/1"].InviteInGroup(ctx,
		protocol.InviteInGroupRequest{GroupID: "g", InviteeList: []string{"carol"},
			InviteOptions: protocol.InviteOptions{InviteID: "i", Timeout: 60}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.who["owner/1"].KickGroupMember(ctx,
		protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "g",
			MemberList: []string{"bob"}}}); err != nil {
		t.Fatal(err)
	}
	refused(t, second(s.who["bob/1"].ModifyInvitation(ctx, "i", "x")), im.CodeGroupDenied)
	refused(t, second(s.who["bob/1"].AddInvitees(ctx,
		protocol.AddInviteesRequest{InviteID: "i", InviteeList: []string{"owner"}})), im.CodeGroupDenied)
	s.tapes["carol/1"].Wait("cancelled i")
	refused(t, second(s.who["bob/1"].Cancel(ctx, protocol.CancelRequest{InviteID: "i"})), im.CodeOver)
}

// TestRetriesAfterOthers: a call that is sent again over a lost connection is known although another came after it.
func TestRetriesAfterOthers(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1")
	s.invite("alice/1", call("bob", "i", 60))
	modify := func(data, request string) protocol.ActionResponse {
		t.Helper()
		var res protocol.ActionResponse
		if err := s.who["alice/1"].Call(t.Context(), "modifyInvitation",
			protocol.ModifyRequest{InviteID: "i", Data: data, RequestID: request}, &res); err != nil {
			t.Fatal(err)
		}
		return res
	}
	modify("one", "r1")
	modify("two", "r2")
	if res := modify("one", "r1"); !res.Repeat {
		t.Error("the first modify took effect twice")
	}
	s.tapes["bob/1"].Wait(`modified i data "two"`)
	got, err := s.who["alice/1"].GetInvitation(t.Context(), protocol.GetInvitationRequest{InviteID: "i"})
	if err != nil || got.Invitation.Data != "two" {
		t.Errorf("it says %q, %v", got.Invitation.Data, err)
	}
	// Two phones that number their requests are not one phone that repeats itself.
	other := s.Device("bob", "bob-2", client.Listener{})
	answer := func(c *client.Client) error {
		return c.Call(t.Context(), "accept", protocol.AnswerRequest{InviteID: "i", RequestID: "1"},
			&protocol.ActionResponse{})
	}
	if err := answer(s.who["bob/1"]); err != nil {
		t.Fatal(err)
	}
	refused(t, answer(other), im.CodeOver)
}

// TestEverythingIsToldOnce: what comes on two timelines, and what was decided together, is told once on every device,
// and nobody is told that another device did what they did themselves.
func TestEverythingIsToldOnce(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1", "bob/2", "carol/1")
	s.invite("alice/1", protocol.InviteRequest{InviteeList: []string{"bob", "carol"},
		InviteOptions: protocol.InviteOptions{InviteID: "cancelled", Timeout: 60}})
	s.tapes["carol/1"].Wait("new cancelled")
	if _, err := s.who["alice/1"].Cancel(t.Context(), protocol.CancelRequest{InviteID: "cancelled"}); err != nil {
		t.Fatal(err)
	}
	s.invite("alice/1", protocol.InviteRequest{InviteeList: []string{"bob", "carol"},
		InviteOptions: protocol.InviteOptions{InviteID: "late", Timeout: 1}})
	s.invite("alice/1", protocol.InviteRequest{InviteeList: []string{"bob", "carol"},
		InviteOptions: protocol.InviteOptions{InviteID: "taken", Timeout: 60}})
	s.accept("carol/1", "taken")
	s.accept("bob/1", "taken")
	for d := range s.tapes {
		s.tapes[d].Wait("timeout late")
	}
	s.barrier()
	for device, want := range map[string]map[string]int{
		"bob/1": {"cancelled cancelled": 1, "timeout late": 1, "accepted taken by carol": 1, "elsewhere": 0,
			"accepted taken by bob": 0},
		"bob/2": {"cancelled cancelled": 1, "timeout late": 1, "accepted taken by carol": 1, "elsewhere taken": 1,
			"accepted taken by bob": 1},
		"carol/1": {"cancelled cancelled": 1, "timeout late": 1, "accepted taken by bob": 1, "elsewhere": 0},
		"alice/1": {"timeout late": 1, "accepted taken": 2},
	} {
		for line, n := range want {
			if got := s.tapes[device].Count(line); got != n {
				t.Errorf("%s was told %q %d times, want %d:\n  %s", device, line, got, n,
					strings.Join(s.tapes[device].Lines(), "\n  "))
			}
		}
	}
}

// TestAClassRaisesHands: many answer in the same moment; everybody hears every answer once, and nobody their own.
func TestAClassRaisesHands(t *testing.T) {
	const pupils = 40
	s := newScene(t, "teacher/1")
	var members []string
	for i := range pupils {
		members = append(members, fmt.Sprintf("p%d", i))
		s.connect(members[i] + "/1")
	}
	if _, err := s.who["teacher/1"].CreateGroup(t.Context(),
		protocol.CreateGroupRequest{GroupID: "class", Type: "Public", MemberList: members}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.who["teacher/1"].InviteInGroup(t.Context(),
		protocol.InviteInGroupRequest{GroupID: "class", Everyone: true,
			InviteOptions: protocol.InviteOptions{InviteID: "hands", Timeout: 60}}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, m := range members {
		s.tapes[m+"/1"].Wait("new hands")
		wg.Go(func() { s.accept(m+"/1", "hands") })
	}
	wg.Wait()
	for _, m := range members {
		s.tapes["teacher/1"].Wait("accepted hands by " + m + " ")
	}
	s.barrier()
	if n := s.tapes["teacher/1"].Count("accepted hands"); n != pupils {
		t.Errorf("the teacher heard %d of %d hands", n, pupils)
	}
	for _, m := range members {
		tape := s.tapes[m+"/1"]
		if n := tape.Count("accepted hands"); n != pupils-1 {
			t.Errorf("%s heard %d hands of others", m, n)
		}
		if n := tape.Count("elsewhere"); n != 0 {
			t.Errorf("%s was told that another device raised their hand", m)
		}
	}
}

// TestTooMuchMissed: who was away for more than one reconnect can bring is told so, and goes on from now.
func TestTooMuchMissed(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1")
	s.invite("alice/1", call("bob", "first", 600))
	s.tapes["bob/1"].Wait("new first")
	epoch, positions := s.who["bob/1"].Positions()
	s.who["bob/1"].Close()
	big := strings.Repeat("x", im.MaxData)
	for i := range 190 { // more than 2 MiB
		req := call("bob", fmt.Sprintf("big%d", i), 600)
		req.Data = big
		s.invite("alice/1", req)
	}
	tape := beckontest.NewRecorder(t, "bob again")
	s.DeviceWith(client.Options{Token: s.Token("bob"), DeviceID: "bob-1", Listener: tape.Listener(), Epoch: epoch,
		Positions: positions})
	tape.Wait("reload user:bob")
	s.invite("alice/1", call("bob", "now", 600))
	tape.Wait("new now")
}

// TestJoiningWhileConnecting: who is brought into a group, or out of one, in the very moment of connecting hears it, or
// not.
func TestJoiningWhileConnecting(t *testing.T) {
	const people = 30
	s := newScene(t, "owner/1")
	ctx, owner := t.Context(), s.who["owner/1"]
	for _, g := range []string{"in", "out"} {
		if _, err := owner.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: g, Type: "Meeting"}); err != nil {
			t.Fatal(err)
		}
	}
	var tapes [people]*beckontest.Recorder
	for i := range people {
		user := fmt.Sprintf("u%d", i)
		if _, err := owner.InviteUserToGroup(ctx, "out", []string{user}); err != nil {
			t.Fatal(err)
		}
		tapes[i] = beckontest.NewRecorder(t, user)
		var wg sync.WaitGroup
		wg.Go(func() { s.Device(user, user+"-1", tapes[i].Listener()) })
		wg.Go(func() {
			if _, err := owner.InviteUserToGroup(ctx, "in", []string{user}); err != nil {
				t.Error(err)
			}
			if _, err := owner.KickGroupMember(ctx,
				protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "out",
					MemberList: []string{user}}}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	for _, g := range []string{"out", "in"} { // out first: what is heard of in has come after it
		if _, err := owner.InviteUserToGroup(ctx, g, []string{"last"}); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: g, Everyone: true,
			InviteOptions: protocol.InviteOptions{InviteID: "to-" + g, Timeout: 600}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, tape := range tapes {
		tape.Wait("new to-in")
		if n := tape.Count("new to-out"); n != 0 {
			t.Errorf("u%d rings in a group that it is no longer in", i)
		}
	}
}
