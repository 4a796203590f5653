package push

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

// everywhere registers an Apple phone with both tokens, a tablet, and a browser.
func everywhere(h *fixture, user string) {
	h.has(user, "phone", protocol.SetPushTokenRequest{Provider: protocol.PushAPNs, Token: "AA01", Language: "zh-CN"})
	h.has(user, "phone", protocol.SetPushTokenRequest{Provider: protocol.PushAPNsVoIP, Token: "aa02"})
	h.has(user, "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-1"})
	h.has(user, "browser", protocol.SetPushTokenRequest{Provider: protocol.PushWeb,
		Subscription: h.browser.subscribe("b1")})
}

func status(res protocol.InviteResponse) string { return res.Reach[0].Status }

// TestRing: an invitation to a user without a connected device rings by every provider, for the remaining time, and an
// answer on one device ends it on the others.
func TestRing(t *testing.T) {
	h := newFixture(t)
	everywhere(h, "bob")
	nick := "Alice"
	do(h, h.users.SetSelfInfo, on("alice", "laptop"), protocol.SetSelfInfoRequest{Nick: &nick})
	res := h.invites("alice", "bob", "call-1", func(r *protocol.InviteRequest) {
		r.OfflinePush = &invite.Push{VoIP: true, Ext: "x=1", Sound: "ring.caf"}
	})
	if status(res) != protocol.ReachPush {
		t.Errorf("the inviter gets %q, not that a push is queued", status(res))
	}
	voip := h.apple.next()
	if voip.to != "aa02" || voip.header.Get("apns-push-type") != "voip" || voip.push.Title != "Alice" ||
		voip.push.Signaling.Data != "v=1" || voip.push.Ext != "x=1" {
		t.Errorf("PushKit got %+v", voip)
	}
	expires, err := strconv.ParseInt(voip.header.Get("apns-expiration"), 10, 64)
	if left := time.Until(time.Unix(expires, 0)); err != nil || left > 30*time.Second || left < 15*time.Second {
		t.Errorf("APNs keeps it for %v, %v", left, err)
	}
	tablet := h.google.next()
	if tablet.push.UserID != "bob" || tablet.push.AnswerToken != "bob/tablet/call-1" ||
		tablet.body["notification"] != nil {
		t.Errorf("FCM got %+v", tablet)
	}
	browser := h.browser.next()
	if s := browser.push.Signaling; s.InviteID != "call-1" || s.BusinessID != 1 || s.ActionType != protocol.ActionInvite ||
		s.Remaining > 30_000 || s.Remaining < 15_000 || s.Deadline != res.Invitation.Deadline {
		t.Errorf("the browser got %+v", s)
	}
	if ttl, _ := strconv.Atoi(browser.header.Get("TTL")); ttl > 30 || ttl < 15 || browser.header.Get("Urgency") != "high" {
		t.Errorf("the push service keeps it for %d s, %s", ttl, browser.header.Get("Urgency"))
	}

	do(h, h.signaling.Accept, on("bob", "tablet"), protocol.AnswerRequest{InviteID: "call-1"})
	ended := h.browser.next()
	if ended.push.Kind != protocol.PushEnded || ended.push.State != "accepted" ||
		ended.header.Get("Topic") != browser.header.Get("Topic") {
		t.Errorf("the ending of the browser is %+v", ended)
	}
	phone := h.apple.next()
	if phone.to != "aa01" || phone.header.Get("apns-push-type") != "background" || phone.push.State != "accepted" {
		t.Errorf("the ending of the phone is %+v", phone)
	}
	wait(t, "both pushes are noted", func() bool { return len(h.queue(operator.HookDelivered).Events) == 2 })
	h.google.none() // answered on the tablet
	h.apple.none()  // PushKit is only for calls
}

