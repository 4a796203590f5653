// Package document follows the document of the original signaling API, with its names and its order, in one program
// with the Go SDK: the one-to-one call, the group call, the classroom, and the chat room.
package document

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// callData is what the document puts into the data of a call.
type callData struct {
	BusinessID string `json:"businessID"`
	CallType   int    `json:"call_type"`
	RoomID     string `json:"room_id"`
	LineBusy   string `json:"line_busy,omitempty"`
	CallEnd    int64  `json:"call_end,omitempty"`
}

func (d callData) String() string {
	d.BusinessID = "av_call"
	b, _ := json.Marshal(d) // a struct of strings and numbers always encodes
	return string(b)
}

func readCall(t *testing.T, data string) (d callData) {
	t.Helper()
	must(t, json.Unmarshal([]byte(data), &d))
	return d
}

func TestOneToOneCall(t *testing.T) {
	s := newStage(t)
	apps := s.all("alice", "bob")
	alice, bob := apps["alice"], apps["bob"]
	call := func(t *testing.T, data string, timeout int64) string {
		t.Helper()
		res, err := alice.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob", InviteOptions: options(data, timeout)})
		must(t, err)
		bob.wait(t, "onReceiveNewInvitation", res.InviteID)
		return res.InviteID
	}
	var inviteID, room string
	t.Run("step 1: the caller enters a room, then invites with the room ID in the data", func(t *testing.T) {
		in, err := alice.EnterRoom(t.Context(), "call-1", "")
		must(t, err)
		equal(t, "the caller's role", in.Role, im.RoomAnchor)
		inviteID = call(t, callData{CallType: 2, RoomID: "call-1"}.String(), 30)
	})
	t.Run("step 1: the invitee receives onReceiveNewInvitation with the invite ID, the inviter, the list and the data",
		func(t *testing.T) {
			e := bob.wait(t, "onReceiveNewInvitation", inviteID)
			room = readCall(t, e.Data).RoomID
			equal(t, "the inviter", e.Inviter, "alice")
			equal(t, "the group", e.GroupID, "")
			equal(t, "the list", names(e.InviteeList), "bob")
			equal(t, "the room", room, "call-1")
		})
	t.Run("step 2: the room is closed to the invitee until the accept", func(t *testing.T) {
		_, err := bob.EnterRoom(t.Context(), room, "")
		equal(t, "the refusal", code(t, err), im.CodeNotAdmitted)
	})
	t.Run("step 2: the invitee accepts and enters the room, and the caller receives onInviteeAccepted",
		func(t *testing.T) {
			_, err := bob.Accept(t.Context(), inviteID, "yes")
			must(t, err)
			in, err := bob.EnterRoom(t.Context(), room, "")
			must(t, err)
			equal(t, "the invitee's role", in.Role, im.RoomAnchor)
			e := alice.wait(t, "onInviteeAccepted", inviteID, "bob")
			equal(t, "the data", e.Data, "yes")
			equal(t, "the call is answered by all", e.Over, true)
			equal(t, "the room of the invitation", readCall(t, e.InvitationData).RoomID, "call-1")
		})
	t.Run("step 2: the invitee declines, and the caller receives onInviteeRejected", func(t *testing.T) {
		id := call(t, "call", 30)
		_, err := bob.Reject(t.Context(), id, "", "")
		must(t, err)
		equal(t, "the reason", alice.wait(t, "onInviteeRejected", id, "bob").Reason, "declined")
	})
	t.Run("step 3: the invitee is busy, and the caller receives the reason and the data", func(t *testing.T) {
		id := call(t, "call", 30)
		_, err := bob.Reject(t.Context(), id, callData{LineBusy: "line_busy"}.String(), "busy")
		must(t, err)
		e := alice.wait(t, "onInviteeRejected", id, "bob")
		equal(t, "the reason", e.Reason, "busy")
		equal(t, "the data", readCall(t, e.Data).LineBusy, "line_busy")
	})
	t.Run("step 4: the caller cancels, and the invitee receives onInvitationCancelled", func(t *testing.T) {
		id := call(t, "call", 30)
		_, err := alice.Cancel(t.Context(), protocol.CancelRequest{InviteID: id, Data: "never mind"})
		must(t, err)
		e := bob.wait(t, "onInvitationCancelled", id)
		equal(t, "the inviter and the data", e.Inviter+" "+e.Data, "alice never mind")
	})
	t.Run("step 4: nobody answers, and both receive onInvitationTimeout with the list", func(t *testing.T) {
		id := call(t, "call", 1)
		for _, a := range apps {
			equal(t, "the list", names(a.wait(t, "onInvitationTimeout", id).InviteeList), "bob")
		}
	})
	t.Run("step 5: the call ends, and its end is sent as a new invitation that nobody answers", func(t *testing.T) {
		_, err := bob.ExitRoom(t.Context(), room)
		must(t, err)
		end := protocol.InviteOptions{Data: callData{CallEnd: 12}.String(), Notice: true}
		res, err := alice.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob", InviteOptions: end})
		must(t, err)
		e := bob.wait(t, "onReceiveNewInvitation", res.InviteID)
		equal(t, "the duration", readCall(t, e.Data).CallEnd, int64(12))
		equal(t, "a notice that is over", e.Notice && e.Over, true)
		_, err = bob.Accept(t.Context(), res.InviteID, "")
		equal(t, "accepting it", code(t, err), im.CodeOver)
		pad := s.login("bob", "pad", nil)
		pad.barrier(t, alice)
		equal(t, "it rings at a later login", pad.count("onReceiveNewInvitation", res.InviteID), 0)
		equal(t, "it is in the history", slices.Equal(pad.history(t, "c2c_alice", res.InviteID),
			[]protocol.ActionType{protocol.ActionInvite}), true)
	})
}

