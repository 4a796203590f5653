// Package check verifies the invariants of a whole database.
//
// It repairs nothing.
package check

import (
	"context"
	"fmt"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
)

// Report is the result of a check.
type Report struct {
	Topics, Records, Invitations, Open int64
	Faults                             []string // violated invariants
}

// inspectTime limits a check, which reads everything.
const inspectTime = time.Hour

// Inspect checks the invariants of a database that servers may be using.
func Inspect(ctx context.Context, opt store.Options) (*Report, error) {
	s, err := store.OpenReading(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("the database cannot be opened: %w", err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	r := &Report{}
	if err := s.SchemaFault(ctx); err != nil { // the queries below may need the missing objects
		r.Faults = append(r.Faults, err.Error())
		return r, nil
	}
	found, err := s.Incomplete(ctx)
	if err != nil {
		return nil, err
	}
	if found {
		r.Faults = append(r.Faults, store.ErrIncomplete.Error())
	}
	if err := s.View(ctx, func(at sqldb.Reader) error { return r.inspect(ctx, at) }); err != nil {
		return nil, err
	}
	damaged, err := s.Damage(ctx)
	r.Faults = append(damaged, r.Faults...)
	return r, err
}

func (r *Report) inspect(ctx context.Context, at sqldb.Reader) (err error) {
	count := func(text string) (n int64) {
		if err == nil {
			err = at.Read(ctx, text, func(row sqldb.Row) error { return row.Scan(&n) })
		}
		return n
	}
	r.Topics = count(queries.Text("CheckTopics"))
	r.Records = count(queries.Text("CheckRecords"))
	r.Invitations = count(queries.Text("CheckInvitations"))
	r.Open = count(queries.Text("AdminOpenInvitationCount"))
	if n := count(queries.Text("CheckTimelines")); n > 0 {
		r.Faults = append(r.Faults, fmt.Sprintf("%d timelines with a gap or without their last record", n))
	}
	if n := count(queries.Text("CheckCounts")); n > 0 {
		r.Faults = append(r.Faults, fmt.Sprintf("%d invitations whose counts differ from their invitees", n))
	}
	return err
}
