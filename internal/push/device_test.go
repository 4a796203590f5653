package push

import (
	"slices"
	"testing"
	"time"

	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

// phone registers the phone of a user.
func (h *fixture) phone(user string) {
	h.t.Helper()
	h.has(user, "phone", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "phone-of-" + user})
}

// TestEachDevice: an invitation is pushed to the registered devices that are not connected, also while another device
// of the user is, and the answer there takes it away; nothing is pushed if all registered devices are connected.
func TestEachDevice(t *testing.T) {
	h := newFixture(t)
	h.phone("bob")
	h.here.set("bob", "desktop")
	res := h.invites("alice", "bob", "1")
	if r := res.Reach[0]; r.Status != protocol.ReachConnected || !r.Push || r.Devices != 1 {
		t.Errorf("the reach is %+v", r)
	}
	if got := h.google.next(); got.to != "phone-of-bob" || got.push.Signaling.InviteID != "1" {
		t.Errorf("the phone got %+v", got.push)
	}
	do(h, h.signaling.Accept, on("bob", "desktop"), protocol.AnswerRequest{InviteID: "1"})
	if got := h.google.next(); got.push.Kind != protocol.PushEnded || got.push.State != "accepted" {
		t.Errorf("the ending is %+v", got.push)
	}
	h.here.set("bob", "desktop", "phone")
	if r := h.invites("alice", "bob", "2").Reach[0]; r.Status != protocol.ReachConnected || r.Push {
		t.Errorf("with both devices connected the reach is %+v", r)
	}
	h.here.set("bob", "phone")
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "tablet"})
	if r := h.invites("alice", "bob", "3").Reach[0]; !r.Push {
		t.Errorf("after another device registered, the reach is %+v", r)
	}
	if got := h.google.next(); got.to != "tablet" || got.push.Signaling.InviteID != "3" {
		t.Errorf("%s got %+v", got.to, got.push)
	}
	wait(t, "all is sent", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.none()
}

// TestDeviceDisconnects: a device that disconnects while an invitation rings is pushed, once, although another device
// of the user is connected and a third was pushed before; the ending goes to both.
func TestDeviceDisconnects(t *testing.T) {
	h := newFixture(t)
	h.phone("bob")
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "tablet"})
	h.here.set("bob", "desktop", "phone")
	h.invites("alice", "bob", "1")
	if got := h.google.next(); got.to != "tablet" {
		t.Errorf("%s was pushed", got.to)
	}
	h.here.set("bob", "desktop")
	h.signaling.DeviceOffline("bob")
	h.signaling.DeviceOffline("bob")
	if got := h.google.next(); got.to != "phone-of-bob" || got.push.Signaling.InviteID != "1" {
		t.Errorf("%s got %+v", got.to, got.push)
	}
	do(h, h.signaling.Cancel, on("alice", "laptop"), protocol.CancelRequest{InviteID: "1"})
	ended := []string{h.google.next().to, h.google.next().to}
	if slices.Sort(ended); !slices.Equal(ended, []string{"phone-of-bob", "tablet"}) {
		t.Errorf("the ending went to %q", ended)
	}
	wait(t, "all is sent", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.none()
}

