package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
)

// What is read of rooms outside a batch.
const (
	qRoom     = "SELECT " + txn.RoomColumns + " FROM room WHERE id = $1"
	qSeat     = "SELECT room_id, user_id, role, at FROM seat WHERE room_id = $1 AND user_id = $2"
	qSeats    = "SELECT room_id, user_id, role, at FROM seat WHERE room_id = $1 AND role <> 'none' AND at >= $2 ORDER BY at, user_id LIMIT $3"
	qRoomsDue = "SELECT id FROM room WHERE ended_at = 0 AND check_at > 0 AND check_at <= $1 ORDER BY check_at LIMIT $2"
	qPresent  = "SELECT " + txn.ParticipantColumns + " FROM participant p WHERE p.call_id = $1 AND p.joined_at > 0 ORDER BY p.first_at, p.user_id LIMIT $2"
	qCall     = "SELECT " + txn.CallColumns + " FROM media_call c WHERE c.id = $1"
	qCallIn   = "SELECT " + txn.CallColumns + " FROM media_call c WHERE c.room_id = $1 AND c.ended_at = 0"
	qOpenCall = "SELECT " + txn.CallColumns + " FROM media_call c WHERE c.ended_at = 0 AND c.id > $1 ORDER BY c.id LIMIT $2"
	qCallsDue = "SELECT c.room_id FROM media_call c WHERE c.ended_at = 0 AND c.check_at > 0 AND c.check_at <= $1 ORDER BY c.check_at LIMIT $2"
	qUsersIn  = "SELECT " + txn.ParticipantColumns + " FROM participant p WHERE p.call_id = $1 ORDER BY p.first_at, p.user_id LIMIT $2"

	// A call in which nobody talks yet is shown to those who ask for calls that go on.
	callPage = " AND (c.opened_at < $1 OR c.opened_at = $1 AND c.id < $2) AND c.opened_at >= $3 AND ($4 = 0 AND c.began_at > 0 OR $4 = 1 AND c.ended_at = 0) AND ($5 = '' OR c.group_id = $5) AND ($6 = '' OR c.room_id = $6) ORDER BY c.opened_at DESC, c.id DESC LIMIT $8"
	qCalls   = "SELECT " + txn.CallColumns + " FROM media_call c WHERE $7 = ''" + callPage
	// The plus signs keep SQLite from going through all calls by time, for the few that go on.
	qCallsOpen = "SELECT " + txn.CallColumns + " FROM media_call c WHERE c.ended_at = 0 AND $7 = '' AND $4 = 1 AND (+c.opened_at < $1 OR +c.opened_at = $1 AND c.id < $2) AND +c.opened_at >= $3 AND ($5 = '' OR c.group_id = $5) AND ($6 = '' OR c.room_id = $6) ORDER BY +c.opened_at DESC, c.id DESC LIMIT $8"
	qCallsOf   = "SELECT " + txn.CallColumns + " FROM participant p JOIN media_call c ON c.id = p.call_id WHERE p.user_id = $7" + callPage
	qCallsIn   = "SELECT " + txn.CallColumns + " FROM media_call c WHERE c.group_id = $7 AND c.group_id <> ''" + callPage
	qCallsRoom = "SELECT " + txn.CallColumns + " FROM media_call c WHERE c.room_id = $7" + callPage
)

func roomReads() []string {
	return []string{qRoom, qSeat, qSeats, qRoomsDue, qPresent, qCall, qCallIn, qOpenCall, qCallsDue, qUsersIn, qCalls, qCallsOpen, qCallsOf, qCallsIn, qCallsRoom}
}

// one reads at most one row; nil when there is none.
func one[V any](ctx context.Context, s *Store, scan func(sqldb.Row) (*V, error), query string, args ...any) (v *V, err error) {
	err = each(ctx, s.pool(), func(rows sqldb.Row) error {
		v, err = scan(rows)
		return err
	}, query, args...)
	return v, err
}

