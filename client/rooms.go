package client

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// EnterRoom gets the way into a media room: an address and a token for any LiveKit client, for 60 s of joining. A room
// that does not exist is opened, with this user as its host: invitations without a RoomID then name it. To come back
// into a call that goes on, call Rejoin.
func (c *Client) EnterRoom(ctx context.Context, roomID string, role im.RoomRole) (protocol.EnterRoomResponse, error) {
	return call[protocol.EnterRoomResponse](ctx, c, "enterRoom", protocol.EnterRoomRequest{RoomID: roomID, Role: role})
}

// Rejoin gets the way back into a call that goes on, for who has left it or lost it: a new token for its room. It is
// refused with 8013 when the call is over, or when a host has removed this user.
func (c *Client) Rejoin(ctx context.Context, roomID string, role im.RoomRole) (protocol.EnterRoomResponse, error) {
	view, err := c.GetRoom(ctx, roomID) // entering a room that has ended would open another
	if err != nil {
		return protocol.EnterRoomResponse{}, err
	}
	if view.Call == nil {
		return protocol.EnterRoomResponse{}, &protocol.Error{Code: im.CodeNotAdmitted, Field: "roomID",
			Message: "there is no call in this room"}
	}
	return c.EnterRoom(ctx, roomID, role)
}

// ExitRoom leaves a media room: hanging up. Between two people that ends the call; otherwise Rejoin comes back while it
// lasts.
func (c *Client) ExitRoom(ctx context.Context, roomID string) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "exitRoom", protocol.RoomRequest{RoomID: roomID})
}

// SwitchRole speaks, or only listens, in a room that this user is in, within what was granted.
func (c *Client) SwitchRole(ctx context.Context, roomID string, role im.RoomRole) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "switchRole", protocol.SwitchRoleRequest{RoomID: roomID, Role: role})
}

// SetRoomRole lets a host say what somebody may do in a room.
func (c *Client) SetRoomRole(ctx context.Context, roomID, userID string, role im.RoomRole) (protocol.RoomResponse,
	error) {
	return call[protocol.RoomResponse](ctx, c, "setRoomRole",
		protocol.SetRoomRoleRequest{RoomID: roomID, UserID: userID, Role: role})
}

// DismissRoom lets a host end a room for everybody, and with it all that was granted there.
func (c *Client) DismissRoom(ctx context.Context, roomID string) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "dismissRoom", protocol.RoomRequest{RoomID: roomID})
}

// GetRoom reads who may speak in a room, and who is in it.
func (c *Client) GetRoom(ctx context.Context, roomID string) (protocol.RoomView, error) {
	return call[protocol.RoomView](ctx, c, "getRoom", protocol.RoomRequest{RoomID: roomID})
}

// ListCalls lists the records of this user's calls, the latest first; with Open those that go on, and who is in them.
func (c *Client) ListCalls(ctx context.Context, req protocol.ListCallsRequest) (protocol.ListCallsResponse, error) {
	return call[protocol.ListCallsResponse](ctx, c, "listCalls", req)
}

// GetCall reads a call record with who took part.
func (c *Client) GetCall(ctx context.Context, callID string) (protocol.GetCallResponse, error) {
	return call[protocol.GetCallResponse](ctx, c, "getCall", protocol.GetCallRequest{CallID: callID})
}
