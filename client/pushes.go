package client

import (
	"context"

	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/pushcheck"
)

// SetPushToken registers this device's push token, for pushes while it is not connected.
func (c *Client) SetPushToken(ctx context.Context,
	req protocol.SetPushTokenRequest) (protocol.SetPushTokenResponse, error) {
	return call[protocol.SetPushTokenResponse](ctx, c, "setPushToken", req)
}

// DeletePushToken removes this device's push tokens: call it before signing out.
func (c *Client) DeletePushToken(ctx context.Context,
	req protocol.DeletePushTokenRequest) (protocol.DeletePushTokenResponse, error) {
	return call[protocol.DeletePushTokenResponse](ctx, c, "deletePushToken", req)
}

// GetPushConfig returns the push services of the server.
func (c *Client) GetPushConfig(ctx context.Context) (protocol.PushConfigResponse, error) {
	return call[protocol.PushConfigResponse](ctx, c, "getPushConfig", protocol.Empty{})
}

// GetPushHealth lists this user's push tokens, and whether pushes arrive at their devices.
func (c *Client) GetPushHealth(ctx context.Context) (pushcheck.PushHealthResponse, error) {
	return call[pushcheck.PushHealthResponse](ctx, c, "getPushHealth", protocol.Empty{})
}

// TestPush sends a test push to one or all registered devices of this user; GetPushTest returns the results.
func (c *Client) TestPush(ctx context.Context,
	req pushcheck.TestPushRequest) (pushcheck.PushTestResponse, error) {
	return call[pushcheck.PushTestResponse](ctx, c, "testPush", req)
}

// GetPushTest returns the results of a test push so far.
func (c *Client) GetPushTest(ctx context.Context, testID string) (pushcheck.PushTestResponse, error) {
	return call[pushcheck.PushTestResponse](ctx, c, "getPushTest", pushcheck.GetPushTestRequest{TestID: testID})
}

// AckPushTest acknowledges a test push that this device has received.
func (c *Client) AckPushTest(ctx context.Context, testID string) (pushcheck.AckPushTestResponse, error) {
	return call[pushcheck.AckPushTestResponse](ctx, c, "ackPushTest", pushcheck.AckPushTestRequest{TestID: testID})
}
