package txn

import (
	"cmp"
	"context"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
)

// The columns of the tables of rooms, in the order in which the scans read them.
const (
	CallColumns = `c.id, c.room_id, c.invite_id, c.group_id, c.owner, c.peer, c.opened_at, c.began_at, c.ended_at, c.ms, c.reason, c.ended_by,
	c.present, c.total, c.dropped, c.check_at, c.seen_at, c.video`
	RoomColumns        = `id, owner, invite_id, latest, created_at, entered, ended_at, empty_at, check_at`
	ParticipantColumns = `p.call_id, p.user_id, p.sid, p.gone_sid, p.first_at, p.joined_at, p.left_at, p.ms, p.reason, p.stays`
)

// SeatKey names somebody in a room.
type SeatKey struct{ RoomID, UserID string }

// Link is the latest signaling connection of somebody to a room. An empty ID says that it has ended.
type Link struct {
	RoomID, UserID string
	ID             string
	At             int64 // milliseconds
}

// rooms is the part of the world that media rooms need.
type rooms struct {
	rooms        table[string, im.Room]
	seats        table[SeatKey, im.Seat]
	calls        table[string, im.Call]
	participants table[SeatKey, im.Participant] // by call and user
	callIn       map[string]string              // the open call of a room
	parts        map[string][]SeatKey           // participants by call
	links        table[SeatKey, Link]
	opened       map[string][]string // the rooms that a user opened by entering; one may have ended since
	openInRoom   map[string][]string // open invitations by room; one may be over since
	voidCalls    []any               // calls of which no record is kept
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

// Seat returns what somebody was granted in a declared room, or nil.
func (tx *Tx) Seat(room, user string) *im.Seat { return tx.seats.get(SeatKey{room, user}) }

// CallIn returns the call that goes on in a declared room, or nil.
func (tx *Tx) CallIn(room string) *im.Call {
	c := tx.calls.get(tx.callIn[room])
	if c == nil || c.EndedAt != 0 {
		return nil
	}
	return c
}

// Participant returns somebody's part in a call whose room was declared for them; one who was never in is empty.
func (tx *Tx) Participant(call, user string) *im.Participant {
	if p := tx.participants.get(SeatKey{call, user}); p != nil {
		return p
	}
	return &im.Participant{CallID: call, UserID: user}
}

// Participants returns everybody of a call declared with AllIn, in the order of their coming.
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

// HasSeat reports whether somebody's seat was declared.
func (tx *Tx) HasSeat(k SeatKey) bool { return tx.has(k) }

// HasOpenedBy reports whether the rooms that a user opened by entering were declared.
func (tx *Tx) HasOpenedBy(user string) bool { return tx.has(openedKey(user)) }

// OpenedBy returns the living rooms that a declared user opened by entering, the latest first.
func (tx *Tx) OpenedBy(user string) []im.Room {
	var list []im.Room
	for _, id := range tx.opened[user] {
		if r := tx.rooms.rooms.rows[id]; r.Lives() && r.Entered && r.Owner == user {
			list = append(list, *r)
		}
	}
	slices.SortFunc(list, func(a, b im.Room) int { return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID)) })
	return list
}

// HasOpenInRoom reports whether the open invitations into a room were declared.
func (tx *Tx) HasOpenInRoom(room string) bool { return tx.has(openInRoomKey(room)) }

// AwaitedIn reports whether an invitation into a declared room is open, and until when at the latest; 0 = without an end.
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

// Link returns the latest signaling connection of somebody to a declared room, or nil.
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

// VoidCall ends a call of which no record is kept.
func (tx *Tx) VoidCall(c im.Call) {
	tx.PutCall(c)
	tx.stage(func() { tx.voidCalls = append(tx.voidCalls, c.ID) })
}

// PutSeat writes what somebody is granted.
func (tx *Tx) PutSeat(s im.Seat) { tx.stage(func() { tx.seats.put(SeatKey{s.RoomID, s.UserID}, s) }) }

// PutCall writes a call.
func (tx *Tx) PutCall(c im.Call) {
	tx.stage(func() {
		tx.calls.put(c.ID, c)
		tx.callIn[c.RoomID] = c.ID
	})
}

// PutParticipant writes somebody's part in a call.
func (tx *Tx) PutParticipant(p im.Participant) {
	tx.stage(func() {
		k := SeatKey{p.CallID, p.UserID}
		if tx.participants.rows[k] == nil {
			tx.parts[p.CallID] = append(tx.parts[p.CallID], k)
		}
		tx.participants.put(k, p)
	})
}

// ScanCall reads CallColumns.
func ScanCall(rows sqldb.Row) (*im.Call, error) {
	var c im.Call
	var video int64
	err := rows.Scan(&c.ID, &c.RoomID, &c.InviteID, &c.GroupID, &c.Owner, &c.Peer, &c.OpenedAt, &c.BeganAt, &c.EndedAt, &c.MS, &c.Reason, &c.EndedBy,
		&c.Present, &c.Total, &c.Dropped, &c.CheckAt, &c.SeenAt, &video)
	c.Video = video != 0
	return &c, err
}

