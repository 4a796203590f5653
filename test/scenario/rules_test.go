package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/api"
	"github.com/beckon-im/beckon/protocol"
)

// TestGlare: two people who call each other at the same moment are connected, in whichever order the calls come.
func TestGlare(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1", "bob/2")
	first, then := call("bob", "ab", 30), call("alice", "ba", 30)
	first.MergeGlare, then.MergeGlare = true, true
	s.invite("alice/1", first)
	res := s.invite("bob/1", then)
	if !res.Merged || res.InviteID != "ab" || !res.Invitation.Over {
		t.Fatalf("the second call is answered %+v", res)
	}
	s.tapes["alice/1"].Wait("accepted ab by bob")
	s.tapes["bob/2"].Wait("elsewhere ab accept")
	if again := s.invite("bob/1", then); !again.Merged || !again.Repeat || again.InviteID != "ab" {
		t.Errorf("the second call repeated is answered %+v", again)
	}
	s.barrier()
	if n := s.tapes["alice/1"].Count("new"); n != 0 {
		t.Errorf("alice rang: %v", s.tapes["alice/1"].Lines())
	}
}

func TestRetriesAndOvertaking(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1")
	refused(t, second(s.who["alice/1"].Cancel(t.Context(), protocol.CancelRequest{InviteID: "early"})), im.CodeOver)
	_, err := s.who["alice/1"].Invite(t.Context(), call("bob", "early", 30))
	refused(t, err, im.CodeOver)

	req := call("bob", "twice", 30)
	req.RequestID = "r1"
	s.invite("alice/1", req)
	if res := s.invite("alice/1", req); !res.Repeat {
		t.Errorf("the repeat is answered %+v", res)
	}
	req.Data = "other"
	_, err = s.who["alice/1"].Invite(t.Context(), req)
	refused(t, err, im.CodeExists)
	_, err = s.who["bob/1"].Invite(t.Context(), call("alice", "twice", 30))
	refused(t, err, im.CodeExists)

	// Without an inviteID the request id names the invitation.
	var one, two protocol.InviteResponse
	body := map[string]any{"invitee": "bob", "requestID": "r2", "timeout": 30}
	for _, into := range []*protocol.InviteResponse{&one, &two} {
		if err := s.who["alice/1"].Call(t.Context(), "invite", body, into); err != nil {
			t.Fatal(err)
		}
	}
	if one.InviteID != two.InviteID || !two.Repeat {
		t.Errorf("the same request made %s and %s", one.InviteID, two.InviteID)
	}
	s.tapes["bob/1"].Wait("new twice")
	s.accept("bob/1", "twice")
	s.accept("bob/1", "twice") // the same device repeats itself
	s.barrier()
	if n := s.tapes["alice/1"].Count("accepted twice"); n != 1 {
		t.Errorf("the inviter heard %d accepts", n)
	}
	if n := s.tapes["bob/1"].Count("new"); n != 2 {
		t.Errorf("bob rang %d times: %v", n, s.tapes["bob/1"].Lines())
	}
}

func TestOnlineUserOnly(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1")
	req := protocol.InviteRequest{InviteeList: []string{"bob", "away"},
		InviteOptions: protocol.InviteOptions{InviteID: "now", Timeout: 30, OnlineUserOnly: true}}
	res := s.invite("alice/1", req)
	if res.Reach[0].Devices != 1 || res.Reach[1].Devices != 0 || res.Reach[1].Status != protocol.ReachUnreachable {
		t.Errorf("reach %+v", res.Reach)
	}
	s.tapes["bob/1"].Wait("new now")
	s.accept("bob/1", "now")
	s.tapes["alice/1"].Wait("accepted now by bob")
	late := call("bob", "once", 30)
	late.OnlineUserOnly = true
	s.invite("alice/1", late)
	s.tapes["bob/1"].Wait("new once")
	if _, err := s.who["alice/1"].Cancel(t.Context(), protocol.CancelRequest{InviteID: "once"}); err != nil {
		t.Fatal(err)
	}
	s.tapes["bob/1"].Wait("cancelled once")
}

func TestMinRingIsFair(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1")
	req := call("bob", "fair", 1)
	req.MinRing = 30
	res := s.invite("alice/1", req)
	ring, err := s.who["bob/1"].Ring(t.Context(), "fair")
	if err != nil || ring.Deadline < res.Invitation.Deadline+28_000 {
		t.Fatalf("the deadline was %d and is %d, %v", res.Invitation.Deadline, ring.Deadline, err)
	}
	past := time.NewTimer(time.Until(time.UnixMilli(res.Invitation.Deadline + 50))) // past the first deadline
	<-past.C
	s.accept("bob/1", "fair")
	s.tapes["alice/1"].Wait("accepted fair")
	if n := s.tapes["alice/1"].Count("timeout"); n != 0 {
		t.Error("it timed out although the person had been given time")
	}
}

