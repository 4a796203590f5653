package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/world"
)

// batch is a group of units that share one transaction.
type batch struct {
	units   []*Unit
	errs    []error
	records []world.Record
}

// commit decides and commits units. When the transaction fails, each unit is tried alone, so that one that the
// database will not take does not drag down its neighbours.
func (s *Store) commit(sess *world.Session, units []*Unit) *batch {
	b, err := s.try(sess, units)
	if err == nil {
		return b
	}
	s.opt.Log.Error("group commit failed", "units", len(units), "error", err)
	if len(units) == 1 {
		return &batch{units: units, errs: []error{im.Internal(err)}}
	}
	all := &batch{}
	for _, u := range units {
		one := s.commit(sess, []*Unit{u})
		all.units = append(all.units, one.units...)
		all.errs = append(all.errs, one.errs...)
		all.records = append(all.records, one.records...)
	}
	return all
}

// try runs units in one transaction. It fails only when the database does.
func (s *Store) try(sess *world.Session, units []*Unit) (b *batch, err error) {
	ctx := context.Background() // a commit under way is finished, also while the server stops
	if err := sess.Exec(ctx, sess.Begin); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, sess.Exec(ctx, "ROLLBACK"))
		}
	}()
	needs := make([]world.Need, len(units))
	for i, u := range units {
		needs[i] = u.Need
	}
	w := world.New(s.Now())
	if err := w.Load(ctx, sess, needs); err != nil {
		return nil, err
	}
	b = &batch{units: units, errs: make([]error, len(units))}
	for i, u := range units {
		if b.errs[i], err = s.decide(ctx, sess, w, u); err != nil {
			return nil, err
		}
		if u.sweep != nil {
			if err := u.sweep(ctx, sess, w.Now); err != nil {
				return nil, err
			}
		}
	}
	b.records = w.Records()
	if err := w.Flush(ctx, sess, b.records); err != nil {
		return nil, err
	}
	if err := sess.Exec(ctx, "COMMIT"); err != nil {
		return nil, err
	}
	s.heads.advance(b.records)
	return b, nil
}

// maxMore bounds how often one unit may ask for more rows.
const maxMore = 64

// decide runs one unit, loading what it asks for on the way. It returns the unit's refusal, and the database's failure.
func (s *Store) decide(ctx context.Context, sess *world.Session, w *world.World, u *Unit) (refusal, failure error) {
	for range maxMore {
		err := s.guarded(w, u)
		var more *world.More
		if !errors.As(err, &more) {
			w.Settle(err == nil)
			return err, nil
		}
		w.Settle(false)
		if err := w.Load(ctx, sess, []world.Need{more.Need}); err != nil {
			return nil, err
		}
	}
	return im.Internal(fmt.Errorf("the unit asked for more rows %d times", maxMore)), nil
}

// guarded turns a panic of a unit into its refusal: a fault in one verb must not stop the store.
func (s *Store) guarded(w *world.World, u *Unit) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.opt.Log.Error("a unit of work panicked", "panic", r, "stack", string(debug.Stack()))
			err = im.Internal(fmt.Errorf("panic: %v", r))
		}
	}()
	return u.Decide(w)
}

// finish tells the callers, then the readers: an acknowledgement is on its way before any event about it.
func (b *batch) finish(announce Announcer) {
	for i, u := range b.units {
		u.Done(b.errs[i])
	}
	if len(b.records) > 0 {
		announce(b.records)
	}
}