// TestAlert: without VoIP the phone shows an alert in its language, and a call that was cancelled or timed out remains
// as missed.
func TestAlert(t *testing.T) {
	h := newFixture(t)
	everywhere(h, "bob")
	h.invites("alice", "bob", "call-1")
	ring := h.apple.next()
	aps := ring.body["aps"].(map[string]any)
	if ring.to != "aa01" || aps["interruption-level"] != "time-sensitive" ||
		aps["alert"].(map[string]any)["body"] != "邀请你通话" {
		t.Errorf("the phone shows %+v", ring)
	}
	if english := h.browser.next(); english.push.Body != "is calling you" {
		t.Errorf("the browser shows %+v", english.push)
	}
	do(h, h.signaling.Cancel, on("alice", "laptop"), protocol.CancelRequest{InviteID: "call-1"})
	missed := h.apple.next()
	if missed.header.Get("apns-push-type") != "alert" ||
		missed.header.Get("apns-collapse-id") != ring.header.Get("apns-collapse-id") || missed.push.State != "cancelled" {
		t.Errorf("the ending of the phone is %+v", missed)
	}
	if m := h.browser.next(); m.push.Body != "You missed a call" {
		t.Errorf("the browser shows %+v", m.push)
	}

	h.invites("alice", "bob", "call-2", func(r *protocol.InviteRequest) { r.Timeout = 2 })
	h.browser.next()
	if m := h.browser.next(); m.push.State != "timedOut" || m.push.Signaling.InviteID != "call-2" {
		t.Errorf("the timeout push of the browser is %+v", m.push)
	}
}

// TestDeadTokens: a token that its provider reports as dead is never used again, and a user without other tokens is
// unreachable.
func TestDeadTokens(t *testing.T) {
	h := newFixture(t)
	for name, c := range map[string]struct {
		stand *stand
		req   protocol.SetPushTokenRequest
		token string
		says  reply
	}{
		"ann": {h.apple.stand, protocol.SetPushTokenRequest{Provider: protocol.PushAPNs, Token: "0a"}, "0a",
			reply{status: 410, body: `{"reason":"Unregistered","timestamp":1700000000000}`}},
		"ben": {h.apple.stand, protocol.SetPushTokenRequest{Provider: protocol.PushAPNs, Token: "0b"}, "0b",
			reply{status: 400, body: `{"reason":"BadDeviceToken"}`}},
		"cem": {h.google.stand, protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "c"}, "c",
			fcmError(404, "UNREGISTERED", "")},
		"dan": {h.google.stand, protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "d"}, "d",
			fcmError(403, "SENDER_ID_MISMATCH", "")},
		"eva": {h.google.stand, protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "e"}, "e",
			fcmError(400, "INVALID_ARGUMENT", "message.token")},
		"fay": {h.browser.stand, protocol.SetPushTokenRequest{Provider: protocol.PushWeb,
			Subscription: h.browser.subscribe("f")}, "f", reply{status: 410, body: "gone"}},
		"gus": {h.browser.stand, protocol.SetPushTokenRequest{Provider: protocol.PushWeb,
			Subscription: h.browser.subscribe("g")}, "g", reply{status: 404}},
	} {
		c.stand.answers(c.token, c.says)
		h.has(name, "d1", c.req)
		if res := h.invites("alice", name, "to-"+name); status(res) != protocol.ReachPush {
			t.Errorf("%s: reach is %s", name, status(res))
		}
		wait(t, "the token of "+name+" is forgotten", func() bool {
			list, err := outbox.Tokens(t.Context(), h.store, name)
			return err == nil && len(list) == 0
		})
		wait(t, "the user is unreachable", func() bool {
			who, err := h.store.User(t.Context(), name)
			return err == nil && who.Pushes == 0
		})
		if res := h.invites("alice", name, "again-"+name); status(res) != protocol.ReachUnreachable {
			t.Errorf("%s: reach is %s after the token died", name, status(res))
		}
		if n := c.stand.tries(c.token); n != 1 {
			t.Errorf("%s: the dead token was tried %d times", name, n)
		}
	}
	wait(t, "seven pushes are given up", func() bool { return h.queue(operator.HookDead).Dead == 7 })
	for _, e := range h.queue(operator.HookDead).Events {
		if e.Error == "" || e.Tries != 1 {
			t.Errorf("a push was given up as %+v", e)
		}
	}
}

