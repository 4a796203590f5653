// Package repeat reads the refusals of calls, and decides whether a client repeats them.
package repeat

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Refusal decodes the error object of a reply; nil if it is none. An error object begins with its code, and no other
// reply has one.
func Refusal(reply []byte) *protocol.Error {
	var e protocol.Error
	if !bytes.HasPrefix(reply, []byte(`{"code":`)) || json.Unmarshal(reply, &e) != nil {
		return nil
	}
	return &e
}

// Allowed reports whether a call may be repeated after this refusal: reads, and calls with an ID. After 10002
// another call may have had an effect; after 9506 it had none, but its repeat may come after a later call that
// contradicts it, as deletePushToken does setPushToken. An online-only message would arrive late.
func Allowed(method string, body []byte, refused *protocol.Error) bool {
	if refused.RetryAfter <= 0 {
		return false
	}
	var ids struct {
		RequestID, MessageID string
		OnlineUserOnly       bool
	}
	_ = json.Unmarshal(body, &ids) // a malformed request has no IDs
	send := method == "sendMessage"
	switch {
	case send && ids.OnlineUserOnly:
		return false
	case refused.Code != im.CodeInternal && refused.Code != im.CodeTooOften:
		return false
	}
	return ids.RequestID != "" || send && ids.MessageID != "" || reads(method)
}

// reads reports whether a method changes nothing.
func reads(method string) bool {
	return strings.HasPrefix(method, "get") || strings.HasPrefix(method, "list") || strings.HasPrefix(method, "search")
}
