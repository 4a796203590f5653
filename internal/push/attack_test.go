package push

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

// Attacks and races found by review.

// TestThereAndGone: a device that connects briefly when the push is due, and disconnects again, is then rung by a push.
func TestThereAndGone(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "f"})
	h.invites("alice", "bob", "1")
	h.google.next()
	h.google.answers("f", reply{status: 503, times: 1})
	h.invites("alice", "bob", "2")
	wait(t, "the first try failed", func() bool { return h.google.tries("f") == 2 })
	h.here.set("bob", "tablet")
	wait(t, "the push is not needed while the device is connected", func() bool {
		return len(h.queue(operator.HookDelivered).Events) == 2
	})
	h.here.set("bob")
	h.signaling.DeviceOffline("bob")
	if got := h.google.next(); got.push.Signaling.InviteID != "2" {
		t.Errorf("after bob left again the push was %+v", got.push)
	}
}

// TestDeadPushKit: if the PushKit token is dead, the alert push of the device rings.
func TestDeadPushKit(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "phone", protocol.SetPushTokenRequest{Provider: protocol.PushAPNs, Token: "aa01"})
	h.has("bob", "phone", protocol.SetPushTokenRequest{Provider: protocol.PushAPNsVoIP, Token: "aa02"})
	h.apple.answers("aa02", reply{status: 410, body: `{"reason":"Unregistered"}`})
	h.invites("alice", "bob", "1", func(r *protocol.InviteRequest) { r.OfflinePush = &invite.Push{VoIP: true} })
	if got := h.apple.next(); got.to != "aa01" || got.header.Get("apns-push-type") != "alert" {
		t.Errorf("the phone got %+v", got)
	}
}

// TestEndingIsNotHeldUp: a ringing device gets the ending at once, even if the provider of another device fails, and
// devices that were not rung get no ending.
func TestEndingIsNotHeldUp(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "browser", protocol.SetPushTokenRequest{Provider: protocol.PushWeb,
		Subscription: h.browser.subscribe("b1")})
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "f"})
	h.google.answers("f", reply{status: 503, after: "3600"})
	h.invites("alice", "bob", "1")
	h.browser.next()
	wait(t, "the other one failed", func() bool { return h.google.tries("f") == 1 })
	begin := time.Now()
	do(h, h.signaling.Cancel, on("alice", "laptop"), protocol.CancelRequest{InviteID: "1"})
	if got := h.browser.next(); got.push.Kind != protocol.PushEnded || time.Since(begin) > 5*time.Second {
		t.Errorf("the browser received %+v after %v", got.push, time.Since(begin))
	}
	do(h, h.chat.SetReceiveOption, on("bob", "browser"),
		protocol.ReceiveOptionRequest{ConversationID: "c2c_nora", ReceiveOption: "nothing"})
	h.invites("nora", "bob", "2")
	do(h, h.signaling.Cancel, on("nora", "laptop"), protocol.CancelRequest{InviteID: "2"})
	h.invites("alice", "bob", "3")
	if got := h.browser.next(); got.push.Signaling.InviteID != "3" {
		t.Errorf("a user who muted nora received %+v", got.push)
	}
	// not interrupted
	wait(t, "the other provider was tried again", func() bool { return h.google.tries("f") == 2 })
}

// TestEndingWaitsForItsRing: the ending of a deferred ringing push is not attempted before that push.
func TestEndingWaitsForItsRing(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "f"})
	h.google.answers("f", reply{status: 503, after: "600"})
	h.invites("alice", "bob", "1")
	var ring int64
	wait(t, "the push is deferred", func() bool {
		for _, e := range h.queue(operator.HookWaiting).Events {
			if e.Tries > 0 {
				ring = e.Due
			}
		}
		return ring > 0
	})
	do(h, h.signaling.Cancel, on("alice", "laptop"), protocol.CancelRequest{InviteID: "1"})
	wait(t, "the ending is deferred", func() bool {
		list := h.queue(operator.HookWaiting).Events
		return len(list) == 2 && min(list[0].Due, list[1].Due) >= ring
	})
}

// TestReplayedPush: a replayed push is sent again to every device.
func TestReplayedPush(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "f"})
	do(h, h.chat.SendMessage, on("alice", "x"),
		protocol.SendMessageRequest{UserID: "bob", MessageID: "m", Body: protocol.Body{Text: "hello"}})
	h.google.next()
	wait(t, "it is noted", func() bool { return len(h.queue(operator.HookDelivered).Events) == 1 })
	res, err := h.admin.Replay(t.Context(), rpc.Caller{Server: true},
		operator.ReplayHookEventsRequest{Queue: operator.QueuePush, State: operator.HookDelivered})
	if err != nil || res.Replayed != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	if got := h.google.next(); got.push.MessageID != "m" {
		t.Errorf("the replayed push was %+v", got.push)
	}
}

