package scenario

import (
	"slices"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// talk lets people call each other until both are in the room r.
func (s *studio) talk(from, to, room string) protocol.InviteResponse {
	s.t.Helper()
	inv := s.invite(from, protocol.InviteRequest{Invitee: to, InviteOptions: protocol.InviteOptions{RoomID: room}})
	s.comes(room, from, "1 of "+from)
	s.accept(to, inv.InviteID)
	s.comes(room, to, "1 of "+to)
	return inv
}

func (s *studio) bring(from, whom, room string) {
	s.t.Helper()
	inv := s.invite(from, protocol.InviteRequest{Invitee: whom, InviteOptions: protocol.InviteOptions{RoomID: room}})
	s.accept(whom, inv.InviteID)
}

func TestNobodyTakesTheRecordsID(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	s.talk("ann", "bob", "r")
	view, err := s.who["bob"].GetRoom(t.Context(), "r")
	if err != nil || view.Call == nil {
		t.Fatal(view, err)
	}
	_, err = s.who["bob"].SendMessage(t.Context(),
		protocol.SendMessageRequest{UserID: "ann", MessageID: protocol.CallMessagePrefix + view.Call.CallID,
			Body: protocol.Body{Text: "mine"}})
	expect(t, "somebody takes the id of a record to be", refusal(err), "6017")
}

func TestAnOldTokenIsOfNoUse(t *testing.T) {
	s := newStudio(t, "ann", "bob", "cid")
	ctx := t.Context()
	s.talk("ann", "bob", "r")
	if _, err := s.who["ann"].SetRoomRole(ctx, "r", "bob", im.RoomNobody); err != nil {
		t.Fatal(err)
	}
	s.goes("r", "bob", "1 of bob")
	s.live.forget()
	s.comes("r", "bob", "2 of bob") // with the token of before
	eventually(t, "who was removed is sent out again", func() bool { return s.live.heard("remove bob") })

	if _, err := s.who["ann"].CreateGroup(ctx,
		protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob", "cid"}}); err != nil {
		t.Fatal(err)
	}
	room := "group_g"
	s.comes(room, "ann", "a")
	s.comes(room, "cid", "c") // may only listen, and has a token to speak
	eventually(t, "a listener with a speaker's token is silenced", func() bool { return s.live.heard("listen cid") })
	s.live.forget()
	if _, err := s.who["cid"].QuitGroup(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who left the group is sent out of its room", func() bool { return s.live.heard("remove cid") })
	s.live.put(room, "bob", "ann")
	s.Stop() // at its start a server looks at once
	s.open(t, "ann", "bob", "cid")
	eventually(t, "the comparison silences, too", func() bool { return s.live.heard("listen bob") })
}

func (f *fakeLive) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = nil
}

func TestTheHostsWordLasts(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	ctx := t.Context()
	s.talk("ann", "bob", "r")
	old := s.invite("ann", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
	s.passes(time.Second)
	if _, err := s.who["ann"].SetRoomRole(ctx, "r", "bob", im.RoomNobody); err != nil {
		t.Fatal(err)
	}
	s.accept("bob", old.InviteID)
	expect(t, "an invitation from before the removal", s.enters("bob", "r"), "8013")
	s.passes(time.Second)
	s.bring("ann", "bob", "r")
	expect(t, "an invitation after the removal", s.enters("bob", "r"), "anchor")

	if _, err := s.who["ann"].CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Meeting"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.who["bob"].JoinGroup(ctx, protocol.JoinGroupRequest{GroupID: "g"}); err != nil {
			t.Fatal(err)
		}
		s.passes(time.Second)
		if _, err := s.who["ann"].SetRoomRole(ctx, "group_g", "bob", im.RoomNobody); err != nil {
			t.Fatal(err)
		}
		if _, err := s.who["bob"].QuitGroup(ctx, "g"); err != nil {
			t.Fatal(err)
		}
		s.passes(time.Second)
	}
	if _, err := s.who["bob"].JoinGroup(ctx, protocol.JoinGroupRequest{GroupID: "g"}); err != nil {
		t.Fatal(err)
	}
	expect(t, "who was sent out and joined the group anew", s.enters("bob", "group_g"), "8013")
	_, err := s.who["ann"].SetRoomRole(ctx, "r", "zoe", im.RoomNobody)
	expect(t, "a host speaks of somebody who has nothing to do with the room", refusal(err), "8013")
}

