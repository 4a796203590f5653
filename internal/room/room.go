// Package room owns the rules of media rooms that the units of other packages follow: who may name a room in an
// invitation, what an accept grants, and whether a room lives.
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

// AdmissionReads is what judging people at the door of a room looks at.
func AdmissionReads(reads *txn.ReadSet, roomID string, users ...string) {
	reads.Topics = append(reads.Topics, im.RoomTopic(roomID))
	group := im.RoomOfGroup(roomID)
	if group == "" {
		reads.Rooms = append(reads.Rooms, roomID)
	} else {
		reads.Groups = append(reads.Groups, group)
	}
	for _, u := range users {
		reads.Seats = append(reads.Seats, txn.SeatKey{RoomID: roomID, UserID: u})
		if group != "" {
			reads.Members = append(reads.Members, txn.MemberKey{GroupID: group, UserID: u})
		}
	}
}

// hasAdmissionReads reports whether DoorNeed was declared.
func hasAdmissionReads(tx *txn.Tx, roomID string, users ...string) bool {
	for _, u := range users {
		if !tx.HasSeat(txn.SeatKey{RoomID: roomID, UserID: u}) {
			return false
		}
	}
	return len(tx.Missing([]string{im.RoomTopic(roomID)})) == 0
}

// LoadAdmission is somebody at the door of a room whose DoorNeed was declared.
func LoadAdmission(tx *txn.Tx, policy im.RoomPolicy, roomID, user string) im.Admission {
	a := im.Admission{Policy: policy, UserID: user, Seat: tx.Seat(roomID, user)}
	if group := im.RoomOfGroup(roomID); group == "" {
		a.Room = tx.Room(roomID)
	} else if a.Group = tx.Group(group); a.Group == nil {
		a.Group = &im.Group{ID: group, Dismissed: true}
	} else {
		a.Member = tx.Member(group, user)
	}
	return a
}

// Awaited reports whether an invitation into a room is open, and until when at the latest; 0 = without an end.
func Awaited(tx *txn.Tx, roomID string) (until int64, waits bool, err error) {
	if !tx.HasOpenInRoom(roomID) {
		return 0, false, &txn.NeedReads{Reads: txn.ReadSet{OpenInRoom: []string{roomID}}}
	}
	until, waits = tx.AwaitedIn(roomID)
	return until, waits, nil
}

// Living returns a room while it lives, or nil, and its row. One that nobody has been in for too long, and whose end
// was not written yet, lives no more: the rule decides, not the timer. With a call that goes on the timer decides,
// which writes its record.
func Living(tx *txn.Tx, roomID string) (living, row *im.Room, err error) {
	r := tx.Room(roomID)
	if !r.Lives() {
		return nil, r, nil
	}
	if !r.Deserted(tx.Now) || tx.CallIn(roomID) != nil {
		return r, r, nil
	}
	if _, waits, err := Awaited(tx, roomID); waits || err != nil {
		return r, r, err
	}
	r.End(tx.Now)
	return nil, r, nil
}

// GrantSeat writes what somebody is granted in a room, and tells of it: in a standing room all members, else that
// person.
func GrantSeat(tx *txn.Tx, by rpc.Caller, roomID, user string, role im.RoomRole) error {
	group := im.RoomOfGroup(roomID)
	topic := im.UserTopic(user)
	if group != "" {
		topic = im.GroupTopic(group)
	}
	if err := tx.Require(topic); err != nil {
		return err
	}
	putSeat(tx, roomID, user, role)
	tx.Append(topic, txn.Draft{Device: by.Origin(), Body: &rpc.Event{Value: protocol.RoomEvent{
		Type: protocol.TypeRoom, RoomID: roomID, GroupID: group, UserID: user, Role: role, By: by.UserID, Time: tx.Now}}})
	return nil
}

// putSeat writes a seat of this life of a room.
func putSeat(tx *txn.Tx, roomID, user string, role im.RoomRole) {
	at := tx.Now
	if r := tx.Room(roomID); r != nil {
		at = max(at, r.CreatedAt)
	}
	tx.PutSeat(im.Seat{RoomID: roomID, UserID: user, Role: role, At: at})
}