func TestGroupsComeAndGo(t *testing.T) {
	s := newScene(t, "owner/1", "ann/1", "ben/1")
	ctx := t.Context()
	if _, err := s.who["owner/1"].CreateGroup(ctx,
		protocol.CreateGroupRequest{GroupID: "g", Type: "Meeting"}); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"ann/1", "ben/1"} {
		if _, err := s.who[d].JoinGroup(ctx, protocol.JoinGroupRequest{GroupID: "g"}); err != nil {
			t.Fatal(err)
		}
		s.tapes["owner/1"].Wait("group g memberEnter " + d[:3])
	}
	_, err := s.who["ann/1"].JoinGroup(ctx, protocol.JoinGroupRequest{GroupID: "g"})
	refused(t, err, im.CodeAlreadyMember)
	opt := protocol.InviteOptions{InviteID: "all", Timeout: 60}
	if res, err := s.who["owner/1"].InviteInGroup(ctx,
		protocol.InviteInGroupRequest{GroupID: "g", Everyone: true, InviteOptions: opt}); err != nil || len(res.Reach) != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	s.tapes["ann/1"].Wait("new all from owner")
	s.tapes["ben/1"].Wait("new all from owner")
	if _, err := s.who["ann/1"].QuitGroup(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	s.tapes["ann/1"].Wait("group g quitFromGroup")
	refused(t, second(s.who["ann/1"].Accept(ctx, "all", "")), im.CodeOver)
	if _, err := s.who["owner/1"].KickGroupMember(ctx,
		protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "g",
			MemberList: []string{"ben"}}}); err != nil {
		t.Fatal(err)
	}
	s.tapes["ben/1"].Wait("group g quitFromGroup")
	got, err := s.who["owner/1"].GetInvitation(ctx, protocol.GetInvitationRequest{InviteID: "all"})
	if err != nil || !got.Invitation.Over || got.Invitation.Invitees[0].Reason != "left" ||
		got.Invitation.Invitees[1].Reason != "left" {
		t.Errorf("it stands as %+v, %v", got.Invitation, err)
	}
	_, err = s.who["ann/1"].InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: "g", InviteeList: []string{"owner"}})
	refused(t, err, im.CodeGroupDenied)
	if _, err := s.who["owner/1"].InviteUserToGroup(ctx, "g", []string{"ann"}); err != nil {
		t.Fatal(err)
	}
	s.tapes["ann/1"].Wait("group g memberInvited ann")
	if _, err := s.who["owner/1"].DismissGroup(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	s.tapes["ann/1"].Wait("group g groupDismissed")
	_, err = s.who["ann/1"].JoinGroup(ctx, protocol.JoinGroupRequest{GroupID: "g"})
	refused(t, err, im.CodeNoGroup)
}

// TestParticipantsOnly: with notify participants an onlooker hears nothing and may not look.
func TestParticipantsOnly(t *testing.T) {
	s := newScene(t, "owner/1", "ann/1", "ben/1", "onlooker/1")
	ctx := t.Context()
	if _, err := s.who["owner/1"].CreateGroup(ctx,
		protocol.CreateGroupRequest{GroupID: "g", Type: "Meeting",
			MemberList: []string{"ann", "ben", "onlooker"}}); err != nil {
		t.Fatal(err)
	}
	opt := protocol.InviteOptions{InviteID: "quiet", Timeout: 60}
	if _, err := s.who["owner/1"].InviteInGroup(ctx,
		protocol.InviteInGroupRequest{GroupID: "g", InviteeList: []string{"ann", "ben"}, Notify: "participants",
			InviteOptions: opt}); err != nil {
		t.Fatal(err)
	}
	s.tapes["ann/1"].Wait("new quiet")
	s.tapes["ben/1"].Wait("new quiet")
	s.accept("ann/1", "quiet")
	s.tapes["ben/1"].Wait("accepted quiet by ann")
	s.tapes["owner/1"].Wait("accepted quiet by ann")
	_, err := s.who["onlooker/1"].GetInvitation(ctx, protocol.GetInvitationRequest{InviteID: "quiet"})
	refused(t, err, im.CodeNotYours)
	s.barrier()
	if n := len(s.tapes["onlooker/1"].Raw()); n != 0 {
		t.Errorf("the onlooker heard %d signaling events", n)
	}
}

