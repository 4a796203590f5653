// Package api owns the table of verbs and its two doors: calls over a device's session, and POST /v1/<verb>.
//
// It authenticates, limits, decodes and encodes. It never decides: that is the engine's.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/address"
	"github.com/beckon-im/beckon/internal/chat"
	"github.com/beckon-im/beckon/internal/console"
	"github.com/beckon-im/beckon/internal/files"
	"github.com/beckon-im/beckon/internal/group"
	"github.com/beckon-im/beckon/internal/hook"
	"github.com/beckon-im/beckon/internal/media"
	"github.com/beckon-im/beckon/internal/privacy"
	"github.com/beckon-im/beckon/internal/push"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/signaling/snapshot"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/trace"
	"github.com/beckon-im/beckon/internal/user"
	"github.com/beckon-im/beckon/protocol"
)

// Options are the choices for the doors. The zero value lets nobody in, because it knows no key.
type Options struct {
	Auth   AuthOptions
	Limits Limits
	// Addresses bounds how often addresses call.
	Addresses *address.Limits
	// Origins are the web origins (https://app.example.com) whose pages may connect and call; "*" allows all.
	// Default: pages of the server's own host.
	Origins []string
	// Busy says that what begins something new is to wait, so that what rings already is answered. Default: never.
	Busy func() bool
	// Full says that nobody more may connect. Default: never.
	Full func() bool
	// Audit receives what app servers did: each verb that changes something or tells all of somebody, for whom, the
	// request, and the number of its refusal. Default: nobody keeps it.
	Audit *slog.Logger
	// Observe is told of each call that a verb answered: how long it took, and the number of its refusal, 0 for none. It
	// must not block. Default: nobody is.
	Observe func(verb string, code int, took time.Duration)
	// Trace is told of each call about an invitation. It must not block. Default: nobody is.
	Trace func(trace.Span)
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Services are the rooms that the verbs are in.
type Services struct {
	Store       *store.Store
	Invitations *signaling.Service
	Snapshots   *snapshot.Reader
	Chat        *chat.Chat
	Groups      *group.Groups
	Users       *user.Users
	Files       *files.Files
	Rooms       *media.Media
	Hooks       *hook.Hooks
	Events      *relay.Admin
	Pushes      *push.Push
	Console     *console.Console
	Privacy     *privacy.Privacy
}

// API serves the verbs.
type API struct {
	Services
	auth    *Authenticator
	limits  *limiters
	budgets *budgets
	uploads *uploads
	running sync.WaitGroup // calls that run beside their callers
	opt     Options
	methods map[string]*row
	order   []*row
	handle  handler
	log     *slog.Logger
}

// New makes the doors of an engine.
func New(ctx context.Context, v Services, opt Options) (*API, error) {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Busy == nil {
		opt.Busy = func() bool { return false }
	}
	if opt.Full == nil {
		opt.Full = func() bool { return false }
	}
	if opt.Observe == nil {
		opt.Observe = func(string, int, time.Duration) {}
	}
	auth, err := NewAuthenticator(ctx, opt.Auth)
	if err != nil {
		return nil, err
	}
	a := &API{Services: v, auth: auth, limits: newLimiters(opt.Limits), budgets: newBudgets(opt.Limits.cost()),
		uploads: newUploads(opt.Limits), opt: opt, methods: map[string]*row{}, log: opt.Log}
	a.order = a.table()
	for _, v := range a.order {
		a.methods[v.name] = v
	}
	a.handle = a.chain()
	return a, nil
}

// Authenticator returns the keeper of keys.
func (a *API) Authenticator() *Authenticator { return a.auth }

// call runs a method and replies with its encoded response, or with the error for the wire.
func (a *API) call(ctx context.Context, by rpc.Caller, name string, data []byte, reply func([]byte, *protocol.Error)) {
	c := &call{by: by, name: name, row: a.methods[name], data: data, begin: time.Now()}
	a.handle(ctx, c, func(body []byte, err error) {
		if err != nil {
			reply(nil, a.refusal(name, by, err))
			return
		}
		reply(body, nil)
	})
}

// mayAnswer says whether a call is one of those that an answer token is for.
func mayAnswer(inviteID, name string, data []byte) bool {
	var about struct {
		InviteID string `json:"inviteID"`
	}
	return slices.Contains([]string{"accept", "reject", "ring", "getInvitation"}, name) &&
		json.Unmarshal(data, &about) == nil && about.InviteID == inviteID
}

func errAnswerOnly() error {
	return im.Refuse(im.CodeTokenRefused, "this token came with a push: it lets accept, reject, ring and getInvitation "+
		"of its invitation be called, and nothing else")
}

func clip(s string) string { return clipTo(s, 40) }

func clipTo(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// check finds out whom a token is of. An address that comes with too many wrong ones is not listened to for a while.
func (a *API) check(from netip.Addr, token string) (Identity, error) {
	if a.opt.Addresses.Spent(from) { // many may have come in at once, before they were wrong
		return Identity{}, tooOften("this address came too often with wrong tokens")
	}
	id, err := a.auth.Check(token)
	if errors.Is(err, errForged) {
		a.opt.Addresses.Wrong(from)
	}
	return id, err
}

// often refuses a call of a user who calls too often.
func (a *API) often(name string, by rpc.Caller) error {
	users := a.limits.users
	if answers(name) {
		users = a.limits.answers
	}
	if by.UserID == "" || a.limits.allow(users, by.UserID) {
		return nil
	}
	if a.methods[name] != nil {
		a.opt.Observe(name, im.CodeTooOften, 0)
	}
	return tooOften("you call too often")
}

func tooOften(what string) *im.Error {
	return &im.Error{Code: im.CodeTooOften, Message: what + "; wait and try again", RetryAfter: 1000}
}

// refusal makes an error ready for the wire. What failed inside is logged and not shown.
func (a *API) refusal(verb string, by rpc.Caller, err error) *protocol.Error {
	var e *im.Error
	if !errors.As(err, &e) {
		e = im.Internal(err)
	}
	if e.Code == im.CodeInternal {
		a.log.Error("a verb failed", "verb", verb, "user", by.UserID, "call", by.CallID, "error", err)
	}
	out := &protocol.Error{Code: e.Code, Message: e.Message, Field: e.Field, UserIDList: e.Users, RetryAfter: e.RetryAfter}
	if st, ok := e.Detail.(*signaling.Standing); ok {
		out.Invitation, out.Won = st.Invitation, st.Won
	}
	return out
}

// decode reads a request strictly, so that a misspelt or repeated field is refused and not ignored.
func decode(s *shape, data []byte, into any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return im.Bad("body", "has something after the JSON object")
	}
	return s.exact(data)
}

// wireField is a field's name without those of our own structs that it stands in.
func wireField(path string) string {
	var keep []string
	for _, p := range strings.Split(path, ".") {
		if p != "" && (p[0] < 'A' || p[0] > 'Z') {
			keep = append(keep, p)
		}
	}
	return strings.Join(keep, ".")
}

// wireType is what JSON calls a type.
func wireType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	}
	return "a whole number"
}

func badJSON(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		if typ.Field == "" {
			return im.Bad("body", "is a JSON "+typ.Value+"; it must be an object")
		}
		return im.Bad(wireField(typ.Field), "is a JSON "+typ.Value+"; it must be "+wireType(typ.Type))
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		field = strings.Trim(field, `"`)
		return im.Bad(clip(field), "is not a field of this verb")
	}
	return im.Bad("body", "is not valid JSON: "+err.Error())
}
