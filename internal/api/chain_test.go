package api

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/trace"
	"github.com/beckon-im/beckon/protocol"
)

// play runs a call through one layer and returns the reply; calls counts how often the inner handler ran.
func play(l layer, c *call, h handler) (code, calls int) {
	code = -1
	inner := func(ctx context.Context, c *call, reply func([]byte, error)) {
		calls++
		h(ctx, c, reply)
	}
	l(inner)(context.Background(), c, func(_ []byte, err error) { code = im.CodeOf(err) })
	return code, calls
}

func ok(_ context.Context, _ *call, reply func([]byte, error)) { reply([]byte("{}"), nil) }

func TestObserveLayer(t *testing.T) {
	var seen []int
	a := &API{opt: Options{Observe: func(_ string, code int, _ time.Duration) { seen = append(seen, code) }}}
	refuse := func(_ context.Context, _ *call, reply func([]byte, error)) { reply(nil, im.Bad("x", "is bad")) }
	play(a.observe, &call{name: "invite", row: &row{}}, ok)
	play(a.observe, &call{name: "invite", row: &row{}}, refuse)
	play(a.observe, &call{name: "chosen by the caller"}, ok)
	if len(seen) != 2 || seen[0] != 0 || seen[1] != im.CodeBadParameter {
		t.Errorf("observed %v", seen)
	}
}

func TestTraceLayer(t *testing.T) {
	var spans []trace.Span
	a := &API{opt: Options{Trace: func(s trace.Span) { spans = append(spans, s) }}}
	invited := func(_ context.Context, c *call, reply func([]byte, error)) {
		c.result = protocol.InviteResponse{InviteID: "i-1"}
		reply(nil, nil)
	}
	about := &row{tag: tagInvitations}
	play(a.trace, &call{name: "invite", row: about, data: []byte(`{}`)}, invited)
	play(a.trace, &call{name: "accept", row: about, data: []byte(`{"inviteID":"i-2"}`)}, ok)
	play(a.trace, &call{name: "sendMessage", row: &row{}, data: []byte(`{"inviteID":"i-3"}`)}, ok)
	if len(spans) != 2 || spans[0].InviteID != "i-1" || !spans[0].Root || spans[1].InviteID != "i-2" || spans[1].Root {
		t.Errorf("spans: %+v", spans)
	}
}

func TestAuditLayer(t *testing.T) {
	var log bytes.Buffer
	a := &API{opt: Options{Audit: slog.New(slog.NewTextHandler(&log, nil))}}
	server, device := rpc.Caller{Server: true}, rpc.Caller{UserID: "ann"}
	play(a.audit, &call{name: "dismissGroup", row: &row{mutates: true}, by: server, data: []byte(`{"groupID":"g"}`)}, ok)
	play(a.audit, &call{name: "getGroup", row: &row{}, by: server}, ok)
	play(a.audit, &call{name: "quitGroup", row: &row{mutates: true}, by: device}, ok)
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "dismissGroup") {
		t.Errorf("the audit log has %q", log.String())
	}
}

func TestAuthorizeLayer(t *testing.T) {
	user, server, both := rpc.Caller{UserID: "ann"}, rpc.Caller{Server: true}, rpc.Caller{UserID: "ann", Server: true}
	push := rpc.Caller{UserID: "ann", InviteID: "i"}
	for _, c := range []struct {
		call call
		code int
	}{
		{call{by: user, name: "invite", row: &row{}}, 0},
		{call{by: user, name: "no such"}, im.CodeBadParameter},
		{call{by: user, name: "importUsers", row: &row{callers: servers}}, im.CodeBadParameter},
		{call{by: both, name: "importUsers", row: &row{callers: servers}}, im.CodeBadParameter},
		{call{by: server, name: "importUsers", row: &row{callers: servers}}, 0},
		{call{by: push, name: "accept", row: &row{}, data: []byte(`{"inviteID":"i"}`)}, 0},
		{call{by: push, name: "accept", row: &row{}, data: []byte(`{"inviteID":"another"}`)}, im.CodeTokenRefused},
		{call{by: push, name: "cancel", row: &row{}, data: []byte(`{"inviteID":"i"}`)}, im.CodeTokenRefused},
	} {
		code, calls := play(authorize, &c.call, ok)
		if code != c.code || (calls == 1) != (c.code == 0) {
			t.Errorf("%s by %+v: %d, want %d; the method ran %d times", c.call.name, c.call.by, code, c.code, calls)
		}
	}
}

func TestLimitBodyAndShedLayers(t *testing.T) {
	if code, calls := play(limitBody, &call{data: make([]byte, protocol.MaxRequest+1)}, ok); code != im.CodeTooLong ||
		calls != 0 {
		t.Errorf("over the limit: %d", code)
	}
	if code, _ := play(limitBody, &call{data: make([]byte, protocol.MaxRequest)}, ok); code != 0 {
		t.Errorf("at the limit: %d", code)
	}
	a := &API{opt: Options{Busy: func() bool { return true }}}
	if code, calls := play(a.shed, &call{row: &row{sheddable: true}}, ok); code != im.CodeTooOften || calls != 0 {
		t.Errorf("an invite to an overloaded server: %d", code)
	}
	if code, _ := play(a.shed, &call{row: &row{}}, ok); code != 0 {
		t.Errorf("an answer to an overloaded server: %d", code)
	}
}

func TestRecoverLayer(t *testing.T) {
	a := &API{log: slog.New(slog.DiscardHandler)}
	c := &call{name: "x"}
	if code, _ := play(a.recoverPanic, c, func(context.Context, *call,
		func([]byte, error)) {
		panic("fault")
	}); code != im.CodeInternal {
		t.Errorf("a panic: %d", code)
	}
	replies := 0
	a.recoverPanic(func(_ context.Context, _ *call,
		reply func([]byte, error)) {
		reply(nil, nil)
		panic("after the reply")
	})(t.Context(), c, func([]byte, error) { replies++ })
	if replies != 1 {
		t.Errorf("%d replies to one call", replies)
	}
}

// TestChainOrder: a call that is unauthorized or shed costs its user nothing and is observed.
func TestChainOrder(t *testing.T) {
	var seen []int
	a := &API{budgets: newBudgets(1, 100), log: slog.New(slog.DiscardHandler), opt: Options{
		Busy: func() bool { return true }, Observe: func(_ string, code int, _ time.Duration) { seen = append(seen, code) }}}
	h := a.chain()
	for _, c := range []*call{
		{by: rpc.Caller{UserID: "ann"}, name: "importUsers", row: &row{callers: servers}},
		{by: rpc.Caller{UserID: "ann"}, name: "invite", row: &row{sheddable: true}},
	} {
		var got error
		h(t.Context(), c, func(_ []byte, err error) { got = err })
		var e *im.Error
		if !errors.As(got, &e) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if left := a.budgets.of("ann").balance; left != 100 {
		t.Errorf("refused calls cost %v units", 100-left)
	}
	if len(seen) != 2 {
		t.Errorf("observed %v", seen)
	}
}
