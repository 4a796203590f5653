package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// scene is a house with people, each with a device and a tape.
type scene struct {
	*beckontest.Cluster
	t     *testing.T
	who   map[string]*client.Client
	tapes map[string]*beckontest.Recorder
}

// newScene connects devices; "bob/2" is a second device of bob.
func newScene(t *testing.T, devices ...string) *scene {
	t.Helper()
	s := &scene{Cluster: newHouse(t, beckon.Config{}), t: t, who: map[string]*client.Client{},
		tapes: map[string]*beckontest.Recorder{}}
	for _, d := range devices {
		s.connect(d)
	}
	return s
}

func (s *scene) connect(device string) {
	s.t.Helper()
	user, _, _ := strings.Cut(device, "/")
	s.tapes[device] = beckontest.NewRecorder(s.t, device)
	s.who[device] = s.Device(user, strings.ReplaceAll(device, "/", "-"), s.tapes[device].Listener())
	if _, err := s.who[device].GetDeviceList(s.t.Context()); err != nil { // once it has an answer it is counted as there
		s.t.Fatal(err)
	}
}

func (s *scene) invite(from string, req protocol.InviteRequest) protocol.InviteResponse {
	s.t.Helper()
	res, err := s.who[from].Invite(s.t.Context(), req)
	if err != nil {
		s.t.Fatalf("%s could not invite: %v", from, err)
	}
	return res
}

func (s *scene) accept(who, id string) {
	s.t.Helper()
	if _, err := s.who[who].Accept(s.t.Context(), id, "yes of "+who); err != nil {
		s.t.Fatalf("%s could not accept %s: %v", who, id, err)
	}
}

func (s *scene) reject(who, id, reason string) {
	s.t.Helper()
	if _, err := s.who[who].Reject(s.t.Context(), id, "", reason); err != nil {
		s.t.Fatalf("%s could not reject %s: %v", who, id, err)
	}
}

// refused checks that err is a refusal with a number, and returns it.
func refused(t *testing.T, err error, code int) *protocol.Error {
	t.Helper()
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want a refusal with %d", err, code)
	}
	return e
}

func call(invitee, id string, timeout int64) protocol.InviteRequest {
	return protocol.InviteRequest{Invitee: invitee,
		InviteOptions: protocol.InviteOptions{InviteID: id, Data: "hi", Timeout: timeout}}
}

func TestOneToOne(t *testing.T) {
	s := newScene(t, "alice/1", "alice/2", "bob/1", "bob/2")
	res := s.invite("alice/1", call("bob", "i1", 30))
	if len(res.Reach) != 1 || res.Reach[0].Devices != 2 || res.Reach[0].Status != protocol.ReachConnected {
		t.Errorf("the ack says of bob: %+v", res.Reach)
	}
	for _, d := range []string{"bob/1", "bob/2"} {
		s.tapes[d].Wait(`new i1 from alice group "" to bob data "hi"`)
	}
	if _, err := s.who["bob/1"].Ring(t.Context(), "i1"); err != nil {
		t.Fatal(err)
	}
	s.tapes["alice/1"].Wait("ringing i1 at bob")
	s.tapes["alice/2"].Wait("ringing i1 at bob")
	s.accept("bob/1", "i1")
	s.tapes["alice/1"].Wait(`accepted i1 by bob data "yes of bob/1"`)
	s.tapes["bob/2"].Wait("elsewhere i1 accept")
	e := refused(t, second(s.who["bob/2"].Accept(t.Context(), "i1", "")), im.CodeOver)
	if e.Won == nil || e.Won.Action != "accept" || e.Won.Device != "bob-1" ||
		!strings.Contains(e.Message, "another device") {
		t.Errorf("the loser is told %q, won %+v", e.Message, e.Won)
	}
	if e.Invitation == nil || !e.Invitation.Over || e.Invitation.Counts.Accepted != 1 {
		t.Errorf("the loser gets the invitation as %+v", e.Invitation)
	}
	e = refused(t, second(s.who["alice/2"].Cancel(t.Context(), protocol.CancelRequest{InviteID: "i1"})), im.CodeOver)
	if e.Won == nil || e.Won.UserID != "bob" {
		t.Errorf("the late cancel is told %q, won %+v", e.Message, e.Won)
	}
	s.barrier()
	if n := s.tapes["alice/2"].Count("new"); n != 0 {
		t.Errorf("the inviter's own other device rang %d times", n)
	}
	if n := len(s.tapes["bob/1"].Raw()); n != 1 {
		t.Errorf("the acting device heard %d events; its own accept has an ack and no event", n)
	}
}