// TestRetries: a failed provider is retried, and only for devices that have not received the push.
func TestRetries(t *testing.T) {
	h := newFixture(t)
	everywhere(h, "bob")
	h.apple.answers("aa01", reply{status: 503, body: `{"reason":"ServiceUnavailable"}`, times: 2})
	h.browser.answers("b1", reply{status: 429, after: "1", times: 1})
	begin := time.Now()
	h.invites("alice", "bob", "call-1")
	h.google.next()
	h.browser.next()
	if took := time.Since(begin); took < time.Second {
		t.Errorf("the push service requested a delay of 1 s; it was %v", took)
	}
	h.apple.next()
	wait(t, "it is noted", func() bool { return len(h.queue(operator.HookDelivered).Events) == 1 })
	if apple, google, browser := h.apple.tries("aa01"), h.google.tries("fcm-1"), h.browser.tries("b1"); apple != 3 ||
		google != 1 || browser != 2 {
		t.Errorf("Apple was tried %d times, Google %d, the browser %d", apple, google, browser)
	}
}

// TestOutlivesARestart: a push that no provider accepted is sent after a restart, with the remaining time.
func TestOutlivesARestart(t *testing.T) {
	h := &fixture{t: t, apple: newApple(t), google: newGoogle(t), browser: newBrowsers(t)}
	dir := t.TempDir()
	h.start(dir, Options{})
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-1"})
	h.google.answers("fcm-1", reply{status: 500})
	h.invites("alice", "bob", "call-1")
	wait(t, "it was tried", func() bool { return h.google.tries("fcm-1") > 0 })
	h.stop()
	h.google.mu.Lock()
	delete(h.google.says, "fcm-1")
	h.google.mu.Unlock()
	key := h.push.webKey
	h.start(dir, Options{})
	if got := h.google.next(); got.push.Signaling.InviteID != "call-1" {
		t.Errorf("after the restart the push was %+v", got.push)
	}
	if h.push.webKey != key {
		t.Error("the key that browsers subscribed with is another after a restart")
	}
}

// TestRingsOnAfterARestart: a user who was connected when invited, and does not reconnect soon after a restart of the
// server, is rung by a push.
func TestRingsOnAfterARestart(t *testing.T) {
	h := &fixture{t: t, apple: newApple(t), google: newGoogle(t), browser: newBrowsers(t)}
	dir := t.TempDir()
	h.start(dir, Options{})
	for _, user := range []string{"bob", "cem", "eva"} {
		h.has(user, "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-" + user})
		h.here.set(user, "tablet")
		h.invites("alice", user, "call-of-"+user)
	}
	h.stop()
	h.start(dir, Options{})
	h.here.set("cem", "tablet")
	came := []string{h.google.next().push.Signaling.InviteID, h.google.next().push.Signaling.InviteID}
	if slices.Sort(came); !slices.Equal(came, []string{"call-of-bob", "call-of-eva"}) {
		t.Errorf("after the restart the push was %q", came)
	}
}

// TestAllLeaveAtOnce: if more users disconnect at once than the leave queue holds, all with ringing invitations are
// rung nevertheless.
func TestAllLeaveAtOnce(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-bob"})
	h.here.set("bob", "tablet")
	h.invites("alice", "bob", "1")
	h.here.set("bob")
	for range 20_000 {
		h.signaling.DeviceOffline("somebody")
	}
	h.signaling.DeviceOffline("bob")
	if got := h.google.next(); got.push.UserID != "bob" || got.push.Signaling.InviteID != "1" {
		t.Errorf("after they left the push was %+v", got.push)
	}
}