// Name gives an invitation without a roomID the room that its inviter opened by entering, the latest that lives.
func Name(tx *txn.Tx, t *invite.Terms) error {
	if t.RoomID != "" || t.Notice {
		return nil
	}
	if !tx.HasOpenedBy(t.Inviter) {
		return &txn.NeedReads{Reads: txn.ReadSet{OpenedBy: []string{t.Inviter}}}
	}
	for _, r := range tx.OpenedBy(t.Inviter) {
		if !hasAdmissionReads(tx, r.ID, t.Inviter) {
			reads := txn.ReadSet{CallIn: []string{r.ID}}
			AdmissionReads(&reads, r.ID, t.Inviter)
			return &txn.NeedReads{Reads: reads}
		}
		living, _, err := Living(tx, r.ID)
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

// MayName refuses a roomID that its inviter may not invite into: the room of others. Whoever may only listen may ask a
// host.
func MayName(tx *txn.Tx, policy im.RoomPolicy, t *invite.Terms, invitees []string) error {
	if t.RoomID == "" || t.Notice {
		return nil
	}
	if im.RoomOfGroup(t.RoomID) == "" {
		living, _, err := Living(tx, t.RoomID)
		if living == nil || err != nil {
			return err
		}
	}
	at := LoadAdmission(tx, policy, t.RoomID, t.Inviter)
	if at.MayBring() {
		return nil
	}
	if at.MayAsk() && len(invitees) <= maxAsked {
		if !hasAdmissionReads(tx, t.RoomID, invitees...) {
			var reads txn.ReadSet
			AdmissionReads(&reads, t.RoomID, invitees...)
			return &txn.NeedReads{Reads: reads}
		}
		for _, u := range invitees {
			if them := LoadAdmission(tx, policy, t.RoomID, u); them.Host() {
				return nil
			}
		}
	}
	return &im.Error{Code: im.CodeRoomTaken, Field: "roomID",
		Message: "this room is in use, and you may not invite into it; take another roomID, or ask one of its hosts"}
}

// Make opens the room of an invitation, owned by its inviter, unless it lives already.
func Make(tx *txn.Tx, v *invite.Invitation) error {
	if v.RoomID == "" || v.Over() || im.RoomOfGroup(v.RoomID) != "" {
		return nil
	}
	living, row, err := Living(tx, v.RoomID)
	if err != nil {
		return err
	}
	call := tx.CallIn(v.RoomID)
	if living == nil {
		r := im.Room{ID: v.RoomID, Owner: v.Inviter, InviteID: v.ID, Latest: v.ID}
		if r.Open(row, tx.Now); call != nil { // people are in a room that nobody opened
			r.Occupy(call.Present, tx.Now)
			BelongTo(call, &r, v)
			tx.PutCall(*call)
		}
		tx.PutRoom(r)
		tx.PutSeat(im.Seat{RoomID: v.RoomID, UserID: v.Inviter, Role: im.RoomAnchor, At: r.CreatedAt})
		return nil
	}
	if living.Latest = v.ID; living.InviteID == "" {
		living.InviteID = v.ID
	}
	if living.InviteID == v.ID && call != nil { // they were in before the first invitation
		BelongTo(call, living, v)
		tx.PutCall(*call)
	}
	if living.CheckAt != 0 {
		living.CheckAt = tx.Now + im.AloneFor
	}
	tx.PutRoom(*living)
	return nil
}

// BelongTo says whose conversation a call belongs to: that of the first invitation into its room.
func BelongTo(c *im.Call, r *im.Room, v *invite.Invitation) {
	c.InviteID, c.Owner = r.InviteID, r.Owner
	if v == nil {
		return
	}
	if c.Owner, c.GroupID = v.Inviter, v.GroupID; !v.OwnTopic {
		c.Peer = v.Peer
	}
}

// SeatReads is what an accept looks at for the room of its invitation.
func SeatReads(reads *txn.ReadSet, roomID, inviter, invitee string) {
	AdmissionReads(reads, roomID, inviter, invitee)
	reads.CallIn = append(reads.CallIn, roomID)
	reads.InCall = append(reads.InCall, txn.SeatKey{RoomID: roomID, UserID: inviter})
}

// Grant gives an invitee who accepts a grant for the room of the invitation. If the inviter had no right to add people
// and asked a host, the accept gives the grant to the inviter, unless the inviter has left since.
func Grant(tx *txn.Tx, policy im.RoomPolicy, v *invite.Invitation, by rpc.Caller, invitee string) error {
	if v.RoomID == "" {
		return nil
	}
	if !hasAdmissionReads(tx, v.RoomID, v.Inviter, invitee) {
		var reads txn.ReadSet
		SeatReads(&reads, v.RoomID, v.Inviter, invitee)
		return &txn.NeedReads{Reads: reads}
	}
	if r := tx.Room(v.RoomID); r.Lives() && r.EmptyAt != 0 && ofLife(r, v) { // they are on the way in
		r.Occupy(0, tx.Now)
		tx.PutRoom(*r)
	}
	inviter, mine := LoadAdmission(tx, policy, v.RoomID, v.Inviter), LoadAdmission(tx, im.RoomInvited, v.RoomID, invitee)
	who := ""
	switch {
	case mine.Room != nil && !ofLife(mine.Room, v):
		return nil
	case inviter.MayBring() && mine.Role() != im.RoomAnchor:
		who = invitee
	case inviter.MayAsk() && mine.Host() && !hasLeft(tx, v):
		who = v.Inviter
	default:
		return nil
	}
	if s := tx.Seat(v.RoomID, who); s != nil && s.At > v.CreatedAt {
		return nil // a host has spoken since this invitation was made
	}
	if im.RoomOfGroup(v.RoomID) != "" {
		return GrantSeat(tx, by, v.RoomID, who, im.RoomAnchor)
	}
	putSeat(tx, v.RoomID, who, im.RoomAnchor) // the accept says it already
	return nil
}

// ofLife reports whether an invitation is into this life of a room, not into an earlier one.
func ofLife(r *im.Room, v *invite.Invitation) bool {
	return r.CreatedAt <= v.CreatedAt || r.InviteID == v.ID || r.Latest == v.ID
}

// hasLeft reports whether the inviter went out of the room since they asked.
func hasLeft(tx *txn.Tx, v *invite.Invitation) bool {
	c := tx.CallIn(v.RoomID)
	if c == nil {
		return false
	}
	p := tx.Participant(c.ID, v.Inviter)
	return p.JoinedAt == 0 && p.LeftAt > v.CreatedAt
}
