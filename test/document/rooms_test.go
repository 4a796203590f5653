package document

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

func TestClassroom(t *testing.T) {
	s := newStage(t)
	apps := s.all("teacher", "s1", "s2", "s3")
	teacher := apps["teacher"]
	students := []string{"s1", "s2", "s3", "s4"}
	_, err := teacher.CreateGroup(t.Context(),
		protocol.CreateGroupRequest{GroupID: "class", Type: "Public", MemberList: students})
	must(t, err)
	room := im.GroupConversation("class")
	ask := func(t *testing.T, data string, list ...string) string {
		t.Helper()
		req := protocol.InviteInGroupRequest{GroupID: "class", InviteeList: list, Everyone: len(list) == 0,
			InviteOptions: options(data, 60)}
		if data == "speak" {
			req.RoomID = room
		}
		res, err := teacher.InviteInGroup(t.Context(), req)
		must(t, err)
		return res.InviteID
	}
	var hands string
	t.Run("step 1: the teacher invites all students, and says in the data that it is hand raising", func(t *testing.T) {
		hands = ask(t, "hands")
	})
	t.Run("step 2: the students receive it, and the list is the same live, after a late login and after a restart",
		func(t *testing.T) {
			store := client.FileStore(filepath.Join(s.t.TempDir(), "s4.json"))
			late := s.login("s4", "phone", store)
			again := func() *app {
				late.wait(t, "onReceiveNewInvitation", hands)
				late.Close()
				return s.login("s4", "phone", store)
			}()
			apps["s4"] = again
			for _, a := range []*app{apps["s1"], late, again} {
				e := a.wait(t, "onReceiveNewInvitation", hands)
				equal(t, "the list", names(e.InviteeList), "s1 s2 s3 s4")
				equal(t, "everyone", e.Everyone, true)
				equal(t, "how many", e.InviteeCount, 4)
				equal(t, "the operation", e.InvitationData, "hands")
			}
		})
	t.Run("step 3: a student raises a hand by accepting, and everybody receives onInviteeAccepted", func(t *testing.T) {
		for _, student := range []string{"s1", "s2"} {
			_, err := apps[student].Accept(t.Context(), hands, "")
			must(t, err)
			for user, a := range apps {
				if user != student {
					equal(t, "the operation", a.wait(t, "onInviteeAccepted", hands, student).InvitationData, "hands")
				}
			}
		}
	})
	t.Run("step 3: a student does not want to, and everybody receives onInviteeRejected", func(t *testing.T) {
		_, err := apps["s3"].Reject(t.Context(), hands, "", "")
		must(t, err)
		apps["s1"].wait(t, "onInviteeRejected", hands, "s3")
		teacher.wait(t, "onInviteeRejected", hands, "s3")
	})
	t.Run("step 4: the teacher lowers all hands, and everybody receives the end, nobody another's as their own",
		func(t *testing.T) {
			_, err := teacher.Cancel(t.Context(), protocol.CancelRequest{InviteID: hands})
			must(t, err)
			for _, student := range students {
				e := apps[student].wait(t, "onInvitationCancelled", hands)
				equal(t, "over", e.Over, true)
				equal(t, "it ends for "+student, slices.Contains(e.InviteeList, student), student == "s4")
			}
		})
	t.Run("step 4: when all have answered, the teacher may ask again", func(t *testing.T) {
		first := ask(t, "hands", "s1", "s2")
		for _, student := range []string{"s1", "s2"} {
			_, err := apps[student].Accept(t.Context(), first, "")
			must(t, err)
		}
		teacher.waitFor(t, "the last answer", func() bool {
			return slices.ContainsFunc(teacher.got, func(c callback) bool { return c.InviteID == first && c.Over })
		})
		ask(t, "hands", "s1", "s2")
	})
	t.Run("step 5: the teacher invites one student to speak, and every member receives it", func(t *testing.T) {
		id := ask(t, "speak", "s1")
		equal(t, "the operation", apps["s2"].wait(t, "onReceiveNewInvitation", id).InvitationData, "speak")
		_, err := apps["s1"].Accept(t.Context(), id, "")
		must(t, err)
		equal(t, "the operation", apps["s2"].wait(t, "onInviteeAccepted", id, "s1").InvitationData, "speak")
	})
	t.Run("step 6: that student enters as a speaker, the others as listeners", func(t *testing.T) {
		for user, want := range map[string]im.RoomRole{"teacher": im.RoomAnchor, "s1": im.RoomAnchor, "s2": im.RoomAudience} {
			in, err := apps[user].EnterRoom(t.Context(), room, "")
			must(t, err)
			equal(t, "the role of "+user, in.Role, want)
		}
	})
	t.Run("step 6: the teacher takes the microphone back, and every member receives it", func(t *testing.T) {
		_, err := teacher.SetRoomRole(t.Context(), room, "s1", im.RoomAudience)
		must(t, err)
		apps["s3"].role(t, "s1", im.RoomAudience)
	})
}

