package personaldata

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
)

// scan reads a table in pages, in the order of its key, and changes the rows of erased users.
type scan struct {
	table string
	find  string // a page: the columns of the key, a text, and the time of the row; 0 = it has none
	first []any  // the key before all others
	owns  func(text []byte, user *target) bool
	// change changes the row of a user; used are the columns of the key that it takes, at most two.
	change string
	used   int
}

// scans returns the tables that are read for copies, in order. The records are first.
func scans() []scan {
	is := func(text []byte, u *target) bool { return string(text) == u.user }
	names := func(text []byte, u *target) bool { return bytes.Contains(text, u.quoted) }
	one, two, three := []any{""}, []any{"", ""}, []any{"", "", ""}
	return []scan{
		{table: "record", first: []any{"", 0}},
		{"invitation", queries.Text("EraseInvitations"), one, is, queries.Text("EraseInvitation"), 1},
		{"invitee", queries.Text("EraseInvitees"), two, is, queries.Text("EraseInvitee"), 1},
		{"follow", queries.Text("EraseFollowers"), two, is, queries.Text("EraseFollower"), 1},
		{"receipt", queries.Text("EraseReceipts"), three, is, queries.Text("EraseReceipt"), 2},
		{"application", queries.Text("EraseApplications"), two, is, queries.Text("EraseApplication"), 1},
		{"mark", queries.Text("EraseTombstones"), two, is, queries.Text("EraseTombstone"), 1},
		{"seat", queries.Text("EraseSeats"), two, is, queries.Text("EraseSeat"), 1},
		{"room_link", queries.Text("EraseRoomLinks"), two, is, queries.Text("EraseRoomLink"), 1},
		{"member", queries.Text("EraseMembers"), two, is, queries.Text("EraseMember"), 1},
		{"outgoing", queries.Text("ErasePushes"), []any{"", 0}, names, queries.Text("ErasePush"), 2},
	}
}

// scanPlace is a position in the scans of all tables.
type scanPlace struct {
	Table string `json:"table"`
	Key   []any  `json:"key"` // of the last row that was read
}

// ScanCopies reads one page of all tables for some erasures, which have the same place, and clears what is left of
// their users. After the last page their stage ends. It returns the number of rows of the page.
func ScanCopies(ctx context.Context, s *store.Store, list []*Erasure) (rows int, err error) {
	at, sc, err := parseScan(list[0].Place)
	if err != nil {
		return 0, err
	}
	users := make([]target, len(list))
	for i, e := range list {
		if users[i], err = targetOf(e); err != nil {
			return 0, err
		}
	}
	if sc.find == "" {
		rows, err = at.records(ctx, s, list, users)
	} else {
		rows, err = at.rows(ctx, s, sc, users)
	}
	if err != nil {
		return rows, fmt.Errorf("the table %s: %w", sc.table, err)
	}
	if rows < page {
		at = after(sc.table)
	}
	if at == nil {
		if err := s.Purge(ctx); err != nil {
			return rows, err
		}
	}
	for _, e := range list {
		if at == nil {
			e.Move(StageDone)
		} else {
			e.Place = at.encode()
		}
	}
	return rows, nil
}

// records clears a page of records.
func (at *scanPlace) records(ctx context.Context, s *store.Store, list []*Erasure, users []target) (int, error) {
	p, err := find(ctx, s, users, queries.Text("EraseRecords"), append(at.Key, page)...)
	if err != nil {
		return 0, err
	}
	changed, err := rewrite(ctx, s, p.hits)
	for _, e := range list {
		e.Records += changed[e.UserID]
	}
	at.Key = []any{p.last.topic, p.last.seq}
	return p.n, err
}

// rows changes the rows of a page of another table.
func (at *scanPlace) rows(ctx context.Context, s *store.Store, sc *scan, users []target) (n int, err error) {
	type found struct {
		user string
		key  []any
	}
	var hits []found
	last := at.Key
	if err := s.View(ctx, func(r sqldb.Reader) error {
		hits, n = nil, 0
		return r.Read(ctx, sc.find, func(row sqldb.Row) error {
			key, text, at, err := sc.read(row)
			n++
			last = key
			for i := range users {
				if sc.owns(text, &users[i]) && !users[i].later(at) {
					hits = append(hits, found{users[i].user, key})
				}
			}
			return err
		}, append(append([]any{}, at.Key...), page)...)
	}); err != nil {
		return n, err
	}
	for len(hits) > 0 {
		some := hits[:min(len(hits), chunk)]
		if err := s.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
			for _, h := range some {
				args := []any{h.user, h.key[0], ""}
				if sc.used == 2 {
					args[2] = h.key[1]
				}
				if err := sess.Exec(ctx, sc.change, args...); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return n, err
		}
		hits = hits[len(some):]
	}
	at.Key = last
	return n, nil
}

// read reads the key, the text and the time of a row.
func (sc *scan) read(row sqldb.Row) (key []any, text []byte, at int64, err error) {
	key = make([]any, len(sc.first))
	into := make([]any, len(key), len(key)+2)
	for i := range key {
		into[i] = &key[i]
	}
	err = row.Scan(append(into, &text, &at)...)
	for i, v := range key {
		if b, ok := v.([]byte); ok {
			key[i] = string(b)
		}
	}
	return key, text, at, err
}

// after returns the beginning of the table after one; nil after the last one.
func after(table string) *scanPlace {
	list := scans()
	for i := range list[:len(list)-1] {
		if list[i].table == table {
			return &scanPlace{Table: list[i+1].table, Key: list[i+1].first}
		}
	}
	return nil
}

// parseScan reads a place; empty = the beginning.
func parseScan(place string) (*scanPlace, *scan, error) {
	list := scans()
	if place == "" {
		return &scanPlace{Table: list[0].table, Key: list[0].first}, &list[0], nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(place)))
	d.UseNumber()
	at := &scanPlace{}
	if err := d.Decode(at); err != nil {
		return nil, nil, fmt.Errorf("the place of the erasure cannot be read: %w", err)
	}
	for i := range list {
		if sc := &list[i]; sc.table == at.Table && len(at.Key) == len(sc.first) {
			for k, v := range at.Key {
				if n, isNumber := v.(json.Number); isNumber {
					at.Key[k], _ = n.Int64() // a place has whole numbers
				}
			}
			return at, sc, nil
		}
	}
	return nil, nil, fmt.Errorf("the place of the erasure names the unknown table %q: another version wrote it", at.Table)
}

func (at *scanPlace) encode() string {
	b, _ := json.Marshal(at) // strings and numbers always encode
	return string(b)
}
