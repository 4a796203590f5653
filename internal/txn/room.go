package txn

import (
	"cmp"
	"slices"

	"github.com/beckon-im/beckon/im"
)

// SeatKey names a user in a room, or in a call.
type SeatKey struct{ RoomID, UserID string }

// Link is the latest signaling connection of a user to a room. An empty ID means that it has ended.
type Link struct {
	RoomID, UserID string
	ID             string
	At             int64 // milliseconds
}

// rooms is the part of Tx for media rooms.
type rooms struct {
	rooms        table[string, im.Room]
	seats        table[SeatKey, im.Seat]
	calls        table[string, im.Call]
	participants table[SeatKey, im.Participant] // by call and user
	callIn       map[string]string              // the open call of a room
	parts        map[string][]SeatKey           // participants by call
	links        table[SeatKey, Link]
	opened       map[string][]string // rooms by opener; they may have ended
	openInRoom   map[string][]string // invitations by room; they may be over
	voidCalls    []any               // calls to remove
}

func newRooms() rooms {
	return rooms{
		rooms: newTable[string, im.Room](), seats: newTable[SeatKey, im.Seat](), calls: newTable[string, im.Call](),
		participants: newTable[SeatKey, im.Participant](), callIn: map[string]string{}, parts: map[string][]SeatKey{},
		links: newTable[SeatKey, Link](), opened: map[string][]string{}, openInRoom: map[string][]string{},
	}
}

// Room returns a declared room, or nil.
func (tx *Tx) Room(id string) *im.Room { return tx.rooms.rooms.get(id) }

// Seat returns the grant of a user in a declared room, or nil.
func (tx *Tx) Seat(room, user string) *im.Seat { return tx.seats.get(SeatKey{room, user}) }

// CallIn returns the open call of a declared room, or nil.
func (tx *Tx) CallIn(room string) *im.Call {
	c := tx.calls.get(tx.callIn[room])
	if c == nil || c.EndedAt != 0 {
		return nil
	}
	return c
}

// Participant returns the participant of a call in a declared room; empty for a user without one.
func (tx *Tx) Participant(call, user string) *im.Participant {
	if p := tx.participants.get(SeatKey{call, user}); p != nil {
		return p
	}
	return &im.Participant{CallID: call, UserID: user}
}

// Participants returns all participants of a call declared with AllIn, in the order in which they joined.
func (tx *Tx) Participants(call string) []*im.Participant {
	var list []*im.Participant
	for _, k := range tx.parts[call] {
		list = append(list, tx.participants.get(k))
	}
	slices.SortFunc(list, func(a, b *im.Participant) int {
		return cmp.Or(cmp.Compare(a.FirstAt, b.FirstAt), cmp.Compare(a.UserID, b.UserID))
	})
	return list
}

// HasAllIn reports whether the participants of a room's open call were declared.
func (tx *Tx) HasAllIn(room string) bool { return tx.has(allInKey(room)) }

// HasGroup reports whether a group was declared, so that its absence means that there is none.
func (tx *Tx) HasGroup(id string) bool { return tx.has(groupKey(id)) }

// HasSeat reports whether a seat was declared.
func (tx *Tx) HasSeat(k SeatKey) bool { return tx.has(k) }

// HasOpenedBy reports whether the rooms that a user opened by entering were declared.
func (tx *Tx) HasOpenedBy(user string) bool { return tx.has(openedKey(user)) }

// OpenedBy returns the open rooms that a declared user opened by entering, the latest first.
func (tx *Tx) OpenedBy(user string) []im.Room {
	var list []im.Room
	for _, id := range tx.opened[user] {
		if r := tx.rooms.rooms.rows[id]; r.Lives() && r.Entered && r.Owner == user {
			list = append(list, *r)
		}
	}
	slices.SortFunc(list, func(a, b im.Room) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt),
			cmp.Compare(b.ID, a.ID))
	})
	return list
}

// HasOpenInRoom reports whether the open invitations into a room were declared.
func (tx *Tx) HasOpenInRoom(room string) bool { return tx.has(openInRoomKey(room)) }

// AwaitedIn reports whether an invitation into a declared room is open, and its latest end; 0 = no end.
func (tx *Tx) AwaitedIn(room string) (until int64, waits bool) {
	for _, id := range tx.openInRoom[room] {
		v := tx.invitations.rows[id]
		if v == nil || v.RoomID != room || v.Over() || v.Last != 0 && v.Last <= tx.Now {
			continue
		}
		if v.Last == 0 {
			return 0, true
		}
		until, waits = max(until, v.Last), true
	}
	return until, waits
}

// Link returns the latest signaling connection of a user to a declared room, or nil.
func (tx *Tx) Link(room, user string) *Link { return tx.links.get(SeatKey{room, user}) }

// PutLink writes a signaling connection.
func (tx *Tx) PutLink(l Link) { tx.stage(func() { tx.links.put(SeatKey{l.RoomID, l.UserID}, l) }) }

// PutRoom writes a room.
func (tx *Tx) PutRoom(r im.Room) {
	tx.stage(func() {
		if tx.rooms.rooms.put(r.ID, r); r.Entered && !slices.Contains(tx.opened[r.Owner], r.ID) {
			tx.opened[r.Owner] = append(tx.opened[r.Owner], r.ID)
		}
	})
}

// VoidCall ends a call and removes its record.
func (tx *Tx) VoidCall(c im.Call) {
	tx.PutCall(c)
	tx.stage(func() { tx.voidCalls = append(tx.voidCalls, c.ID) })
}

// PutSeat writes a grant.
func (tx *Tx) PutSeat(s im.Seat) { tx.stage(func() { tx.seats.put(SeatKey{s.RoomID, s.UserID}, s) }) }

// PutCall writes a call.
func (tx *Tx) PutCall(c im.Call) {
	tx.stage(func() {
		tx.calls.put(c.ID, c)
		tx.callIn[c.RoomID] = c.ID
	})
}

// PutParticipant writes a participant of a call.
func (tx *Tx) PutParticipant(p im.Participant) {
	tx.stage(func() {
		k := SeatKey{p.CallID, p.UserID}
		if tx.participants.rows[k] == nil {
			tx.parts[p.CallID] = append(tx.parts[p.CallID], k)
		}
		tx.participants.put(k, p)
	})
}
