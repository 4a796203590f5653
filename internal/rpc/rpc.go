// Package rpc owns what all verbs share: who calls, how a unit of work is queued and answered, how records name the
// acting device, how pages are bounded.
//
// It knows no verb.
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

// Caller is who calls a verb.
type Caller struct {
	UserID   string
	DeviceID string // empty when an app server acts for the user
	Server   bool   // an app server calls, for the user or, without one, for itself
	InviteID string // all that they may call about; empty = anything of theirs
	CallID   string // names this one call in the log; devices name theirs by requestID
	From     string // the address that an app server calls from
}

// Actor is the caller as the rules of an invitation know it.
func (c Caller) Actor(requestID string) invite.Actor {
	return invite.Actor{User: c.UserID, Device: c.DeviceID, RequestID: requestID}
}

// Origin is how a record names the acting device, so that this device alone is not told again. It says nothing to
// others.
func (c Caller) Origin() string { return Origin(c.UserID, c.DeviceID) }

// Origin names a device on the records it caused. It is a hash, because the mark travels to other people.
func Origin(userID, deviceID string) string {
	if deviceID == "" {
		return ""
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(userID + "\n" + deviceID))
	return strconv.FormatUint(h.Sum64(), 36)
}

// Txn is the transaction of a method that writes: the rows it reads, its decision, and what follows the commit.
type Txn[R any] struct {
	Reads txn.ReadSet
	// Decide reads and writes rows through the Tx. An error refuses the call and changes nothing. It may run more than
	// once, and must neither block nor have other effects.
	Decide func(*txn.Tx) (R, error)
	// After is called once with the outcome, when it is durable, and returns what the caller gets. It must not block. Nil
	// = the outcome as it is.
	After func(R, error) (R, error)
}

// Answer is the transaction of a call that has nothing to write.
func Answer[R any](res R) Txn[R] {
	return Txn[R]{After: func(R, error) (R, error) { return res, nil }}
}

// Submit queues a transaction. reply gets the outcome once, before any reader gets the records of the transaction; it
// must not block.
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

// Run executes a transaction and returns its outcome. When ctx ends first it returns the error of ctx, and the
// transaction goes on.
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

// Call runs a method that writes, and waits for its outcome like Run.
func Call[Q, R any](ctx context.Context, s *store.Store, method func(context.Context, Caller, Q) (Txn[R], error),
	by Caller, req Q) (R, error) {
	t, err := method(ctx, by, req)
	if err != nil {
		var none R
		return none, err
	}
	return Run(ctx, s, t)
}

// Write executes a transaction that has no result, and waits for it like Run.
func Write(ctx context.Context, s *store.Store, reads txn.ReadSet, decide func(*txn.Tx) error) error {
	_, err := Run(ctx, s, write(reads, decide))
	return err
}

// WriteLater queues a transaction that has no result. done gets its error once, and must not block.
func WriteLater(s *store.Store, reads txn.ReadSet, decide func(*txn.Tx) error, done func(error)) {
	Submit(s, write(reads, decide), func(_ struct{}, err error) { done(err) })
}

func write(reads txn.ReadSet, decide func(*txn.Tx) error) Txn[struct{}] {
	return Txn[struct{}]{Reads: reads, Decide: func(tx *txn.Tx) (struct{}, error) { return struct{}{}, decide(tx) }}
}

// Event is a body that is never folded into another.
type Event struct {
	Value   any
	encoded []byte
}

// JSON encodes the event, once.
func (e *Event) JSON() []byte {
	if e.encoded == nil {
		e.encoded = Encode(e.Value)
	}
	return e.encoded
}

// Absorb takes nothing.
func (e *Event) Absorb(txn.Body) bool { return false }

// Encode encodes one of our own types of strings and numbers, which always works.
func Encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// The largest and the usual page.
const (
	MaxPage     = 1000
	DefaultPage = 100
)

// Page checks the limit of a page.
func Page(limit int) (int, error) {
	switch {
	case limit == 0:
		return DefaultPage, nil
	case limit < 0 || limit > MaxPage:
		return 0, im.Bad("limit", "is out of range; it is from 1 to 1000")
	}
	return limit, nil
}

// FirstError returns the first that is an error.
func FirstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckUsers refuses lists of people that are empty (unless they may be), over limit, or name somebody twice.
func CheckUsers(field string, users []string, limit int, mayBeEmpty bool) error {
	switch {
	case len(users) == 0 && !mayBeEmpty:
		return im.Bad(field, "is empty")
	case len(users) > limit:
		return im.Bad(field, "has more than "+strconv.Itoa(limit)+" people; use several calls")
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
