package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/centrifugal/centrifuge-go"
	"github.com/google/uuid"

	"github.com/beckon-im/beckon/client/hold"
	"github.com/beckon-im/beckon/client/repeat"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Call calls any method. If the connection is lost, the request is sent again after the reconnect, until ctx ends; a
// request ID in it makes that idempotent. A refusal is a *protocol.Error. A call refused with 9506 or 10002 is repeated
// after its retryAfter, if that ends before ctx and a repeat is harmless: see Options.NoRepeat. response must be a
// pointer.
func (c *Client) Call(ctx context.Context, method string, request, response any) error {
	return c.callHolding(ctx, nil, method, request, response)
}

// callHolding is Call for an action on an invitation, whose events wait for the response. While the call waits to be
// repeated, they do not.
func (c *Client) callHolding(ctx context.Context, h *hold.Hold, method string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if len(body) > protocol.MaxRequest { // the server would close the connection, again and again
		return &protocol.Error{Code: im.CodeTooLong, Field: "request",
			Message: fmt.Sprintf("%s: the request has %d bytes; the limit is %d", method, len(body), protocol.MaxRequest)}
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opt.CallTimeout)
		defer cancel()
	}
	noRepeat := c.opt.NoRepeat || ctx.Value(onceKey{}) != nil
	for n := 0; ; n++ {
		reply, err := c.send(ctx, method, body)
		if err != nil {
			return err
		}
		refused := repeat.Refusal(reply)
		if refused == nil {
			return json.Unmarshal(reply, response)
		}
		if noRepeat || n == maxRepeats || !repeat.Allowed(method, body, refused) {
			return refused
		}
		h.Release()
		again := c.pause(ctx, refused)
		h.Acquire()
		if !again {
			return refused
		}
	}
}

// send sends a request until it has a response.
func (c *Client) send(ctx context.Context, method string, body []byte) ([]byte, error) {
	for {
		lost, err := c.wait(ctx)
		if err != nil {
			return nil, err
		}
		reply, err := c.attempt(ctx, lost, method, body)
		if err == nil {
			return reply, nil
		}
		if ctx.Err() != nil || !transient(err) {
			return nil, fmt.Errorf("beckon: %s: %w", method, err)
		}
	}
}

// errLost reports a connection lost before the response.
var errLost = errors.New("the connection was lost")

// attempt sends a request once. It watches for the loss of the connection itself: in version 0.10.11 of the transport
// library an RPC whose write fails blocks for ever, and its goroutine is leaked.
func (c *Client) attempt(ctx context.Context, lost <-chan struct{}, method string, body []byte) ([]byte, error) {
	type outcome struct {
		data []byte
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		res, err := c.conn.RPC(ctx, method, body)
		done <- outcome{res.Data, err}
	}()
	select {
	case o := <-done:
		return o.data, o.err
	case <-lost:
		return nil, errLost
	}
}

// transient reports whether a transport error can be fixed by a reconnect.
func transient(err error) bool {
	var e *centrifuge.Error
	return !errors.As(err, &e) || e.Temporary // after Close, wait returns ErrClosed
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

// SignalingInfo is the content of a signaling message; the name is Tencent's.
type SignalingInfo = protocol.Signaling

// GetSignalingInfo decodes a message of any source (an event, a history entry, a push payload), as JSON or as a
// protocol.Entry. It returns nil if it is not signaling.
func GetSignalingInfo[M []byte | json.RawMessage | protocol.Entry](message M) *SignalingInfo {
	var m struct {
		protocol.Signaling
		Event json.RawMessage `json:"event"` // in a history entry
	}
	var text []byte
	switch x := any(message).(type) {
	case []byte:
		text = x
	case json.RawMessage:
		text = x
	case protocol.Entry:
		text = x.Event
	}
	if json.Unmarshal(text, &m) == nil && m.InviteID == "" && len(m.Event) > 0 {
		return GetSignalingInfo(m.Event)
	}
	if m.BusinessID != protocol.BusinessID || m.InviteID == "" || m.ActionType < protocol.ActionInvite ||
		m.ActionType > protocol.ActionRinging {
		return nil
	}
	return &m.Signaling
}

// AddInvitedSignaling adds an invitation received by other means, such as a push payload. It requests the invitation's
// state; if it is still open for this user, OnReceiveNewInvitation follows. An invitation known to this device is
// refused with 8012, one that is over with 8010.
func (c *Client) AddInvitedSignaling(ctx context.Context, info SignalingInfo) (*protocol.Invitation, error) {
	c.mu.Lock()
	known := c.ledger.Holds(info.InviteID)
	c.mu.Unlock()
	if known {
		return nil, &protocol.Error{Code: im.CodeExists, Message: "this device has the invitation already"}
	}
	res, err := c.GetInvitation(ctx, protocol.GetInvitationRequest{InviteID: info.InviteID, Limit: 1})
	if err != nil {
		return nil, err
	}
	v := *res.Invitation
	if res.Mine == nil || res.Mine.State != invite.Open {
		return &v, &protocol.Error{Code: im.CodeOver, Message: "the invitation is no longer open for this user",
			Invitation: &v}
	}
	v.Invitees = []protocol.Invitee{*res.Mine}
	c.events.Put(func() {
		c.mu.Lock()
		todo := c.ledger.Snapshot(protocol.Welcome{Invitations: []protocol.Invitation{v}}, false)
		c.mu.Unlock()
		c.notify(todo)
	})
	return &v, nil
}
