package client

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// EnterRoom gets the way into a media room: an address and a token for any LiveKit client.
func (c *Client) EnterRoom(ctx context.Context, roomID string, role im.RoomRole) (protocol.EnterRoomResponse, error) {
	return call[protocol.EnterRoomResponse](ctx, c, "enterRoom", protocol.EnterRoomRequest{RoomID: roomID, Role: role})
}

// ExitRoom leaves a media room for good. Between two people that ends the call.
func (c *Client) ExitRoom(ctx context.Context, roomID string) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "exitRoom", protocol.RoomRequest{RoomID: roomID})
}

// SwitchRole speaks, or only listens, in a room that this user is in, within what was granted.
func (c *Client) SwitchRole(ctx context.Context, roomID string, role im.RoomRole) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "switchRole", protocol.SwitchRoleRequest{RoomID: roomID, Role: role})
}

// SetRoomRole lets a host say what somebody may do in a room.
func (c *Client) SetRoomRole(ctx context.Context, roomID, userID string, role im.RoomRole) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "setRoomRole", protocol.SetRoomRoleRequest{RoomID: roomID, UserID: userID, Role: role})
}

// DismissRoom lets a host end the call in a room for everybody.
func (c *Client) DismissRoom(ctx context.Context, roomID string) (protocol.RoomResponse, error) {
	return call[protocol.RoomResponse](ctx, c, "dismissRoom", protocol.RoomRequest{RoomID: roomID})
}

// GetRoom reads who may speak in a room, and who is in it.
func (c *Client) GetRoom(ctx context.Context, roomID string) (protocol.RoomView, error) {
	return call[protocol.RoomView](ctx, c, "getRoom", protocol.RoomRequest{RoomID: roomID})
}

// ListCalls lists the records of this user's calls, the latest first.
func (c *Client) ListCalls(ctx context.Context, req protocol.ListCallsRequest) (protocol.ListCallsResponse, error) {
	return call[protocol.ListCallsResponse](ctx, c, "listCalls", req)
}

// GetCall reads a call record with who took part.
func (c *Client) GetCall(ctx context.Context, callID string) (protocol.GetCallResponse, error) {
	return call[protocol.GetCallResponse](ctx, c, "getCall", protocol.GetCallRequest{CallID: callID})
}