// TestLongOnTheWay: texts that grow sixfold when encoded fit nevertheless.
func TestLongOnTheWay(t *testing.T) {
	h := newFixture(t)
	everywhere(h, "bob")
	text := strings.Repeat("<", 4000)
	for _, id := range []string{"alert", "voip"} {
		h.invites("alice", "bob", id, func(r *protocol.InviteRequest) {
			r.OfflinePush = &invite.Push{Title: text, Body: text, VoIP: id == "voip"}
			r.Data = text
		})
		for _, s := range []*stand{h.apple.stand, h.google.stand, h.browser.stand} {
			if got := s.next(); got.push.Signaling.InviteID != id {
				t.Errorf("the push was %+v", got.push)
			}
		}
	}
}

// TestRenewedWhileItDies: a user stays reachable by a token that is registered while the provider reports the previous
// one as dead.
func TestRenewedWhileItDies(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "new"})
	who, err := h.store.User(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	h.push.retire("bob", []string{"of before"}, who.Pushes-1)
	if res := h.invites("alice", "bob", "1"); status(res) != protocol.ReachPush {
		t.Errorf("reach is %s", status(res))
	}
	h.google.next()
}

// TestRungIsRemembered: the database records a push to a user who disconnected while the invitation was ringing.
func TestRungIsRemembered(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "f"})
	h.here.set("bob", "tablet")
	h.invites("alice", "bob", "1")
	h.here.set("bob")
	h.signaling.DeviceOffline("bob")
	h.google.next()
	p, err := h.store.Invitee(t.Context(), "1", "bob")
	if err != nil || !p.Pushed {
		t.Errorf("the database has %+v, %v", p, err)
	}
}

// TestManyAtOnce: thousands of users are rung in time, and a call does not wait for earlier messages.
func TestManyAtOnce(t *testing.T) {
	h := newFixture(t)
	const people = 1000
	var all errgroup.Group
	for i := range people {
		user := "p" + string(rune('0'+i%10)) + strings.Repeat("x", 1+i/10%50) + string(rune('a'+i/500))
		all.Go(func() error {
			if _, err := try(h, h.push.SetToken, on(user, "d"),
				protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "t-" + user}); err != nil {
				return err
			}
			_, err := try(h, h.chat.SendMessage, on("alice", "x"),
				protocol.SendMessageRequest{UserID: user, Body: protocol.Body{Text: "hi"}})
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "bob"})
	h.invites("alice", "bob", "1")
	before := 0
	for got := h.google.next(); got.to != "bob"; got = h.google.next() {
		before++
	}
	if before > people/2 {
		t.Errorf("%d messages were sent before the call", before)
	}
	for range people - before {
		h.google.next()
	}
	wait(t, "all is noted", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.stand.mu.Lock()
	defer h.google.stand.mu.Unlock()
	for token, n := range h.google.seen {
		if n != 1 {
			t.Errorf("%s was sent to %d times", token, n)
		}
	}
}

// TestHangingAccess: while Google issues no access token, the other providers ring, and the server stops in time.
func TestHangingAccess(t *testing.T) {
	h := &fixture{t: t, apple: newApple(t), google: newGoogle(t), browser: newBrowsers(t)}
	gate, hanging := make(chan struct{}), atomic.Int64{}
	defer close(gate)
	hang := newStand(t, func(*stand) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			hanging.Add(1)
			select {
			case <-gate:
			case <-r.Context().Done():
			}
		}
	})
	h.google.account = []byte(strings.Replace(string(h.google.account), h.google.web.URL+"/token", hang.web.URL+"/token",
		1))
	h.more = hang
	h.start(t.TempDir(), Options{Time: 2 * time.Second})
	for _, u := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		h.has(u, "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "f-" + u})
		h.invites("alice", u, "to-"+u)
	}
	wait(t, "it hangs", func() bool { return hanging.Load() > 0 })
	h.has("bob", "browser", protocol.SetPushTokenRequest{Provider: protocol.PushWeb,
		Subscription: h.browser.subscribe("b1")})
	h.invites("alice", "bob", "1")
	h.browser.next()
	begin := time.Now()
	h.stop()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

// TestAnswerable: the answer token of a push is valid as long as the invitation can be answered, whatever the TTL of
// the push.
func TestAnswerable(t *testing.T) {
	until := make(chan time.Duration, 1)
	h := &fixture{t: t, apple: newApple(t), google: newGoogle(t), browser: newBrowsers(t)}
	h.answer = func(at time.Time) { until <- time.Until(at) }
	h.start(t.TempDir(), Options{})
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "f"})
	h.invites("alice", "bob", "1", func(r *protocol.InviteRequest) {
		r.OfflinePush, r.MinRing = &invite.Push{TTL: 1}, 20
	})
	if left := <-until; left < 49*time.Second || left > 53*time.Second {
		t.Errorf("a call of 30 s, which may ring for 20 s from the first alert, can be answered for %v", left)
	}
	h.google.next()
}