// TestAway: what a device missed arrives in order and once, whether it lost its link or was started again; what was
// over meanwhile does not ring.
func TestAway(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1")
	s.invite("alice/1", call("bob", "before", 60))
	s.tapes["bob/1"].Wait("new before")
	epoch, positions := s.who["bob/1"].Positions()
	s.who["bob/1"].Close()
	s.invite("alice/1", call("bob", "missed", 60))
	if _, err := s.who["alice/1"].Cancel(t.Context(), protocol.CancelRequest{InviteID: "missed"}); err != nil {
		t.Fatal(err)
	}
	s.invite("alice/1", call("bob", "waiting", 60))
	tape := beckontest.NewRecorder(t, "bob again")
	bob := s.DeviceWith(client.Options{Token: s.Token("bob"), DeviceID: "bob-1", Listener: tape.Listener(), Epoch: epoch,
		Positions: positions})
	tape.Wait("new waiting")
	tape.Wait("new before") // from the snapshot: the program was started anew and knows nothing
	s.invite("alice/1", call("bob", "after", 60))
	tape.Wait("new after")
	if n := tape.Count("new missed"); n != 0 {
		t.Error("a call that was over rang")
	}
	var heard []string
	for _, m := range tape.Raw() {
		heard = append(heard, m.InviteID)
	}
	if got := len(heard); got != 4 || heard[0] != "missed" || heard[1] != "missed" || heard[2] != "waiting" ||
		heard[3] != "after" {
		t.Errorf("what was missed came as %v", heard)
	}
	if n := tape.Count("new waiting"); n != 1 {
		t.Errorf("a call rang %d times", n)
	}
	_ = bob
	old := beckontest.NewRecorder(t, "bob of another database")
	s.DeviceWith(client.Options{Token: s.Token("bob"), DeviceID: "bob-2", Listener: old.Listener(), Epoch: "another",
		Positions: positions})
	old.Wait("reload user:bob")
}

func TestAddInvitedSignaling(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1")
	s.invite("alice/1", call("bob", "push", 60))
	s.tapes["bob/1"].Wait("new push")
	payload, err := json.Marshal(s.tapes["bob/1"].Raw()[0])
	if err != nil {
		t.Fatal(err)
	}
	info := client.GetSignalingInfo(payload)
	if info == nil || info.InviteID != "push" ||
		client.GetSignalingInfo([]byte(`{"businessID":2,"inviteID":"x","actionType":1}`)) != nil ||
		client.GetSignalingInfo([]byte(`null`)) != nil {
		t.Fatalf("info %+v", info)
	}
	_, err = s.who["bob/1"].AddInvitedSignaling(t.Context(), *info)
	refused(t, err, im.CodeExists)
	s.accept("bob/1", "push")
	tape := beckontest.NewRecorder(t, "bob/2")
	two := s.Device("bob", "bob-2", tape.Listener())
	_, err = two.AddInvitedSignaling(t.Context(), *info)
	refused(t, err, im.CodeOver)
}

func TestAppServer(t *testing.T) {
	s := newScene(t, "bob/1")
	do := func(verb, user string, body any, into any) int {
		t.Helper()
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/"+verb, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.Server.APIKey())
		req.Header.Set(api.HeaderUser, user)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		out, err := io.ReadAll(res.Body)
		if err != nil || json.Unmarshal(out, into) != nil {
			t.Fatalf("%s answers %s, %v", verb, out, err)
		}
		return res.StatusCode
	}
	var opened protocol.InviteResponse
	if status := do("invite", "alice", call("bob", "http", 60), &opened); status != http.StatusOK ||
		opened.Reach[0].Devices != 1 {
		t.Fatalf("%d %+v", status, opened)
	}
	s.tapes["bob/1"].Wait("new http from alice")
	s.accept("bob/1", "http")
	var e protocol.Error
	if status := do("cancel", "alice", protocol.CancelRequest{InviteID: "http"}, &e); status != http.StatusConflict ||
		e.Code != im.CodeOver || e.Won.UserID != "bob" {
		t.Errorf("%d %+v", status, e)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestRenewal: a token that expires is renewed without a reconnect, and one that is not ends the connection.
func TestRenewal(t *testing.T) {
	t.Parallel()
	h := newHouse(t, beckon.Config{})
	asked := make(chan struct{}, 100)
	tape := beckontest.NewRecorder(t, "alice")
	l := tape.Listener()
	connected := 0
	l.OnConnected = func(protocol.Welcome) { connected++ }
	c := h.DeviceWith(client.Options{DeviceID: "a1", Listener: l, GetToken: func(context.Context) (string, error) {
		asked <- struct{}{}
		return h.Server.Token("alice", "", 2*time.Second)
	}})
	for range 3 { // the first is for connecting, the others renew
		select {
		case <-asked:
		case <-time.After(beckontest.Patience):
			t.Fatal("the token was not renewed")
		}
	}
	if _, err := c.ListInvitations(t.Context()); err != nil {
		t.Error(err)
	}
	c.Close()
	if connected != 1 {
		t.Errorf("it connected %d times", connected)
	}
}

// TestRestart: open invitations and their deadlines survive a stop and a start, and are announced once.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	h := beckontest.StartWith(t, beckon.Config{DataDir: dir})
	alice := h.Device("alice", "a1", client.Listener{})
	if _, err := alice.Invite(t.Context(), call("bob", "i", 1)); err != nil {
		t.Fatal(err)
	}
	epoch, positions := alice.Positions()
	alice.Close()
	h.Stop()
	h = beckontest.StartWith(t, beckon.Config{DataDir: dir})
	tape := beckontest.NewRecorder(t, "alice")
	h.DeviceWith(client.Options{Token: h.Token("alice"), DeviceID: "a1", Listener: tape.Listener(), Epoch: epoch,
		Positions: positions})
	tape.Wait("timeout i of bob")
	if n := tape.Count("timeout"); n != 1 {
		t.Errorf("%d timeouts", n)
	}
}
