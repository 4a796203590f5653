package world

import (
	"cmp"
	"context"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/tx"
)

// The columns of the tables of rooms, in the order in which the scans read them.
const (
	CallColumns = `c.id, c.room_id, c.invite_id, c.group_id, c.owner, c.peer, c.opened_at, c.began_at, c.ended_at, c.ms, c.reason, c.ended_by,
	c.present, c.total, c.dropped, c.check_at, c.seen_at`
	RoomColumns        = `id, owner, invite_id, latest, created_at`
	ParticipantColumns = `p.call_id, p.user_id, p.sid, p.first_at, p.joined_at, p.left_at, p.ms, p.reason`
)

// SeatKey names somebody in a room.
type SeatKey struct{ RoomID, UserID string }

// rooms is the part of the world that media rooms need.
type rooms struct {
	rooms        table[string, im.Room]
	seats        table[SeatKey, im.Seat]
	calls        table[string, im.Call]
	participants table[SeatKey, im.Participant] // by call and user
	callIn       map[string]string              // the open call of a room
	parts        map[string][]SeatKey           // participants by call
}

func newRooms() rooms {
	return rooms{
		rooms: newTable[string, im.Room](), seats: newTable[SeatKey, im.Seat](), calls: newTable[string, im.Call](),
		participants: newTable[SeatKey, im.Participant](), callIn: map[string]string{}, parts: map[string][]SeatKey{},
	}
}

// Room returns a declared room, or nil.
func (w *World) Room(id string) *im.Room { return w.rooms.rooms.get(id) }

// Seat returns what somebody was granted in a declared room, or nil.
func (w *World) Seat(room, user string) *im.Seat { return w.seats.get(SeatKey{room, user}) }

// CallIn returns the call that goes on in a declared room, or nil.
func (w *World) CallIn(room string) *im.Call {
	c := w.calls.get(w.callIn[room])
	if c == nil || c.EndedAt != 0 {
		return nil
	}
	return c
}

// Participant returns somebody's part in a call whose room was declared for them; one who was never in is empty.
func (w *World) Participant(call, user string) *im.Participant {
	if p := w.participants.get(SeatKey{call, user}); p != nil {
		return p
	}
	return &im.Participant{CallID: call, UserID: user}
}

// Participants returns everybody of a call declared with AllIn, in the order of their coming.
func (w *World) Participants(call string) []*im.Participant {
	var list []*im.Participant
	for _, k := range w.parts[call] {
		list = append(list, w.participants.get(k))
	}
	slices.SortFunc(list, func(a, b *im.Participant) int {
		return cmp.Or(cmp.Compare(a.FirstAt, b.FirstAt), cmp.Compare(a.UserID, b.UserID))
	})
	return list
}

// HasAllIn reports whether the participants of a room's open call were declared.
func (w *World) HasAllIn(room string) bool { return w.has(allInKey(room)) }

// HasGroup reports whether a group was declared, so that its absence means that there is none.
func (w *World) HasGroup(id string) bool { return w.has(groupKey(id)) }

// HasSeat reports whether somebody's seat was declared.
func (w *World) HasSeat(k SeatKey) bool { return w.has(k) }

// PutRoom writes a room.
func (w *World) PutRoom(r im.Room) { w.stage(func() { w.rooms.rooms.put(r.ID, r) }) }

// PutSeat writes what somebody is granted.
func (w *World) PutSeat(s im.Seat) { w.stage(func() { w.seats.put(SeatKey{s.RoomID, s.UserID}, s) }) }

// PutCall writes a call.
func (w *World) PutCall(c im.Call) {
	w.stage(func() {
		w.calls.put(c.ID, c)
		w.callIn[c.RoomID] = c.ID
	})
}

// PutParticipant writes somebody's part in a call.
func (w *World) PutParticipant(p im.Participant) {
	w.stage(func() {
		k := SeatKey{p.CallID, p.UserID}
		if w.participants.rows[k] == nil {
			w.parts[p.CallID] = append(w.parts[p.CallID], k)
		}
		w.participants.put(k, p)
	})
}

// ScanCall reads CallColumns.
func ScanCall(rows tx.Row) (*im.Call, error) {
	var c im.Call
	err := rows.Scan(&c.ID, &c.RoomID, &c.InviteID, &c.GroupID, &c.Owner, &c.Peer, &c.OpenedAt, &c.BeganAt, &c.EndedAt, &c.MS, &c.Reason, &c.EndedBy,
		&c.Present, &c.Total, &c.Dropped, &c.CheckAt, &c.SeenAt)
	return &c, err
}

// ScanParticipant reads ParticipantColumns.
func ScanParticipant(rows tx.Row) (*im.Participant, error) {
	var p im.Participant
	err := rows.Scan(&p.CallID, &p.UserID, &p.SID, &p.FirstAt, &p.JoinedAt, &p.LeftAt, &p.MS, &p.Reason)
	return &p, err
}

