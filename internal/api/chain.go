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

// call is the state of one call on its way through the chain.
type call struct {
	by     rpc.Caller
	name   string
	row    *row // nil if the method does not exist
	data   []byte
	begin  time.Time
	result any // the response before encoding
	meter  rpc.Meter
}

// handler runs a call and replies once, with the encoded response or an error.
type handler func(ctx context.Context, c *call, reply func(body []byte, err error))

// layer wraps a handler.
type layer func(next handler) handler

// chain returns the handler of all layers, in order. Authorization precedes everything expensive.
func (a *API) chain() handler {
	layers := []layer{a.observe, a.trace, a.audit, authorize, limitBody, a.shed, a.charge, a.recoverPanic, a.beforeHook}
	h := handler(dispatch)
	for _, l := range slices.Backward(layers) {
		h = l(h)
	}
	return h
}

// observe reports the code and duration of calls to known methods. Unknown names are skipped, because callers could
// create any number of labels.
func (a *API) observe(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		next(ctx, c, func(body []byte, err error) {
			if c.row != nil {
				code := im.CodeOf(err)
				a.opt.Observe(c.name, code, time.Since(c.begin))
				if code != 0 && !c.row.declares(code) {
					a.log.Error("method failed with an undeclared error code", "method", c.name, "code", code, "error", err)
				}
			}
			reply(body, err)
		})
	}
}

// trace records a span of a call about an invitation, named by the request or created by the call.
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
	var params struct {
		InviteID string `json:"inviteID"`
	}
	_ = json.Unmarshal(request, &params) // a malformed request names no invitation
	opened, isInvite := c.result.(protocol.InviteResponse)
	if isInvite && err == nil {
		params.InviteID = opened.InviteID
	}
	if im.CheckInviteID(params.InviteID) != nil {
		return s, false
	}
	s = trace.Span{InviteID: params.InviteID, Name: c.name, Begin: c.begin,
		With: []string{"user", c.by.UserID, "device", c.by.DeviceID},
		Root: isInvite && err == nil && !opened.Repeat && !opened.Merged}
	if err != nil {
		s.Failed = err.Error()
	}
	return s, true
}

// maxAudited limits the bytes of a request in the audit log.
const maxAudited = 2048

// audit logs calls of app servers that change something.
func (a *API) audit(next handler) handler {
	if a.opt.Audit == nil {
		return next
	}
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if c.row == nil || !c.row.mutates || !c.by.Server {
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

// authorize rejects unknown methods and callers without permission.
func authorize(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		switch {
		case c.row != nil && c.row.callers == servers && c.by.Server && c.by.UserID != "":
			reply(nil, &im.Error{Code: im.CodeBadParameter, Field: "Beckon-User", Message: c.name +
				" is only for the app server itself: omit the header Beckon-User"})
		case c.row == nil || c.row.callers == servers && c.by.UserID != "":
			reply(nil, &im.Error{Code: im.CodeBadParameter, Field: "verb", Message: "unknown method " + clip(c.name) +
				"; see /openapi.json"})
		case !allowedByPush(c.by, c.name, c.data):
			reply(nil, errOfPush())
		default:
			next(ctx, c, reply)
		}
	}
}

// limitBody rejects requests over the maximum frame size.
func limitBody(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if len(c.data) > protocol.MaxRequest {
			reply(nil, &im.Error{Code: im.CodeTooLong, Message: "the request exceeds 1 MiB"})
			return
		}
		next(ctx, c, reply)
	}
}

// shed rejects sheddable methods while the server is overloaded.
func (a *API) shed(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if c.row.sheddable && a.opt.Busy() {
			reply(nil, &im.Error{Code: im.CodeTooOften, Message: "the server is overloaded; retry later",
				RetryAfter: 1000 + rand.IntN(2000)})
			return
		}
		next(ctx, c, reply)
	}
}

// charge deducts the cost of a call from its user's budget, and queues it behind the user's other calls.
func (a *API) charge(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if c.by.UserID == "" || isAnswer(c.name) || withinHook(ctx) {
			next(ctx, c, reply)
			return
		}
		b := a.budgets.of(c.by.UserID)
		if namesUsers(c.name) { // before its lists are parsed
			if err := a.budgets.inDebt(b, len(c.data)); err != nil {
				reply(nil, err)
				return
			}
		}
		w := weigh(c.name, c.data)
		c.by.Meter = &c.meter
		charged := func(body []byte, err error) {
			defer func() { a.budgets.end(b, w.heavy, w.cost(c.name, body, c.meter.Rows())) }()
			reply(body, err)
		}
		a.budgets.begin(b, queuedCall{heavy: w.heavy, run: func() { next(ctx, c, charged) },
			reject: func(err error) { charged(nil, err) },
			wait:   func() { c.data = bytes.Clone(c.data) }})
	}
}

// recoverPanic turns a panic into an internal error of the call, and drops a second reply.
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

// beforeHook calls the before-hook, if the method has one. The app server may reject or rewrite the call.
func (a *API) beforeHook(next handler) handler {
	return func(ctx context.Context, c *call, reply func([]byte, error)) {
		if c.by.UserID != "" && !c.by.Server && a.Hooks.HasBefore(c.name) {
			request, err := c.row.rewrite(c.data)
			if err == nil {
				request, err = a.Hooks.Before(context.WithValue(ctx, hookKey{}, true), c.name, c.by.UserID, c.by.DeviceID, request)
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
