// Package pushes has the methods of a client about its push tokens, and whether pushes arrive.
package pushes

import (
	"context"

	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/pushcheck"
)

// Methods are the methods about pushes, which a client embeds.
type Methods struct{ call Call }

// Call calls a method of the server.
type Call func(ctx context.Context, method string, request, response any) error

// New returns the methods over a function that calls the server.
func New(call Call) Methods { return Methods{call} }

// SetPushToken registers this device's push token, for pushes while it is not connected.
func (m Methods) SetPushToken(ctx context.Context,
	req protocol.SetPushTokenRequest) (res protocol.SetPushTokenResponse, err error) {
	err = m.call(ctx, "setPushToken", req, &res)
	return res, err
}

// DeletePushToken removes this device's push tokens: call it before signing out.
func (m Methods) DeletePushToken(ctx context.Context,
	req protocol.DeletePushTokenRequest) (res protocol.DeletePushTokenResponse, err error) {
	err = m.call(ctx, "deletePushToken", req, &res)
	return res, err
}

// GetPushConfig returns the push services of the server.
func (m Methods) GetPushConfig(ctx context.Context) (res protocol.PushConfigResponse, err error) {
	err = m.call(ctx, "getPushConfig", protocol.Empty{}, &res)
	return res, err
}

// GetPushHealth lists this user's push tokens, and whether pushes arrive at their devices.
func (m Methods) GetPushHealth(ctx context.Context) (res pushcheck.PushHealthResponse, err error) {
	err = m.call(ctx, "getPushHealth", protocol.Empty{}, &res)
	return res, err
}

// TestPush sends a test push to one or all registered devices of this user; GetPushTest returns the results.
func (m Methods) TestPush(ctx context.Context,
	req pushcheck.TestPushRequest) (res pushcheck.PushTestResponse, err error) {
	err = m.call(ctx, "testPush", req, &res)
	return res, err
}

// GetPushTest returns the results of a test push so far.
func (m Methods) GetPushTest(ctx context.Context, testID string) (res pushcheck.PushTestResponse, err error) {
	err = m.call(ctx, "getPushTest", pushcheck.GetPushTestRequest{TestID: testID}, &res)
	return res, err
}

// AckPushTest acknowledges a test push that this device has received.
func (m Methods) AckPushTest(ctx context.Context, testID string) (res pushcheck.AckPushTestResponse, err error) {
	err = m.call(ctx, "ackPushTest", pushcheck.AckPushTestRequest{TestID: testID}, &res)
	return res, err
}
