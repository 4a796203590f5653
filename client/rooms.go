package client

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// EnterRoom returns an address and a token for a media room, valid 60 s, for any LiveKit client. A room that does not
// exist is opened, with this user as its host, and is the room of the user's invitations without a RoomID. To return to
// a current call, use Rejoin.
func (c *Client) EnterRoom(ctx context.Context, roomID string, role im.RoomRole) (protocol.EnterRoomResponse, error) {
	return call[protocol.EnterRoomResponse](ctx, c, "enterRoom", protocol.EnterRoomRequest{RoomID: roomID, Role: role})
}

// Rejoin returns a new token for a current call after an exit or a lost connection. It is refused with 8013 if the call
// is over or a host removed this user.
func (c *Client) Rejoin(ctx context.Context, roomID string, role im.RoomRole) (protocol.EnterRoomResponse, error) {
	view, err := c.GetRoom(ctx, roomID)
	if err != nil {
		return protocol.EnterRoomResponse{}, err
	}
	if view.Call == nil {
		return protocol.EnterRoomResponse{}, &Error{Code: im.CodeNotAdmitted, Field: "roomID",
			Message: "this room has no current call"}
	}
	return call[protocol.EnterRoomResponse](ctx, c, "enterRoom",
		protocol.EnterRoomRequest{RoomID: roomID, Role: role, Rejoin: true})
}

// ExitRoom leaves a media room. A call between two users ends; in others Rejoin is possible while the call lasts.
func (c *Client) ExitRoom(ctx context.Context, roomID string) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "exitRoom", protocol.RoomRequest{RoomID: roomID})
}

// SwitchRole changes this user's role in a current call, up to the granted role.
func (c *Client) SwitchRole(ctx context.Context, roomID string, role im.RoomRole) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "switchRole", protocol.SwitchRoleRequest{RoomID: roomID, Role: role})
}

// SetRoomRole sets the role of a user in a room. Hosts only.
func (c *Client) SetRoomRole(ctx context.Context, roomID, userID string, role im.RoomRole) (protocol.RoomResponse,
	error) {
	return call[protocol.RoomResponse](ctx, c, "setRoomRole",
		protocol.SetRoomRoleRequest{RoomID: roomID, UserID: userID, Role: role})
}

// DismissRoom ends a room and all its grants. Hosts only.
func (c *Client) DismissRoom(ctx context.Context, roomID string) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "dismissRoom", protocol.RoomRequest{RoomID: roomID})
}

// GetRoom returns the grants and participants of a room.
func (c *Client) GetRoom(ctx context.Context, roomID string) (protocol.RoomView, error) {
	return call[protocol.RoomView](ctx, c, "getRoom", protocol.RoomRequest{RoomID: roomID})
}

// ListCalls returns a page of this user's call records, latest first; with Open the current calls and their
// participants.
func (c *Client) ListCalls(ctx context.Context, req protocol.ListCallsRequest) (protocol.ListCallsResponse, error) {
	return call[protocol.ListCallsResponse](ctx, c, "listCalls", req)
}

// GetCall returns a call record with its participants.
func (c *Client) GetCall(ctx context.Context, callID string) (protocol.GetCallResponse, error) {
	return call[protocol.GetCallResponse](ctx, c, "getCall", protocol.GetCallRequest{CallID: callID})
}
