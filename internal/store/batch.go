package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
)

// batch is a group of units that share one transaction.
type batch struct {
	units   []*Unit
	errs    []error
	records []txn.Record
	now     int64
	world   *txn.World // until it was observed
	marks   []mark     // of records that may not be read before the callers were answered
}

// maxConflicts is how often a batch is tried again as it is when others make the same rows.
const maxConflicts = 5

// errUnsettled says that nobody knows whether a commit took effect: it must not be done again.
var errUnsettled = errors.New("store: the outcome of a commit could not be found out")

// impatience is how long a commit is tried again when the one before it was given up.
const impatience = time.Second

// attempt bounds one try of a batch: past it the connection is given up.
const (
	attempt     = 10 * time.Second
	lastAttempt = 3 * time.Second // while the server stops
)

func (l *line) attempt() time.Duration {
	if l.stopping {
		return lastAttempt
	}
	return attempt
}

// commit decides and commits units. While the database cannot be reached, or gives way to others, the batch is tried again.
// When it fails for another reason, each unit is tried alone, so that one that the database will not take does not drag down
// its neighbours.
func (l *line) commit(units []*Unit) *batch {
	s := l.s
	patience := time.Now().Add(s.opt.Patience)
	if l.lost || l.stopping {
		patience = time.Now().Add(impatience) // whoever came before has waited already
	}
	if l.lost && l.stopping {
		return refused(units, im.Unavailable(errors.New("the server stops, and its database cannot be reached")))
	}
	for n := 0; l.broken == nil; n++ {
		b, err := l.try(units)
		if err == nil {
			l.lost = false
			s.lost.Store(false)
			s.batches.Add(1)
			s.done.Add(int64(len(b.units)))
			return b
		}
		if errors.Is(err, errPlanted) {
			continue
		}
		if errors.Is(err, sqldb.ErrBroken) {
			l.broken = err
			break
		}
		if t := s.db.Trouble(err); t == sqldb.Fault || t == sqldb.Conflict && n >= maxConflicts || errors.Is(err, errUnsettled) {
			s.opt.Log.Error("group commit failed", "units", len(units), "error", err)
			return l.single(units, err)
		}
		if time.Now().After(patience) {
			if l.lost = s.db.Trouble(err) == sqldb.Lost; l.lost {
				s.lost.Store(true)
			}
			s.opt.Log.Error("the database does not take a commit; its calls are refused", "units", len(units), "error", err)
			return refused(units, im.Unavailable(err))
		}
		if n > 0 && n%30 == 1 {
			s.opt.Log.Warn("a commit is tried again", "units", len(units), "tries", n, "error", err)
		}
		pause := time.Duration(1+rand.IntN(10*(1+min(n, 30)))) * time.Millisecond
		<-time.After(pause)
	}
	return refused(units, im.Unavailable(l.broken))
}

// single tries each unit alone.
func (l *line) single(units []*Unit, err error) *batch {
	if errors.Is(err, errUnsettled) {
		return refused(units, im.Unavailable(err))
	}
	if len(units) == 1 {
		return refused(units, im.Internal(err))
	}
	all := &batch{}
	for _, u := range units {
		one := l.commit([]*Unit{u})
		all.units = append(all.units, one.units...)
		all.errs = append(all.errs, one.errs...)
		all.records = append(all.records, one.records...)
		all.marks = append(all.marks, one.marks...)
	}
	return all
}

func refused(units []*Unit, err error) *batch {
	b := &batch{units: units, errs: make([]error, len(units))}
	for i := range b.errs {
		b.errs[i] = err
	}
	return b
}

// try runs units in one transaction. It fails only when the database does.
func (l *line) try(units []*Unit) (*batch, error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.attempt()) // a commit under way is finished, also while the server stops
	defer cancel()
	later := l.later
	l.mark = mark{}
	b, err := l.transact(ctx, units)
	var doubt *sqldb.InDoubt
	if errors.As(err, &doubt) {
		err = l.settle(doubt)
	}
	if err == nil && b == nil {
		err = errPlanted // it was a plant that took effect
	}
	if err != nil {
		l.later = later // what it put off comes again with its units
		l.s.unanswered.end(l.mark)
		return nil, err
	}
	b.marks = []mark{l.mark}
	if l.s.Shared() {
		l.s.clock.Sync(b.now)
	}
	l.s.heads.advance(b.records)
	if l.s.opt.Observe != nil {
		l.s.opt.Observe(b.world)
	}
	b.world = nil
	return b, nil
}

// settle finds out whether a commit took effect whose outcome was not heard.
func (l *line) settle(doubt *sqldb.InDoubt) error {
	patience := time.Now().Add(l.s.opt.Patience)
	if l.stopping {
		patience = time.Now().Add(impatience)
	}
	for n := 0; ; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), l.attempt())
		committed, err := l.w.Settle(ctx)
		cancel()
		switch {
		case err == nil && committed:
			return nil
		case err == nil:
			return doubt.Cause
		case time.Now().After(patience):
			return errors.Join(errUnsettled, doubt.Cause, err)
		}
		<-time.After(time.Duration(10+rand.IntN(10*(1+min(n, 30)))) * time.Millisecond)
	}
}

