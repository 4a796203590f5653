package push

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/push/health"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
	"github.com/beckon-im/beckon/protocol/pushcheck"
)

// healthOf returns the health of a user's tokens by provider.
func (h *fixture) healthOf(user string) map[protocol.PushProvider]pushcheck.PushHealth {
	h.t.Helper()
	res, err := h.push.Health().GetHealth(h.t.Context(), on(user, "x"), protocol.Empty{})
	if err != nil {
		h.t.Fatal(err)
	}
	list := map[protocol.PushProvider]pushcheck.PushHealth{}
	for _, d := range res.Devices {
		list[d.Provider] = d
	}
	return list
}

// ring rings on a device, which a push has reached.
func (h *fixture) ring(by rpc.Caller, id string) {
	h.t.Helper()
	do(h, health.WithRing(h.push.Health(), h.signaling.Ring), by, protocol.RingRequest{InviteID: id})
}

// TestHealth: the health of a token has the last acceptance, the last failure and its error, and the acknowledgement of
// the device that a push has reached; a restart keeps it.
func TestHealth(t *testing.T) {
	rang := make(chan string, 10)
	dir := t.TempDir()
	h := &fixture{t: t, apple: newApple(t), google: newGoogle(t), browser: newBrowsers(t)}
	opt := Options{Rang: func(platform, via string, _ time.Duration) { rang <- platform + " " + via }}
	h.start(dir, opt)
	everywhere(h, "bob")
	h.here.set("bob", "browser")
	h.apple.answers("aa01", reply{status: 503, body: `{"reason":"ServiceUnavailable"}`})
	h.invites("alice", "bob", "1")
	h.google.next()
	h.ring(on("bob", "browser"), "1") // which no push has reached
	if got := next(t, rang); got != "other connected" {
		t.Errorf("a ring of a connected device is counted as %q", got)
	}
	do(h, h.signaling.Cancel, on("alice", "laptop"), protocol.CancelRequest{InviteID: "1"})
	h.google.next()
	h.invites("alice", "bob", "2")
	h.google.next()
	h.ring(on("bob", "tablet"), "2")
	if got := next(t, rang); got != "android push" {
		t.Errorf("a ring of a pushed device is counted as %q", got)
	}
	wait(t, "it is acknowledged", func() bool { return h.healthOf("bob")[protocol.PushFCM].LastAcknowledgedAt > 0 })
	check := func() {
		t.Helper()
		all := h.healthOf("bob")
		if v := all[protocol.PushFCM]; v.LastAcceptedAt < v.RegisteredAt || v.LastAcknowledgedAt < v.RegisteredAt ||
			v.Failures != 0 || v.LastError != "" || v.DeviceID != "tablet" {
			t.Errorf("of the tablet: %+v", v)
		}
		if v := all[protocol.PushAPNs]; v.LastAcceptedAt != 0 || v.LastAcknowledgedAt != 0 || v.Failures < 2 ||
			v.LastFailedAt < v.RegisteredAt || !strings.Contains(v.LastError, "ServiceUnavailable") || v.Language != "zh-CN" {
			t.Errorf("of the phone: %+v", v)
		}
		if v := all[protocol.PushWeb]; v.LastAcceptedAt != 0 || v.Failures != 0 {
			t.Errorf("of the connected browser: %+v", v)
		}
	}
	check()
	if v := h.healthOf("bob")[protocol.PushWeb]; !v.Connected {
		t.Errorf("the connected browser: %+v", v)
	}
	h.stop()
	h.start(dir, opt)
	check()
	h.apple.mu.Lock()
	delete(h.apple.says, "aa01")
	h.apple.mu.Unlock()
	h.apple.next() // of the invitation that rings on
	wait(t, "the phone is reached again", func() bool {
		v := h.healthOf("bob")[protocol.PushAPNs]
		return v.LastAcceptedAt > v.LastFailedAt && v.Failures == 0 && v.LastError != ""
	})
}

func next(t *testing.T, list <-chan string) string {
	t.Helper()
	select {
	case s := <-list:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		return ""
	}
}

// TestHealthByAnswerToken: an answer with the token of a push acknowledges it, and one over a connection does not.
func TestHealthByAnswerToken(t *testing.T) {
	h := newFixture(t)
	h.phone("bob")
	accept := health.WithAnswer(h.push.Health(), h.signaling.Accept)
	h.invites("alice", "bob", "1")
	h.google.next()
	do(h, accept, on("bob", "phone"), protocol.AnswerRequest{InviteID: "1"})
	h.invites("alice", "bob", "2")
	h.google.next()
	before := h.store.Now()
	by := on("bob", "phone")
	by.InviteID = "2"
	do(h, accept, by, protocol.AnswerRequest{InviteID: "2"})
	wait(t, "it is acknowledged", func() bool { return h.healthOf("bob")[protocol.PushFCM].LastAcknowledgedAt > 0 })
	if v := h.healthOf("bob")[protocol.PushFCM]; v.LastAcknowledgedAt < before {
		t.Errorf("the answer over the connection was taken for an acknowledgement: %+v", v)
	}
}