// all reads rows.
func all[V any](ctx context.Context, s *Store, scan func(sqldb.Row) (*V, error), query string, args ...any) ([]V, error) {
	var list []V
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		v, err := scan(rows)
		if err == nil {
			list = append(list, *v)
		}
		return err
	}, query, args...)
	return list, err
}

// Room reads a media room, which may have ended; nil when there never was one.
func (s *Store) Room(ctx context.Context, id string) (*im.Room, error) {
	return one(ctx, s, txn.ScanRoom, qRoom, id)
}

// Seat reads what somebody was granted in a room, or nil.
func (s *Store) Seat(ctx context.Context, room, user string) (*im.Seat, error) {
	return one(ctx, s, txn.ScanSeat, qSeat, room, user)
}

// Seats reads what people were granted in a room since a time, oldest first.
func (s *Store) Seats(ctx context.Context, room string, since int64, limit int) ([]im.Seat, error) {
	return all(ctx, s, txn.ScanSeat, qSeats, room, since, limit)
}

// RoomsDue reads the rooms that are to be looked at by a time.
func (s *Store) RoomsDue(ctx context.Context, now int64, limit int) ([]string, error) {
	return texts(ctx, s.pool(), qRoomsDue, now, limit)
}

// PresentIn reads who is in a call now, in the order of their coming.
func (s *Store) PresentIn(ctx context.Context, call string, limit int) ([]im.Participant, error) {
	return all(ctx, s, txn.ScanParticipant, qPresent, call, limit)
}

// Call reads a call record, or nil.
func (s *Store) Call(ctx context.Context, id string) (*im.Call, error) {
	return one(ctx, s, txn.ScanCall, qCall, id)
}

// CallIn reads the call that goes on in a room, or nil.
func (s *Store) CallIn(ctx context.Context, room string) (*im.Call, error) {
	return one(ctx, s, txn.ScanCall, qCallIn, room)
}

// OpenCalls reads a page of the calls that go on, after one of them.
func (s *Store) OpenCalls(ctx context.Context, after string, limit int) ([]im.Call, error) {
	return all(ctx, s, txn.ScanCall, qOpenCall, after, limit)
}

// CallsDue reads the rooms whose call is to be looked at by a time.
func (s *Store) CallsDue(ctx context.Context, now int64, limit int) ([]string, error) {
	return texts(ctx, s.pool(), qCallsDue, now, limit)
}

// UsersIn reads who took part in a call, in the order of their coming.
func (s *Store) UsersIn(ctx context.Context, call string, limit int) ([]im.Participant, error) {
	return all(ctx, s, txn.ScanParticipant, qUsersIn, call, limit)
}

// CallFilter says which call records are asked for: of a person, a group or a room, or of all.
type CallFilter struct {
	UserID, GroupID, RoomID string
	From, Until             int64 // milliseconds; Until 0 = no end
	Open                    bool
	Before                  string // of CallCursor
	Limit                   int
}

// CallCursor names a place in a list of calls.
func CallCursor(c *im.Call) string { return strconv.FormatInt(c.OpenedAt, 10) + "." + c.ID }

// Calls reads a page of call records, the latest first.
func (s *Store) Calls(ctx context.Context, f CallFilter) ([]im.Call, error) {
	at, id := f.Until, ""
	if at == 0 {
		at = 1 << 62
	}
	if f.Before != "" {
		t, rest, ok := strings.Cut(f.Before, ".")
		n, err := strconv.ParseInt(t, 10, 64)
		if !ok || err != nil {
			return nil, im.Bad("before", "is not the next of a page")
		}
		at, id = n, rest
	}
	open := 0
	if f.Open {
		open = 1
	}
	query, key := qCalls, ""
	switch {
	case f.UserID != "":
		query, key = qCallsOf, f.UserID
	case f.RoomID != "":
		query, key = qCallsRoom, f.RoomID
	case f.GroupID != "":
		query, key = qCallsIn, f.GroupID
	case f.Open:
		query = qCallsOpen
	}
	return all(ctx, s, txn.ScanCall, query, at, id, f.From, open, f.GroupID, f.RoomID, key, f.Limit)
}
