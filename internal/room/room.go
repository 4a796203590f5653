// Package room implements the rules of media rooms within the transactions of other packages: user may name a room in
// an invitation, the grant of an accept, and the life of a room.
//
// It never calls the media server; package media does.
package room

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// maxAsked bounds the invitees of an invitation that asks the hosts of a room for permission to speak.
const maxAsked = 100

// AdmissionReads adds the reads of LoadAdmission for these users.
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

// hasAdmissionReads reports whether AdmissionReads was declared for these users.
func hasAdmissionReads(tx *txn.Tx, roomID string, users ...string) bool {
	for _, u := range users {
		if !tx.HasSeat(txn.SeatKey{RoomID: roomID, UserID: u}) {
			return false
		}
	}
	return len(tx.Missing([]string{im.RoomTopic(roomID)})) == 0
}

// LoadAdmission returns the facts that decide whether a user may enter a room. AdmissionReads must be declared.
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

// Awaited reports whether an invitation into a room is open, and until when at the latest, in milliseconds; 0: no
// end.
func Awaited(tx *txn.Tx, roomID string) (until int64, waits bool, err error) {
	if !tx.HasOpenInRoom(roomID) {
		return 0, false, &txn.NeedReads{Reads: txn.ReadSet{OpenInRoom: []string{roomID}}}
	}
	until, waits = tx.AwaitedIn(roomID)
	return until, waits, nil
}

// Living returns a room while it lives, or nil, and its row. A room empty for too long, whose end is not written yet,
// no longer lives: the rule decides, not the timer. A room with an ongoing call ends by the timer, which writes the
// call record.
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

// GrantSeat writes a user's role in a room, and announces it: in a group's room to all members, otherwise to the
// user.
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

// putSeat writes a seat in the current life of a room.
func putSeat(tx *txn.Tx, roomID, user string, role im.RoomRole) {
	at := tx.Now
	if r := tx.Room(roomID); r != nil {
		at = max(at, r.CreatedAt)
	}
	tx.PutSeat(im.Seat{RoomID: roomID, UserID: user, Role: role, At: at})
}

// Name gives an invitation without a roomID the latest living room that its inviter opened by entering.
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

// MayName refuses an inviter that may not invite into the roomID, because the room belongs to others. A user that may
// only listen may invite a host to ask for permission to speak.
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
		Message: "this room is in use, and you may not invite into it; use another roomID, or ask one of its hosts"}
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
		if r.Open(row, tx.Now); call != nil { // users entered the room before it was opened
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
	if living.InviteID == v.ID && call != nil { // the call began before the first invitation
		BelongTo(call, living, v)
		tx.PutCall(*call)
	}
	if living.CheckAt != 0 {
		living.CheckAt = tx.Now + im.AloneFor
	}
	tx.PutRoom(*living)
	return nil
}

// BelongTo sets the conversation of a call: that of the first invitation into its room.
func BelongTo(c *im.Call, r *im.Room, v *invite.Invitation) {
	c.InviteID, c.Owner = r.InviteID, r.Owner
	if v == nil {
		return
	}
	if c.Owner, c.GroupID = v.Inviter, v.GroupID; !v.OwnTopic {
		c.Peer = v.Peer
	}
}

// SeatReads adds the reads of an accept for the room of its invitation.
func SeatReads(reads *txn.ReadSet, roomID, inviter, invitee string) {
	AdmissionReads(reads, roomID, inviter, invitee)
	reads.CallIn = append(reads.CallIn, roomID)
	reads.InCall = append(reads.InCall, txn.SeatKey{RoomID: roomID, UserID: inviter})
}

// Grant gives an invitee that accepts a seat in the room of the invitation. If the inviter may not add users and
// asked a host, the accept gives the seat to the inviter, unless the inviter has left since.
func Grant(tx *txn.Tx, policy im.RoomPolicy, v *invite.Invitation, by rpc.Caller, invitee string) error {
	if v.RoomID == "" {
		return nil
	}
	if !hasAdmissionReads(tx, v.RoomID, v.Inviter, invitee) {
		var reads txn.ReadSet
		SeatReads(&reads, v.RoomID, v.Inviter, invitee)
		return &txn.NeedReads{Reads: reads}
	}
	if r := tx.Room(v.RoomID); r.Lives() && r.EmptyAt != 0 && ofLife(r, v) { // the invitee is about to enter
		r.Occupy(0, tx.Now)
		tx.PutRoom(*r)
	}
	user := granted(tx, policy, v, invitee)
	if user == "" {
		return nil
	}
	if im.RoomOfGroup(v.RoomID) != "" {
		return GrantSeat(tx, by, v.RoomID, user, im.RoomAnchor)
	}
	putSeat(tx, v.RoomID, user, im.RoomAnchor) // the accept announces it
	return nil
}

// granted returns the user that gets a seat when an invitee accepts, or "".
func granted(tx *txn.Tx, policy im.RoomPolicy, v *invite.Invitation, invitee string) (user string) {
	inviter, mine := LoadAdmission(tx, policy, v.RoomID, v.Inviter), LoadAdmission(tx, im.RoomInvited, v.RoomID, invitee)
	switch {
	case mine.Room != nil && !ofLife(mine.Room, v):
		return ""
	case inviter.MayBring() && mine.Role() != im.RoomAnchor:
		user = invitee
	case inviter.MayAsk() && mine.Host() && !hasLeft(tx, v):
		user = v.Inviter
	default:
		return ""
	}
	if s := tx.Seat(v.RoomID, user); s != nil && s.At > v.CreatedAt {
		return "" // a host has changed the role since this invitation
	}
	return user
}

// RoleAfter returns the role of a user in a room after the transaction that opens an invitation into it (v is nil), or
// accepts v. A transaction does not read its own writes.
func RoleAfter(tx *txn.Tx, policy im.RoomPolicy, v *invite.Invitation, roomID, user string) (role im.RoomRole,
	host bool, err error) {
	a := LoadAdmission(tx, policy, roomID, user)
	living, _, err := Living(tx, roomID)
	switch {
	case err != nil:
		return "", false, err
	case v == nil && living == nil && a.Group == nil: // Make opens it
		return im.RoomAnchor, true, nil
	case v != nil && v.Inviter != user && hasAdmissionReads(tx, roomID, v.Inviter) &&
		granted(tx, policy, v, user) == user:
		return im.RoomAnchor, a.Host(), nil
	}
	return a.Role(), a.Host(), nil
}

// ofLife reports whether an invitation is into this life of a room, not into an earlier one.
func ofLife(r *im.Room, v *invite.Invitation) bool {
	return r.CreatedAt <= v.CreatedAt || r.InviteID == v.ID || r.Latest == v.ID
}

// hasLeft reports whether the inviter left the room after inviting.
func hasLeft(tx *txn.Tx, v *invite.Invitation) bool {
	c := tx.CallIn(v.RoomID)
	if c == nil {
		return false
	}
	p := tx.Participant(c.ID, v.Inviter)
	return p.JoinedAt == 0 && p.LeftAt > v.CreatedAt
}
