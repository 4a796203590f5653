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

// question is what an app server is asked before something happens.
type question struct {
	Type string `json:"type"`
	Data struct {
		UserID   string          `json:"userID"`
		DeviceID string          `json:"deviceID,omitempty"`
		Verb     string          `json:"verb"`
		Request  json.RawMessage `json:"request,omitempty"`
	} `json:"data"`
}

// answer is what it says: nothing lets it go on as it is.
type answer struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Request json.RawMessage `json:"request"`
}

// The codes that an app server may refuse with; they reach the caller as they are.
const (
	minCode = 120001
	maxCode = 130000
)

// HasBefore reports whether an app server is asked before a verb.
func (h *Hooks) HasBefore(verb string) bool { return h.methods[questionOf(verb)] }

// questionOf is the name by which a verb is asked about: both ways to invite are one question.
func questionOf(verb string) string {
	if verb == "inviteInGroup" || verb == "addInvitees" {
		return "invite"
	}
	return verb
}

// Before asks the app server before a verb, and returns the request as it is to be, or the refusal. The request must be
// JSON as this program writes it: what is asked about is what is done. The caller cannot break the question off.
func (h *Hooks) Before(ctx context.Context, verb, user, device string, request []byte) ([]byte, error) {
	ctx = context.WithoutCancel(ctx)
	q := question{Type: "before." + questionOf(verb)}
	q.Data.UserID, q.Data.DeviceID, q.Data.Verb = user, device, verb
	if len(request) > 0 {
		q.Data.Request = request
	}
	body, err := json.Marshal(q)
	if err != nil {
		return nil, im.Internal(err)
	}
	res, text, err := h.post(ctx, h.postBefore, h.opt.Before, "ask_"+uuid.NewString(), body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("it answered %s", res.Status)
	}
	var a answer
	if err == nil && len(text) > 0 && res.StatusCode != http.StatusNoContent {
		err = json.Unmarshal(text, &a)
	}
	switch {
	case err == nil && a.Code != 0 && (a.Code < minCode || a.Code > maxCode):
		err = fmt.Errorf("it refused with %d, which is not within %d–%d", a.Code, minCode, maxCode)
	case err == nil && a.Code != 0:
		return nil, &im.Error{Code: a.Code, Message: relay.Clip(cmp.Or(a.Message, "the application refuses this"))}
	case err == nil && len(a.Request) > 0:
		return a.Request, nil
	case err == nil:
		return request, nil
	}
	h.opt.Log.Warn("the before-hook did not answer as it should", "verb", verb, "user", user, "refused",
		h.opt.RefuseUnanswered, "error", err)
	if h.opt.RefuseUnanswered {
		return nil, &im.Error{Code: im.CodeInternal,
			Message: "the application that decides about this does not answer; try again", Cause: err, RetryAfter: 2000}
	}
	return request, nil
}
