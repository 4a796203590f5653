package client

import (
	"context"

	"github.com/beckon-im/beckon/protocol"
)

// SetSelfInfo changes this user's profile.
func (c *Client) SetSelfInfo(ctx context.Context, req protocol.SetSelfInfoRequest) (protocol.ProfileResponse, error) {
	return call[protocol.ProfileResponse](ctx, c, "setSelfInfo", req)
}

// GetUsersInfo returns profiles of users, at most 200.
func (c *Client) GetUsersInfo(ctx context.Context, users []string) (protocol.ProfilesResponse, error) {
	return call[protocol.ProfilesResponse](ctx, c, "getUsersInfo", protocol.UsersRequest{UserIDList: users})
}

// AddToBlackList blocks users, at most 200.
func (c *Client) AddToBlackList(ctx context.Context, users []string) (protocol.PeopleResponse, error) {
	return call[protocol.PeopleResponse](ctx, c, "addToBlackList", protocol.UsersRequest{UserIDList: users})
}

// DeleteFromBlackList unblocks users, at most 200.
func (c *Client) DeleteFromBlackList(ctx context.Context, users []string) (protocol.PeopleResponse, error) {
	return call[protocol.PeopleResponse](ctx, c, "deleteFromBlackList", protocol.UsersRequest{UserIDList: users})
}

// GetBlackList returns a page of blocked users.
func (c *Client) GetBlackList(ctx context.Context, req protocol.BlockListRequest) (protocol.BlockListResponse, error) {
	return call[protocol.BlockListResponse](ctx, c, "getBlackList", req)
}

// GetUserStatus returns the presence of users, at most 200.
func (c *Client) GetUserStatus(ctx context.Context, users []string) (protocol.StatusResponse, error) {
	return call[protocol.StatusResponse](ctx, c, "getUserStatus", protocol.UsersRequest{UserIDList: users})
}

// SetSelfStatus sets this user's custom status.
func (c *Client) SetSelfStatus(ctx context.Context, req protocol.SetSelfStatusRequest) (protocol.StatusResponse,
	error) {
	return call[protocol.StatusResponse](ctx, c, "setSelfStatus", req)
}

// SubscribeUserStatus subscribes to the presence of users, reported by OnUserStatusChanged. Subscriptions survive
// reconnects.
func (c *Client) SubscribeUserStatus(ctx context.Context, users []string) (protocol.StatusResponse, error) {
	return call[protocol.StatusResponse](ctx, c, "subscribeUserStatus", protocol.UsersRequest{UserIDList: users})
}

// UnsubscribeUserStatus ends subscriptions: the given ones, or all.
func (c *Client) UnsubscribeUserStatus(ctx context.Context, users []string) (protocol.StatusResponse, error) {
	return call[protocol.StatusResponse](ctx, c, "unsubscribeUserStatus", protocol.UnsubscribeRequest{UserIDList: users})
}

// SetDoNotDisturb sets this user's do-not-disturb period.
func (c *Client) SetDoNotDisturb(ctx context.Context, req protocol.DoNotDisturb) (protocol.DoNotDisturbResponse,
	error) {
	return call[protocol.DoNotDisturbResponse](ctx, c, "setDoNotDisturb", req)
}

// GetDoNotDisturb returns this user's do-not-disturb period.
func (c *Client) GetDoNotDisturb(ctx context.Context) (protocol.DoNotDisturbResponse, error) {
	return call[protocol.DoNotDisturbResponse](ctx, c, "getDoNotDisturb", protocol.Empty{})
}

// GetDeviceList lists this user's connected devices.
func (c *Client) GetDeviceList(ctx context.Context) (protocol.DevicesResponse, error) {
	return call[protocol.DevicesResponse](ctx, c, "getDeviceList", protocol.Empty{})
}

// KickDevice disconnects a device of this user, or all other devices.
func (c *Client) KickDevice(ctx context.Context, req protocol.KickDeviceRequest) (protocol.KickDeviceResponse, error) {
	return call[protocol.KickDeviceResponse](ctx, c, "kickDevice", req)
}
