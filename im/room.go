package im

import "strings"

// RoomRole says what somebody may do in a media room.
type RoomRole string

// The roles; anchor and audience are the original's roles 20 and 21.
const (
	RoomAnchor   RoomRole = "anchor"   // speaks, shows and listens
	RoomAudience RoomRole = "audience" // listens
	RoomNobody   RoomRole = "none"     // stays out
)

// RoomPolicy says who may enter a room.
type RoomPolicy string

// The policies.
const (
	RoomInvited RoomPolicy = "invited" // the inviter and those who accepted an invitation with its roomID
	RoomOpen    RoomPolicy = "open"    // everybody
)

// Room is one life of a media room: from the first user who enters it or names it in an invitation to the end of its
// call. The opener owns it. Once it has ended the ID is free, and nothing that was granted in it counts any more.
type Room struct {
	ID        string
	Owner     string
	InviteID  string // the first invitation into it; empty: none so far
	Latest    string // the latest invitation into it
	CreatedAt int64  // milliseconds
	Entered   bool   // opened by entering: the owner's invitations without a roomID name it
	EndedAt   int64  // 0 = it goes on
	EmptyAt   int64  // since when nobody has been in it; 0 = somebody is
	CheckAt   int64  // when to look whether it has ended; 0 = not by itself
}

// Lives reports whether a room exists and has not ended.
func (r *Room) Lives() bool { return r != nil && r.EndedAt == 0 }

// Deserted reports whether nobody has been in a room for so long that it ends, unless an invitation into it is open.
func (r *Room) Deserted(now int64) bool { return r.EmptyAt != 0 && now-r.EmptyAt >= AloneFor }

// Occupy notes how many users are in a room. Somebody on the way in, with a token or an accept, restarts the time of an
// empty room.
func (r *Room) Occupy(present int, now int64) {
	if present > 0 {
		r.EmptyAt, r.CheckAt = 0, 0
		return
	}
	r.EmptyAt, r.CheckAt = now, now+AloneFor
}

// maxAwait bounds the time between two looks at an empty room with an open invitation, in milliseconds.
const maxAwait = 10 * 60_000

// Await sets the next look at an empty room with an open invitation: when that ends at the latest, if it does. The
// longer it has waited, the less often it is looked at.
func (r *Room) Await(now, until int64) {
	if r.CheckAt = now + min(max((now-r.CreatedAt)/2, AloneFor), maxAwait); until != 0 {
		r.CheckAt = min(r.CheckAt, until)
	}
}

// End ends a room.
func (r *Room) End(now int64) { r.EndedAt, r.CheckAt = max(now, r.CreatedAt), 0 }

// Open makes the next life of a room, old being the one before or nil.
func (r *Room) Open(old *Room, now int64) {
	if r.CreatedAt = now; old != nil {
		r.CreatedAt = max(now, old.EndedAt+1) // so that no grant of the old life is as young as the new one
	}
	r.Occupy(0, now)
}

// Seat is what somebody was granted in a room.
type Seat struct {
	RoomID string
	UserID string
	Role   RoomRole
	At     int64 // milliseconds
}

// RoomOfGroup returns the group whose standing room this is, or "". The room has the id of the group's conversation,
// exists as long as the group, and lets all members listen.
func RoomOfGroup(roomID string) string {
	id, ok := strings.CutPrefix(roomID, groupConvPre)
	if !ok || CheckGroupID(id) != nil {
		return ""
	}
	return id
}

// Admission is what is known of somebody at the door of a room. What does not exist is nil.
type Admission struct {
	Policy RoomPolicy
	Room   *Room   // not for a group's standing room
	Seat   *Seat   // what this person was granted
	Group  *Group  // of a standing room
	Member *Member // this person in that group
	UserID string
}

// Host says that this person decides who speaks: the owner of the room, or the owner and administrators of the group.
func (a *Admission) Host() bool {
	if a.Group != nil {
		return !a.Group.Dismissed && a.Member.Present() && a.Member.Role >= RoleAdmin
	}
	return a.Room.Lives() && a.Room.Owner == a.UserID
}

// Grant is the seat that counts: of this life of a room, or of this membership. A removal from a standing room outlasts
// the membership.
func (a *Admission) Grant() *Seat {
	switch {
	case a.Seat == nil:
		return nil
	case a.Group != nil && a.Seat.Role != RoomNobody && (a.Member == nil || a.Seat.At < a.Member.JoinedAt):
		return nil
	case a.Group == nil && (!a.Room.Lives() || a.Seat.At < a.Room.CreatedAt):
		return nil
	}
	return a.Seat
}

// Role says what this person may do in the room (SPEC 4).
func (a *Admission) Role() RoomRole {
	standing, grant := a.Group != nil, a.Grant()
	switch {
	case standing && (a.Group.Dismissed || !a.Member.Present()), !standing && !a.Room.Lives():
		return RoomNobody
	case a.Host():
		return RoomAnchor
	case grant != nil:
		return grant.Role
	case standing:
		return RoomAudience
	case a.Policy == RoomOpen:
		return RoomAnchor
	}
	return RoomNobody
}

// MayBring says that whoever accepts this person's invitation may speak in the room: in a standing room the hosts',
// else those of all who may speak themselves.
func (a *Admission) MayBring() bool {
	if a.Group != nil {
		return a.Host()
	}
	return a.Role() == RoomAnchor
}

// MayAsk says that this person may ask a host to speak, by an invitation: a member of the group, or one who may only
// listen.
func (a *Admission) MayAsk() bool { return a.Role() == RoomAudience }