func TestOneToOneCallElsewhereAndOffline(t *testing.T) {
	s := newStage(t)
	apps := s.all("alice", "bob")
	alice, bob := apps["alice"], apps["bob"]
	invite := func(t *testing.T, from *app, to string, timeout int64) string {
		t.Helper()
		res, err := from.Invite(t.Context(), protocol.InviteRequest{Invitee: to, InviteOptions: options("call", timeout)})
		must(t, err)
		return res.InviteID
	}
	t.Run("two devices ring, one answers, and the other receives that it was handled", func(t *testing.T) {
		pad := s.login("bob", "tablet", nil)
		id := invite(t, alice, "bob", 30)
		pad.wait(t, "onReceiveNewInvitation", id)
		bob.wait(t, "onReceiveNewInvitation", id)
		_, err := bob.Accept(t.Context(), id, "")
		must(t, err)
		equal(t, "the action", pad.wait(t, "onInvitationHandledByOtherDevice", id).Action, "accept")
		_, err = pad.Reject(t.Context(), id, "", "")
		equal(t, "answering a second time", code(t, err), im.CodeOver)
		alice.wait(t, "onInviteeAccepted", id)
		alice.barrier(t, bob)
		equal(t, "answers that the caller received", alice.count("onInviteeAccepted", id)+
			alice.count("onInviteeRejected", id), 1)
	})
	t.Run("an invitee who comes before the deadline receives the invitation", func(t *testing.T) {
		id := invite(t, alice, "carol", 60)
		carol := s.login("carol", "phone", nil)
		equal(t, "the list", names(carol.wait(t, "onReceiveNewInvitation", id).InviteeList), "carol")
		_, err := carol.Accept(t.Context(), id, "")
		must(t, err)
		alice.wait(t, "onInviteeAccepted", id, "carol")
	})
	t.Run("an invitee who comes after the deadline has a missed call and nothing that rings", func(t *testing.T) {
		id := invite(t, alice, "dave", 1)
		alice.wait(t, "onInvitationTimeout", id)
		dave := s.login("dave", "phone", nil)
		dave.barrier(t, alice)
		equal(t, "what rings", dave.count("onReceiveNewInvitation", id), 0)
		equal(t, "the history", slices.Equal(dave.history(t, "c2c_alice", id),
			[]protocol.ActionType{protocol.ActionInvite, protocol.ActionTimeout}), true)
		res, err := dave.GetConversation(t.Context(), "c2c_alice")
		must(t, err)
		equal(t, "unread: the missed call and the notice of this test", res.Conversation.Unread, 2)
	})
	t.Run("an inviter who is gone learns the answer when they come back", func(t *testing.T) {
		store := client.FileStore(filepath.Join(s.t.TempDir(), "erin.json"))
		erin := s.login("erin", "phone", store)
		for _, online := range []bool{false, true} {
			opt := options("call", 60)
			opt.OnlineUserOnly = online
			res, err := erin.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob", InviteOptions: opt})
			must(t, err)
			bob.wait(t, "onReceiveNewInvitation", res.InviteID)
			erin.Close()
			_, err = bob.Reject(t.Context(), res.InviteID, "no", "busy")
			must(t, err)
			erin = s.login("erin", "phone", store)
			e := erin.wait(t, "onInviteeRejected", res.InviteID, "bob")
			equal(t, "reason, data, data of the invitation", e.Reason+" "+e.Data+" "+e.InvitationData, "busy no call")
			erin.Close()
			erin = s.login("erin", "phone", store)
			erin.barrier(t, bob)
			equal(t, "told again after another start", erin.count("onInviteeRejected", res.InviteID), 0)
		}
	})
	t.Run("the deadline passes though the inviter is gone", func(t *testing.T) {
		frank := s.login("frank", "phone", nil)
		id := invite(t, frank, "bob", 1)
		frank.Close()
		equal(t, "the list", names(bob.wait(t, "onInvitationTimeout", id).InviteeList), "bob")
	})
}

