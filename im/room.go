package im

import "strings"

// RoomRole is a user's role in a media room.
type RoomRole string

// The roles; anchor and audience are Tencent's roles 20 and 21.
const (
	RoomAnchor   RoomRole = "anchor"   // publishes and subscribes
	RoomAudience RoomRole = "audience" // subscribes only
	RoomNobody   RoomRole = "none"     // no admission
)

// RoomPolicy controls admission to a room.
type RoomPolicy string

// The policies.
const (
	RoomInvited RoomPolicy = "invited" // the inviter and users who accepted an invitation with its roomID
	RoomOpen    RoomPolicy = "open"    // all users
)

// Room is one instance of a media room: from the first entry or the first invitation that names it, to the end of its
// call. The user who opened it owns it. After the end the ID is free, and grants of this instance are void.
type Room struct {
	ID        string
	Owner     string
	InviteID  string // the first invitation into it; empty = none
	Latest    string // the latest invitation into it
	CreatedAt int64  // Unix milliseconds
	Entered   bool   // opened by entering: the owner's invitations without a roomID use it
	EndedAt   int64  // 0 = live
	EmptyAt   int64  // since when it has been empty; 0 = occupied
	CheckAt   int64  // time of the next check for the end; 0 = none
}

// Lives reports whether a room exists and has not ended. r may be nil.
func (r *Room) Lives() bool { return r != nil && r.EndedAt == 0 }

// Deserted reports whether a room has been empty for AloneFor. It then ends, unless an invitation into it is open.
func (r *Room) Deserted(now int64) bool { return r.EmptyAt != 0 && now-r.EmptyAt >= AloneFor }

// Occupy records the number of users in a room. A user about to enter, with a token or an accept, restarts the grace
// period of an empty room.
func (r *Room) Occupy(present int, now int64) {
	if present > 0 {
		r.EmptyAt, r.CheckAt = 0, 0
		return
	}
	r.EmptyAt, r.CheckAt = now, now+AloneFor
}

// maxAwait limits the interval between checks of an empty room with an open invitation, in milliseconds.
const maxAwait = 10 * 60_000

// Await sets the next check of an empty room with an open invitation: at until, the invitation's end, at the latest (0
// = no end). The interval grows with the room's age.
func (r *Room) Await(now, until int64) {
	if r.CheckAt = now + min(max((now-r.CreatedAt)/2, AloneFor), maxAwait); until != 0 {
		r.CheckAt = min(r.CheckAt, until)
	}
}

// End ends a room.
func (r *Room) End(now int64) { r.EndedAt, r.CheckAt = max(now, r.CreatedAt), 0 }

// Open begins a new instance of a room; old is the previous one or nil.
func (r *Room) Open(old *Room, now int64) {
	if r.CreatedAt = now; old != nil {
		r.CreatedAt = max(now, old.EndedAt+1) // grants of the old instance must be older than the new one
	}
	r.Occupy(0, now)
}

// Seat is a user's grant in a room.
type Seat struct {
	RoomID string
	UserID string
	Role   RoomRole
	At     int64 // Unix milliseconds
}

// RoomOfGroup returns the group of a standing room, or "". A standing room has the ID of the group's conversation,
// lives as long as the group, and admits all members as audience.
func RoomOfGroup(roomID string) string {
	id, ok := strings.CutPrefix(roomID, groupConvPre)
	if !ok || CheckGroupID(id) != nil {
		return ""
	}
	return id
}

// Admission holds the facts for admitting a user to a room; absent ones are nil.
type Admission struct {
	Policy RoomPolicy
	Room   *Room   // nil for a standing room
	Seat   *Seat   // the user's grant
	Group  *Group  // of a standing room
	Member *Member // the user's membership of Group
	UserID string
}

// Host reports whether the user is a host, who grants roles: the owner of the room, or the owner and administrators of
// the group.
func (a *Admission) Host() bool {
	if a.Group != nil {
		return !a.Group.Dismissed && a.Member.Present() && a.Member.Role >= RoleAdmin
	}
	return a.Room.Lives() && a.Room.Owner == a.UserID
}

// Grant returns the valid grant: one of this instance of the room, or of the current membership. A removal from a
// standing room outlasts the membership.
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

// Role returns the user's role in the room (SPEC 4).
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

// MayBring reports whether the user's invitations grant a speaking role to invitees who accept: those of hosts in a
// standing room, else those of all users who may speak.
func (a *Admission) MayBring() bool {
	if a.Group != nil {
		return a.Host()
	}
	return a.Role() == RoomAnchor
}

// MayAsk reports whether the user may ask a host for a speaking role, by an invitation: audience only.
func (a *Admission) MayAsk() bool { return a.Role() == RoomAudience }