// test sends a test push.
func (h *fixture) test(by rpc.Caller, req pushcheck.TestPushRequest) pushcheck.PushTestResponse {
	h.t.Helper()
	return do(h, h.push.Health().Test, by, req)
}

// results waits for a state of the test of one provider.
func (h *fixture) results(user, id string, p protocol.PushProvider,
	state pushcheck.PushTestState) pushcheck.PushTestResult {
	h.t.Helper()
	var got pushcheck.PushTestResult
	wait(h.t, string(p)+" is "+string(state), func() bool {
		res, err := h.push.Health().GetTest(h.t.Context(), on(user, "x"), pushcheck.GetPushTestRequest{TestID: id})
		if err != nil {
			h.t.Fatal(err)
		}
		for _, d := range res.Devices {
			if d.Provider == p {
				got = d
			}
		}
		return got.State == state
	})
	return got
}

// TestPushTest: a test push goes to all registered devices of the user, also to connected ones and while the user does
// not want to be disturbed, but not by PushKit; the results have the provider's error and the acknowledgement.
func TestPushTest(t *testing.T) {
	h := newFixture(t)
	everywhere(h, "bob")
	h.phone("eve")
	h.here.set("bob", "tablet", "browser")
	do(h, h.users.SetDoNotDisturb, on("bob", "tablet"), protocol.DoNotDisturb{Until: h.store.Now() + 60_000})
	h.browser.answers("b1", reply{status: 403, body: "the key of another server", times: 1})
	test := h.test(on("bob", "tablet"), pushcheck.TestPushRequest{})
	if len(test.Devices) != 3 || test.Over || test.Devices[0].State != pushcheck.PushTestWaiting {
		t.Errorf("the test begins with %+v", test)
	}
	phone, tablet := h.apple.next(), h.google.next()
	if p := phone.push; phone.to != "aa01" || p.Kind != protocol.PushTest || p.TestID != test.TestID || p.UserID != "bob" {
		t.Errorf("the phone got %+v", phone.push)
	}
	alert, _ := phone.body["aps"].(map[string]any)["alert"].(map[string]any)
	if alert["title"] != "测试通知" || phone.header.Get("apns-priority") != "10" {
		t.Errorf("the phone shows %v", phone.body)
	}
	if p := tablet.push; tablet.to != "fcm-1" || p.AnswerToken != "bob/tablet/"+test.TestID ||
		tablet.body["data"].(map[string]any)["title"] != "Test notification" {
		t.Errorf("the tablet got %+v", tablet.body)
	}
	if v := h.results("bob", test.TestID, protocol.PushWeb, pushcheck.PushTestFailed); !strings.Contains(v.Error, "403") {
		t.Errorf("the result of the browser is %+v", v)
	}
	if v := h.results("bob", test.TestID, protocol.PushAPNs, pushcheck.PushTestAccepted); v.AcceptedMs < 1 ||
		v.AcceptedMs > 10_000 {
		t.Errorf("the result of the phone is %+v", v)
	}
	ack := pushcheck.AckPushTestRequest{TestID: test.TestID}
	for range 2 { // the second is a repeat
		do(h, h.push.Health().AckTest, on("bob", "tablet"), ack)
	}
	v := h.results("bob", test.TestID, protocol.PushFCM, pushcheck.PushTestAcknowledged)
	if v.AcknowledgedMs < v.AcceptedMs || v.Error != "" {
		t.Errorf("the result of the tablet is %+v", v)
	}
	all := h.healthOf("bob")
	if all[protocol.PushFCM].LastAcknowledgedAt == 0 || all[protocol.PushWeb].Failures != 1 {
		t.Errorf("after the test the health is %+v", all)
	}
	for _, by := range []rpc.Caller{on("bob", "laptop"), on("eve", "tablet")} {
		if _, err := try(h, h.push.Health().AckTest, by, ack); im.CodeOf(err) != im.CodeNotFound {
			t.Errorf("%s of %s acknowledges: %v", by.DeviceID, by.UserID, err)
		}
	}
	wait(t, "the push is done", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	if n := h.browser.tries("b1"); n != 1 || h.queue(operator.HookDead).Dead != 0 {
		t.Errorf("the browser was tried %d times, %d pushes were given up", n, h.queue(operator.HookDead).Dead)
	}
	h.apple.none()
	h.google.none()
}

// TestPushTestLimits: a user tests once in ten seconds, and only devices with a token that can be tested.
func TestPushTestLimits(t *testing.T) {
	h := newFixture(t)
	h.has("bob", "phone", protocol.SetPushTokenRequest{Provider: protocol.PushAPNsVoIP, Token: "aa02"})
	for _, device := range []string{"", "phone", "none"} {
		_, err := try(h, h.push.Health().Test, on("bob", "phone"), pushcheck.TestPushRequest{DeviceID: device})
		if im.CodeOf(err) != im.CodeNotFound {
			t.Errorf("a test of %q: %v", device, err)
		}
	}
	h.phone("bob")
	h.has("bob", "tablet", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "tablet"})
	test := h.test(on("bob", "phone"), pushcheck.TestPushRequest{DeviceID: "tablet"})
	if got := h.google.next(); got.to != "tablet" || len(test.Devices) != 1 {
		t.Errorf("%s was tested", got.to)
	}
	_, err := try(h, h.push.Health().Test, on("bob", "phone"), pushcheck.TestPushRequest{})
	var e *im.Error
	if !errors.As(err, &e) || e.Code != im.CodeTooOften || e.RetryAfter < 1000 || e.RetryAfter > 10_000 {
		t.Errorf("a second test: %+v", err)
	}
	h.phone("eve")
	h.test(on("eve", "phone"), pushcheck.TestPushRequest{})
	if got := h.google.next(); got.to != "phone-of-eve" {
		t.Errorf("%s was tested", got.to)
	}
	wait(t, "all is sent", func() bool { return h.queue(operator.HookWaiting).Waiting == 0 })
	h.google.none()
}