func TestAThirdPerson(t *testing.T) {
	s := newStudio(t, "ann", "bob", "cid")
	s.talk("ann", "bob", "r")
	more := s.invite("ann", protocol.InviteRequest{Invitee: "cid", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
	s.passes(2 * time.Second)
	s.goes("r", "bob", "1 of bob")
	s.passes(time.Duration(im.AloneFor)*time.Millisecond + time.Second)
	s.passes(time.Duration(im.AloneFor) * time.Millisecond)
	s.accept("cid", more.InviteID) // it still rang, so the call went on
	s.comes("r", "cid", "1 of cid")
	s.comes("r", "bob", "2 of bob")
	if _, err := s.who["bob"].ExitRoom(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if list := s.calls(); len(list) != 1 || list[0].Ended != 0 || s.live.heard("close r") {
		t.Fatalf("the call of the two who are left was ended: %+v", list)
	}
	s.goes("r", "cid", "1 of cid")
	s.passes(2 * time.Duration(im.AloneFor) * time.Millisecond)
	eventually(t, "somebody alone in the room of several keeps it", func() bool {
		view, err := s.who["ann"].GetRoom(t.Context(), "r")
		return err == nil && view.Call != nil
	})
	s.goes("r", "ann", "1 of ann")
	s.passes(time.Duration(im.AloneFor)*time.Millisecond + time.Second)
	for _, who := range []string{"bob", "cid"} {
		s.tapes[who].Wait("call in c2c_ann of ann,bob,cid for ")
		s.tapes["ann"].Wait("call in c2c_" + who)
	}
	res, err := s.who["ann"].GetConversationList(t.Context(), protocol.ConversationsRequest{})
	if err != nil || len(res.Conversations) != 2 {
		t.Errorf("the inviter's conversations: %+v, %v", res.Conversations, err)
	}
}

func TestHangUpBeforeAnybodyCameIn(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	inv := s.invite("ann", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
	s.comes("r", "ann", "a")
	s.accept("bob", inv.InviteID)
	if _, err := s.who["bob"].ExitRoom(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if !s.live.heard("close r") {
		t.Error("who called waits in an empty room")
	}
}

func TestTheTeacherComesEarly(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	if _, err := s.who["ann"].CreateGroup(t.Context(),
		protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	room := "group_g"
	s.comes(room, "ann", "a")
	s.live.put(room, "ann")
	for range 3 {
		s.passes(time.Duration(im.AloneFor)*time.Millisecond + time.Second)
		eventually(t, "the due calls are looked at", func() bool {
			res, err := s.who["ann"].GetRoom(t.Context(), room)
			return err == nil && res.Call != nil &&
				slices.ContainsFunc(res.Call.People, func(p protocol.CallPerson) bool { return p.Left == 0 })
		})
	}
	s.comes(room, "bob", "b")
	s.passes(10500 * time.Millisecond)
	s.goes(room, "bob", "b")
	s.passes(time.Duration(im.AloneFor)*time.Millisecond + time.Second)
	s.tapes["bob"].Wait("call in group_g of ann,bob for 10")
	res, err := s.who["ann"].GetRoom(t.Context(), room)
	if err != nil || res.Call == nil || res.Call.Count != 1 || s.live.heard("close "+room) {
		t.Errorf("the teacher, who stays, is in %+v, %v", res.Call, err)
	}
}

// TestAnExitSparesTheNextSession: exitRoom removes a session that stays, and not a later session of the same user.
func TestAnExitSparesTheNextSession(t *testing.T) {
	s := newStudio(t, "ann", "bob", "cid")
	s.talk("ann", "bob", "r")
	s.bring("ann", "cid", "r")
	for _, u := range []string{"ann", "bob", "cid"} {
		s.comes("r", u, "1 of "+u)
	}
	session := func(sid string) *livekit.ParticipantInfo {
		return &livekit.ParticipantInfo{Identity: "cid", Sid: sid, State: livekit.ParticipantInfo_ACTIVE}
	}
	exits := func() chan error {
		done := make(chan error, 1)
		go func() {
			_, err := s.who["cid"].ExitRoom(t.Context(), "r")
			done <- err
		}()
		return done
	}
	s.live.enter("r", session("1 of cid"))
	s.live.forget()
	done := exits()
	eventually(t, "the server waits for the client to leave", func() bool { return s.live.heard("look at cid") })
	s.live.enter("r", session("2 of cid"))
	if err := <-done; err != nil || s.live.heard("remove cid") {
		t.Errorf("a user who came back was removed: %v", err)
	}
	if err := <-exits(); err != nil || !s.live.heard("remove cid") {
		t.Errorf("a client that stays was not removed: %v", err)
	}
}
