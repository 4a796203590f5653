package store

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/internal/world"
)

// trimEvery is how often what nobody can ask for any more is removed.
const trimEvery = time.Minute

// onlineKept is how long an ended online-only invitation can still be asked about: long enough for every retry.
const onlineKept = 5 * time.Minute

// Trim removes expired marks and ended online-only invitations from time to time, until ctx ends.
func (s *Store) Trim(ctx context.Context) error {
	t := time.NewTicker(trimEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := s.TrimNow(ctx); err != nil && ctx.Err() == nil {
				s.opt.Log.Warn("trimming failed; it is tried again", "error", err)
			}
		}
	}
}

// TrimNow removes what has expired, in the order of commits like any other work.
func (s *Store) TrimNow(ctx context.Context) error {
	done := make(chan error, 1)
	u := &Unit{Decide: func(*world.World) error { return nil }, Done: func(err error) { done <- err }}
	u.sweep = func(ctx context.Context, sess *world.Session, now int64) error {
		if err := sess.Exec(ctx, "DELETE FROM mark WHERE expires_at <= $1", now); err != nil {
			return err
		}
		ended := now - onlineKept.Milliseconds()
		// flags / 2 % 2 is flagOnline; both engines divide integers alike.
		const gone = `SELECT i.id FROM invitation i WHERE i.flags / 2 % 2 = 1 AND i.open = 0
			AND NOT EXISTS (SELECT 1 FROM invitee w WHERE w.invite_id = i.id AND w.decided_at >= $1)`
		if err := sess.Exec(ctx, "DELETE FROM invitee WHERE invite_id IN ("+gone+")", ended); err != nil {
			return err
		}
		return sess.Exec(ctx, "DELETE FROM invitation WHERE id IN ("+gone+")", ended)
	}
	if err := s.Do(u); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
