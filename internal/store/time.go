package store

import (
	"context"
	"errors"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/clock"
)

// sharedClock is the clock of a database that nodes share. Its own clock decides, with a correction that any node
// stores when that clock is set.
type sharedClock interface {
	// Ping reads the clock of a database that takes writes.
	Ping(ctx context.Context) (sqldb.Reading, error)
	// SetClock stores a correction by which the time of a reading becomes now, unless another node has stored one since.
	SetClock(ctx context.Context, r sqldb.Reading, now int64) error
	// NoteTime stores the time with the database's clock, if it is the latest and agrees with that clock.
	NoteTime(ctx context.Context, now int64) error
}

const (
	maxJump  = 1000 // milliseconds between two readings beyond the time in between; more is a step
	maxBack  = 200  // milliseconds less than the time in between; more is a step back, which no timeline may see
	readings = 3    // attempts; the one with the shortest round trip counts
)

// errClockStepped means that the database's clock was set. The batch is retried after the correction.
var errClockStepped = errors.New("store: the database's clock was set")

// startClock starts the clock, not before the latest time in the database.
func (s *Store) startClock(ctx context.Context) error {
	source := clock.Source{Now: s.opt.Now, Wall: s.opt.Wall, Step: func(ms int64) { s.logStep("this machine", ms) }}
	if s.shared == nil {
		latest, err := s.db.(interface {
			Latest(context.Context) (int64, error)
		}).Latest(ctx)
		if err != nil {
			return err
		}
		s.clock.Start(source, false, latest)
		if behind := s.clock.Behind(); behind < -maxJump {
			s.opt.Log.Warn("clock is behind the latest record", "by", millis(-behind))
		}
		return nil
	}
	s.clock.Start(source, true, 0)
	ctx, cancel := context.WithTimeout(ctx, s.opt.Patience) // a synchronous standby may be returning
	defer cancel()
	began := time.Now()
	r, err := s.shared.Ping(ctx)
	if err != nil {
		return err
	}
	if r.Now < r.Latest {
		to := r.Latest       // the reading of the other node was a little ahead
		if r.Raw < r.Noted { // the database's clock was set back, and commits may have followed the last note
			s.opt.Log.Warn("database clock is behind the latest time", "by", millis(r.Latest-r.Now))
			to += (2 * pingEvery).Milliseconds()
		}
		if err = s.shared.SetClock(ctx, r, to); err == nil {
			began = time.Now()
			r, err = s.shared.Ping(ctx)
		}
	}
	s.clock.Agree(began, r.Now, r.Raw != r.Now)
	s.clock.SetBehind(r.Raw - r.Now)
	return err
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func (s *Store) logStep(owner string, ms int64) {
	s.opt.Log.Warn("clock was set; following it slowly", "clock", owner, "by", millis(ms))
}

// ping reads the clock of a shared database, and corrects it if it was set.
func (s *Store) ping(ctx context.Context) error {
	s.clockMu.Lock()
	defer s.clockMu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	var best sqldb.Reading
	var expected, latest int64
	var since time.Time
	trip := int64(-1)
	for range readings {
		began, before := time.Now(), s.clock.Read()
		r, err := s.shared.Ping(ctx)
		if err != nil {
			return err
		}
		after := s.clock.Read()
		if trip < 0 || after-before < trip {
			best, trip, expected = r, after-before, before+(after-before)/2
			since, latest = began, s.clock.Latest()
		}
		if !s.isStep(best.Now-expected, trip) {
			break
		}
	}
	d := best.Now - expected
	switch {
	case !s.isStep(d, trip):
	case d > 0 && best.Noted > 0 && best.Raw-best.Noted < d-maxJump:
		// another node has noted the time since, so that the database's clock ran on
		s.opt.Log.Warn("this machine was paused; following the database", "for", millis(d))
	case s.corrected.undone(best, d):
		s.opt.Log.Warn("other nodes disagree; following the database", "by", millis(d))
	default:
		if s.unstored == 0 || !near(d, s.unstored) { // otherwise storing the correction failed, and the step is counted
			s.unstored = d
			s.clock.Stepped()
			s.logStep("the database", d)
		}
		to := max(expected, latest) // of a reading, from which this node's clock runs behind
		if err := s.shared.SetClock(ctx, best, to); err != nil {
			return err
		}
		s.corrected, s.unstored = correction{at: time.Now(), by: d, text: best.CorrectionTo(to)}, 0
		return nil // the next reading has the correction
	}
	s.unstored = 0
	s.clock.Agree(since, best.Now, best.Raw != best.Now)
	s.clock.SetBehind(best.Raw - best.Now)
	return nil
}

// correction is a stored correction of the database's clock.
type correction struct {
	at   time.Time
	by   int64  // the step in milliseconds
	text string // as stored
}

// undone reports whether other nodes have undone a correction: the same step is there again, with a later correction.
func (c correction) undone(r sqldb.Reading, d int64) bool {
	return time.Since(c.at) < 10*time.Second && near(d, c.by) && r.Correction != c.text
}

// near reports whether two differences of clocks can be of the same step.
func near(a, b int64) bool { return a-b < 2*maxJump && b-a < 2*maxJump }

func (s *Store) isStep(diff, trip int64) bool {
	return s.opt.Now == nil && (diff > maxJump+trip || diff < -maxBack-s.clock.Drift()-trip)
}

// jumped reports whether a reading of the database's clock, after a reading of this one, may follow a step.
func (s *Store) jumped(before, now int64) bool {
	return now != 0 && s.opt.Now == nil &&
		(now < before-maxBack-s.clock.Drift() || now > s.clock.Read()+maxJump)
}

// noteTime stores the time of a shared database, and reports whether the database takes commits.
func (s *Store) noteTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	return s.shared.NoteTime(ctx, s.Now())
}

// Now returns the time of the store's clock in milliseconds. It never decreases, and never jumps.
func (s *Store) Now() int64 { return s.clock.Read() }

// ClockSteps counts how often the clock that decides was set while the server ran.
func (s *Store) ClockSteps() int64 { return s.clock.Steps() }

// ClockBehind returns the milliseconds by which that clock is ahead of Now; negative = behind it.
func (s *Store) ClockBehind() int64 { return s.clock.Behind() }
