// Package protocol defines the wire format: requests, responses, events, errors and close codes. PROTOCOL.md is its
// manual.
//
// A method has a request and a response, as InviteRequest and InviteResponse, which the Go SDK, the HTTP API and the
// OpenAPI document share. The events of a timeline are Signaling, Message, MessageEvent, GroupEvent and others; Decode
// returns them by their type. Times are Unix milliseconds of the server unless a field has other units.
//
// It does not decide what is sent, when, or to which device.
package protocol
