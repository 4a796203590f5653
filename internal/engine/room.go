package engine

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// DoorNeed is what judging people at the door of a room looks at.
func DoorNeed(need *world.Need, roomID string, users ...string) {
	need.Topics = append(need.Topics, im.RoomTopic(roomID))
	group := im.RoomOfGroup(roomID)
	if group == "" {
		need.Rooms = append(need.Rooms, roomID)
	} else {
		need.Groups = append(need.Groups, group)
	}
	for _, u := range users {
		need.Seats = append(need.Seats, world.SeatKey{RoomID: roomID, UserID: u})
		if group != "" {
			need.Members = append(need.Members, world.MemberKey{GroupID: group, UserID: u})
		}
	}
}

// AtDoor is somebody at the door of a room whose DoorNeed was declared.
func AtDoor(w *world.World, policy im.RoomPolicy, roomID, user string) im.Admission {
	a := im.Admission{Policy: policy, UserID: user, Seat: w.Seat(roomID, user)}
	if group := im.RoomOfGroup(roomID); group == "" {
		a.Room = w.Room(roomID)
	} else if a.Group = w.Group(group); a.Group == nil {
		a.Group = &im.Group{ID: group, Dismissed: true}
	} else {
		a.Member = w.Member(group, user)
	}
	return a
}

// SeatPerson writes what somebody is granted in a room, and tells of it: in a standing room all members, else that person.
func SeatPerson(w *world.World, by verb.Caller, roomID, user string, role im.RoomRole) error {
	group := im.RoomOfGroup(roomID)
	topic := im.UserTopic(user)
	if group != "" {
		topic = im.GroupTopic(group)
	}
	if missing := w.Missing([]string{topic}); len(missing) > 0 {
		return &world.More{Need: world.Need{Topics: missing}}
	}
	w.PutSeat(im.Seat{RoomID: roomID, UserID: user, Role: role, At: w.Now})
	w.Append(topic, world.Draft{Device: by.Origin(), Body: &verb.Event{Value: protocol.RoomEvent{
		Type: protocol.TypeRoom, RoomID: roomID, GroupID: group, UserID: user, Role: role, By: by.UserID, Time: w.Now}}})
	return nil
}

// makeRoom lets the first who invites into a room own it, and notes who is waited for there.
func makeRoom(w *world.World, v *invite.Invitation) {
	if v.RoomID == "" || im.RoomOfGroup(v.RoomID) != "" {
		return
	}
	if r := w.Room(v.RoomID); r != nil {
		if at := AtDoor(w, im.RoomInvited, v.RoomID, v.Inviter); at.MayBring() {
			r.Latest = v.ID
			w.PutRoom(*r)
		}
		return
	}
	if w.CallIn(v.RoomID) != nil {
		return // an open room in which people are already is nobody's to take
	}
	w.PutRoom(im.Room{ID: v.RoomID, Owner: v.Inviter, InviteID: v.ID, Latest: v.ID, CreatedAt: w.Now})
	w.PutSeat(im.Seat{RoomID: v.RoomID, UserID: v.Inviter, Role: im.RoomAnchor, At: w.Now})
}

// seat opens the room of an invitation to who accepts it. When it was a request, made by somebody who may not bring people to
// somebody who decides there, the accept opens it to the inviter.
func seat(w *world.World, v *invite.Invitation, by verb.Caller, invitee string) error {
	if v.RoomID == "" {
		return nil
	}
	if !w.HasSeat(world.SeatKey{RoomID: v.RoomID, UserID: v.Inviter}) || !w.HasSeat(world.SeatKey{RoomID: v.RoomID, UserID: invitee}) {
		var need world.Need
		DoorNeed(&need, v.RoomID, v.Inviter, invitee)
		return &world.More{Need: need}
	}
	inviter, mine := AtDoor(w, im.RoomInvited, v.RoomID, v.Inviter), AtDoor(w, im.RoomInvited, v.RoomID, invitee)
	who := ""
	switch {
	case inviter.MayBring() && mine.Role() != im.RoomAnchor:
		who = invitee
	case !inviter.MayBring() && mine.Host() && inviter.Role() != im.RoomAnchor:
		who = v.Inviter
	default:
		return nil
	}
	if s := w.Seat(v.RoomID, who); s != nil && s.At > v.CreatedAt {
		return nil // a host has spoken since this invitation was made
	}
	if im.RoomOfGroup(v.RoomID) != "" {
		return SeatPerson(w, by, v.RoomID, who, im.RoomAnchor)
	}
	w.PutSeat(im.Seat{RoomID: v.RoomID, UserID: who, Role: im.RoomAnchor, At: w.Now}) // the accept says it already
	return nil
}