// ScanParticipant reads ParticipantColumns.
func ScanParticipant(rows sqldb.Row) (*im.Participant, error) {
	var p im.Participant
	err := rows.Scan(&p.CallID, &p.UserID, &p.SID, &p.GoneSID, &p.FirstAt, &p.JoinedAt, &p.LeftAt, &p.MS, &p.Reason, &p.Stays)
	return &p, err
}

// ScanSeat reads the columns of a seat.
func ScanSeat(rows sqldb.Row) (*im.Seat, error) {
	var s im.Seat
	return &s, rows.Scan(&s.RoomID, &s.UserID, &s.Role, &s.At)
}

// ScanRoom reads the columns of a room.
func ScanRoom(rows sqldb.Row) (*im.Room, error) {
	var r im.Room
	var entered int64
	err := rows.Scan(&r.ID, &r.Owner, &r.InviteID, &r.Latest, &r.CreatedAt, &entered, &r.EndedAt, &r.EmptyAt, &r.CheckAt)
	r.Entered = entered != 0
	return &r, err
}

type (
	roomKey       string
	callInKey     string
	partKey       SeatKey
	allInKey      string
	linkKey       SeatKey
	openedKey     string
	openInRoomKey string
)

func (l *loader) gatherRooms(n *ReadSet) {
	for _, id := range n.Rooms {
		if l.first(roomKey(id)) {
			l.roomKeys = append(l.roomKeys, id)
		}
	}
	for _, k := range n.Seats {
		if l.first(k) {
			l.seatKeys = append(l.seatKeys, k.RoomID, k.UserID)
		}
	}
	for _, id := range n.CallIn {
		if l.first(callInKey(id)) {
			l.callKeys = append(l.callKeys, id)
		}
	}
	for _, k := range n.InCall {
		if l.first(partKey(k)) {
			l.partKeys = append(l.partKeys, k.RoomID, k.UserID)
		}
	}
	for _, id := range n.AllIn {
		if l.first(allInKey(id)) {
			l.allInKeys = append(l.allInKeys, id)
		}
	}
	for _, k := range n.Links {
		if l.first(linkKey(k)) {
			l.linkKeys = append(l.linkKeys, k.RoomID, k.UserID)
		}
	}
	for _, id := range n.OpenedBy {
		if l.first(openedKey(id)) {
			l.openedKeys = append(l.openedKeys, id)
		}
	}
	for _, id := range n.OpenInRoom {
		if l.first(openInRoomKey(id)) {
			l.openInRoomKeys = append(l.openInRoomKeys, id)
		}
	}
}

func (l *loader) rooms() {
	tx := l.w
	l.in("SELECT "+RoomColumns+" FROM room WHERE id IN (?*)", 1, l.roomKeys,
		keep(&tx.rooms.rooms, func(r *im.Room) string { return r.ID }, ScanRoom))
	l.in("SELECT room_id, user_id, role, at FROM seat WHERE (room_id, user_id) IN (VALUES ?*)", 2, l.seatKeys,
		keep(&tx.seats, func(s *im.Seat) SeatKey { return SeatKey{s.RoomID, s.UserID} }, ScanSeat))
	l.in("SELECT "+CallColumns+" FROM media_call c WHERE c.room_id IN (?*) AND c.ended_at = 0", 1, l.callKeys, func(rows sqldb.Row) error {
		c, err := ScanCall(rows)
		if err == nil && tx.callIn[c.RoomID] == "" {
			tx.calls.rows[c.ID], tx.callIn[c.RoomID] = c, c.ID
		}
		return err
	})
	participant := keep(&tx.participants, func(p *im.Participant) SeatKey {
		k := SeatKey{p.CallID, p.UserID}
		if tx.participants.rows[k] == nil {
			tx.parts[p.CallID] = append(tx.parts[p.CallID], k)
		}
		return k
	}, ScanParticipant)
	const open = "SELECT " + ParticipantColumns + " FROM media_call c JOIN participant p ON p.call_id = c.id WHERE c.ended_at = 0 AND "
	l.in(open+"(c.room_id, p.user_id) IN (VALUES ?*)", 2, l.partKeys, participant)
	l.in(open+"c.room_id IN (?*)", 1, l.allInKeys, participant)
	l.in("SELECT room_id, user_id, id, at FROM room_link WHERE (room_id, user_id) IN (VALUES ?*)", 2, l.linkKeys,
		keep(&tx.links, func(k *Link) SeatKey { return SeatKey{k.RoomID, k.UserID} }, scanLink))
	opened := listing[string, string]{into: tx.opened}
	l.in("SELECT "+RoomColumns+" FROM room WHERE owner IN (?*) AND ended_at = 0 AND entered = 1", 1, l.openedKeys, func(rows sqldb.Row) error {
		r, err := ScanRoom(rows)
		if err != nil {
			return err
		}
		if tx.rooms.rooms.rows[r.ID] == nil {
			tx.rooms.rooms.rows[r.ID] = r
		}
		opened.add(r.Owner, r.ID)
		return nil
	})
	inRoom := listing[string, string]{into: tx.openInRoom}
	l.in("SELECT "+InvitationColumns+" FROM invitation WHERE room_id IN (?*) AND open > 0 AND room_id <> ''", 1, l.openInRoomKeys, func(rows sqldb.Row) error {
		v, err := ScanInvitation(rows)
		if err != nil {
			return err
		}
		if tx.invitations.rows[v.ID] == nil {
			tx.invitations.rows[v.ID] = v
		}
		inRoom.add(v.RoomID, v.ID)
		return nil
	})
}

