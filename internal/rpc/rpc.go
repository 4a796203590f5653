// Package rpc has the parts that all methods share: the caller, transactions and their outcome, the origin of
// records, pages.
//
// It knows no method.
package rpc

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"strconv"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// Caller identifies the caller of a method.
type Caller struct {
	UserID   string
	DeviceID string // empty when an app server acts for the user
	Server   bool   // an app server, acting for the user or, without one, for itself
	InviteID string // the only invitation that the caller may act on; empty: any of theirs
	TestID   string // the only test push that the caller may acknowledge, and the only permission; empty: no limit
	CallID   string // identifies this call in the log; devices identify theirs by requestID
	From     string // address of an app server
	Meter    *Meter // nil: not metered
}

// Meter counts the rows that a call reads beyond those of its response. The caller pays for them.
type Meter struct{ rows int }

// CountRows adds rows that the call has read. It must not be called after the reply.
func (c Caller) CountRows(n int) {
	if c.Meter != nil {
		c.Meter.rows += n
	}
}

// Rows returns the rows counted.
func (m *Meter) Rows() int { return m.rows }

// Actor returns the caller as the rules of invitations know it.
func (c Caller) Actor(requestID string) invite.Actor {
	return invite.Actor{User: c.UserID, Device: c.DeviceID, RequestID: requestID, Server: c.Server}
}

// Origin returns the origin of records that the caller causes, so that this device does not receive them.
func (c Caller) Origin() string { return Origin(c.UserID, c.DeviceID) }

// Origin identifies a device on the records that it caused. It is a hash, because the origin is sent to other users.
func Origin(userID, deviceID string) string {
	if deviceID == "" {
		return ""
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(userID + "\n" + deviceID))
	return strconv.FormatUint(h.Sum64(), 36)
}

// Txn is the transaction of a method: the rows it reads, its decision, and its completion.
type Txn[R any] struct {
	Reads txn.ReadSet
	// Decide reads and writes rows through the Tx. An error refuses the call and changes nothing. Decide may run more
	// than once, and must neither block nor have other effects.
	Decide func(*txn.Tx) (R, error)
	// After is called once with the durable outcome, and returns the result for the caller. It must not block. Nil: the
	// outcome is the result.
	After func(R, error) (R, error)
}

// Answer returns a transaction without reads and writes.
func Answer[R any](res R) Txn[R] {
	return Txn[R]{After: func(R, error) (R, error) { return res, nil }}
}

// Submit queues a transaction. reply is called once with the outcome, before the records of the transaction are
// announced; it must not block.
func Submit[R any](s *store.Store, t Txn[R], reply func(R, error)) {
	var out R
	finish := func(err error) {
		if t.After != nil {
			out, err = t.After(out, err)
		}
		reply(out, err)
	}
	if t.Decide == nil {
		finish(nil)
		return
	}
	err := s.Submit(&store.Unit{
		Reads: t.Reads,
		Decide: func(tx *txn.Tx) (err error) {
			out, err = t.Decide(tx)
			return err
		},
		Done: finish,
	})
	if err != nil {
		finish(im.Internal(err))
	}
}

// Run executes a transaction and returns its outcome. If ctx ends first, Run returns the error of ctx, and the
// transaction continues.
func Run[R any](ctx context.Context, s *store.Store, t Txn[R]) (R, error) {
	type outcome struct {
		res R
		err error
	}
	done := make(chan outcome, 1)
	Submit(s, t, func(res R, err error) { done <- outcome{res, err} })
	select {
	case o := <-done:
		return o.res, o.err
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}

// Call runs a method with a transaction, and waits for its outcome like Run.
func Call[Q, R any](ctx context.Context, s *store.Store, method func(context.Context, Caller, Q) (Txn[R], error),
	by Caller, req Q) (R, error) {
	t, err := method(ctx, by, req)
	if err != nil {
		var none R
		return none, err
	}
	return Run(ctx, s, t)
}

// Write executes a transaction without a result, and waits for it like Run.
func Write(ctx context.Context, s *store.Store, reads txn.ReadSet, decide func(*txn.Tx) error) error {
	_, err := Run(ctx, s, write(reads, decide))
	return err
}

// WriteLater queues a transaction without a result. done is called once with its error, and must not block.
func WriteLater(s *store.Store, reads txn.ReadSet, decide func(*txn.Tx) error, done func(error)) {
	Submit(s, write(reads, decide), func(_ struct{}, err error) { done(err) })
}

func write(reads txn.ReadSet, decide func(*txn.Tx) error) Txn[struct{}] {
	return Txn[struct{}]{Reads: reads, Decide: func(tx *txn.Tx) (struct{}, error) { return struct{}{}, decide(tx) }}
}

// Event is a record body that is never folded into another.
type Event struct {
	Value   any
	encoded []byte
}

// JSON returns the encoded event. It encodes once.
func (e *Event) JSON() []byte {
	if e.encoded == nil {
		e.encoded = Encode(e.Value)
	}
	return e.encoded
}

// Absorb returns false: events are not folded.
func (e *Event) Absorb(txn.Body) bool { return false }

// Encode encodes a type of this program, which cannot fail.
func Encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// MaxPage and DefaultPage are the limit and the default of a page's size.
const (
	MaxPage     = 1000
	DefaultPage = 100
)

// Page returns the page size for a request's limit.
func Page(limit int) (int, error) {
	switch {
	case limit == 0:
		return DefaultPage, nil
	case limit < 0 || limit > MaxPage:
		return 0, im.Bad("limit", "must be from 1 to 1000")
	}
	return limit, nil
}

// FirstError returns the first error that is not nil.
func FirstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckUsers refuses lists of user IDs that are empty (unless allowed), longer than limit, invalid, or have
// duplicates.
func CheckUsers(field string, users []string, limit int, mayBeEmpty bool) error {
	switch {
	case len(users) == 0 && !mayBeEmpty:
		return im.Bad(field, "is empty")
	case len(users) > limit:
		return im.Bad(field, "has more than "+strconv.Itoa(limit)+" users; use several calls")
	}
	seen := make(map[string]struct{}, len(users))
	for _, u := range users {
		if err := im.CheckUserID(field, u); err != nil {
			return err
		}
		if _, twice := seen[u]; twice {
			return im.Bad(field, "names "+u+" twice")
		}
		seen[u] = struct{}{}
	}
	return nil
}