// TestMessageDelay: a message to a user with a connected device is pushed to the others if it is not read in time.
func TestMessageDelay(t *testing.T) {
	h := &fixture{t: t, apple: newApple(t), google: newGoogle(t), browser: newBrowsers(t)}
	h.start(t.TempDir(), Options{MessageDelay: 700 * time.Millisecond})
	h.phone("bob")
	h.here.set("bob", "desktop")
	send := func(id string) {
		do(h, h.chat.SendMessage, on("alice", "x"),
			protocol.SendMessageRequest{UserID: "bob", MessageID: id, Body: protocol.Body{Text: id}})
	}
	send("read")
	do(h, h.chat.MarkRead, on("bob", "desktop"), protocol.ReadRequest{ConversationID: "c2c_alice"})
	begin := time.Now()
	send("unread")
	if got := h.google.next(); got.push.MessageID != "unread" || time.Since(begin) < 700*time.Millisecond {
		t.Errorf("after %v the push was %+v", time.Since(begin), got.push)
	}
	do(h, h.groups.CreateGroup, on("alice", "x"),
		protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob", "cem"}})
	h.phone("cem")
	h.here.set("cem", "phone")
	begin = time.Now()
	do(h, h.chat.SendMessage, on("alice", "x"),
		protocol.SendMessageRequest{GroupID: "g", MessageID: "group", Body: protocol.Body{Text: "hi"}})
	if got := h.google.next(); got.to != "phone-of-bob" || got.push.MessageID != "group" ||
		time.Since(begin) < 700*time.Millisecond {
		t.Errorf("after %v %s got %+v", time.Since(begin), got.to, got.push)
	}
	send("blocked-meanwhile")
	do(h, h.users.Block, on("bob", "desktop"), protocol.UsersRequest{UserIDList: []string{"alice"}})
	wait(t, "all is sent", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.none()
}

// TestWithdrawn: a push takes the notification of a message away that was read on another device, cleared or revoked; a
// message that was read before its push was accepted is not pushed, and nothing is withdrawn twice.
func TestWithdrawn(t *testing.T) {
	h := newFixture(t)
	everywhere(h, "bob")
	all := func(kind protocol.PushKind, ids ...string) {
		t.Helper()
		for _, s := range []*stand{h.apple.stand, h.google.stand, h.browser.stand} {
			got := s.next()
			list := got.push.MessageIDList
			if slices.Sort(list); got.push.Kind != kind || kind != protocol.PushMessage && !slices.Equal(list, ids) {
				t.Errorf("%s got %+v, want %s of %q", got.to, got.push, kind, ids)
			}
			if push := got.header.Get("apns-push-type"); s == h.apple.stand && (push == "background") !=
				(kind != protocol.PushMessage) {
				t.Errorf("the push of %s is of the type %q", kind, push)
			}
		}
	}
	send := func(id string) {
		t.Helper()
		do(h, h.chat.SendMessage, on("alice", "x"),
			protocol.SendMessageRequest{UserID: "bob", MessageID: id, Body: protocol.Body{Text: id}})
	}
	revoke := func(conversation, id string) {
		t.Helper()
		do(h, h.chat.RevokeMessage, on("alice", "x"),
			protocol.RevokeRequest{MessageRequest: protocol.MessageRequest{ConversationID: conversation, MessageID: id}})
	}
	settled := func() {
		t.Helper()
		wait(t, "all is sent", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
		h.google.none()
	}
	read := protocol.ReadRequest{ConversationID: "c2c_alice"}
	send("m1")
	all(protocol.PushMessage)
	send("m2")
	all(protocol.PushMessage)
	settled()
	do(h, h.chat.MarkRead, on("bob", "desktop"), read)
	all(protocol.PushRead, "m1", "m2")
	send("m3")
	all(protocol.PushMessage)
	settled()
	revoke("c2c_bob", "m3")
	all(protocol.PushRevoked, "m3")
	do(h, h.chat.MarkRead, on("bob", "desktop"), read)
	settled()
	for _, token := range []string{"aa01", "fcm-1", "b1"} {
		for _, s := range []*stand{h.apple.stand, h.google.stand, h.browser.stand} {
			s.answers(token, reply{status: 503, times: 1})
		}
	}
	send("m4")
	wait(t, "the providers fail", func() bool { return len(h.queue(operator.HookWaiting).Events) == 1 })
	do(h, h.chat.MarkRead, on("bob", "desktop"), read)
	settled()
	send("m5")
	all(protocol.PushMessage)
	settled()
	do(h, h.chat.ClearHistory, on("bob", "desktop"), protocol.ConversationRequest{ConversationID: "c2c_alice"})
	all(protocol.PushRead, "m5")

	do(h, h.groups.CreateGroup, on("alice", "x"),
		protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob", "cem"}})
	do(h, h.chat.SendMessage, on("alice", "x"),
		protocol.SendMessageRequest{GroupID: "g", MessageID: "g1", Body: protocol.Body{Text: "hi"}})
	all(protocol.PushMessage)
	settled()
	revoke("group_g", "g1")
	all(protocol.PushRevoked, "g1")
	settled()
}

// TestReadOnThatDevice: the device that reads a message takes its own notification away.
func TestReadOnThatDevice(t *testing.T) {
	h := newFixture(t)
	h.phone("bob")
	do(h, h.chat.SendMessage, on("alice", "x"),
		protocol.SendMessageRequest{UserID: "bob", MessageID: "m1", Body: protocol.Body{Text: "hi"}})
	h.google.next()
	do(h, h.chat.MarkRead, on("bob", "phone"), protocol.ReadRequest{ConversationID: "c2c_alice"})
	do(h, h.chat.SendMessage, on("alice", "x"),
		protocol.SendMessageRequest{UserID: "bob", MessageID: "m2", Body: protocol.Body{Text: "hi"}})
	if got := h.google.next(); got.push.MessageID != "m2" {
		t.Errorf("the phone got %+v", got.push)
	}
	wait(t, "all is sent", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.none()
}