func scanLink(rows sqldb.Row) (*Link, error) {
	var k Link
	return &k, rows.Scan(&k.RoomID, &k.UserID, &k.ID, &k.At)
}

func (tx *Tx) flushRooms(ctx context.Context, s *sqldb.Session) error {
	rooms := flat(&tx.rooms.rooms, func(r *im.Room) []any {
		return []any{r.ID, r.Owner, r.InviteID, r.Latest, r.CreatedAt, flag(r.Entered, 1), r.EndedAt, r.EmptyAt, r.CheckAt}
	})
	if err := s.Write(ctx, "INSERT INTO room ("+RoomColumns+`) VALUES ?*
		ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, invite_id = excluded.invite_id, latest = excluded.latest,
		created_at = excluded.created_at, entered = excluded.entered, ended_at = excluded.ended_at, empty_at = excluded.empty_at,
		check_at = excluded.check_at`, 9, rooms); err != nil {
		return err
	}
	seats := flat(&tx.seats, func(t *im.Seat) []any { return []any{t.RoomID, t.UserID, string(t.Role), t.At} })
	if err := s.Write(ctx, `INSERT INTO seat (room_id, user_id, role, at) VALUES ?*
		ON CONFLICT (room_id, user_id) DO UPDATE SET role = excluded.role, at = excluded.at`, 4, seats); err != nil {
		return err
	}
	links := flat(&tx.links, func(k *Link) []any { return []any{k.RoomID, k.UserID, k.ID, k.At} })
	if err := s.Write(ctx, `INSERT INTO room_link (room_id, user_id, id, at) VALUES ?*
		ON CONFLICT (room_id, user_id) DO UPDATE SET id = excluded.id, at = excluded.at`, 4, links); err != nil {
		return err
	}
	return tx.flushCalls(ctx, s)
}

func (tx *Tx) flushCalls(ctx context.Context, s *sqldb.Session) error {
	calls := flat(&tx.calls, func(c *im.Call) []any {
		return []any{c.ID, c.RoomID, c.InviteID, c.GroupID, c.Owner, c.Peer, c.OpenedAt, c.BeganAt, c.EndedAt, c.MS, c.Reason, c.EndedBy,
			c.Present, c.Total, c.Dropped, c.CheckAt, c.SeenAt, flag(c.Video, 1)}
	})
	if err := s.Write(ctx, `INSERT INTO media_call (id, room_id, invite_id, group_id, owner, peer, opened_at, began_at, ended_at, ms, reason, ended_by,
		present, total, dropped, check_at, seen_at, video) VALUES ?*
		ON CONFLICT (id) DO UPDATE SET invite_id = excluded.invite_id, group_id = excluded.group_id, owner = excluded.owner, peer = excluded.peer,
		opened_at = excluded.opened_at, began_at = excluded.began_at, ended_at = excluded.ended_at, ms = excluded.ms, reason = excluded.reason,
		ended_by = excluded.ended_by, present = excluded.present, total = excluded.total, dropped = excluded.dropped,
		check_at = excluded.check_at, seen_at = excluded.seen_at, video = excluded.video`, 18, calls); err != nil {
		return err
	}
	people := flat(&tx.participants, func(p *im.Participant) []any {
		return []any{p.CallID, p.UserID, p.SID, p.GoneSID, p.FirstAt, p.JoinedAt, p.LeftAt, p.MS, p.Reason, p.Stays}
	})
	if err := s.Write(ctx, `INSERT INTO participant (call_id, user_id, sid, gone_sid, first_at, joined_at, left_at, ms, reason, stays) VALUES ?*
		ON CONFLICT (call_id, user_id) DO UPDATE SET sid = excluded.sid, gone_sid = excluded.gone_sid, first_at = excluded.first_at,
		joined_at = excluded.joined_at, left_at = excluded.left_at, ms = excluded.ms, reason = excluded.reason, stays = excluded.stays`, 10, people); err != nil {
		return err
	}
	if err := s.Write(ctx, "DELETE FROM participant WHERE call_id IN (?*)", 1, tx.voidCalls); err != nil {
		return err
	}
	return s.Write(ctx, "DELETE FROM media_call WHERE id IN (?*)", 1, tx.voidCalls)
}
