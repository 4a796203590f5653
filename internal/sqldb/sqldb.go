// Package sqldb defines the sessions, readers and writers of SQL that the engines implement, their dialects and classes
// of errors, and the form of a table's schema. The same statements run on all engines.
//
// It does not know tables.
package sqldb

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Dialect holds the differences between the engines' SQL.
type Dialect struct {
	ForUpdate string // appended to the SELECT that locks topics
	// reads the engine's clock in milliseconds, after the topics are locked; empty = the transaction has its time
	Clock        string
	NoTimeout    string // allows a transaction to be idle without a limit; empty = there is none
	LockNeedsRow bool   // only a topic with a row can be locked
	SingleWriter bool   // no other process writes, so that rows can be cached across batches

	// Fill returns a statement for a template: its mark "?*" stands for rows of the given width, with as many of the
	// values as the statement takes. It returns the rest.
	Fill func(template string, width int, values []any) (text string, args, rest []any)
	// Index returns the statements that replace the words of a message in the search index.
	Index func(Phrase) []Statement
}

// Reading is a reading of the clock of a shared database.
type Reading struct {
	Now        int64  // the time, with the correction
	Raw        int64  // the database's own clock
	Correction string // as stored; empty = there is none
	Latest     int64  // the latest time that a node has noted; 0 = none
	Noted      int64  // the database's own clock at that time
}

// CorrectionTo returns the correction by which the time of the reading becomes now.
func (r Reading) CorrectionTo(now int64) string { return fmt.Sprintf("%d %d", now-r.Raw, r.Raw) }

// Phrase holds the words of a message for the search index; without Words it removes them.
type Phrase struct {
	Topic, Message string
	Words          string
	Finders        []string // its readers are the readers of these topics
	At             int64    // time of sending, milliseconds; 0 = now
}

// Statement is a text with its arguments.
type Statement struct {
	Text string
	Args []any
}

// Row is a row of a result.
type Row interface {
	Scan(into ...any) error
}

// Conn runs the statements of one transaction in order. It may buffer them until Sync, so that many share one round
// trip: results and errors are there after Sync at the latest.
type Conn interface {
	Query(ctx context.Context, query string, args []any, scan func(Row) error) error // scan nil = no result
	Sync(ctx context.Context) error
}

// RowBuffer is a Conn that buffers rows and writes them later. A row of an upsert begins with the columns of its key.
type RowBuffer interface {
	BufferRows(template string, width int, rows []any)
}

// Session is a connection with the dialect of its engine, used by one goroutine at a time.
type Session struct {
	Dialect
	Conn
}

// Exec runs a statement without a result.
func (s *Session) Exec(ctx context.Context, query string, args ...any) error {
	return s.Query(ctx, query, args, nil)
}

// SelectIn runs a template for any number of keys of the given width.
func (s *Session) SelectIn(ctx context.Context, template string, width int, keys []any, scan func(Row) error) error {
	for len(keys) > 0 {
		text, args, rest := s.Fill(template, width, keys)
		if err := s.Query(ctx, text, args, scan); err != nil {
			return err
		}
		keys = rest
	}
	return nil
}

// Write runs a template for any number of rows of the given width.
func (s *Session) Write(ctx context.Context, template string, width int, values []any) error {
	if k, ok := s.Conn.(RowBuffer); ok {
		if len(values) > 0 {
			k.BufferRows(template, width, values)
		}
		return nil
	}
	return s.SelectIn(ctx, template, width, values, nil)
}

// Writer is one connection that commits batches, used by one goroutine at a time.
type Writer interface {
	// Begin starts a transaction that will write.
	Begin(ctx context.Context) (*Session, error)
	// Commit ends it. After an InDoubt error its outcome is not known; Resolve reads it.
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
	// Resolve reports whether a Commit in doubt took effect.
	Resolve(ctx context.Context) (committed bool, err error)
	// WaitApplied waits until reads see the last Commit.
	WaitApplied(ctx context.Context) error
	Close() error
}

// ErrorClass is whether a retry may help after an error.
type ErrorClass int

// The classes of errors.
const (
	Permanent   ErrorClass = iota // a retry fails too
	Conflict                      // retry: another transaction was faster
	Contention                    // retry for a while: other transactions had priority
	Unavailable                   // retry later: the database cannot be reached
)

// InDoubt is the error of a commit during which the connection was lost.
type InDoubt struct{ Cause error }

func (e *InDoubt) Error() string { return "the outcome of a commit is unknown: " + e.Cause.Error() }
func (e *InDoubt) Unwrap() error { return e.Cause }

// Reader runs queries outside a batch.
type Reader interface {
	Read(ctx context.Context, query string, scan func(Row) error, args ...any) error
	// ReadIn runs a template: its mark "?*" stands for any number of keys.
	ReadIn(ctx context.Context, template string, keys []string, scan func(Row) error) error
}

// Query is a query with its arguments.
type Query struct {
	Text string
	Args []any
	Scan func(Row) error
}

// And returns a row that scans more columns than its scan function knows, after them.
func And(row Row, more ...any) Row { return &extended{row, more} }

type extended struct {
	Row
	more []any
}

func (e *extended) Scan(into ...any) error { return e.Row.Scan(slices.Concat(into, e.more)...) }

// ErrBroken is the error of a commit that may or may not be durable. No later commit can be durable: the server must
// restart.
var ErrBroken = errors.New("store: the disk failed during a commit, which may be durable or not; the server stops")

// ErrStopScan is returned by a scan that needs no more rows.
var ErrStopScan = errors.New("store: enough rows")

// All reads the rows of a query.
func All[V any](ctx context.Context, r Reader, scan func(Row) (*V, error), query string, args ...any) ([]V, error) {
	var list []V
	err := r.Read(ctx, query, collect(&list, scan), args...)
	return list, err
}

// AllIn reads the rows of a template for any number of keys.
func AllIn[V any](ctx context.Context, r Reader, scan func(Row) (*V, error), template string, keys []string) ([]V,
	error) {
	var list []V
	err := r.ReadIn(ctx, template, keys, collect(&list, scan))
	return list, err
}

func collect[V any](list *[]V, scan func(Row) (*V, error)) func(Row) error {
	return func(row Row) error {
		v, err := scan(row)
		if err == nil {
			*list = append(*list, *v)
		}
		return err
	}
}

// One reads the last row of a query; nil when there is none.
func One[V any](ctx context.Context, r Reader, scan func(Row) (*V, error), query string, args ...any) (v *V,
	err error) {
	err = r.Read(ctx, query, func(row Row) error {
		v, err = scan(row)
		return err
	}, args...)
	return v, err
}

// Text scans a row of one text.
func Text(row Row) (*string, error) {
	var s string
	return &s, row.Scan(&s)
}

// Int scans a row of one number.
func Int(row Row) (*int, error) {
	var n int
	return &n, row.Scan(&n)
}
