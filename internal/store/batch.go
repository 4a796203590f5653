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
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// batch is a group of units that share one transaction.
type batch struct {
	units   []*Unit
	errs    []error
	records []txn.Record
	now     int64
	tx      *txn.Tx     // until it was observed
	unread  []batchMark // of records that may not be read before the callers were answered
}

// maxConflicts is how often a batch is tried again as it is when others make the same rows.
const maxConflicts = 5

// errInDoubt says that nobody knows whether a commit took effect: it must not be done again.
var errInDoubt = errors.New("store: the outcome of a commit could not be found out")

// impatience is how long a commit is tried again when the one before it was given up.
const impatience = time.Second

// attempt bounds one try of a batch: past it the connection is given up.
const (
	attempt     = 10 * time.Second
	lastAttempt = 3 * time.Second // while the server stops
)

func (l *writer) attempt() time.Duration {
	if l.stopping {
		return lastAttempt
	}
	return attempt
}

// commit decides and commits units. While the database cannot be reached, or gives way to others, the batch is tried again.
// When it fails for another reason, each unit is tried alone, so that one that the database will not take does not drag down
// its neighbours.
func (l *writer) commit(units []*Unit) *batch {
	s := l.s
	patience := time.Now().Add(s.opt.Patience)
	if l.gaveUp || l.stopping {
		patience = time.Now().Add(impatience) // whoever came before has waited already
	}
	if l.gaveUp && l.stopping {
		return refused(units, im.Unavailable(errors.New("the server stops, and its database cannot be reached")))
	}
	for n := 0; l.broken == nil; n++ {
		b, err := l.try(units)
		if err == nil {
			l.gaveUp = false
			s.gaveUp.Store(false)
			s.batches.Add(1)
			s.done.Add(int64(len(b.units)))
			return b
		}
		if errors.Is(err, errTopicsCreated) {
			continue
		}
		if errors.Is(err, sqldb.ErrBroken) {
			l.broken = err
			break
		}
		if t := s.db.Classify(err); t == sqldb.Permanent || t == sqldb.Conflict && n >= maxConflicts || errors.Is(err, errInDoubt) {
			s.opt.Log.Error("group commit failed", "units", len(units), "error", err)
			return l.commitEach(units, err)
		}
		if time.Now().After(patience) {
			if l.gaveUp = s.db.Classify(err) == sqldb.Unavailable; l.gaveUp {
				s.gaveUp.Store(true)
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

// commitEach tries each unit alone.
func (l *writer) commitEach(units []*Unit, err error) *batch {
	if errors.Is(err, errInDoubt) {
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
		all.unread = append(all.unread, one.unread...)
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
func (l *writer) try(units []*Unit) (*batch, error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.attempt()) // a commit under way is finished, also while the server stops
	defer cancel()
	later := l.deferred
	l.uncommitted = batchMark{}
	b, err := l.transact(ctx, units)
	var doubt *sqldb.InDoubt
	if errors.As(err, &doubt) {
		err = l.resolve(doubt)
	}
	if err == nil && b == nil {
		err = errTopicsCreated // it was a plant that took effect
	}
	if err != nil {
		l.deferred = later // what it put off comes again with its units
		l.s.unanswered.end(l.uncommitted)
		return nil, err
	}
	b.unread = []batchMark{l.uncommitted}
	if l.s.Shared() {
		l.s.clock.Sync(b.now)
	}
	l.s.heads.advance(b.records)
	if l.s.opt.OnCommit != nil {
		l.s.opt.OnCommit(b.tx)
	}
	b.tx = nil
	return b, nil
}

// resolve finds out whether a commit took effect whose outcome was not heard.
func (l *writer) resolve(doubt *sqldb.InDoubt) error {
	patience := time.Now().Add(l.s.opt.Patience)
	if l.stopping {
		patience = time.Now().Add(impatience)
	}
	for n := 0; ; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), l.attempt())
		committed, err := l.w.Resolve(ctx)
		cancel()
		switch {
		case err == nil && committed:
			return nil
		case err == nil:
			return doubt.Cause
		case time.Now().After(patience):
			return errors.Join(errInDoubt, doubt.Cause, err)
		}
		<-time.After(time.Duration(10+rand.IntN(10*(1+min(n, 30)))) * time.Millisecond)
	}
}

func (l *writer) transact(ctx context.Context, units []*Unit) (b *batch, err error) {
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
	needs := make([]txn.ReadSet, len(units))
	for i, u := range units {
		needs[i] = u.Reads
	}
	tx, err := l.tx(ctx, sess, units)
	if err != nil {
		return nil, err
	}
	l.cached = nil // until it is true again
	if err := tx.Load(ctx, sess, needs); err != nil {
		return nil, err
	}
	if sess.LockNeedsRow && tx.Unlocked() {
		open = false
		if err := l.w.Rollback(ctx); err != nil {
			return nil, err
		}
		return nil, l.createTopicRows(ctx, tx.Topics())
	}
	b = &batch{now: tx.Now, tx: tx}
	for _, u := range units {
		refusal, err := l.decide(ctx, sess, tx, u)
		if errors.Is(err, errDeferred) {
			continue
		}
		if err == nil && u.maintain != nil {
			err = u.maintain(ctx, sess, tx.Now)
		}
		if err != nil {
			return nil, err
		}
		b.units, b.errs = append(b.units, u), append(b.errs, refusal)
	}
	if b.records = tx.Records(); l.s.opt.Tap != nil {
		tx.EnqueueNow(l.s.opt.Tap(tx.Now, b.records))
	}
	if err := tx.Flush(ctx, sess, b.records); err != nil {
		return nil, err
	}
	l.uncommitted = l.s.unanswered.begin(b.records)
	if err := l.w.Commit(ctx); err != nil {
		var doubt *sqldb.InDoubt
		if open = !errors.As(err, &doubt); open {
			return nil, err
		}
		return b, err
	}
	open = false
	if sess.SingleWriter && !slices.ContainsFunc(b.units, maintains) {
		l.cached = tx
	}
	return b, nil
}

// tx is what the batch before this one left, where that lasts, and otherwise an empty one. House-keeping goes by what is
// in the database, and changes it behind the world's back.
func (l *writer) tx(ctx context.Context, sess *sqldb.Session, units []*Unit) (*txn.Tx, error) {
	now := l.s.clock.Floor() // the last that was read of the database's clock, which the batch reads itself
	if !l.s.Shared() {
		now = l.s.Now()
	}
	if l.cached != nil && !l.cached.Full(l.s.opt.CacheRows) && !slices.ContainsFunc(units, maintains) {
		l.cached.NextBatch(now)
		return l.cached, nil
	}
	if sess.SingleWriter {
		if err := l.w.WaitApplied(ctx); err != nil {
			return nil, err
		}
	}
	return txn.New(now), nil
}

func maintains(u *Unit) bool { return u.maintain != nil }

// errTopicsCreated says that topics were given their rows, and that the batch can begin anew.
var errTopicsCreated = errors.New("store: new topics were given rows")

// createTopicRows gives topics the rows by which they are locked, in a transaction of its own, in their order.
func (l *writer) createTopicRows(ctx context.Context, topics []string) error {
	sess, err := l.w.Begin(ctx)
	if err != nil {
		return err
	}
	var rows []any
	for _, t := range topics {
		rows = append(rows, t, 0)
	}
	if err := sess.Write(ctx, queries.Text("TopicCreate"), 2, rows); err != nil {
		return errors.Join(err, l.w.Rollback(ctx))
	}
	if err := l.w.Commit(ctx); err != nil {
		return err
	}
	return errTopicsCreated
}

// maxMore bounds how often one unit may ask for more rows.
const maxMore = 64

// errDeferred puts a unit off: it asked for topics, and those of a batch are locked together and in order.
var errDeferred = errors.New("store: the unit comes in a later batch")

// decide runs one unit, loading what it asks for on the way. It returns the unit's refusal, and the database's failure.
func (l *writer) decide(ctx context.Context, sess *sqldb.Session, tx *txn.Tx, u *Unit) (refusal, failure error) {
	for range maxMore {
		err := l.decideRecovered(tx, u)
		var more *txn.NeedReads
		if !errors.As(err, &more) {
			if err == nil {
				tx.Apply()
			} else {
				tx.Discard()
			}
			return err, nil
		}
		tx.Discard()
		if sess.LockNeedsRow && len(tx.Missing(more.Reads.Topics)) > 0 {
			if u.tries++; u.tries > maxMore {
				break
			}
			u.Reads.Add(more.Reads)
			l.deferred = append(l.deferred, u)
			return nil, errDeferred
		}
		if err := tx.Load(ctx, sess, []txn.ReadSet{more.Reads}); err != nil {
			return nil, err
		}
	}
	return im.Internal(fmt.Errorf("the unit asked for more rows %d times", maxMore)), nil
}

// decideRecovered turns a panic of a unit into its refusal: a fault in one verb must not stop the store.
func (l *writer) decideRecovered(tx *txn.Tx, u *Unit) (err error) {
	defer func() {
		if r := recover(); r != nil {
			l.s.opt.Log.Error("a unit of work panicked", "panic", r, "stack", string(debug.Stack()))
			err = im.Internal(fmt.Errorf("panic: %v", r))
		}
	}()
	return u.Decide(tx)
}

// finish answers the callers, then lets readers have the records: a response is on its way before any event about its action.
func (b *batch) finish(s *Store) {
	for i, u := range b.units {
		u.Done(b.errs[i])
	}
	for _, m := range b.unread {
		s.unanswered.end(m)
	}
	if len(b.records) > 0 {
		s.announce(b.records)
	}
}
