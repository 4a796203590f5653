// Package api defines the table of RPC methods and serves it over two transports: device sessions and POST
// /v1/<method>.
//
// It authenticates, limits, decodes and encodes. The methods themselves are implemented by the packages in Services.
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
	"github.com/beckon-im/beckon/internal/auth"
	"github.com/beckon-im/beckon/internal/chat"
	"github.com/beckon-im/beckon/internal/console"
	"github.com/beckon-im/beckon/internal/files"
	"github.com/beckon-im/beckon/internal/group"
	"github.com/beckon-im/beckon/internal/hook"
	"github.com/beckon-im/beckon/internal/media"
	"github.com/beckon-im/beckon/internal/privacy"
	"github.com/beckon-im/beckon/internal/push"
	"github.com/beckon-im/beckon/internal/push/health"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/signaling/snapshot"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/trace"
	"github.com/beckon-im/beckon/internal/user"
	"github.com/beckon-im/beckon/protocol"
)

// Options configures an API. The zero value has no keys and rejects all callers.
type Options struct {
	Auth   auth.Options
	Limits Limits
	// Addresses limits the requests of each address.
	Addresses *address.Limits
	// Origins are the web origins (https://app.example.com) with permission to connect and call; "*" allows all.
	// Default: pages of the server's own host.
	Origins []string
	// Busy reports overload: methods that begin something new are shed, so that ringing invitations can still be answered.
	// Default: never.
	Busy func() bool
	// Full reports that no more devices may connect. Default: never.
	Full func() bool
	// Audit logs the calls of app servers that change something or export personal data: method, user, request and error
	// code. Default: no audit log.
	Audit *slog.Logger
	// Observe is called after each call of a known method, with the error code (0 on success) and the duration. It must
	// not block. Default: nothing.
	Observe func(method string, code int, took time.Duration)
	// Trace is called after each call about an invitation. It must not block. Default: nothing.
	Trace func(trace.Span)
	// Log is the logger. Default: slog.Default().
	Log *slog.Logger
}

// Services are the packages that implement the methods.
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
	PushHealth  *health.Health
	Console     *console.Console
	Privacy     *privacy.Privacy
}

// API serves the methods.
type API struct {
	Services
	auth    *auth.Authenticator
	limits  *limiters
	budgets *budgets
	uploads *files.Limits
	running sync.WaitGroup // calls that run in their own goroutines
	opt     Options
	methods map[string]*row
	order   []*row
	handle  handler
	log     *slog.Logger
}

// New returns the API of the given services. ctx ends the refreshing of public keys.
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
	tokens, err := auth.New(ctx, opt.Auth)
	if err != nil {
		return nil, err
	}
	a := &API{Services: v, auth: tokens, limits: newLimiters(opt.Limits), budgets: newBudgets(opt.Limits.cost()),
		uploads: files.NewLimits(opt.Limits.uploads()), opt: opt, methods: map[string]*row{}, log: opt.Log}
	a.order = a.table()
	for _, v := range a.order {
		a.methods[v.name] = v
	}
	a.handle = a.chain()
	return a, nil
}

// Authenticator returns the authenticator of tokens and API keys.
func (a *API) Authenticator() *auth.Authenticator { return a.auth }

// call runs a method and replies with its encoded response, or with the error for the wire.
func (a *API) call(ctx context.Context, by rpc.Caller, name string, data []byte, reply func([]byte, *protocol.Error)) {
	c := &call{by: by, name: name, row: a.methods[name], data: data, begin: time.Now()}
	a.handle(ctx, c, func(body []byte, err error) {
		if err != nil {
			reply(nil, a.wireError(name, by, err))
			return
		}
		reply(body, nil)
	})
}

// allowedByPush reports whether a caller may make a call: with the token of a push, only an answer to its invitation,
// or the acknowledgement of its test.
func allowedByPush(by rpc.Caller, name string, data []byte) bool {
	var params struct {
		InviteID string `json:"inviteID"`
		TestID   string `json:"testID"`
	}
	switch {
	case by.InviteID == "" && by.TestID == "":
		return true
	case json.Unmarshal(data, &params) != nil:
		return false
	case by.TestID != "":
		return name == "ackPushTest" && params.TestID == by.TestID
	}
	return slices.Contains([]string{"accept", "reject", "ring", "getInvitation"}, name) && params.InviteID == by.InviteID
}

func errOfPush() error {
	return im.Refuse(im.CodeTokenRefused, "tokens from pushes permit only accept, reject, ring and getInvitation, for "+
		"their own invitation, or ackPushTest for their own test")
}

func clip(s string) string { return clipTo(s, 40) }

func clipTo(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// checkToken authenticates a token. An address that sent too many invalid tokens is blocked for a while.
func (a *API) checkToken(ctx context.Context, from netip.Addr, token string) (auth.Identity, error) {
	if a.opt.Addresses.Spent(from) { // many requests may have been accepted before their tokens were checked
		return auth.Identity{}, tooOften("too many invalid tokens from this address")
	}
	id, err := a.auth.Check(ctx, token)
	if errors.Is(err, auth.ErrForged) {
		a.opt.Addresses.Wrong(from)
	}
	return id, err
}

// limitRate rejects a call of a user over the rate limit.
func (a *API) limitRate(name string, by rpc.Caller) error {
	users := a.limits.users
	if isAnswer(name) {
		users = a.limits.answers
	}
	if by.UserID == "" || a.limits.allow(users, by.UserID) {
		return nil
	}
	if a.methods[name] != nil {
		a.opt.Observe(name, im.CodeTooOften, 0)
	}
	return tooOften("too many calls by this user")
}

func tooOften(message string) *im.Error {
	return &im.Error{Code: im.CodeTooOften, Message: message + "; retry later", RetryAfter: 1000}
}

// wireError converts an error for the wire. Internal errors are logged, and their cause is not exposed.
func (a *API) wireError(method string, by rpc.Caller, err error) *protocol.Error {
	var e *im.Error
	if !errors.As(err, &e) {
		e = im.Internal(err)
	}
	if e.Code == im.CodeInternal {
		a.log.Error("method failed", "method", method, "user", by.UserID, "call", by.CallID, "error", err)
	}
	out := &protocol.Error{Code: e.Code, Message: e.Message, Field: e.Field, UserIDList: e.Users, RetryAfter: e.RetryAfter}
	if st, ok := e.Detail.(*snapshot.Standing); ok {
		out.Invitation, out.Won = st.Invitation, st.Won
	}
	return out
}

// decode decodes a request strictly: unknown, misspelt and repeated fields are errors.
func decode(s *shape, data []byte, into any) error {
	if data = bytes.TrimSpace(data); len(data) == 0 || string(data) == "null" {
		data = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return im.Bad("body", "must be one JSON object; found more data after it")
	}
	return s.exact(data)
}

// wireField removes the names of embedded Go structs from a field path.
func wireField(path string) string {
	var keep []string
	for _, p := range strings.Split(path, ".") {
		if p != "" && (p[0] < 'A' || p[0] > 'Z') {
			keep = append(keep, p)
		}
	}
	return strings.Join(keep, ".")
}

// wireType returns the name of a type in terms of JSON.
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
		return im.Bad(clip(field), "is not a field of this method")
	}
	return im.Bad("body", "is not valid JSON: "+err.Error())
}
