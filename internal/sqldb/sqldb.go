// Package sqldb owns what a transaction is to those who speak SQL in it: sessions, readers, writers, and what may go wrong. The
// engines of the store are behind it, and so one text serves them all.
package sqldb

import (
	"context"
	"errors"
)

// Dialect is what differs between the engines' SQL. Everything else is the same text for all of them.
type Dialect struct {
	ForUpdate    string // appended to the SELECT that locks topics
	Clock        string // reads the engine's clock in milliseconds, once the topics are locked; empty = the world was given its time
	NoTimeout    string // lets a transaction stand still for as long as it takes; empty = it may anyway
	LockNeedsRow bool   // a topic can be locked only when its row exists
	SingleWriter bool   // nobody else writes, so that a world stays true from one batch to the next

	// Fill makes one statement of a template whose mark "?*" stands for rows of the given width, and of as many of the values
	// as it takes. It returns the rest.
	Fill func(template string, width int, values []any) (text string, args, rest []any)
	// Index says what to run so that a message is found by the words of a phrase, and no longer by others.
	Index func(Phrase) []Statement
}

// Phrase is text to be found, or, without Words, no longer.
type Phrase struct {
	Topic, Message string
	Words          string
	Finders        []string // the topics whose people may find it
	At             int64    // when it was sent, in milliseconds; 0 = now
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

// Conn carries out the statements of one transaction, in the order in which they are given. It may keep them until Sync, so
// that many share one round trip: results are there, and failures told, after Sync at the latest.
type Conn interface {
	Query(ctx context.Context, query string, args []any, scan func(Row) error) error // scan nil = no result
	Sync(ctx context.Context) error
}

// RowBuffer is a Conn that takes rows as they are, to write them later. A row of an upsert begins with the columns of its key.
type RowBuffer interface {
	BufferRows(template string, width int, rows []any)
}

// Session is a connection with the words of its engine. It is used by one goroutine at a time.
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
	// Commit ends it. An InDoubt says that nobody knows whether it took effect; Settle finds out.
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
	// Resolve says whether a Commit that was in doubt took effect.
	Resolve(ctx context.Context) (committed bool, err error)
	// WaitApplied waits until what is loaded next is as the last Commit left it.
	WaitApplied(ctx context.Context) error
	Close() error
}

// ErrorClass says what may help after a failure.
type ErrorClass int

// The troubles.
const (
	Permanent   ErrorClass = iota // nothing: it will fail again
	Conflict                      // doing it again: others were quicker
	Contention                    // doing it again, for a while: it gave way to others
	Unavailable                   // doing it again, also after a while: the database could not be reached
)

// InDoubt says that the connection was lost while a transaction was committed.
type InDoubt struct{ Cause error }

func (e *InDoubt) Error() string { return "the outcome of a commit is not known: " + e.Cause.Error() }
func (e *InDoubt) Unwrap() error { return e.Cause }

// Reader runs queries outside a batch.
type Reader interface {
	Read(ctx context.Context, query string, scan func(Row) error, args ...any) error
	// ReadIn runs a template whose mark "?*" stands for any number of keys.
	ReadIn(ctx context.Context, template string, keys []string, scan func(Row) error) error
}

// ErrBroken is a commit that may or may not be durable, after which nothing can be: the server must be started anew.
var ErrBroken = errors.New("store: the disk may or may not have taken a commit, and takes no more; the server stops")

// ErrStopScan is returned by a scan that needs no more rows.
var ErrStopScan = errors.New("store: enough rows")

// All reads the rows of a query.
func All[V any](ctx context.Context, r Reader, scan func(Row) (*V, error), query string, args ...any) ([]V, error) {
	var list []V
	err := r.Read(ctx, query, collect(&list, scan), args...)
	return list, err
}

// AllIn reads the rows of a template for any number of keys.
func AllIn[V any](ctx context.Context, r Reader, scan func(Row) (*V, error), template string, keys []string) ([]V, error) {
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
func One[V any](ctx context.Context, r Reader, scan func(Row) (*V, error), query string, args ...any) (v *V, err error) {
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
