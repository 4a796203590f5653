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

// batch is a group of units in one transaction.
type batch struct {
	units   []*Unit
	errs    []error
	records []txn.Record
	now     int64
	tx      *txn.Tx     // until OnCommit has run
	unread  []batchMark // of records that may not be read before the callers have their responses
}

// maxConflicts limits the retries of a whole batch after conflicts with other transactions.
const maxConflicts = 5

// errInDoubt is the error of a commit with an unknown outcome: it must not be repeated.
var errInDoubt = errors.New("store: the outcome of a commit is unknown")

// Limits of a batch with all its attempts. The sum of three successive batches is Options.Patience: one that times out,
// the next one, and one with the units that arrived in between.
const (
	impatience   = 2 * time.Second        // when the batch before timed out
	lastPatience = 3 * time.Second        // while the server stops
	attempt      = 10 * time.Second       // of one attempt; then the connection is dropped
	tooShort     = 100 * time.Millisecond // for an attempt
)

func (l *writer) patience() time.Duration {
	switch {
	case l.stopping:
		return lastPatience
	case l.gaveUp:
		return impatience
	}
	return max(impatience, l.s.opt.Patience-2*impatience)
}

// attempt returns a context for one attempt.
func (l *writer) attempt() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), min(attempt, time.Until(l.deadline)))
}

// commit decides and commits units. After a timeout of the batch before, it refuses the units that have waited for the
// patience.
func (l *writer) commit(units []*Unit) *batch {
	l.deadline = time.Now().Add(l.patience())
	l.since.Store(time.Since(l.s.opened).Milliseconds())
	defer l.since.Store(0)
	if !l.gaveUp {
		return l.retry(units)
	}
	var old, fresh []*Unit
	for _, u := range units {
		if time.Since(u.queued) > l.s.opt.Patience-impatience {
			old = append(old, u)
		} else {
			fresh = append(fresh, u)
		}
	}
	if len(old) == 0 {
		return l.retry(fresh)
	}
	l.deferred = append(fresh, l.deferred...) // the old ones do not wait for them
	return refused(old, im.Unavailable(errors.New("the database did not answer the calls before this one")))
}

// retry retries while the database cannot be reached or other transactions have priority. After another error each unit
// is committed alone, so that one invalid unit does not fail the others.
func (l *writer) retry(units []*Unit) *batch {
	s := l.s
	if l.gaveUp && l.stopping {
		return refused(units, im.Unavailable(errors.New("the server is stopping, and its database cannot be reached")))
	}
	l.compared = false
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
		if errors.Is(err, errClockStepped) && time.Until(l.deadline) > tooShort {
			continue // the clocks were compared
		}
		if errors.Is(err, sqldb.ErrBroken) {
			l.broken = err
			break
		}
		if t := s.db.Classify(err); t == sqldb.Permanent || t == sqldb.Conflict && n >= maxConflicts ||
			errors.Is(err, errInDoubt) {
			s.opt.Log.Error("group commit failed", "units", len(units), "error", err)
			if errors.Is(err, errInDoubt) {
				l.gaveUp = true
				s.gaveUp.Store(true)
			}
			return l.commitEach(units, err)
		}
		if time.Until(l.deadline) < tooShort {
			if l.gaveUp = s.db.Classify(err) == sqldb.Unavailable; l.gaveUp {
				s.gaveUp.Store(true)
			}
			s.opt.Log.Error("commit timed out, calls refused", "units", len(units), "error", err)
			return refused(units, im.Unavailable(err))
		}
		if n > 0 && n%30 == 1 {
			s.opt.Log.Warn("commit failed, retrying", "units", len(units), "attempt", n, "error", err)
		}
		pause := time.Duration(1+rand.IntN(10*(1+min(n, 30)))) * time.Millisecond
		<-time.After(pause)
	}
	return refused(units, im.Unavailable(l.broken))
}

// commitEach commits each unit alone.
func (l *writer) commitEach(units []*Unit, err error) *batch {
	if errors.Is(err, errInDoubt) {
		return refused(units, im.Unavailable(err))
	}
	if len(units) == 1 {
		return refused(units, im.Internal(err))
	}
	all := &batch{}
	for _, u := range units {
		if time.Until(l.deadline) < tooShort {
			all.add(refused([]*Unit{u}, im.Unavailable(err)))
			continue
		}
		all.add(l.retry([]*Unit{u}))
	}
	return all
}

// add adds the outcome of other units.
func (b *batch) add(more *batch) {
	b.units = append(b.units, more.units...)
	b.errs = append(b.errs, more.errs...)
	b.records = append(b.records, more.records...)
	b.unread = append(b.unread, more.unread...)
}

