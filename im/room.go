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

// Room is a media room that an invitation made. The first to invite into it owns it.
type Room struct {
	ID        string
	Owner     string
	InviteID  string // the invitation that made it
	Latest    string // the latest invitation into it by somebody who may bring people
	CreatedAt int64  // milliseconds
}

// Seat is what somebody was granted in a room.
type Seat struct {
	RoomID string
	UserID string
	Role   RoomRole
	At     int64 // milliseconds
}

// RoomOfGroup returns the group whose standing room this is, or "". The room has the id of the group's conversation, exists
// as long as the group, and lets all members listen.
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
	return a.Room != nil && a.Room.Owner == a.UserID
}

// Role says what this person may do in the room (SPEC 4).
func (a *Admission) Role() RoomRole {
	standing := a.Group != nil
	switch {
	case standing && (a.Group.Dismissed || !a.Member.Present()):
		return RoomNobody
	case standing && a.Seat != nil && a.Seat.Role == RoomNobody && !a.Host():
		return RoomNobody // also for who left the group and came back
	case a.Host():
		return RoomAnchor
	case a.Seat != nil && (!standing || a.Seat.At >= a.Member.JoinedAt): // a seat ends with the membership
		return a.Seat.Role
	case standing:
		return RoomAudience
	case a.Policy == RoomOpen:
		return RoomAnchor
	}
	return RoomNobody
}

// MayBring says that whoever accepts this person's invitation may speak in the room: in a standing room the hosts', else
// those of all who may speak themselves.
func (a *Admission) MayBring() bool {
	if a.Group != nil {
		return a.Host()
	}
	return a.Role() == RoomAnchor
}
