package client

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/client/internal/failure"
	"github.com/beckon-im/beckon/client/internal/hold"
	"github.com/beckon-im/beckon/client/internal/repeat"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Call calls any method. If the connection is lost, the request is sent again after the reconnect, until ctx ends; a
// request ID in it makes that idempotent. A failure is an *Error. A call refused with 9506 or 10002 is repeated after
// its retryAfter, if that ends before ctx and a repeat is harmless: see Options.NoRepeat. response must be a pointer.
func (c *Client) Call(ctx context.Context, method string, request, response any) error {
	return c.callHolding(ctx, nil, method, request, response)
}

// callHolding is Call for an action on an invitation, whose events wait for the response. While the call waits to be
// repeated, they do not.
func (c *Client) callHolding(ctx context.Context, h *hold.Hold, method string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return failure.Bad("request", err.Error())
	}
	if len(body) > protocol.MaxRequest { // the server would close the connection, again and again
		return &Error{Code: im.CodeTooLong, Field: "request",
			Message: fmt.Sprintf("%s: the request has %d bytes; the limit is %d", method, len(body), protocol.MaxRequest)}
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opt.CallTimeout)
		defer cancel()
	}
	noRepeat := c.opt.NoRepeat || repeat.IsOnce(ctx)
	for n := 0; ; n++ {
		reply, err := c.conn.Send(ctx, method, body)
		if err != nil {
			return failure.New(method, err)
		}
		refused := repeat.Refusal(reply)
		if refused == nil {
			if err := json.Unmarshal(reply, response); err != nil {
				return failure.Response(method, err)
			}
			return nil
		}
		if noRepeat || n == repeat.Most || !repeat.Allowed(method, body, refused) {
			return refused
		}
		c.opt.Log.Debug("call repeated", "method", method, "code", refused.Code, "retry_in_ms", refused.RetryAfter)
		h.Release()
		again := repeat.Pause(ctx, c.conn.Life(), refused)
		h.Acquire()
		if !again {
			return refused
		}
	}
}

// NewID returns an ID for an invitation or a request: a UUIDv7.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Invite invites one user, or up to 100 without a group. Missing inviteID and requestID are generated.
func (c *Client) Invite(ctx context.Context, req protocol.InviteRequest) (protocol.InviteResponse, error) {
	invitees := req.InviteeList
	if req.Invitee != "" {
		invitees = []string{req.Invitee}
	}
	name(&req.InviteOptions)
	return c.invite(ctx, "invite", req.InviteID, req, invitees)
}

// InviteInGroup invites members of a group. Missing inviteID and requestID are generated.
func (c *Client) InviteInGroup(ctx context.Context, req protocol.InviteInGroupRequest) (protocol.InviteResponse,
	error) {
	name(&req.InviteOptions)
	return c.invite(ctx, "inviteInGroup", req.InviteID, req, req.InviteeList)
}

func name(o *protocol.InviteOptions) {
	if o.InviteID == "" {
		o.InviteID = NewID()
	}
	fillID(&o.RequestID)
}

func fillID(id *string) {
	if *id == "" {
		*id = NewID()
	}
}

func (c *Client) invite(ctx context.Context, method, id string, req any,
	invitees []string) (res protocol.InviteResponse,
	err error) {
	holds := []string{id}
	if r, ok := req.(protocol.InviteRequest); ok && r.MergeGlare {
		holds = append(holds, glareWith(r.Invitee)) // the response may concern an invitation by the invitee
	}
	h := c.pending.Acquire(holds...)
	defer h.Release()
	if err = c.callHolding(ctx, h, method, req, &res); err == nil {
		c.mu.Lock()
		c.ledger.Opened(&res, invitees)
		c.mu.Unlock()
		c.saveSoon()
		c.refreshSoon(c.conversationOf(id))
	}
	return res, err
}

