// Package drivers measures SQLite drivers on the shape of one group commit: the benchmark behind ADR 0002.
//
// It lives in a module of its own so that the server never links a driver it does not use.
//
//	cd test/drivers && go test -bench . -benchtime 200x -count 5
package drivers

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	_ "modernc.org/sqlite"
)

const schema = `
CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, head INTEGER NOT NULL);
CREATE TABLE record (topic_id INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, device TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (topic_id, seq));
CREATE TABLE invitation (id TEXT PRIMARY KEY, inviter TEXT NOT NULL, data TEXT NOT NULL, deadline INTEGER NOT NULL, open INTEGER NOT NULL);
CREATE INDEX invitation_due ON invitation (deadline) WHERE open > 0;
CREATE TABLE invitee (invite_id TEXT NOT NULL, user_id TEXT NOT NULL, state INTEGER NOT NULL, PRIMARY KEY (invite_id, user_id));
CREATE INDEX invitee_open ON invitee (user_id) WHERE state = 0;`

const (
	verbs = 64   // verbs in one group commit
	users = 1000 // users the verbs are spread over
)

// conn is the least that a group commit needs from a driver.
type conn interface {
	exec(query string, args ...any) error
	rows(query string, args ...any) (int, error)
}

func values(columns, rows int) string {
	row := "(?" + strings.Repeat(",?", columns-1) + ")"
	return row + strings.Repeat(","+row, rows-1)
}

// commit writes what 64 one-to-one invites write: one load, then one statement for each table.
func commit(c conn, round int, body []byte) error {
	names := make([]any, 0, 2*verbs)
	var topics, records, invitations, invitees []any
	for v := range verbs {
		id := fmt.Sprintf("0192f0c1-%08d-%04d", round, v)
		a, b := (round*verbs+v)%users, (round*verbs+v+users/2)%users
		names = append(names, fmt.Sprintf("user:u%d", a), fmt.Sprintf("user:u%d", b))
		for _, u := range []int{a, b} {
			topics = append(topics, u+1, fmt.Sprintf("user:u%d", u), round*2*verbs+v)
			records = append(records, u+1, round*2*verbs+v, round, "u/phone", body)
		}
		invitations = append(invitations, id, "u", "data", round, 1)
		invitees = append(invitees, id, fmt.Sprintf("u%d", b), 0)
	}
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if _, err := c.rows("SELECT id, name, head FROM topic WHERE name IN ("+values(1, 2*verbs)+")", names...); err != nil {
		return err
	}
	for _, s := range []struct {
		query string
		args  []any
	}{
		{"INSERT INTO topic (id, name, head) VALUES " + values(3, 2*verbs) +
			" ON CONFLICT (id) DO UPDATE SET head = excluded.head", topics},
		{"INSERT INTO record (topic_id, seq, at, device, body) VALUES " + values(5, 2*verbs), records},
		{"INSERT INTO invitation (id, inviter, data, deadline, open) VALUES " + values(5, verbs), invitations},
		{"INSERT INTO invitee (invite_id, user_id, state) VALUES " + values(3, verbs), invitees},
	} {
		if err := c.exec(s.query, s.args...); err != nil {
			return err
		}
	}
	return c.exec("COMMIT")
}

type stdConn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (s *stdConn) stmt(query string) (*sql.Stmt, error) {
	if st, ok := s.stmts[query]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(context.Background(), query)
	s.stmts[query] = st
	return st, err
}

func (s *stdConn) exec(query string, args ...any) error {
	st, err := s.stmt(query)
	if err != nil {
		return err
	}
	_, err = st.Exec(args...)
	return err
}

func (s *stdConn) rows(query string, args ...any) (int, error) {
	st, err := s.stmt(query)
	if err != nil {
		return 0, err
	}
	rows, err := st.Query(args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var id, head int64
		var name string
		if err := rows.Scan(&id, &name, &head); err != nil {
			return 0, err
		}
		n++
	}
	return n, rows.Err()
}

func openStd(b *testing.B, driver, options string) conn {
	db, err := sql.Open(driver, "file:"+filepath.Join(b.TempDir(), "bench.db")+options)
	if err != nil {
		b.Fatal(err)
	}
	c, err := db.Conn(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(); db.Close() })
	return &stdConn{c, map[string]*sql.Stmt{}}
}

func BenchmarkGroupCommit(b *testing.B) {
	for _, d := range []struct {
		name string
		open func(*testing.B) conn
	}{
		{"mattn-cgo", func(b *testing.B) conn { return openStd(b, "sqlite3", "?_journal_mode=WAL&_synchronous=FULL") }},
		{"modernc", func(b *testing.B) conn {
			return openStd(b, "sqlite", "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
		}},
	} {
		b.Run(d.name, func(b *testing.B) {
			c := d.open(b)
			for _, s := range strings.Split(strings.TrimSpace(schema), "\n") {
				if err := c.exec(strings.TrimSuffix(s, ";")); err != nil {
					b.Fatal(s, err)
				}
			}
			body := []byte(strings.Repeat("x", 400))
			b.ResetTimer()
			for i := range b.N {
				if err := commit(c, i, body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*verbs), "µs/verb")
		})
	}
}