// TestHealthIsPersonal: an export has the health of the tokens, another user's registration begins without it.
func TestHealthIsPersonal(t *testing.T) {
	h := newFixture(t)
	h.phone("bob")
	h.invites("alice", "bob", "1")
	h.google.next()
	wait(t, "the acceptance is stored", func() bool {
		entries, _, _, err := personaldata.Export(t.Context(), h.store, "bob", personaldata.Place{}, 1000)
		return err == nil && slices.ContainsFunc(entries, func(e json.RawMessage) bool {
			return strings.Contains(string(e), `"lastAcceptedAt":`) && !strings.Contains(string(e), `"lastAcceptedAt":0`)
		})
	})
	h.has("eve", "phone", protocol.SetPushTokenRequest{Provider: protocol.PushFCM, Token: "phone-of-bob"})
	if v := h.healthOf("eve")[protocol.PushFCM]; v.LastAcceptedAt != 0 || len(h.healthOf("bob")) != 0 {
		t.Errorf("the next user of the device has %+v", v)
	}
}

// TestUnifiedPush: a UnifiedPush distributor gets encrypted pushes within the limits of Web Push, under its own name.
func TestUnifiedPush(t *testing.T) {
	h := newFixture(t)
	config, err := h.push.GetConfig(t.Context(), rpc.Caller{}, protocol.Empty{})
	if err != nil || !slices.Contains(config.Providers, protocol.PushUnified) || config.WebPushKey == "" {
		t.Errorf("the configuration is %+v, %v", config, err)
	}
	sub := h.browser.subscribe("up1")
	h.has("bob", "phone", protocol.SetPushTokenRequest{Provider: protocol.PushUnified, Subscription: sub})
	h.has("bob", "browser", protocol.SetPushTokenRequest{Provider: protocol.PushWeb,
		Subscription: h.browser.subscribe("b1")})
	h.here.set("bob", "browser")
	h.invites("alice", "bob", "long", func(r *protocol.InviteRequest) {
		r.Data, r.OfflinePush = strings.Repeat("x", 12<<10), &invite.Push{Ext: strings.Repeat("z", 4000)}
	})
	if got := h.browser.next(); got.to != "up1" || !got.push.Cut || got.push.Signaling.InviteID != "long" {
		t.Errorf("%s got %+v", got.to, got.push)
	}
	do(h, h.signaling.Reject, on("bob", "browser"),
		protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: "long"}})
	if got := h.browser.next(); got.to != "up1" || got.push.Kind != protocol.PushEnded {
		t.Errorf("%s got %+v", got.to, got.push)
	}
	if v := h.healthOf("bob")[protocol.PushUnified]; v.LastAcceptedAt == 0 || v.DeviceID != "phone" {
		t.Errorf("the health is %+v", v)
	}
	h.browser.answers("up1", reply{status: 404, times: 1})
	h.invites("alice", "bob", "gone")
	wait(t, "the endpoint is removed", func() bool { _, ok := h.healthOf("bob")[protocol.PushUnified]; return !ok })
	h.has("bob", "phone", protocol.SetPushTokenRequest{Provider: protocol.PushUnified, Subscription: sub})
	if res := do(h, h.push.DeleteToken, on("bob", "phone"),
		protocol.DeletePushTokenRequest{Provider: protocol.PushUnified}); res.Deleted != 1 {
		t.Errorf("%d tokens were deleted", res.Deleted)
	}
	h.push.opt.Private = false
	private := *sub
	private.Endpoint = "https://192.168.1.4/up1"
	if _, err := try(h, h.push.SetToken, on("bob", "phone"), protocol.SetPushTokenRequest{Provider: protocol.PushUnified,
		Subscription: &private}); err == nil || !strings.HasPrefix(err.Error(), "subscription.endpoint") {
		t.Errorf("a private endpoint: %v", err)
	}
}
