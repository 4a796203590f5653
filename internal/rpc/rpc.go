// Package rpc owns what all verbs share: who calls, how a unit of work is queued and answered, how records name the acting
// device, how pages are bounded.
//
// It knows no verb.
package rpc

import (
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

// Origin is how a record names the acting device, so that this device alone is not told again. It says nothing to others.
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

// Do queues a unit whose outcome is a T.
func Do[T any](s *store.Store, need txn.ReadSet, decide func(*txn.Tx) (T, error), done func(T, error)) {
	var out T
	err := s.Submit(&store.Unit{
		Reads: need,
		Decide: func(tx *txn.Tx) (err error) {
			out, err = decide(tx)
			return err
		},
		Done: func(err error) { done(out, err) },
	})
	if err != nil {
		done(out, im.Internal(err))
	}
}

// Fail answers a call that was refused before anything was asked of the store.
func Fail[T any](done func(T, error), err error) {
	var none T
	done(none, err)
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
