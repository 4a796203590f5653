package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// Room reads a media room, which may have ended; nil when there was none.
func (s *Store) Room(ctx context.Context, id string) (*im.Room, error) {
	return sqldb.One(ctx, s.db, txn.ScanRoom, queries.Text("Room"), id)
}

// Seat reads the grant of a user in a room, or nil.
func (s *Store) Seat(ctx context.Context, room, user string) (*im.Seat, error) {
	return sqldb.One(ctx, s.db, txn.ScanSeat, queries.Text("Seat"), room, user)
}

// Seats reads the grants in a room since a time, the oldest first.
func (s *Store) Seats(ctx context.Context, room string, since int64, limit int) ([]im.Seat, error) {
	return sqldb.All(ctx, s.db, txn.ScanSeat, queries.Text("Seats"), room, since, limit)
}

// RoomsDue reads the rooms with a check due by a time.
func (s *Store) RoomsDue(ctx context.Context, now int64, limit int) ([]string, error) {
	return sqldb.All(ctx, s.db, sqldb.Text, queries.Text("RoomsDue"), now, limit)
}

// PresentIn reads the present participants of a call, in the order in which they joined.
func (s *Store) PresentIn(ctx context.Context, call string, limit int) ([]im.Participant, error) {
	return sqldb.All(ctx, s.db, txn.ScanParticipant, queries.Text("ParticipantsPresent"), call, limit)
}

// Call reads a call record, or nil.
func (s *Store) Call(ctx context.Context, id string) (*im.Call, error) {
	return sqldb.One(ctx, s.db, txn.ScanCall, queries.Text("Call"), id)
}

// CallIn reads the open call of a room, or nil.
func (s *Store) CallIn(ctx context.Context, room string) (*im.Call, error) {
	return sqldb.One(ctx, s.db, txn.ScanCall, queries.Text("CallInRoom"), room)
}

// OpenCalls reads a page of the open calls, after one of them.
func (s *Store) OpenCalls(ctx context.Context, after string, limit int) ([]im.Call, error) {
	return sqldb.All(ctx, s.db, txn.ScanCall, queries.Text("CallsOpen"), after, limit)
}

// CallsDue reads the rooms of the calls with a check due by a time.
func (s *Store) CallsDue(ctx context.Context, now int64, limit int) ([]string, error) {
	return sqldb.All(ctx, s.db, sqldb.Text, queries.Text("CallsDue"), now, limit)
}

// UsersIn reads the participants of a call, in the order in which they joined.
func (s *Store) UsersIn(ctx context.Context, call string, limit int) ([]im.Participant, error) {
	return sqldb.All(ctx, s.db, txn.ScanParticipant, queries.Text("Participants"), call, limit)
}

// CallFilter selects call records: those of a user, a group or a room, or all.
type CallFilter struct {
	UserID, GroupID, RoomID string
	From, Until             int64 // milliseconds; Until 0 = no end
	Open                    bool
	Before                  string // of CallCursor
	Limit                   int
}

// CallCursor returns the position of a call in a list of calls.
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
	query, key := queries.Text("CallRecords"), ""
	switch {
	case f.UserID != "":
		query, key = queries.Text("CallRecordsOfUser"), f.UserID
	case f.RoomID != "":
		query, key = queries.Text("CallRecordsOfRoom"), f.RoomID
	case f.GroupID != "":
		query, key = queries.Text("CallRecordsOfGroup"), f.GroupID
	case f.Open:
		query = queries.Text("CallRecordsOpen")
	}
	return sqldb.All(ctx, s.db, txn.ScanCall, query, at, id, f.From, open, f.GroupID, f.RoomID, key, f.Limit)
}
