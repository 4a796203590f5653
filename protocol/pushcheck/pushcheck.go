// Package pushcheck holds the requests and responses of the methods by which users find out whether pushes reach their
// devices.
package pushcheck

import "github.com/beckon-im/beckon/protocol"

// PushHealth is whether pushes of one push token arrive. Times are Unix milliseconds; 0 = never.
type PushHealth struct {
	DeviceID     string                `json:"deviceID,omitempty"` // empty: an app server registered the token without a device
	Provider     protocol.PushProvider `json:"provider"`
	App          string                `json:"app,omitempty"`
	Language     string                `json:"language,omitempty"`
	Connected    bool                  `json:"connected,omitempty"` // the device is connected now, and gets no pushes
	RegisteredAt int64                 `json:"registeredAt"`
	// the last push that the provider accepted; while nothing changes, it may be a minute behind
	LastAcceptedAt int64 `json:"lastAcceptedAt,omitempty"`
	// the last push that the device acknowledged, by ring, an answer token or ackPushTest
	LastAcknowledgedAt int64  `json:"lastAcknowledgedAt,omitempty"`
	LastFailedAt       int64  `json:"lastFailedAt,omitempty"`
	LastError          string `json:"lastError,omitempty"` // at LastFailedAt, at most 300 bytes
	Failures           int64  `json:"failures,omitempty"`  // since the last accepted push
}

// PushHealthResponse lists the push tokens of a user, the oldest registration first.
type PushHealthResponse struct {
	Devices    []PushHealth `json:"devices"`
	ServerTime int64        `json:"serverTime"`
}

// TestPushRequest sends a test push.
type TestPushRequest struct {
	DeviceID string `json:"deviceID,omitempty" doc:"Only to this device. Default: to all registered devices of the user."`
}

// GetPushTestRequest requests the results of a test push, at most an hour after its beginning.
type GetPushTestRequest struct {
	TestID string `json:"testID" limit:"1..64 bytes" doc:"The testID of the response of testPush."`
}

// AckPushTestRequest acknowledges a test push.
type AckPushTestRequest struct {
	TestID string `json:"testID" limit:"1..64 bytes" doc:"The testID of the push."`
}

// AckPushTestResponse is the acknowledgement of an acknowledgement.
type AckPushTestResponse struct {
	ServerTime int64 `json:"serverTime"`
}

// PushTestState is the state of the test of one device.
type PushTestState string

// The states of a test.
const (
	PushTestWaiting        PushTestState = "waiting"        // the provider has not answered yet
	PushTestAccepted       PushTestState = "accepted"       // the provider accepted it; the device may acknowledge it
	PushTestAcknowledged   PushTestState = "acknowledged"   // the device has it
	PushTestFailed         PushTestState = "failed"         // the provider did not accept it
	PushTestUnacknowledged PushTestState = "unacknowledged" // the device did not acknowledge it within 30 s
)

// PushTestResult is the result of a test push at one push token. Milliseconds count from the beginning of the test.
type PushTestResult struct {
	DeviceID       string                `json:"deviceID,omitempty"`
	Provider       protocol.PushProvider `json:"provider"`
	State          PushTestState         `json:"state" enum:"waiting,accepted,acknowledged,failed,unacknowledged"`
	AcceptedMs     int64                 `json:"acceptedMs,omitempty"`     // when the provider accepted it
	AcknowledgedMs int64                 `json:"acknowledgedMs,omitempty"` // when the device acknowledged it
	Error          string                `json:"error,omitempty"`          // failed, unacknowledged: the reason
}

// PushTestResponse is a test push with its results so far.
type PushTestResponse struct {
	TestID     string           `json:"testID"`
	StartedAt  int64            `json:"startedAt"` // Unix milliseconds
	Over       bool             `json:"over"`      // no device is waiting or accepted
	Devices    []PushTestResult `json:"devices"`
	ServerTime int64            `json:"serverTime"`
}
