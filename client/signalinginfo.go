package client

import (
	"context"
	"encoding/json"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// SignalingInfo is the content of a signaling message; the name is Tencent's.
type SignalingInfo = protocol.Signaling

// GetSignalingInfo decodes a message of any source (an event, a history entry, a push payload), as JSON or as a
// protocol.Entry. It returns nil if it is not signaling.
func GetSignalingInfo[M []byte | json.RawMessage | protocol.Entry](message M) *SignalingInfo {
	switch x := any(message).(type) {
	case protocol.Entry:
		return protocol.ParseSignaling(x.Event)
	case json.RawMessage:
		return protocol.ParseSignaling(x)
	default:
		return protocol.ParseSignaling(x.([]byte)) // the only type left
	}
}

// AddInvitedSignaling adds an invitation received by other means, such as a push payload. It requests the invitation's
// state; if it is still open for this user, OnReceiveNewInvitation follows. An invitation known to this device is
// refused with 8012, one that is over with 8010.
func (c *Client) AddInvitedSignaling(ctx context.Context, info SignalingInfo) (*protocol.Invitation, error) {
	c.mu.Lock()
	known := c.ledger.Holds(info.InviteID)
	c.mu.Unlock()
	if known {
		return nil, &Error{Code: im.CodeExists, Message: "this device has the invitation already"}
	}
	res, err := c.GetInvitation(ctx, protocol.GetInvitationRequest{InviteID: info.InviteID, Limit: 1})
	if err != nil {
		return nil, err
	}
	v := *res.Invitation
	if res.Mine == nil || res.Mine.State != invite.Open {
		return &v, &Error{Code: im.CodeOver, Message: "the invitation is no longer open for this user",
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