func second[A any](_ A, err error) error { return err }

// barrier waits until everything that was announced has been heard by everybody: an invitation goes round after it.
func (s *scene) barrier() {
	s.t.Helper()
	s.connect("barrier/1")
	ids := map[string]string{} // one for each person, heard by all of their devices
	for d := range s.who {
		user, _, _ := strings.Cut(d, "/")
		if user == "barrier" {
			continue
		}
		if ids[user] == "" {
			ids[user] = client.NewID()
			s.invite("barrier/1", protocol.InviteRequest{Invitee: user,
				InviteOptions: protocol.InviteOptions{InviteID: ids[user]}})
		}
		s.tapes[d].Wait("new " + ids[user])
	}
	for d := range s.who {
		s.tapes[d].Forget("barrier")
	}
}

func TestRejectBusyCancelTimeout(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1", "bob/2")
	s.invite("alice/1", call("bob", "no", 30))
	s.tapes["bob/2"].Wait("new no")
	s.reject("bob/1", "no", "")
	s.tapes["alice/1"].Wait("rejected no by bob")
	s.tapes["bob/2"].Wait("elsewhere no reject")

	s.invite("alice/1", call("bob", "busy", 30))
	s.reject("bob/1", "busy", "busy")
	s.tapes["alice/1"].Wait("rejected busy by bob")
	raw := s.tapes["alice/1"].Raw()
	if got := raw[len(raw)-1].Answers[0].Reason; got != "busy" {
		t.Errorf("the reason is %q", got)
	}

	s.invite("alice/1", call("bob", "gone", 30))
	s.tapes["bob/1"].Wait("new gone")
	if _, err := s.who["alice/1"].Cancel(t.Context(),
		protocol.CancelRequest{InviteID: "gone", Data: "never mind"}); err != nil {
		t.Fatal(err)
	}
	s.tapes["bob/1"].Wait(`cancelled gone by alice data "never mind"`)
	e := refused(t, second(s.who["bob/1"].Accept(t.Context(), "gone", "")), im.CodeOver)
	if e.Won == nil || e.Won.Action != "cancel" || e.Won.UserID != "alice" {
		t.Errorf("the late accept is told %q, won %+v", e.Message, e.Won)
	}

	s.invite("alice/1", call("bob", "late", 1))
	s.tapes["alice/1"].Wait("timeout late of bob")
	s.tapes["bob/1"].Wait("timeout late of bob")
	e = refused(t, second(s.who["bob/1"].Accept(t.Context(), "late", "")), im.CodeOver)
	if e.Won == nil || e.Won.Action != "timeout" {
		t.Errorf("the accept after the deadline is told %q, won %+v", e.Message, e.Won)
	}
}

func TestGroupOfFive(t *testing.T) {
	s := newScene(t, "teacher/1", "ann/1", "ben/1", "cat/1", "dan/1", "eve/1", "onlooker/1")
	members := []string{"ann", "ben", "cat", "dan", "eve", "onlooker"}
	if _, err := s.who["teacher/1"].CreateGroup(t.Context(),
		protocol.CreateGroupRequest{GroupID: "class", Type: "Public", MemberList: members}); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		s.tapes[m+"/1"].Wait("group class groupJoined")
	}
	_, err := s.who["teacher/1"].InviteInGroup(t.Context(),
		protocol.InviteInGroupRequest{GroupID: "class", InviteeList: members[:5],
			InviteOptions: protocol.InviteOptions{InviteID: "hands", Data: "raise", Timeout: 2}})
	if err != nil {
		t.Fatal(err)
	}
	s.tapes["onlooker/1"].Wait(`new hands from teacher group "class" to ann,ben,cat,dan,eve data "raise"`)
	for _, m := range members[:5] {
		s.tapes[m+"/1"].Wait("new hands")
	}
	s.accept("ann/1", "hands")
	s.reject("ben/1", "hands", "busy")
	s.accept("cat/1", "hands")
	if _, err := s.who["teacher/1"].Cancel(t.Context(),
		protocol.CancelRequest{InviteID: "hands", InviteeList: []string{"dan"}}); err != nil {
		t.Fatal(err)
	}
	refused(t, second(s.who["onlooker/1"].Accept(t.Context(), "hands", "")), im.CodeNotYours)
	for _, d := range []string{"teacher/1", "onlooker/1", "eve/1"} {
		s.tapes[d].Wait("accepted hands by ann")
		s.tapes[d].Wait("rejected hands by ben")
		s.tapes[d].Wait("accepted hands by cat")
	}
	s.tapes["dan/1"].Wait("cancelled hands by teacher")
	s.tapes["teacher/1"].Wait("timeout hands of eve")
	s.tapes["eve/1"].Wait("timeout hands of eve")
	s.tapes["onlooker/1"].Wait("timeout hands of eve")
	for _, d := range []string{"ann/1", "cat/1", "ben/1"} {
		s.tapes[d].Wait(`cancelled hands by teacher data "" of dan over false`)
		s.tapes[d].Wait("timeout hands of eve") // who has answered receives the end, and not as their own
	}
	got, err := s.who["onlooker/1"].GetInvitation(t.Context(), protocol.GetInvitationRequest{InviteID: "hands"})
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, p := range got.Invitation.Invitees {
		states = append(states, p.UserID+" "+p.State.String())
		if p.Device != "" {
			t.Errorf("an onlooker is told the device of %s", p.UserID)
		}
	}
	if want := "ann accepted,ben rejected,cat accepted,dan cancelled,eve timedOut"; strings.Join(states, ",") != want {
		t.Errorf("it stands as %v", states)
	}
}