func refused(units []*Unit, err error) *batch {
	b := &batch{units: units, errs: make([]error, len(units))}
	for i := range b.errs {
		b.errs[i] = err
	}
	return b
}

// try runs units in one transaction. Errors are those of the database.
func (l *writer) try(units []*Unit) (*batch, error) {
	// a commit under way finishes also while the server stops
	ctx, cancel := l.attempt()
	defer cancel()
	later, large := l.deferred, l.large
	l.uncommitted = batchMark{}
	b, err := l.transact(ctx, units)
	if errors.Is(err, errClockStepped) {
		if failed := l.s.ping(ctx); failed != nil {
			err = failed // retried like a database that cannot be reached, and compared again
		} else {
			l.compared = true
		}
	}
	var doubt *sqldb.InDoubt
	if errors.As(err, &doubt) {
		err = l.resolve(doubt)
	}
	if err == nil && b == nil {
		err = errTopicsCreated // the commit in doubt was that of createTopicRows
	}
	if err != nil {
		l.deferred, l.large = later, large // the retry defers units again
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

// resolve reads the outcome of a commit in doubt.
func (l *writer) resolve(doubt *sqldb.InDoubt) error {
	for n := 0; ; n++ {
		ctx, cancel := l.attempt()
		committed, err := l.w.Resolve(ctx)
		cancel()
		switch {
		case err == nil && committed:
			return nil
		case err == nil:
			return doubt.Cause
		case time.Until(l.deadline) < tooShort:
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
	before := l.s.clock.Read()
	l.cached = nil // until the commit
	if err := tx.Load(ctx, sess, needs); err != nil {
		return nil, err
	}
	if !l.compared && l.s.jumped(before, tx.EngineNow) {
		return nil, errClockStepped
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
			err = u.maintain(ctx, sess, tx)
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

// tx returns the cached transaction of the batch before, or an empty one. Maintenance reads and writes the database
// behind the cached rows, and needs an empty one.
func (l *writer) tx(ctx context.Context, sess *sqldb.Session, units []*Unit) (*txn.Tx, error) {
	now := l.s.clock.Floor() // the last known time; the batch reads the database's clock itself
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

// errTopicsCreated means that the missing rows of topics were created, and the batch can be retried.
var errTopicsCreated = errors.New("store: rows of new topics were created")

// createTopicRows creates the rows by which topics are locked, in a transaction of its own, in the order of names.
func (l *writer) createTopicRows(ctx context.Context, topics []string) error {
	sess, err := l.w.Begin(ctx)
	if err != nil {
		return err
	}
	var rows []any
	now := max(l.s.clock.Floor(), 1)
	for _, t := range topics {
		first := im.FirstSequence(t, now)
		rows = append(rows, t, first, first, now)
	}
	if err := sess.Write(ctx, queries.Text("TopicCreate"), 4, rows); err != nil {
		return errors.Join(err, l.w.Rollback(ctx))
	}
	if err := l.w.Commit(ctx); err != nil {
		return err
	}
	return errTopicsCreated
}

// maxMore limits the NeedReads of one unit.
const maxMore = 64

// errDeferred defers a unit to a later batch: it needs more topics, and the topics of a batch are locked together, in
// order; or its loads took longer than largeAfter.
var errDeferred = errors.New("store: the unit is deferred to a later batch")

// decide runs one unit, and loads more rows when it needs them. It returns the unit's refusal, and the database's
// error.
func (l *writer) decide(ctx context.Context, sess *sqldb.Session, tx *txn.Tx, u *Unit) (refusal, failure error) {
	begin := time.Now()
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
		if sess.SingleWriter && !l.stopping && time.Since(begin) > largeAfter && u.tries < maxMore {
			u.tries++
			u.Reads.Add(more.Reads) // the next batch has them cached, or loads them
			l.large = append(l.large, u)
			return nil, errDeferred
		}
	}
	return im.Internal(fmt.Errorf("the unit needed more rows %d times", maxMore)), nil
}

// decideRecovered turns a panic of a unit into its refusal: a bug in one method must not stop the store.
func (l *writer) decideRecovered(tx *txn.Tx, u *Unit) (err error) {
	defer func() {
		if r := recover(); r != nil {
			l.s.opt.Log.Error("unit panicked", "panic", r, "stack", string(debug.Stack()))
			err = im.Internal(fmt.Errorf("panic: %v", r))
		}
	}()
	return u.Decide(tx)
}

// finish responds to the callers, then releases the records to readers: a response precedes any event about its action.
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