// ScanSeat reads the columns of a seat.
func ScanSeat(rows tx.Row) (*im.Seat, error) {
	var s im.Seat
	return &s, rows.Scan(&s.RoomID, &s.UserID, &s.Role, &s.At)
}

// ScanRoom reads the columns of a room.
func ScanRoom(rows tx.Row) (*im.Room, error) {
	var r im.Room
	return &r, rows.Scan(&r.ID, &r.Owner, &r.InviteID, &r.Latest, &r.CreatedAt)
}

type (
	roomKey   string
	callInKey string
	partKey   SeatKey
	allInKey  string
)

func (l *loader) gatherRooms(n *Need) {
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
}

func (l *loader) rooms() {
	w := l.w
	l.in("SELECT "+RoomColumns+" FROM room WHERE id IN (?*)", 1, l.roomKeys,
		keep(&w.rooms.rooms, func(r *im.Room) string { return r.ID }, ScanRoom))
	l.in("SELECT room_id, user_id, role, at FROM seat WHERE (room_id, user_id) IN (VALUES ?*)", 2, l.seatKeys,
		keep(&w.seats, func(s *im.Seat) SeatKey { return SeatKey{s.RoomID, s.UserID} }, ScanSeat))
	l.in("SELECT "+CallColumns+" FROM media_call c WHERE c.room_id IN (?*) AND c.ended_at = 0", 1, l.callKeys, func(rows tx.Row) error {
		c, err := ScanCall(rows)
		if err == nil && w.callIn[c.RoomID] == "" {
			w.calls.rows[c.ID], w.callIn[c.RoomID] = c, c.ID
		}
		return err
	})
	participant := keep(&w.participants, func(p *im.Participant) SeatKey {
		k := SeatKey{p.CallID, p.UserID}
		if w.participants.rows[k] == nil {
			w.parts[p.CallID] = append(w.parts[p.CallID], k)
		}
		return k
	}, ScanParticipant)
	const open = "SELECT " + ParticipantColumns + " FROM media_call c JOIN participant p ON p.call_id = c.id WHERE c.ended_at = 0 AND "
	l.in(open+"(c.room_id, p.user_id) IN (VALUES ?*)", 2, l.partKeys, participant)
	l.in(open+"c.room_id IN (?*)", 1, l.allInKeys, participant)
}

func (w *World) flushRooms(ctx context.Context, s *tx.Session) error {
	rooms := flat(&w.rooms.rooms, func(r *im.Room) []any { return []any{r.ID, r.Owner, r.InviteID, r.Latest, r.CreatedAt} })
	if err := s.Write(ctx, "INSERT INTO room ("+RoomColumns+") VALUES ?* ON CONFLICT (id) DO UPDATE SET latest = excluded.latest", 5, rooms); err != nil {
		return err
	}
	seats := flat(&w.seats, func(t *im.Seat) []any { return []any{t.RoomID, t.UserID, string(t.Role), t.At} })
	if err := s.Write(ctx, `INSERT INTO seat (room_id, user_id, role, at) VALUES ?*
		ON CONFLICT (room_id, user_id) DO UPDATE SET role = excluded.role, at = excluded.at`, 4, seats); err != nil {
		return err
	}
	calls := flat(&w.calls, func(c *im.Call) []any {
		return []any{c.ID, c.RoomID, c.InviteID, c.GroupID, c.Owner, c.Peer, c.OpenedAt, c.BeganAt, c.EndedAt, c.MS, c.Reason, c.EndedBy,
			c.Present, c.Total, c.Dropped, c.CheckAt, c.SeenAt}
	})
	if err := s.Write(ctx, `INSERT INTO media_call (id, room_id, invite_id, group_id, owner, peer, opened_at, began_at, ended_at, ms, reason, ended_by,
		present, total, dropped, check_at, seen_at) VALUES ?*
		ON CONFLICT (id) DO UPDATE SET began_at = excluded.began_at, ended_at = excluded.ended_at, ms = excluded.ms, reason = excluded.reason,
		ended_by = excluded.ended_by, present = excluded.present, total = excluded.total, dropped = excluded.dropped,
		check_at = excluded.check_at, seen_at = excluded.seen_at`, 17, calls); err != nil {
		return err
	}
	people := flat(&w.participants, func(p *im.Participant) []any {
		return []any{p.CallID, p.UserID, p.SID, p.FirstAt, p.JoinedAt, p.LeftAt, p.MS, p.Reason}
	})
	return s.Write(ctx, `INSERT INTO participant (call_id, user_id, sid, first_at, joined_at, left_at, ms, reason) VALUES ?*
		ON CONFLICT (call_id, user_id) DO UPDATE SET sid = excluded.sid, first_at = excluded.first_at, joined_at = excluded.joined_at,
		left_at = excluded.left_at, ms = excluded.ms, reason = excluded.reason`, 8, people)
}
