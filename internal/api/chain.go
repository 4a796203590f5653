package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/trace"
	"github.com/beckon-im/beckon/protocol"
)

// call is one call of a method on its way through the chain.
type call struct {
	by     rpc.Caller
	name   string
	row    *row // nil = there is no such method
	data   []byte
	begin  time.Time
	result any // the response before it was encoded
}

// handler carries out a call and replies once: with the encoded response, or with an error.
type handler func(ctx context.Context, c *call, reply func(body []byte, err error))

// layer wraps a handler.
type layer func(next handler) handler

// chain is every step of a call, in order. Authorization comes before everything that costs something.
func (a *API) chain() handler {
	layers := []layer{a.observe, a.trace, a.audit, authorize, limitBody, a.shed, a.charge, a.recoverPanic, a.beforeHook}
	h := handler(dispatch)
	for _, l := range slices.Backward(layers) {
		h = l(h)
	}
	return h
}

// observe counts a call and measures it. Unknown names are not counted: callers choose them.
func (a *API) observe(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		next(ctx, c, func(body []byte, err error) {
			if c.row != nil {
				a.opt.Observe(c.name, im.CodeOf(err), time.Since(c.begin))
			}
			reply(body, err)
		})
	}
}

// trace records a span for a call about an invitation: the one that the request names, or the one that the response
// opened.
func (a *API) trace(next handler) handler {
	if a.opt.Trace == nil {
		return next
	}
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		request := c.data
		next(ctx, c, func(body []byte, err error) {
			if s, ok := c.span(request, err); ok {
				a.opt.Trace(s)
			}
			reply(body, err)
		})
	}
}

func (c *call) span(request []byte, err error) (s trace.Span, ok bool) {
	if c.row == nil || c.row.tag != tagInvitations {
		return s, false
	}
	var about struct {
		InviteID string `json:"inviteID"`
	}
	_ = json.Unmarshal(request, &about) // a request that cannot be read names no invitation
	opened, isInvite := c.result.(protocol.InviteResponse)
	if isInvite && err == nil {
		about.InviteID = opened.InviteID
	}
	if im.CheckInviteID(about.InviteID) != nil {
		return s, false
	}
	s = trace.Span{InviteID: about.InviteID, Name: c.name, Begin: c.begin,
		With: []string{"user", c.by.UserID, "device", c.by.DeviceID},
		Root: isInvite && err == nil && !opened.Repeat && !opened.Merged}
	if err != nil {
		s.Failed = err.Error()
	}
	return s, true
}

// maxAudited limits the bytes of a request in the audit log.
const maxAudited = 2048

// audit logs what app servers change.
func (a *API) audit(next handler) handler {
	if a.opt.Audit == nil {
		return next
	}
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if c.row == nil || !c.row.acts || !c.by.Server {
			next(ctx, c, reply)
			return
		}
		request := clipTo(string(c.data), maxAudited)
		next(ctx, c, func(body []byte, err error) {
			a.opt.Audit.Info(c.name, "user", c.by.UserID, "call", c.by.CallID, "from", c.by.From, "request", request, "code",
				im.CodeOf(err))
			reply(body, err)
		})
	}
}

// authorize refuses methods that do not exist, or are not for this caller.
func authorize(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		switch {
		case c.row != nil && c.row.who == servers && c.by.Server && c.by.UserID != "":
			reply(nil, &im.Error{Code: im.CodeBadParameter, Field: "Beckon-User", Message: c.name +
				" is for the app server itself: leave the header Beckon-User out"})
		case c.row == nil || c.row.who == servers && c.by.UserID != "":
			reply(nil, &im.Error{Code: im.CodeBadParameter, Field: "verb", Message: "there is no method " + clip(c.name) +
				"; /openapi.json lists them"})
		case c.by.InviteID != "" && !mayAnswer(c.by.InviteID, c.name, c.data):
			reply(nil, errAnswerOnly())
		default:
			next(ctx, c, reply)
		}
	}
}

// limitBody refuses requests over the size of a frame.
func limitBody(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if len(c.data) > protocol.MaxRequest {
			reply(nil, &im.Error{Code: im.CodeTooLong, Message: "the request is over 1 MiB"})
			return
		}
		next(ctx, c, reply)
	}
}

// shed refuses methods that begin something while the server is overloaded.
func (a *API) shed(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if c.row.yields && a.opt.Busy() {
			reply(nil, &im.Error{Code: im.CodeTooOften, Message: "the server is busy and takes nothing new; wait and try again",
				RetryAfter: 1000 + rand.IntN(2000)})
			return
		}
		next(ctx, c, reply)
	}
}

// charge takes the cost of a call from its user's budget, and lets it wait behind the user's own calls.
func (a *API) charge(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if c.by.UserID == "" || answers(c.name) {
			next(ctx, c, reply)
			return
		}
		b, isHeavy, sent, named := a.budgets.of(c.by.UserID), heavy(c.name, c.data), len(c.data), namedIn(c.name, c.data)
		charged := func(body []byte, err error) {
			defer func() { a.budgets.end(b, isHeavy, costOf(c.name, sent, named, body)) }()
			reply(body, err)
		}
		a.budgets.begin(b, turn{heavy: isHeavy, run: func() { next(ctx, c, charged) },
			refuse: func(err error) { charged(nil, err) },
			wait:   func() { c.data = bytes.Clone(c.data) }})
	}
}

// recoverPanic turns a panic into that call's internal error, and drops a second reply.
func (a *API) recoverPanic(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		var once sync.Once
		first := func(body []byte, err error) { once.Do(func() { reply(body, err) }) }
		defer func() {
			if p := recover(); p != nil {
				a.log.Error("method panicked", "method", c.name, "user", c.by.UserID, "call", c.by.CallID, "panic", p, "stack",
					string(debug.Stack()))
				first(nil, im.Internal(fmt.Errorf("panic: %v", p)))
			}
		}()
		next(ctx, c, first)
	}
}

// beforeHook asks the application about a call of a device, where it wants to be asked; it may refuse the call or
// rewrite it.
func (a *API) beforeHook(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if c.by.UserID != "" && !c.by.Server && a.Hooks.HasBefore(c.name) {
			request, err := c.row.rewrite(c.data)
			if err == nil {
				request, err = a.Hooks.Before(ctx, c.name, c.by.UserID, c.by.DeviceID, request)
			}
			if err != nil {
				reply(nil, err)
				return
			}
			c.data = request
		}
		next(ctx, c, reply)
	}
}

// dispatch runs the method and encodes its response.
func dispatch(ctx context.Context, c *call, reply func([]byte, error)) {
	c.row.run(ctx, c.by, c.data, func(res any, err error) {
		if err != nil {
			reply(nil, err)
			return
		}
		c.result = res
		reply(json.Marshal(res))
	})
}