// role waits until a program has received the role of a user in a room.
func (a *app) role(t *testing.T, user string, role im.RoomRole) {
	t.Helper()
	a.waitFor(t, "the role of "+user, func() bool {
		return slices.ContainsFunc(a.roles, func(e protocol.RoomEvent) bool { return e.UserID == user && e.Role == role })
	})
}

func TestChatRoom(t *testing.T) {
	s := newStage(t)
	apps := s.all("host", "ann", "ben", "cat")
	host := apps["host"]
	_, err := host.CreateGroup(t.Context(),
		protocol.CreateGroupRequest{GroupID: "salon", Type: "Public", MemberList: []string{"ann", "ben", "cat"}})
	must(t, err)
	room := im.GroupConversation("salon")
	ask := func(t *testing.T, user string) string {
		t.Helper()
		opt := options(`{"salon_type":"raiseHand"}`, 60)
		opt.RoomID = room
		res, err := apps[user].Invite(t.Context(), protocol.InviteRequest{Invitee: "host", InviteOptions: opt})
		must(t, err)
		host.wait(t, "onReceiveNewInvitation", res.InviteID)
		return res.InviteID
	}
	seats := func(t *testing.T) string {
		t.Helper()
		v, err := host.GetRoom(t.Context(), room)
		must(t, err)
		var list []string
		for _, seat := range v.Seats {
			if seat.Role == im.RoomAnchor && seat.UserID != "host" {
				list = append(list, seat.UserID)
			}
		}
		return names(list)
	}
	t.Run("a listener asks the host for a seat, the host grants it, and every member receives it", func(t *testing.T) {
		id := ask(t, "ann")
		_, err := host.Accept(t.Context(), id, `{"salon_type":"agreeToSpeak"}`)
		must(t, err)
		equal(t, "the answer", apps["ann"].wait(t, "onInviteeAccepted", id, "host").Data, `{"salon_type":"agreeToSpeak"}`)
		apps["ben"].role(t, "ann", im.RoomAnchor)
		equal(t, "the seats", seats(t), "ann")
	})
	t.Run("the host refuses a seat", func(t *testing.T) {
		id := ask(t, "ben")
		_, err := host.Reject(t.Context(), id, `{"salon_type":"refuseToSpeak"}`, "")
		must(t, err)
		equal(t, "the answer", apps["ben"].wait(t, "onInviteeRejected", id, "host").Data, `{"salon_type":"refuseToSpeak"}`)
	})
	t.Run("a listener takes the request back", func(t *testing.T) {
		id := ask(t, "ben")
		_, err := apps["ben"].Cancel(t.Context(), protocol.CancelRequest{InviteID: id})
		must(t, err)
		host.wait(t, "onInvitationCancelled", id)
		_, err = host.Accept(t.Context(), id, "")
		equal(t, "granting it then", code(t, err), im.CodeOver)
	})
	t.Run("a speaker leaves the seat, and every member receives it", func(t *testing.T) {
		_, err := apps["ann"].SetRoomRole(t.Context(), room, "ann", im.RoomAudience)
		must(t, err)
		apps["cat"].role(t, "ann", im.RoomAudience)
		equal(t, "the seats", seats(t), "")
	})
	t.Run("the host takes a seat back", func(t *testing.T) {
		id := ask(t, "cat")
		_, err := host.Accept(t.Context(), id, "")
		must(t, err)
		apps["ben"].role(t, "cat", im.RoomAnchor)
		_, err = host.SetRoomRole(t.Context(), room, "cat", im.RoomAudience)
		must(t, err)
		apps["ben"].role(t, "cat", im.RoomAudience)
	})
	t.Run("the host removes a listener, who may not enter again", func(t *testing.T) {
		_, err := host.SetRoomRole(t.Context(), room, "cat", im.RoomNobody)
		must(t, err)
		_, err = apps["cat"].EnterRoom(t.Context(), room, "")
		equal(t, "entering", code(t, err), im.CodeNotAdmitted)
	})
	t.Run("a seat is not granted to someone who has left, nor kept by someone who leaves", func(t *testing.T) {
		id := ask(t, "ann")
		_, err := host.Accept(t.Context(), id, "")
		must(t, err)
		apps["ben"].role(t, "ann", im.RoomAnchor)
		_, err = apps["ann"].QuitGroup(t.Context(), "salon")
		must(t, err)
		equal(t, "the seats", seats(t), "")
		id = ask(t, "ben")
		_, err = apps["ben"].QuitGroup(t.Context(), "salon")
		must(t, err)
		_, _ = host.Accept(t.Context(), id, "") // whether it is over by then or not
		equal(t, "the seats", seats(t), "")
	})
}