// TestNotPushed: no push rings users who are connected, have do-not-disturb on or muted the conversation, nor any user
// if the invitation disables pushes.
func TestNotPushed(t *testing.T) {
	h := newFixture(t)
	for _, u := range []string{"bob", "cem", "dan", "eva"} {
		h.has(u, "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-" + u})
	}
	h.here.set("bob", "tablet")
	if res := h.invites("alice", "bob", "1"); status(res) != protocol.ReachConnected {
		t.Errorf("a connected user is reached by %s", status(res))
	}
	do(h, h.users.SetDoNotDisturb, on("cem", "x"),
		protocol.DoNotDisturb{DailyFrom: "00:00", DailyUntil: "00:00", Show: true})
	if res := h.invites("alice", "cem", "2"); status(res) != protocol.ReachDoNotDisturb {
		t.Errorf("a user with visible do-not-disturb is reached by %s", status(res))
	}
	do(h, h.users.SetDoNotDisturb, on("dan", "x"), protocol.DoNotDisturb{DailyFrom: "00:00", DailyUntil: "00:00"})
	if res := h.invites("alice", "dan", "3"); status(res) != protocol.ReachPush {
		t.Errorf("a user with hidden do-not-disturb is reached by %s", status(res))
	}
	disabled := func(r *protocol.InviteRequest) { r.OfflinePush = &invite.Push{Disable: true} }
	if res := h.invites("alice", "eva", "4", disabled); status(res) != protocol.ReachUnreachable {
		t.Errorf("an invitation without pushes reaches by %s", status(res))
	}
	h.invites("alice", "eva", "5", func(r *protocol.InviteRequest) { r.OnlineUserOnly = true })
	do(h, h.chat.SetReceiveOption, on("eva", "x"),
		protocol.ReceiveOptionRequest{ConversationID: "c2c_alice", ReceiveOption: "quiet"})
	h.invites("alice", "eva", "6")
	h.invites("nora", "eva", "7")
	if got := h.google.next(); got.push.Signaling.InviteID != "7" {
		t.Errorf("unexpected push for %s", got.push.Signaling.InviteID)
	}
	wait(t, "all is noted", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.none()
}