// conversationOf returns the conversation of an invitation; empty if it has several or is unknown.
func (c *Client) conversationOf(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	inviter, groupID, invitees := c.ledger.Facts(id)
	switch {
	case groupID != "":
		return im.GroupConversation(groupID)
	case inviter != c.ledger.User() && inviter != "":
		return im.C2C(inviter)
	case len(invitees) == 1:
		return im.C2C(invitees[0])
	}
	return ""
}

// Accept accepts an invitation; data is opaque, at most 12 KiB.
func (c *Client) Accept(ctx context.Context, inviteID, data string) (protocol.ActionResponse, error) {
	req := protocol.AnswerRequest{InviteID: inviteID, Data: data, RequestID: NewID()}
	return c.decide(ctx, "accept", inviteID, req, invite.Accepted)
}

// Reject rejects an invitation; an empty reason is "declined". A reason has at most 256 bytes.
func (c *Client) Reject(ctx context.Context, inviteID, data, reason string) (protocol.ActionResponse, error) {
	req := protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: inviteID, Data: data,
		RequestID: NewID()}, Reason: reason}
	return c.decide(ctx, "reject", inviteID, req, invite.Rejected)
}

func (c *Client) decide(ctx context.Context, method, id string, req any,
	state invite.State) (res protocol.ActionResponse,
	err error) {
	h := c.pending.Acquire(id)
	defer h.Release()
	if err = c.callHolding(ctx, h, method, req, &res); err == nil {
		c.mu.Lock()
		c.ledger.Acted(id, state, res.Over)
		c.mu.Unlock()
		c.saveSoon()
		c.refreshSoon(c.conversationOf(id))
	}
	return res, err
}

// Cancel ends open invitees: all, or those in req.InviteeList.
func (c *Client) Cancel(ctx context.Context, req protocol.CancelRequest) (res protocol.ActionResponse, err error) {
	fillID(&req.RequestID)
	if err = c.Call(ctx, "cancel", req, &res); err != nil {
		return res, err
	}
	where := c.conversationOf(req.InviteID)
	c.mu.Lock()
	c.ledger.Cancelled(req.InviteID, res.InviteeList, res.Over)
	c.mu.Unlock()
	c.saveSoon()
	c.refreshSoon(where)
	return res, err
}

// ModifyInvitation replaces the data of an open invitation, at most 12 KiB.
func (c *Client) ModifyInvitation(ctx context.Context, inviteID, data string) (res protocol.ActionResponse, err error) {
	err = c.Call(ctx, "modifyInvitation", protocol.ModifyRequest{InviteID: inviteID, Data: data, RequestID: NewID()}, &res)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ledger.Changed(inviteID, &data, nil, res.Version)
	}
	return res, err
}

// AddInvitees adds invitees to an open invitation.
func (c *Client) AddInvitees(ctx context.Context, req protocol.AddInviteesRequest) (res protocol.ActionResponse,
	err error) {
	fillID(&req.RequestID)
	if err = c.Call(ctx, "addInvitees", req, &res); err == nil && !res.Repeat {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ledger.Changed(req.InviteID, nil, req.InviteeList, res.Version)
	}
	return res, err
}

// Ring reports to the inviter that this device is ringing.
func (c *Client) Ring(ctx context.Context, inviteID string) (res protocol.ActionResponse, err error) {
	return res, c.Call(ctx, "ring", protocol.RingRequest{InviteID: inviteID, RequestID: NewID()}, &res)
}

// GetInvitation returns an invitation and a page of its invitees.
func (c *Client) GetInvitation(ctx context.Context,
	req protocol.GetInvitationRequest) (res protocol.GetInvitationResponse, err error) {
	return res, c.Call(ctx, "getInvitation", req, &res)
}

// ListInvitations lists the open invitations of this user, or the given ones, at most 200, open or over.
func (c *Client) ListInvitations(ctx context.Context, inviteIDs ...string) (res protocol.ListInvitationsResponse,
	err error) {
	return res, c.Call(ctx, "listInvitations", protocol.ListInvitationsRequest{InviteIDs: inviteIDs}, &res)
}