// TestFirstToPickUpWins lets three phones race, many times: exactly one wins and the others are told who.
func TestFirstToPickUpWins(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1", "carol/1", "dave/1")
	for round := range 30 {
		id := fmt.Sprintf("race%d", round)
		s.invite("alice/1", protocol.InviteRequest{InviteeList: []string{"bob", "carol", "dave"},
			InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 30, AcceptLimit: 1}})
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for i, d := range []string{"bob/1", "carol/1", "dave/1"} {
			s.tapes[d].Wait("new " + id)
			wg.Go(func() { _, errs[i] = s.who[d].Accept(context.Background(), id, "") })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			if e := refused(t, err, im.CodeOver); e.Won == nil || e.Won.Reason != "answered" ||
				e.Invitation.Counts.Accepted != 1 {
				t.Errorf("a loser is told %q, won %+v", e.Message, e.Won)
			}
		}
		if won != 1 {
			t.Fatalf("%d phones won: %v", won, errs)
		}
		s.tapes["alice/1"].Wait("accepted " + id)
	}
	s.barrier()
	if n := s.tapes["alice/1"].Count("accepted race"); n != 30 {
		t.Errorf("the inviter heard of %d accepts in 30 races", n)
	}
}

// TestHearingEachOther: several people without a group hear each other's answers, also after being away.
func TestHearingEachOther(t *testing.T) {
	s := newScene(t, "alice/1", "bob/1", "carol/1")
	s.invite("alice/1", protocol.InviteRequest{InviteeList: []string{"bob", "carol", "dave"},
		InviteOptions: protocol.InviteOptions{InviteID: "p", Timeout: 60}})
	s.tapes["bob/1"].Wait("new p")
	s.tapes["carol/1"].Wait("new p")
	s.accept("bob/1", "p")
	s.tapes["carol/1"].Wait("accepted p by bob")
	s.connect("dave/1") // comes late: the invitation is in the snapshot, and bob's answer is heard
	s.tapes["dave/1"].Wait("new p")
	s.tapes["dave/1"].Wait("accepted p by bob")
	s.reject("carol/1", "p", "busy")
	s.tapes["bob/1"].Wait("rejected p by carol")
	s.tapes["dave/1"].Wait("rejected p by carol")
	if _, err := s.who["alice/1"].AddInvitees(t.Context(),
		protocol.AddInviteesRequest{InviteID: "p", InviteeList: []string{"erin"}}); err != nil {
		t.Fatal(err)
	}
	s.connect("erin/1")
	s.tapes["erin/1"].Wait("new p")
	s.accept("dave/1", "p")
	s.tapes["bob/1"].Wait("accepted p by dave")
	s.tapes["erin/1"].Wait("accepted p by dave")
	s.accept("erin/1", "p")
	s.tapes["bob/1"].Wait("accepted p by erin")
	s.tapes["alice/1"].Wait("accepted p by erin")
	s.barrier()
	if got := s.tapes["bob/1"].Count("accepted p"); got != 2 {
		t.Errorf("bob heard %d accepts of others: %v", got, s.tapes["bob/1"].Lines())
	}
	if got := s.tapes["alice/1"].Count("accepted p"); got != 3 {
		t.Errorf("alice heard %d accepts: %v", got, s.tapes["alice/1"].Lines())
	}
}
