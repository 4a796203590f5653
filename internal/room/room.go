// Package room owns the rules of media rooms that the units of other packages follow: who may name a room in an invitation, what an
// accept grants, and whether a room lives.
//
// It never talks to the media server: that is media's.
package room

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// maxAsked bounds the invitees of an invitation that asks the hosts of a room to speak there.
const maxAsked = 100

// DoorNeed is what judging people at the door of a room looks at.
func DoorNeed(need *txn.Need, roomID string, users ...string) {
	need.Topics = append(need.Topics, im.RoomTopic(roomID))
	group := im.RoomOfGroup(roomID)
	if group == "" {
		need.Rooms = append(need.Rooms, roomID)
	} else {
		need.Groups = append(need.Groups, group)
	}
	for _, u := range users {
		need.Seats = append(need.Seats, txn.SeatKey{RoomID: roomID, UserID: u})
		if group != "" {
			need.Members = append(need.Members, txn.MemberKey{GroupID: group, UserID: u})
		}
	}
}

// knowsDoor reports whether DoorNeed was declared.
func knowsDoor(w *txn.World, roomID string, users ...string) bool {
	for _, u := range users {
		if !w.HasSeat(txn.SeatKey{RoomID: roomID, UserID: u}) {
			return false
		}
	}
	return len(w.Missing([]string{im.RoomTopic(roomID)})) == 0
}

