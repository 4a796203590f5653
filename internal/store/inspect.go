package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
)

// Report is what an inspection of a data directory found.
type Report struct {
	Topics, Records, Invitations, Open int64
	Faults                             []string // what must not be
}

// Inspect reads the database of a data directory, which a server may be using, and checks what must always hold.
func Inspect(ctx context.Context, dir string) (*Report, error) {
	db, err := sql.Open("sqlite", dsn(filepath.Join(dir, DatabaseFile), "query_only(1)"))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("the database cannot be opened: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	r := &Report{}
	for _, q := range []struct {
		into *int64
		text string
	}{
		{&r.Topics, "SELECT count(*) FROM topic"},
		{&r.Records, "SELECT count(*) FROM record"},
		{&r.Invitations, "SELECT count(*) FROM invitation"},
		{&r.Open, "SELECT count(*) FROM invitation WHERE open > 0"},
	} {
		if err := tx.QueryRowContext(ctx, q.text).Scan(q.into); err != nil {
			return nil, err
		}
	}
	var verdict string
	if err := tx.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return nil, err
	}
	if verdict != "ok" {
		r.Faults = append(r.Faults, "the database file is damaged: "+verdict)
	}
	for _, q := range []struct{ fault, text string }{
		{"timelines with a gap or without their last record", `SELECT count(*) FROM (SELECT t.name FROM topic t LEFT JOIN record r ON r.topic = t.name
			GROUP BY t.name, t.head, t.floor HAVING count(r.seq) <> t.head - t.floor OR max(r.seq) <> t.head AND t.head > t.floor)`},
		{"invitations whose counts differ from their invitees", `SELECT count(*) FROM (SELECT i.id FROM invitation i LEFT JOIN invitee w ON w.invite_id = i.id
			GROUP BY i.id, i.open, i.accepted HAVING i.open <> sum(CASE WHEN w.state = 0 THEN 1 ELSE 0 END) OR i.accepted <> sum(CASE WHEN w.state = 1 THEN 1 ELSE 0 END))`},
	} {
		var n int64
		if err := tx.QueryRowContext(ctx, q.text).Scan(&n); err != nil {
			return nil, err
		}
		if n > 0 {
			r.Faults = append(r.Faults, fmt.Sprintf("%d %s", n, q.fault))
		}
	}
	return r, nil
}