func (l *line) transact(ctx context.Context, units []*Unit) (b *batch, err error) {
	sess, err := l.w.Begin(ctx)
	if err != nil {
		return nil, err
	}
	open := true
	defer func() {
		if open {
			err = errors.Join(err, l.w.Rollback(ctx))
		}
	}()
	needs := make([]txn.Need, len(units))
	for i, u := range units {
		needs[i] = u.Need
	}
	w, err := l.world(ctx, sess, units)
	if err != nil {
		return nil, err
	}
	l.known = nil // until it is true again
	if err := w.Load(ctx, sess, needs); err != nil {
		return nil, err
	}
	if sess.MustExist && w.Unlocked() {
		open = false
		if err := l.w.Rollback(ctx); err != nil {
			return nil, err
		}
		return nil, l.plant(ctx, w.Topics())
	}
	b = &batch{now: w.Now, world: w}
	for _, u := range units {
		refusal, err := l.decide(ctx, sess, w, u)
		if errors.Is(err, errLater) {
			continue
		}
		if err == nil && u.sweep != nil {
			err = u.sweep(ctx, sess, w.Now)
		}
		if err != nil {
			return nil, err
		}
		b.units, b.errs = append(b.units, u), append(b.errs, refusal)
	}
	if b.records = w.Records(); l.s.opt.Tap != nil {
		w.Leave(l.s.opt.Tap(w.Now, b.records))
	}
	if err := w.Flush(ctx, sess, b.records); err != nil {
		return nil, err
	}
	l.mark = l.s.unanswered.begin(b.records)
	if err := l.w.Commit(ctx); err != nil {
		var doubt *sqldb.InDoubt
		if open = !errors.As(err, &doubt); open {
			return nil, err
		}
		return b, err
	}
	open = false
	if sess.Lasting && !slices.ContainsFunc(b.units, sweeps) {
		l.known = w
	}
	return b, nil
}

// world is what the batch before this one left, where that lasts, and otherwise an empty one. House-keeping goes by what is
// in the database, and changes it behind the world's back.
func (l *line) world(ctx context.Context, sess *sqldb.Session, units []*Unit) (*txn.World, error) {
	now := l.s.clock.Floor() // the last that was read of the database's clock, which the batch reads itself
	if !l.s.Shared() {
		now = l.s.Now()
	}
	if l.known != nil && !l.known.Full(l.s.opt.Known) && !slices.ContainsFunc(units, sweeps) {
		l.known.Next(now)
		return l.known, nil
	}
	if sess.Lasting {
		if err := l.w.Calm(ctx); err != nil {
			return nil, err
		}
	}
	return txn.New(now), nil
}

func sweeps(u *Unit) bool { return u.sweep != nil }

// errPlanted says that topics were given their rows, and that the batch can begin anew.
var errPlanted = errors.New("store: new topics were given rows")

// plant gives topics the rows by which they are locked, in a transaction of its own, in their order.
func (l *line) plant(ctx context.Context, topics []string) error {
	sess, err := l.w.Begin(ctx)
	if err != nil {
		return err
	}
	var rows []any
	for _, t := range topics {
		rows = append(rows, t, 0)
	}
	if err := sess.Write(ctx, "INSERT INTO topic (name, head) VALUES ?* ON CONFLICT (name) DO NOTHING", 2, rows); err != nil {
		return errors.Join(err, l.w.Rollback(ctx))
	}
	if err := l.w.Commit(ctx); err != nil {
		return err
	}
	return errPlanted
}

// maxMore bounds how often one unit may ask for more rows.
const maxMore = 64

// errLater puts a unit off: it asked for topics, and those of a batch are locked together and in order.
var errLater = errors.New("store: the unit comes in a later batch")

// decide runs one unit, loading what it asks for on the way. It returns the unit's refusal, and the database's failure.
func (l *line) decide(ctx context.Context, sess *sqldb.Session, w *txn.World, u *Unit) (refusal, failure error) {
	for range maxMore {
		err := l.guarded(w, u)
		var more *txn.More
		if !errors.As(err, &more) {
			w.Settle(err == nil)
			return err, nil
		}
		w.Settle(false)
		if sess.MustExist && len(w.Missing(more.Need.Topics)) > 0 {
			if u.tries++; u.tries > maxMore {
				break
			}
			u.Need.Add(more.Need)
			l.later = append(l.later, u)
			return nil, errLater
		}
		if err := w.Load(ctx, sess, []txn.Need{more.Need}); err != nil {
			return nil, err
		}
	}
	return im.Internal(fmt.Errorf("the unit asked for more rows %d times", maxMore)), nil
}

// guarded turns a panic of a unit into its refusal: a fault in one verb must not stop the store.
func (l *line) guarded(w *txn.World, u *Unit) (err error) {
	defer func() {
		if r := recover(); r != nil {
			l.s.opt.Log.Error("a unit of work panicked", "panic", r, "stack", string(debug.Stack()))
			err = im.Internal(fmt.Errorf("panic: %v", r))
		}
	}()
	return u.Decide(w)
}

// finish answers the callers, then lets readers have the records: a response is on its way before any event about its action.
func (b *batch) finish(s *Store) {
	for i, u := range b.units {
		u.Done(b.errs[i])
	}
	for _, m := range b.marks {
		s.unanswered.end(m)
	}
	if len(b.records) > 0 {
		s.announce(b.records)
	}
}
