package hook

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/relay"
)

// beforeRequest is the body of a before-hook request.
type beforeRequest struct {
	Type string `json:"type"`
	Data struct {
		UserID   string          `json:"userID"`
		DeviceID string          `json:"deviceID,omitempty"`
		Method   string          `json:"verb"`
		Request  json.RawMessage `json:"request,omitempty"`
	} `json:"data"`
}

// beforeResponse is the body of a before-hook response. An empty one permits the call unchanged.
type beforeResponse struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Request json.RawMessage `json:"request"`
}

// MinCode and MaxCode are the range of the codes with which a before-hook may reject a call. They reach the caller
// unchanged.
const (
	MinCode = 120001
	MaxCode = 130000
)

// HasBefore reports whether a method has a before-hook.
func (h *Hooks) HasBefore(method string) bool { return h.methods[hookName(method)] }

// hookName returns the name of the before-hook of a method. All ways to invite share one hook.
func hookName(method string) string {
	if method == "inviteInGroup" || method == "addInvitees" {
		return "invite"
	}
	return method
}

// Before calls the before-hooks of a method: the function of the embedding program, then the URL. It returns the
// request, possibly rewritten, or the rejection. The request must be JSON as encoded by this server, so that the hooks
// decide about exactly the request that runs. Canceling ctx does not cancel the hooks.
func (h *Hooks) Before(ctx context.Context, method, user, device string, request []byte) ([]byte, error) {
	ctx = context.WithoutCancel(ctx)
	if h.opt.BeforeFunc != nil {
		limited, cancel := context.WithTimeout(ctx, h.opt.BeforeTime)
		defer cancel()
		var err error
		if request, err = h.opt.BeforeFunc(limited, method, user, device, request); err != nil {
			return nil, err
		}
	}
	if h.opt.Before == "" {
		return request, nil
	}
	return h.beforeURL(ctx, method, user, device, request)
}

// beforeURL calls the before-hook of the app server.
func (h *Hooks) beforeURL(ctx context.Context, method, user, device string, request []byte) ([]byte, error) {
	q := beforeRequest{Type: "before." + hookName(method)}
	q.Data.UserID, q.Data.DeviceID, q.Data.Method = user, device, method
	if len(request) > 0 {
		q.Data.Request = request
	}
	body, err := json.Marshal(q)
	if err != nil {
		return nil, im.Internal(err)
	}
	res, text, err := h.post(ctx, h.beforeClient, h.opt.Before, "ask_"+uuid.NewString(), body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("response status %s", res.Status)
	}
	var a beforeResponse
	if err == nil && len(text) > 0 && res.StatusCode != http.StatusNoContent {
		err = json.Unmarshal(text, &a)
	}
	switch {
	case err == nil && a.Code != 0 && (a.Code < MinCode || a.Code > MaxCode):
		err = fmt.Errorf("rejection code %d is not within %d–%d", a.Code, MinCode, MaxCode)
	case err == nil && a.Code != 0:
		return nil, &im.Error{Code: a.Code, Message: relay.Clip(cmp.Or(a.Message, "rejected by the application"))}
	case err == nil && len(a.Request) > 0:
		return a.Request, nil
	case err == nil:
		return request, nil
	}
	h.opt.Log.Warn("before-hook failed", "method", method, "user", user, "refused",
		h.opt.RefuseUnanswered, "error", err)
	if h.opt.RefuseUnanswered {
		return nil, &im.Error{Code: im.CodeInternal,
			Message: "before-hook did not respond; retry", Cause: err, RetryAfter: 2000}
	}
	return request, nil
}
