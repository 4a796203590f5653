// Package api owns the table of verbs and its two doors: calls over a device's session, and POST /v1/<verb>.
//
// It authenticates, limits, decodes and encodes. It never decides: that is the engine's.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/engine"
	"github.com/beckon-im/beckon/protocol"
)

// Options are the choices for the doors. The zero value lets nobody in, because it knows no key.
type Options struct {
	Auth   AuthOptions
	Limits Limits
	// Origins are the web origins (https://app.example.com) whose pages may connect and call; "*" allows all.
	// Default: pages of the server's own host.
	Origins []string
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// API serves the verbs.
type API struct {
	engine *engine.Engine
	auth   *Authenticator
	limits *limiters
	opt    Options
	verbs  map[string]*verb
	order  []*verb
	log    *slog.Logger
}

// New makes the doors of an engine.
func New(ctx context.Context, e *engine.Engine, opt Options) (*API, error) {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	auth, err := NewAuthenticator(ctx, opt.Auth)
	if err != nil {
		return nil, err
	}
	a := &API{engine: e, auth: auth, limits: newLimiters(opt.Limits), opt: opt, verbs: map[string]*verb{}, log: opt.Log}
	a.order = a.table()
	for _, v := range a.order {
		a.verbs[v.name] = v
	}
	return a, nil
}

// Authenticator returns the keeper of keys.
func (a *API) Authenticator() *Authenticator { return a.auth }

// verb is a row of the table.
type verb struct {
	name, doc, tag string
	admin          bool // for app servers only, and not on behalf of a user
	request        reflect.Type
	response       reflect.Type
	run            func(ctx context.Context, by engine.Caller, data []byte, done func(any, error))
}

// acts makes a row of a verb that changes something; its outcome comes when it is durable.
func acts[Q, R any](tag, name, doc string, f func(engine.Caller, Q, func(R, error))) *verb {
	v := row[Q, R](tag, name, doc)
	v.run = func(_ context.Context, by engine.Caller, data []byte, done func(any, error)) {
		var q Q
		if err := decode(data, &q); err != nil {
			done(nil, err)
			return
		}
		f(by, q, func(r R, err error) { done(r, err) })
	}
	return v
}

// reads makes a row of a verb that only looks.
func reads[Q, R any](tag, name, doc string, f func(context.Context, engine.Caller, Q) (R, error)) *verb {
	v := row[Q, R](tag, name, doc)
	v.run = func(ctx context.Context, by engine.Caller, data []byte, done func(any, error)) {
		var q Q
		if err := decode(data, &q); err != nil {
			done(nil, err)
			return
		}
		r, err := f(ctx, by, q)
		done(r, err)
	}
	return v
}

func row[Q, R any](tag, name, doc string) *verb {
	return &verb{name: name, doc: doc, tag: tag, request: reflect.TypeFor[Q](), response: reflect.TypeFor[R]()}
}

// table is every verb that there is.
func (a *API) table() []*verb {
	e := a.engine
	const inv, grp, adm = "Invitations", "Groups", "Administration"
	return []*verb{
		acts(inv, "invite", "Invite one person, or up to 100 without a group.", e.Invite),
		acts(inv, "inviteInGroup", "Invite members of a group.", e.InviteInGroup),
		acts(inv, "accept", "Accept an invitation.", e.Accept),
		acts(inv, "reject", "Reject an invitation: declined, busy, or another reason.", e.Reject),
		acts(inv, "cancel", "Cancel the invitees who are still open: all of them, or those named.", e.Cancel),
		acts(inv, "modifyInvitation", "Replace the data of an open invitation.", e.Modify),
		acts(inv, "addInvitees", "Invite more people to an open invitation.", e.AddInvitees),
		acts(inv, "ring", "Tell the inviter that this device alerts its person.", e.Ring),
		reads(inv, "getInvitation", "Read an invitation and a page of its invitees.", e.GetInvitation),
		reads(inv, "listInvitations", "List your open invitations.", e.ListInvitations),
		acts(grp, "createGroup", "Create a group with you as its owner.", e.CreateGroup),
		acts(grp, "joinGroup", "Join a group that admits people freely.", e.JoinGroup),
		acts(grp, "quitGroup", "Leave a group.", e.QuitGroup),
		acts(grp, "inviteUserToGroup", "Bring people into a group.", e.InviteUserToGroup),
		acts(grp, "kickGroupMember", "Remove people from a group.", e.KickGroupMember),
		acts(grp, "dismissGroup", "End a group.", e.DismissGroup),
		reads(grp, "getGroup", "Read a group.", e.GetGroup),
		reads(grp, "getGroupMemberList", "List the members of a group, page by page.", e.ListMembers),
		reads(grp, "getJoinedGroupList", "List your groups, page by page.", e.ListGroups),
		forServers(reads(adm, "createToken", "Mint a token for a device of a user.", a.createToken)),
	}
}

func forServers(v *verb) *verb {
	v.admin = true
	return v
}

// call runs a verb and encodes its outcome: the response, or the error object.
func (a *API) call(ctx context.Context, by engine.Caller, name string, data []byte, done func([]byte, *protocol.Error)) {
	finish := func(res any, err error) {
		if err != nil {
			done(nil, a.refusal(name, by, err))
			return
		}
		b, err := json.Marshal(res)
		if err != nil {
			done(nil, a.refusal(name, by, im.Internal(err)))
			return
		}
		done(b, nil)
	}
	v := a.verbs[name]
	switch {
	case v == nil || v.admin && by.UserID != "":
		finish(nil, &im.Error{Code: im.CodeBadParameter, Field: "verb", Message: "there is no verb " + clip(name) + "; /openapi.json lists them"})
	case !v.admin && !a.limits.user(by.UserID):
		finish(nil, tooOften("you call too often"))
	case len(data) > protocol.MaxRequest:
		finish(nil, &im.Error{Code: im.CodeTooLong, Message: "the request is over 1 MiB"})
	default:
		v.run(ctx, by, data, finish)
	}
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

func tooOften(what string) error {
	return &im.Error{Code: im.CodeTooOften, Message: what + "; wait and try again", RetryAfter: 1000}
}

// refusal makes an error ready for the wire. What failed inside is logged and not shown.
func (a *API) refusal(verb string, by engine.Caller, err error) *protocol.Error {
	var e *im.Error
	if !errors.As(err, &e) {
		e = im.Internal(err)
	}
	if e.Code == im.CodeInternal {
		a.log.Error("a verb failed", "verb", verb, "user", by.UserID, "error", err)
	}
	out := &protocol.Error{Code: e.Code, Message: e.Message, Field: e.Field, RetryAfter: e.RetryAfter}
	if st, ok := e.Detail.(*engine.Standing); ok {
		out.Invitation, out.Won = st.Invitation, st.Won
	}
	return out
}

// decode reads a request strictly, so that a misspelt field is told and not ignored.
func decode(data []byte, into any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badJSON(err)
	}
	if d.More() {
		return im.Bad("body", "has something after the JSON object")
	}
	return nil
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