// AtDoor is somebody at the door of a room whose DoorNeed was declared.
func AtDoor(w *txn.World, policy im.RoomPolicy, roomID, user string) im.Admission {
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

// Awaited reports whether an invitation into a room is open, and until when at the latest; 0 = without an end.
func Awaited(w *txn.World, roomID string) (until int64, waits bool, err error) {
	if !w.HasOpenInRoom(roomID) {
		return 0, false, &txn.More{Need: txn.Need{OpenInRoom: []string{roomID}}}
	}
	until, waits = w.AwaitedIn(roomID)
	return until, waits, nil
}

// Living returns a room while it lives, or nil, and its row. One that nobody has been in for too long, and whose end was not
// written yet, lives no more: the rule decides, not the timer. With a call that goes on the timer decides, which writes its record.
func Living(w *txn.World, roomID string) (living, row *im.Room, err error) {
	r := w.Room(roomID)
	if !r.Lives() {
		return nil, r, nil
	}
	if !r.Deserted(w.Now) || w.CallIn(roomID) != nil {
		return r, r, nil
	}
	if _, waits, err := Awaited(w, roomID); waits || err != nil {
		return r, r, err
	}
	r.End(w.Now)
	return nil, r, nil
}

// SeatPerson writes what somebody is granted in a room, and tells of it: in a standing room all members, else that person.
func SeatPerson(w *txn.World, by rpc.Caller, roomID, user string, role im.RoomRole) error {
	group := im.RoomOfGroup(roomID)
	topic := im.UserTopic(user)
	if group != "" {
		topic = im.GroupTopic(group)
	}
	if missing := w.Missing([]string{topic}); len(missing) > 0 {
		return &txn.More{Need: txn.Need{Topics: missing}}
	}
	putSeat(w, roomID, user, role)
	w.Append(topic, txn.Draft{Device: by.Origin(), Body: &rpc.Event{Value: protocol.RoomEvent{
		Type: protocol.TypeRoom, RoomID: roomID, GroupID: group, UserID: user, Role: role, By: by.UserID, Time: w.Now}}})
	return nil
}

// putSeat writes a seat of this life of a room.
func putSeat(w *txn.World, roomID, user string, role im.RoomRole) {
	at := w.Now
	if r := w.Room(roomID); r != nil {
		at = max(at, r.CreatedAt)
	}
	w.PutSeat(im.Seat{RoomID: roomID, UserID: user, Role: role, At: at})
}

// Name gives an invitation without a roomID the room that its inviter opened by entering, the latest that lives.
func Name(w *txn.World, t *invite.Terms) error {
	if t.RoomID != "" || t.Notice {
		return nil
	}
	if !w.HasOpenedBy(t.Inviter) {
		return &txn.More{Need: txn.Need{OpenedBy: []string{t.Inviter}}}
	}
	for _, r := range w.OpenedBy(t.Inviter) {
		if !knowsDoor(w, r.ID, t.Inviter) {
			need := txn.Need{CallIn: []string{r.ID}}
			DoorNeed(&need, r.ID, t.Inviter)
			return &txn.More{Need: need}
		}
		living, _, err := Living(w, r.ID)
		if err != nil {
			return err
		}
		if living != nil {
			t.RoomID = r.ID
			return nil
		}
	}
	return nil
}

// MayName refuses a roomID that its inviter may not invite into: the room of others. Whoever may only listen may ask a host.
func MayName(w *txn.World, policy im.RoomPolicy, t *invite.Terms, invitees []string) error {
	if t.RoomID == "" || t.Notice {
		return nil
	}
	if im.RoomOfGroup(t.RoomID) == "" {
		living, _, err := Living(w, t.RoomID)
		if living == nil || err != nil {
			return err
		}
	}
	at := AtDoor(w, policy, t.RoomID, t.Inviter)
	if at.MayBring() {
		return nil
	}
	if at.MayAsk() && len(invitees) <= maxAsked {
		if !knowsDoor(w, t.RoomID, invitees...) {
			var need txn.Need
			DoorNeed(&need, t.RoomID, invitees...)
			return &txn.More{Need: need}
		}
		for _, u := range invitees {
			if them := AtDoor(w, policy, t.RoomID, u); them.Host() {
				return nil
			}
		}
	}
	return &im.Error{Code: im.CodeRoomTaken, Field: "roomID",
		Message: "this room is in use, and you may not invite into it; take another roomID, or ask one of its hosts"}
}

// Make opens the room of an invitation, owned by its inviter, unless it lives already.
func Make(w *txn.World, v *invite.Invitation) error {
	if v.RoomID == "" || v.Over() || im.RoomOfGroup(v.RoomID) != "" {
		return nil
	}
	living, row, err := Living(w, v.RoomID)
	if err != nil {
		return err
	}
	call := w.CallIn(v.RoomID)
	if living == nil {
		r := im.Room{ID: v.RoomID, Owner: v.Inviter, InviteID: v.ID, Latest: v.ID}
		if r.Open(row, w.Now); call != nil { // people are in a room that nobody opened
			r.Occupy(call.Present, w.Now)
			BelongTo(call, &r, v)
			w.PutCall(*call)
		}
		w.PutRoom(r)
		w.PutSeat(im.Seat{RoomID: v.RoomID, UserID: v.Inviter, Role: im.RoomAnchor, At: r.CreatedAt})
		return nil
	}
	if living.Latest = v.ID; living.InviteID == "" {
		living.InviteID = v.ID
	}
	if living.InviteID == v.ID && call != nil { // they were in before the first invitation
		BelongTo(call, living, v)
		w.PutCall(*call)
	}
	if living.CheckAt != 0 {
		living.CheckAt = w.Now + im.AloneFor
	}
	w.PutRoom(*living)
	return nil
}

// BelongTo says whose conversation a call belongs to: that of the first invitation into its room.
func BelongTo(c *im.Call, r *im.Room, v *invite.Invitation) {
	c.InviteID, c.Owner = r.InviteID, r.Owner
	if v == nil {
		return
	}
	if c.Owner, c.GroupID = v.Inviter, v.GroupID; !v.Party {
		c.Peer = v.Peer
	}
}

// SeatNeed is what an accept looks at for the room of its invitation.
func SeatNeed(need *txn.Need, roomID, inviter, invitee string) {
	DoorNeed(need, roomID, inviter, invitee)
	need.CallIn = append(need.CallIn, roomID)
	need.InCall = append(need.InCall, txn.SeatKey{RoomID: roomID, UserID: inviter})
}

// Grant gives an invitee who accepts a grant for the room of the invitation. If the inviter had no right to add people and asked a
// host, the accept gives the grant to the inviter, unless the inviter has left since.
func Grant(w *txn.World, policy im.RoomPolicy, v *invite.Invitation, by rpc.Caller, invitee string) error {
	if v.RoomID == "" {
		return nil
	}
	if !knowsDoor(w, v.RoomID, v.Inviter, invitee) {
		var need txn.Need
		SeatNeed(&need, v.RoomID, v.Inviter, invitee)
		return &txn.More{Need: need}
	}
	if r := w.Room(v.RoomID); r.Lives() && r.EmptyAt != 0 && ofLife(r, v) { // they are on the way in
		r.Occupy(0, w.Now)
		w.PutRoom(*r)
	}
	inviter, mine := AtDoor(w, policy, v.RoomID, v.Inviter), AtDoor(w, im.RoomInvited, v.RoomID, invitee)
	who := ""
	switch {
	case mine.Room != nil && !ofLife(mine.Room, v):
		return nil
	case inviter.MayBring() && mine.Role() != im.RoomAnchor:
		who = invitee
	case inviter.MayAsk() && mine.Host() && !hasLeft(w, v):
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
	putSeat(w, v.RoomID, who, im.RoomAnchor) // the accept says it already
	return nil
}

// ofLife reports whether an invitation is into this life of a room, not into an earlier one.
func ofLife(r *im.Room, v *invite.Invitation) bool {
	return r.CreatedAt <= v.CreatedAt || r.InviteID == v.ID || r.Latest == v.ID
}

// hasLeft reports whether the inviter went out of the room since they asked.
func hasLeft(w *txn.World, v *invite.Invitation) bool {
	c := w.CallIn(v.RoomID)
	if c == nil {
		return false
	}
	p := w.Participant(c.ID, v.Inviter)
	return p.JoinedAt == 0 && p.LeftAt > v.CreatedAt
}
