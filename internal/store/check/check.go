// Package check owns the look at a whole database: what must always hold, and whether it does.
//
// It changes nothing.
package check

import (
	"context"
	"fmt"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
)

// Report is what an inspection of a database found.
type Report struct {
	Topics, Records, Invitations, Open int64
	Faults                             []string // what must not be
}

// inspectTime bounds an inspection, which reads everything.
const inspectTime = time.Hour

// Inspect reads a database, which servers may be using, and checks what must always hold.
func Inspect(ctx context.Context, opt store.Options) (*Report, error) {
	s, err := store.OpenReading(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("the database cannot be opened: %w", err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	r := &Report{}
	if err := s.View(ctx, func(at sqldb.Reader) error { return r.inspect(ctx, at) }); err != nil {
		return nil, err
	}
	damaged, err := s.Damage(ctx)
	r.Faults = append(damaged, r.Faults...)
	return r, err
}

func (r *Report) inspect(ctx context.Context, at sqldb.Reader) error {
	number := func(into *int64, query string) error {
		return at.Read(ctx, query, func(row sqldb.Row) error { return row.Scan(into) })
	}
	for _, q := range []struct {
		into *int64
		text string
	}{
		{&r.Topics, "SELECT count(*) FROM topic"},
		{&r.Records, "SELECT count(*) FROM record"},
		{&r.Invitations, "SELECT count(*) FROM invitation"},
		{&r.Open, "SELECT count(*) FROM invitation WHERE open > 0"},
	} {
		if err := number(q.into, q.text); err != nil {
			return err
		}
	}
	for _, q := range []struct{ fault, text string }{
		{"timelines with a gap or without their last record", `SELECT count(*) FROM (SELECT t.name FROM topic t LEFT JOIN record r ON r.topic = t.name
			GROUP BY t.name, t.head, t.floor HAVING count(r.seq) <> t.head - t.floor OR max(r.seq) <> t.head AND t.head > t.floor) broken`},
		{"invitations whose counts differ from their invitees", `SELECT count(*) FROM (SELECT i.id FROM invitation i LEFT JOIN invitee w ON w.invite_id = i.id
			GROUP BY i.id, i.open, i.accepted HAVING i.open <> sum(CASE WHEN w.state = 0 THEN 1 ELSE 0 END) OR i.accepted <> sum(CASE WHEN w.state = 1 THEN 1 ELSE 0 END)) broken`},
	} {
		var n int64
		if err := number(&n, q.text); err != nil {
			return err
		}
		if n > 0 {
			r.Faults = append(r.Faults, fmt.Sprintf("%d %s", n, q.fault))
		}
	}
	return nil
}
