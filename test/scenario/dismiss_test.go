package scenario

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

func numbered(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("p%04d", i)
	}
	return list
}

// largeGroup imports a group with open invitations to many of its members.
func largeGroup(s *scene, members, invitations, invitees int) {
	s.t.Helper()
	g := protocol.ImportGroup{GroupID: "g", Type: "Community", Owner: "owner"}
	for _, u := range numbered(members) {
		g.Members = append(g.Members, protocol.ImportMember{UserID: u})
	}
	s.act("", "importGroups", protocol.ImportGroupsRequest{Groups: []protocol.ImportGroup{g}}, nil)
	for i := range invitations {
		s.act("owner", "inviteInGroup", protocol.InviteInGroupRequest{GroupID: "g", InviteeList: numbered(invitees),
			InviteOptions: protocol.InviteOptions{InviteID: fmt.Sprint("i", i), Timeout: 600}}, nil)
	}
}

// ended waits until the last member has left, and checks that the invitations are over.
func ended(s *scene, invitations int) {
	s.t.Helper()
	eventually(s.t, "the last member leaves", func() bool {
		return strings.Contains(strings.Join(s.exported("p0299", 100), "\n"), string(protocol.TipDismissed))
	})
	for i := range invitations {
		var res protocol.GetInvitationResponse
		s.act("owner", "getInvitation", protocol.GetInvitationRequest{InviteID: fmt.Sprint("i", i)}, &res)
		if v := res.Invitation; !v.Over || v.Counts.Cancelled == 0 {
			s.t.Fatalf("after the dismissal, an invitation is %+v", v)
		}
	}
}

// TestDismissLarge: a group with many open invitations is closed at once. Each member receives the cancel of each
// invitation, and then the dismissal.
func TestDismissLarge(t *testing.T) {
	s := newModerated(t, beckon.Config{UserRate: 1e5, UserBurst: 1e5})
	const invitations = 150
	largeGroup(s, 300, invitations, 90)
	events := make(chan string, 1000)
	s.Device("p0089", "phone", client.Listener{
		OnInvitationCancelled: func(e client.InvitationEvent) { events <- e.Reason },
		OnGroupDismissed:      func(e protocol.GroupEvent) { events <- e.GroupID + " by " + e.From },
	})
	s.act("owner", "dismissGroup", protocol.GroupRequest{GroupID: "g"}, nil)
	answer := protocol.AnswerRequest{InviteID: "i9"}
	if e := s.try("p0001", "Bearer "+s.Server.APIKey(), "accept", answer, nil); e != nil && e.Code != im.CodeOver {
		t.Errorf("an answer after the dismissal: %+v", e)
	}
	for i := range invitations + 1 {
		want := "left"
		if i == invitations {
			want = "g by owner"
		}
		select {
		case got := <-events:
			if got != want {
				t.Fatalf("event %d is %q, not %q", i, got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%d events came", i)
		}
	}
	ended(s, invitations)
}

// TestDismissalOutlivesTheServer: the next start, or another node, completes an interrupted dismissal.
func TestDismissalOutlivesTheServer(t *testing.T) {
	cfg := beckon.Config{DataDir: t.TempDir(), UserRate: 1e5, UserBurst: 1e5}
	s := newModerated(t, cfg)
	largeGroup(s, 700, 20, 90)
	if *nodes == 1 {
		s.act("", "dismissGroup", protocol.GroupRequest{GroupID: "g"}, nil)
		s.Stop()
		ended(newModerated(t, cfg), 20)
		return
	}
	proxy := s.URL
	s.URL = s.Nodes[0].URL
	s.act("", "dismissGroup", protocol.GroupRequest{GroupID: "g"}, nil)
	if err := s.Nodes[0].Stop(); err != nil {
		t.Fatal(err)
	}
	s.URL = proxy
	ended(s, 20)
}

// TestLargeGroupBounds: limits of the large open invitations of an inviter, and of the open invitations to the members
// that one call removes.
func TestLargeGroupBounds(t *testing.T) {
	s := newModerated(t, beckon.Config{UserRate: 1e5, UserBurst: 1e5})
	largeGroup(s, 300, 10, 101)
	invite := func(n int) *protocol.Error {
		return s.try("owner", "Bearer "+s.Server.APIKey(), "inviteInGroup", protocol.InviteInGroupRequest{GroupID: "g",
			InviteeList: numbered(n), InviteOptions: protocol.InviteOptions{Timeout: 600}}, nil)
	}
	if e := invite(101); e == nil || e.Code != im.CodeTooOften {
		t.Errorf("a large invitation above the limit: %+v", e)
	}
	for range 15 {
		if e := invite(100); e != nil {
			t.Errorf("a smaller one: %+v", e)
		}
	}
	s.act("p0200", "inviteInGroup", protocol.InviteInGroupRequest{GroupID: "g", InviteeList: numbered(101)}, nil)
	kick := func(n int) *protocol.Error {
		return s.try("owner", "Bearer "+s.Server.APIKey(), "kickGroupMember",
			protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "g", MemberList: numbered(n)}}, nil)
	}
	if e := kick(100); e == nil || e.Code != im.CodeTooMany || e.Field != "memberList" {
		t.Errorf("100 members with 25 open invitations each leave at once: %+v", e)
	}
	if e := s.try("stranger", "Bearer "+s.Server.APIKey(), "kickGroupMember",
		protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "g", MemberList: numbered(100)}},
		nil); e == nil || e.Code != im.CodeGroupDenied {
		t.Errorf("a stranger's kick: %+v", e)
	}
	if e := kick(30); e != nil {
		t.Errorf("30 members leave: %+v", e)
	}
}
