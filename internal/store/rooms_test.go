package store_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
)

// TestMigrationOfRooms: rooms of earlier versions, which never ended, are over unless people are in them or somebody is
// still invited.
func TestMigrationOfRooms(t *testing.T) {
	s := newShared(t, 1, store.Options{Schema: 8})
	ctx := t.Context()
	if err := s.stores[0].Once(ctx, func(sess *sqldb.Session) error {
		for _, q := range []string{
			"INSERT INTO room (id, owner, invite_id, latest, created_at) VALUES ('talking', 'a', 'i1', 'i1', 100), ('ended', " +
				"'a', 'i2', 'i2', 100), ('never', 'a', 'i3', 'i3', 100), ('rings', 'a', 'i4', 'i4', 100)",
			"INSERT INTO seat (room_id, user_id, role, at) VALUES ('ended', 'a', 'anchor', 100), ('ended', 'b', 'anchor', " +
				"900), ('never', 'a', 'anchor', 100)",
			call("c1", "talking", 200, 300, 0), call("c2", "ended", 200, 300, 500), call("c3", "never", 200, 0, 400),
			call("c4", "open", 200, 300, 0), call("c5", "group_g", 200, 300, 0),
			"INSERT INTO participant (call_id, user_id, sid, first_at, joined_at, left_at, ms, reason) " +
				"VALUES ('c1', 'a', 's', " +
				"200, 600, 500, 300, ''), ('c3', 'a', 's', 200, 0, 400, 200, 'left'), ('c4', 'b', 's', 200, 200, 0, 0, '')",
		} {
			if err := sess.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	fresh, err := store.Open(ctx, store.Options{Postgres: urlOver(s.links[0])})
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	for id, lives := range map[string]bool{"talking": true, "ended": false, "never": false, "rings": false, "open": true} {
		r, err := fresh.Room(ctx, id)
		if err != nil || r.Lives() != lives {
			t.Errorf("%s: %+v, %v", id, r, err)
		}
		if id == "ended" && r.EndedAt < 900 {
			t.Errorf("a grant of the room that is over is younger than its end: %+v", r)
		}
		if id == "open" && (r.Owner != "b" || !r.Entered) {
			t.Errorf("the room that nobody was invited to is %+v", r)
		}
	}
	if r, err := fresh.Room(ctx, "group_g"); r != nil || err != nil {
		t.Errorf("the standing room of a group became %+v, %v", r, err)
	}
	if c, err := fresh.Call(ctx, "c3"); c != nil || err != nil {
		t.Errorf("a call in which nobody talked is still there: %+v, %v", c, err)
	}
	if p, err := fresh.UsersIn(ctx, "c1", 10); err != nil || len(p) != 1 || p[0].Stays != "200-500" {
		t.Errorf("who had left and come back is %+v, %v", p, err)
	}
}

func call(id, room string, opened, began, ended int) string {
	present := 2
	if ended != 0 {
		present = 0
	}
	return fmt.Sprintf(`INSERT INTO media_call (id, room_id, invite_id, group_id, owner, peer,
		opened_at, began_at, ended_at, ms, reason, ended_by, present, total, dropped, check_at, seen_at)
		VALUES ('%s', '%s', '', '', 'a', '', %d, %d, %d, 0, '', '', %d, 2, 0, 0, 0)`, id, room, opened, began, ended, present)
}

// TestTheSameMigrationOfRooms: what is tested above on PostgreSQL is what SQLite runs.
func TestTheSameMigrationOfRooms(t *testing.T) {
	a, err := os.ReadFile("sqlite/migrations/0010_rooms.sql")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile("postgres/migrations/0010_rooms.sql"); err != nil || string(a) != string(b) {
		t.Error("the engines migrate rooms differently", err)
	}
}
