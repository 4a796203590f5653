package api

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestBusy: during overload new calls are shed with a retry delay, while ringing invitations can be answered and
// everything can be read.
func TestBusy(t *testing.T) {
	var busy atomic.Bool
	web := newServerWith(t, t.TempDir(), Options{Busy: busy.Load})
	for _, id := range []string{"a", "b", "c"} {
		if status, b := post(t, web, "invite", "ann", `{"invitee":"bob","inviteID":"`+id+
			`","timeout":60}`); status != http.StatusOK {
			t.Fatalf("%s", b)
		}
	}
	busy.Store(true)
	for verb, body := range map[string]string{"invite": `{"invitee":"cat","timeout":60}`,
		"addInvitees": `{"inviteID":"a","inviteeList":["cat"]}`, "sendMessage": `{"userID":"bob","text":"x"}`,
		"createGroup": `{"type":"Work"}`} {
		status, b := post(t, web, verb, "ann", body)
		var e protocol.Error
		if err := json.Unmarshal(b, &e); err != nil || status != http.StatusTooManyRequests || e.Code != im.CodeTooOften ||
			e.RetryAfter < 1000 || e.RetryAfter > 3000 {
			t.Errorf("%s while the server is busy: %d %s", verb, status, b)
		}
	}
	for _, c := range [][3]string{{"ring", "bob", "a"}, {"accept", "bob", "a"}, {"reject", "bob", "b"},
		{"cancel", "ann", "c"}, {"getInvitation", "ann", "a"}} {
		if status, b := post(t, web, c[0], c[1], `{"inviteID":"`+c[2]+`"}`); status != http.StatusOK {
			t.Errorf("%s while the server is busy: %d %s", c[0], status, b)
		}
	}
}
