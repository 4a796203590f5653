package txn

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
)

var roomTable = &schema[string, im.Room]{
	Schema: Schema{
		Name: "room", Key: columns("id"), Columns: columns(
			"id owner invite_id latest created_at entered ended_at empty_at check_at"),
		Personal: personal{
			Export: []string{"room"}, Private: columns("latest entered empty_at check_at"),
			Erase: "kept: that there was a room is the participants' too; removed a day after its end",
		},
	}.Build(),
	key: func(r *im.Room) string { return r.ID },
	encode: func(row []any, r *im.Room) []any {
		return append(row, r.ID, r.Owner, r.InviteID, r.Latest, r.CreatedAt, flag(r.Entered, 1), r.EndedAt, r.EmptyAt,
			r.CheckAt)
	},
	decode: ScanRoom,
}

// openedRooms reads the open rooms that users opened by entering.
var openedRooms = roomTable.Where("owner IN (?*) AND ended_at = 0 AND entered = 1")

// ScanRoom reads the columns of a room.
func ScanRoom(row sqldb.Row) (*im.Room, error) {
	var r im.Room
	var entered int64
	err := row.Scan(&r.ID, &r.Owner, &r.InviteID, &r.Latest, &r.CreatedAt, &entered, &r.EndedAt, &r.EmptyAt, &r.CheckAt)
	r.Entered = entered != 0
	return &r, err
}

var seats = &schema[SeatKey, im.Seat]{
	Schema: Schema{
		Name: "seat", Key: columns("room_id user_id"), Columns: columns("room_id user_id role at"),
		Personal: personal{Export: []string{"seat"}, Erase: "its rows are removed"},
	}.Build(),
	key:    func(s *im.Seat) SeatKey { return SeatKey{s.RoomID, s.UserID} },
	encode: func(row []any, s *im.Seat) []any { return append(row, s.RoomID, s.UserID, string(s.Role), s.At) },
	decode: ScanSeat,
}

// ScanSeat reads the columns of a seat.
func ScanSeat(row sqldb.Row) (*im.Seat, error) {
	var s im.Seat
	return &s, row.Scan(&s.RoomID, &s.UserID, &s.Role, &s.At)
}

var links = &schema[SeatKey, Link]{
	Schema: Schema{
		Name: "room_link", Key: columns("room_id user_id"), Columns: columns("room_id user_id id at"),
		Personal: personal{Export: []string{"roomConnection"}, Private: columns("id"), Erase: "its rows are removed"},
	}.Build(),
	key:    func(k *Link) SeatKey { return SeatKey{k.RoomID, k.UserID} },
	encode: func(row []any, k *Link) []any { return append(row, k.RoomID, k.UserID, k.ID, k.At) },
	decode: func(row sqldb.Row) (*Link, error) {
		var k Link
		return &k, row.Scan(&k.RoomID, &k.UserID, &k.ID, &k.At)
	},
}

var calls = &schema[string, im.Call]{
	Schema: Schema{
		Name: "media_call", Key: columns("id"),
		Columns: columns(`id room_id invite_id group_id owner peer opened_at began_at ended_at ms reason ended_by
			present total dropped check_at seen_at video`),
		Fixed: columns("room_id"),
		Personal: personal{
			Export: []string{"call", "tookPart"}, Private: columns("present total dropped check_at seen_at"),
			Erase: "kept: that there was a call is the participants' too",
		},
	}.Build(),
	key: func(c *im.Call) string { return c.ID },
	encode: func(row []any, c *im.Call) []any {
		return append(row, c.ID, c.RoomID, c.InviteID, c.GroupID, c.Owner, c.Peer, c.OpenedAt, c.BeganAt, c.EndedAt, c.MS,
			c.Reason,
			c.EndedBy, c.Present, c.Total, c.Dropped, c.CheckAt, c.SeenAt, flag(c.Video, 1))
	},
	decode: ScanCall,
}

// Queries and removals of calls and participants by other columns than the key.
var (
	openCallsIn      = calls.Where("room_id IN (?*) AND ended_at = 0")
	openParticipants = "SELECT " + sqldb.List("p", participants.Columns) +
		" FROM media_call c JOIN participant p ON p.call_id = c.id WHERE c.ended_at = 0 AND "
	participantsIn     = openParticipants + "(c.room_id, p.user_id) IN (VALUES ?*)"
	allParticipantsIn  = openParticipants + "c.room_id IN (?*)"
	removeParticipants = participants.RemoveWhere("call_id IN (?*)")
	removeCalls        = calls.RemoveWhere("id IN (?*)")
)

// ScanCall reads the columns of a call.
func ScanCall(row sqldb.Row) (*im.Call, error) {
	var c im.Call
	var video int64
	err := row.Scan(&c.ID, &c.RoomID, &c.InviteID, &c.GroupID, &c.Owner, &c.Peer, &c.OpenedAt, &c.BeganAt, &c.EndedAt,
		&c.MS,
		&c.Reason, &c.EndedBy, &c.Present, &c.Total, &c.Dropped, &c.CheckAt, &c.SeenAt, &video)
	c.Video = video != 0
	return &c, err
}

var participants = &schema[SeatKey, im.Participant]{
	Schema: Schema{
		Name: "participant", Key: columns("call_id user_id"),
		Columns: columns("call_id user_id sid gone_sid first_at joined_at left_at ms reason stays"),
		Personal: personal{
			Export: []string{"tookPart"}, Private: columns("user_id sid gone_sid"),
			Erase: "kept: that there was a call is the participants' too",
		},
	}.Build(),
	key: func(p *im.Participant) SeatKey { return SeatKey{p.CallID, p.UserID} },
	encode: func(row []any, p *im.Participant) []any {
		return append(row, p.CallID, p.UserID, p.SID, p.GoneSID, p.FirstAt, p.JoinedAt, p.LeftAt, p.MS, p.Reason, p.Stays)
	},
	decode: ScanParticipant,
}

// ScanParticipant reads the columns of a participant.
func ScanParticipant(row sqldb.Row) (*im.Participant, error) {
	var p im.Participant
	return &p, row.Scan(&p.CallID, &p.UserID, &p.SID, &p.GoneSID, &p.FirstAt, &p.JoinedAt, &p.LeftAt, &p.MS, &p.Reason,
		&p.Stays)
}
