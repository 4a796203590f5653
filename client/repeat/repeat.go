// Package repeat decides whether a client repeats a refused call.
package repeat

import (
	"encoding/json"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

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