// TestLeavesWhileItRings: a user who was connected when invited, and disconnects before answering, is rung by a push.
func TestLeavesWhileItRings(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-bob"})
	h.here.set("bob", "tablet")
	h.invites("alice", "bob", "1")
	h.signaling.DeviceOffline("bob") // and reconnects at once
	h.here.set("cem", "tablet")
	h.has("cem", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-cem"})
	h.invites("alice", "cem", "2")
	h.here.set("cem")
	h.signaling.DeviceOffline("cem")
	h.signaling.DeviceOffline("cem")
	if got := h.google.next(); got.push.UserID != "cem" || got.push.Signaling.InviteID != "2" {
		t.Errorf("after they left the push was %+v", got.push)
	}
	do(h, h.signaling.Cancel, on("alice", "laptop"), protocol.CancelRequest{InviteID: "2"})
	if got := h.google.next(); got.push.UserID != "cem" || got.push.Kind != protocol.PushEnded {
		t.Errorf("the ending was %+v", got.push)
	}
	wait(t, "all is noted", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.none()
}

// TestGroup: the offline members of a group are rung.
func TestGroup(t *testing.T) {
	h := newFixture(t)
	name := "The band"
	do(h, h.groups.CreateGroup, on("alice", "x"),
		protocol.CreateGroupRequest{GroupID: "g", Type: "Public", GroupInfo: protocol.GroupInfo{Name: name},
			MemberList: []string{"bob", "cem", "dan"}})
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-bob"})
	h.has("cem", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-cem"})
	h.here.set("cem", "tablet")
	res := do(h, h.signaling.InviteInGroup, on("alice", "x"),
		protocol.InviteInGroupRequest{GroupID: "g", Everyone: true,
			InviteOptions: protocol.InviteOptions{InviteID: "all", Timeout: 30}})
	reach := map[string]string{}
	for _, r := range res.Reach {
		reach[r.UserID] = r.Status
	}
	if reach["bob"] != protocol.ReachPush || reach["cem"] != protocol.ReachConnected ||
		reach["dan"] != protocol.ReachUnreachable {
		t.Errorf("they are reached by %v", reach)
	}
	got := h.google.next()
	if got.to != "fcm-bob" || got.body["data"].(map[string]any)["title"] != name || got.push.Signaling.GroupID != "g" {
		t.Errorf("bob got %+v", got)
	}
	h.has("eva", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-eva"})
	do(h, h.groups.InviteUserToGroup, on("alice", "x"),
		protocol.GroupMembersRequest{GroupID: "g", MemberList: []string{"eva"}})
	added := do(h, h.signaling.AddInvitees, on("alice", "x"),
		protocol.AddInviteesRequest{InviteID: "all", InviteeList: []string{"eva"}, RequestID: "r"})
	if got := h.google.next(); got.to != "fcm-eva" || added.Reach[0].Status != protocol.ReachPush {
		t.Errorf("eva, who was added, got %+v", got)
	}
	do(h, h.signaling.Cancel, on("alice", "x"), protocol.CancelRequest{InviteID: "all"})
	for range 2 {
		if ended := h.google.next(); ended.push.State != "cancelled" {
			t.Errorf("the ending was %+v", ended.push)
		}
	}
	wait(t, "all is noted", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.none()
}

// TestMessages: a message to an offline user is pushed; in a group only to members with notifications.
func TestMessages(t *testing.T) {
	h := newFixture(t)
	do(h, h.groups.CreateGroup, on("alice", "x"),
		protocol.CreateGroupRequest{GroupID: "g", Type: "Public", GroupInfo: protocol.GroupInfo{Name: "The band"},
			MemberList: []string{"bob", "cem", "dan"}})
	for _, u := range []string{"bob", "cem", "dan"} {
		h.has(u, "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "fcm-" + u})
	}
	send := func(req protocol.SendMessageRequest) { do(h, h.chat.SendMessage, on("alice", "x"), req) }
	send(protocol.SendMessageRequest{UserID: "bob", MessageID: "m1", Body: protocol.Body{Text: "are you\nthere?"}})
	got := h.google.next()
	if data := got.body["data"].(map[string]any); data["title"] != "alice" || data["body"] != "are you there?" ||
		got.push.MessageID != "m1" || got.push.Kind != protocol.PushMessage {
		t.Errorf("bob got %+v", got)
	}
	h.here.set("cem", "tablet")
	do(h, h.chat.SetReceiveOption, on("dan", "x"),
		protocol.ReceiveOptionRequest{ConversationID: "group_g", ReceiveOption: "mentions"})
	send(protocol.SendMessageRequest{GroupID: "g", MessageID: "m2", Body: protocol.Body{Text: "at eight"}})
	if got := h.google.next(); got.to != "fcm-bob" || got.body["data"].(map[string]any)["body"] != "alice: at eight" {
		t.Errorf("the group got %+v", got)
	}
	send(protocol.SendMessageRequest{GroupID: "g", MessageID: "m3", Body: protocol.Body{Text: "you too?"},
		MessageOptions: protocol.MessageOptions{Mentions: []string{"dan"}, ReceiverList: []string{"dan"}}})
	if got := h.google.next(); got.to != "fcm-dan" ||
		got.body["data"].(map[string]any)["body"] != "alice mentioned you: you too?" {
		t.Errorf("dan got %+v", got)
	}
	send(protocol.SendMessageRequest{UserID: "bob", MessageID: "m4", Body: protocol.Body{Text: "psst"},
		MessageOptions: protocol.MessageOptions{OfflinePush: &invite.Push{Title: "A friend", Body: "wrote"}}})
	if got := h.google.next(); got.body["data"].(map[string]any)["title"] != "A friend" ||
		strings.Contains(got.body["data"].(map[string]any)["beckon"].(string), "psst") {
		t.Errorf("bob got %+v", got)
	}
	h.google.answers("fcm-bob", reply{status: 503, times: 1})
	send(protocol.SendMessageRequest{UserID: "bob", MessageID: "m5", Body: protocol.Body{Text: "a mistake"}})
	wait(t, "it failed once", func() bool { return len(h.queue(operator.HookWaiting).Events) == 1 })
	do(h, h.chat.RevokeMessage, on("alice", "x"),
		protocol.RevokeRequest{MessageRequest: protocol.MessageRequest{ConversationID: "c2c_bob", MessageID: "m5"}})
	wait(t, "all is noted", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.none()
}

// TestNextUser: after another user signs in on a device, it receives only the pushes of that user.
func TestNextUser(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "same"})
	h.has("cem", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "same"})
	h.invites("alice", "bob", "1")
	h.invites("alice", "cem", "2")
	if got := h.google.next(); got.push.UserID != "cem" {
		t.Errorf("the device of cem rings for %s", got.push.UserID)
	}
	wait(t, "bob's is given up", func() bool { return h.queue(operator.HookDead).Dead == 1 })
	h.google.none()
	if res := do(h, h.push.DeleteToken, on("cem", "tablet"), protocol.DeletePushTokenRequest{}); res.Deleted != 1 {
		t.Errorf("%d tokens were forgotten", res.Deleted)
	}
	if res := h.invites("alice", "cem", "3"); status(res) != protocol.ReachUnreachable {
		t.Errorf("a user without tokens is reached by %s", status(res))
	}
}

// TestMany: a user has at most twenty tokens, the latest, and a device one per provider.
func TestMany(t *testing.T) {
	h := newFixture(t)
	for i := range maxTokens + 5 {
		h.has("bob", "d"+strconv.Itoa(i), protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "t" +
			strconv.Itoa(i)})
	}
	h.has("bob", "d24", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "newer"})
	list, err := outbox.Tokens(t.Context(), h.store, "bob")
	if err != nil || len(list) != maxTokens {
		t.Fatalf("%d tokens are kept, %v", len(list), err)
	}
	for _, tok := range list {
		if tok.Body == `{"provider":"fcm","token":"t24"}` {
			t.Error("the token before is still there")
		}
	}
}

// TestBadTokens: invalid registrations are rejected, with the name of the field.
func TestBadTokens(t *testing.T) {
	h := newFixture(t)
	good := h.browser.subscribe("b")
	with := func(change func(*protocol.WebPushSubscription)) protocol.SetPushTokenRequest {
		s := *good
		change(&s)
		return protocol.SetPushTokenRequest{Provider: protocol.PushWeb, Subscription: &s}
	}
	for field, req := range map[string]protocol.SetPushTokenRequest{
		"provider":                 {Provider: "pigeon", Token: "x"},
		"token":                    {Provider: protocol.PushAPNs, Token: "not hex"},
		"language":                 {Provider: protocol.PushFCM, Token: "x", Language: strings.Repeat("x", 36)},
		"subscription":             {Provider: protocol.PushWeb},
		"subscription.endpoint":    with(func(s *protocol.WebPushSubscription) { s.Endpoint = "ftp://example.com/x" }),
		"subscription.keys.p256dh": with(func(s *protocol.WebPushSubscription) { s.Keys.P256dh = "AAAA" }),
		"subscription.keys.auth":   with(func(s *protocol.WebPushSubscription) { s.Keys.Auth = "AAAA" }),
	} {
		if _, err := try(h, h.push.SetToken, on("bob", "x"), req); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := h.push.GetConfig(t.Context(), rpc.Caller{}, protocol.Empty{}); err != nil {
		t.Error(err)
	}
}

// TestPrivateAddresses: Web Push endpoints cannot make this server call the operator's own network, neither by address
// nor by name.
func TestPrivateAddresses(t *testing.T) {
	h := newFixture(t)
	h.push.opt.Private = false
	for _, endpoint := range []string{"https://127.0.0.1/x", "https://[::1]/x", "https://10.1.2.3/x",
		"https://[::ffff:192.168.1.1]/x", "https://169.254.169.254/latest", "https://100.64.1.1/", "http://example.com/x",
		"https://u:p@example.com/x",
		"https://localhost/x", "https://LOCALHOST./x", "https://push.localhost/x", "https://printer.local/x",
		"https://intranet/x", "https://db.internal/x", "https://127.1/x", "https://2130706433/x", "https://0x7f.1/x",
		"https://0177.0.0.1/x", "https://0x7f000001/x", "https://10.0x10203/x", "https://127.0.0.1./x", "https://0/x",
		"https://0.0.0.0/x", "https://[::]/x", "https://[::ffff:7f00:1]/x", "https://[::127.0.0.1]/x", "https://[fe80::1]/x",
		"https://[fe80::1%25eth0]/x", "https://[fec0::1]/x", "https://[fd00::1]/x", "https://[64:ff9b::7f00:1]/x",
		"https://[2002:7f00:1::]/x", "https://１２７.0.0.1/x", "https://ⓛocalhost/x", "https://1.2.3.4.5/x",
		"https://999999999999/x"} {
		s := *h.browser.subscribe("b")
		s.Endpoint = endpoint
		if _, err := try(h, h.push.SetToken, on("bob", "x"),
			protocol.SetPushTokenRequest{Provider: protocol.PushWeb, Subscription: &s}); err == nil {
			t.Errorf("%s was taken", endpoint)
		}
	}
	for _, host := range []string{"updates.push.services.mozilla.com", "fcm.googleapis.com", "web.push.apple.com.",
		"93.184.216.34", "0x5d.184.216.34", "[2606:4700::1111]", "a1.example"} {
		if !publicHost(strings.Trim(host, "[]")) {
			t.Errorf("%s was refused", host)
		}
	}
	if refusePrivate("tcp", "127.0.0.1:443", nil) == nil || refusePrivate("tcp", "[fd00::1]:443", nil) == nil ||
		refusePrivate("tcp", "93.184.216.34:443", nil) != nil {
		t.Error("the address that a name leads to is not looked at")
	}
}

// TestLong: a push that is too long is cut, and the app can detect it.
func TestLong(t *testing.T) {
	h := newFixture(t)
	everywhere(h, "bob")
	h.invites("alice", "bob", "call-1", func(r *protocol.InviteRequest) {
		r.Data = strings.Repeat("x", 12<<10)
		r.OfflinePush = &invite.Push{Title: strings.Repeat("ü", 2000), Body: strings.Repeat("y", 4000),
			Ext: strings.Repeat("z", 4000)}
	})
	for _, s := range []*stand{h.apple.stand, h.google.stand, h.browser.stand} {
		if got := s.next(); !got.push.Cut || got.push.Signaling.InviteID != "call-1" || got.push.Signaling.Data != "" {
			t.Errorf("it was cut to %+v", got.push)
		}
	}
}

// TestTemplates: the operator's templates override the built-in ones, by language.
func TestTemplates(t *testing.T) {
	words, err := merge(Templates{"de": {"invitation": {"{from}", "ruft dich an"}},
		"en": {"missed": {"Missed", "{from}"}}})
	if err != nil {
		t.Fatal(err)
	}
	for language, want := range map[string]string{"de-AT": "ruft dich an", "zh-TW": "邀请你通话", "fr": "is calling you",
		"": "is calling you"} {
		if title, body := words.render(language, "invitation",
			map[string]string{"from": "Ann {group}", "group": "x"}); title != "Ann {group}" || body != want {
			t.Errorf("%s: %q %q", language, title, body)
		}
	}
	if _, body := words.render("de", "missed", map[string]string{"from": "Ann"}); body != "Ann" {
		t.Errorf("a text without German template is %q", body)
	}
	if _, err := merge(Templates{"de": {"invitations": {}}}); err == nil {
		t.Error("a kind that there is not was taken")
	}
}