func TestGroupCall(t *testing.T) {
	s := newStage(t)
	apps := s.all("alice", "bob", "carol", "dave", "eve")
	alice := apps["alice"]
	_, err := alice.CreateGroup(t.Context(),
		protocol.CreateGroupRequest{GroupID: "team", Type: "Public", MemberList: []string{"bob", "carol", "dave", "eve"}})
	must(t, err)
	invitees := []string{"bob", "carol", "dave"}
	var id string
	t.Run("step 1: the caller enters a room and invites members of the group", func(t *testing.T) {
		_, err := alice.EnterRoom(t.Context(), "group-call", "")
		must(t, err)
		res, err := alice.InviteInGroup(t.Context(),
			protocol.InviteInGroupRequest{GroupID: "team", InviteeList: invitees,
				InviteOptions: options(callData{RoomID: "group-call"}.String(), 3)})
		must(t, err)
		id = res.InviteID
	})
	t.Run("step 1: every member receives onReceiveNewInvitation, and finds out by the list whether they are invited",
		func(t *testing.T) {
			for user, a := range apps {
				if user == "alice" {
					continue
				}
				e := a.wait(t, "onReceiveNewInvitation", id)
				equal(t, "the list", names(e.InviteeList), "bob carol dave")
				equal(t, "the group", e.GroupID, "team")
				equal(t, user+" is invited", slices.Contains(e.InviteeList, user), user != "eve")
			}
		})
	t.Run("step 2: one accepts and enters, and every member receives onInviteeAccepted", func(t *testing.T) {
		_, err := apps["bob"].Accept(t.Context(), id, "")
		must(t, err)
		_, err = apps["bob"].EnterRoom(t.Context(), "group-call", "")
		must(t, err)
		for _, user := range []string{"alice", "carol", "dave", "eve"} {
			equal(t, "over", apps[user].wait(t, "onInviteeAccepted", id, "bob").Over, false)
		}
		_, err = apps["eve"].EnterRoom(t.Context(), "group-call", "")
		equal(t, "entering without an invitation", code(t, err), im.CodeNotAdmitted)
	})
	t.Run("step 3: one is busy, and every member receives onInviteeRejected", func(t *testing.T) {
		_, err := apps["carol"].Reject(t.Context(), id, callData{LineBusy: "line_busy"}.String(), "busy")
		must(t, err)
		for _, user := range []string{"alice", "bob", "dave", "eve"} {
			equal(t, "the reason", apps[user].wait(t, "onInviteeRejected", id, "carol").Reason, "busy")
		}
	})
	t.Run("step 4: one does not answer, and everybody receives onInvitationTimeout with that one", func(t *testing.T) {
		for _, a := range apps {
			e := a.wait(t, "onInvitationTimeout", id)
			equal(t, "the list", names(e.InviteeList), "dave")
			equal(t, "over for all", e.Over, true)
		}
	})
	t.Run("step 5: the last one sends the end of the call to the group", func(t *testing.T) {
		end := protocol.InviteOptions{Data: callData{CallEnd: 5}.String(), Notice: true}
		res, err := alice.InviteInGroup(t.Context(),
			protocol.InviteInGroupRequest{GroupID: "team", InviteeList: invitees, InviteOptions: end})
		must(t, err)
		for _, user := range invitees {
			equal(t, "a notice", apps[user].wait(t, "onReceiveNewInvitation", res.InviteID).Notice, true)
		}
	})
}
