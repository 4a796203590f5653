package push

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// BenchmarkClosedPhone measures, for each provider, the time from an invitation to the push of a closed phone, while
// another device of the user is connected, and from the answer there to the push that takes the notification away.
// Goals: 200 ms and 500 ms.
func BenchmarkClosedPhone(b *testing.B) {
	for _, p := range []protocol.PushProvider{protocol.PushAPNs, protocol.PushAPNsVoIP, protocol.PushFCM, protocol.PushWeb,
		protocol.PushUnified} {
		b.Run(string(p), func(b *testing.B) { closedPhone(b, p) })
	}
}

func closedPhone(b *testing.B, p protocol.PushProvider) {
	h := newFixture(b)
	h.here.set("bob", "desktop")
	provider := h.browser.stand
	switch p {
	case protocol.PushAPNs, protocol.PushAPNsVoIP:
		provider = h.apple.stand
		h.has("bob", "phone", protocol.SetPushTokenRequest{Provider: protocol.PushAPNs, Token: "aa01"})
		if p == protocol.PushAPNsVoIP {
			h.has("bob", "phone", protocol.SetPushTokenRequest{Provider: p, Token: "aa02"})
		}
	case protocol.PushFCM:
		provider = h.google.stand
		h.has("bob", "phone", protocol.SetPushTokenRequest{Provider: p, Token: "fcm-1"})
	default:
		h.has("bob", "phone", protocol.SetPushTokenRequest{Provider: p, Subscription: h.browser.subscribe("b1")})
	}
	var rings, ends []time.Duration
	for n := 0; b.Loop(); n++ {
		id := fmt.Sprint("call-", n)
		begin := time.Now()
		h.invites("alice", "bob", id, func(r *protocol.InviteRequest) {
			r.OfflinePush = &invite.Push{VoIP: p == protocol.PushAPNsVoIP}
		})
		if got := provider.next(); got.push.Kind != protocol.PushInvitation {
			b.Fatalf("the phone got %+v", got.push)
		}
		rings = append(rings, time.Since(begin))
		begin = time.Now()
		do(h, h.signaling.Reject, on("bob", "desktop"),
			protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: id}})
		if got := provider.next(); got.push.Kind != protocol.PushEnded {
			b.Fatalf("the phone got %+v", got.push)
		}
		ends = append(ends, time.Since(begin))
	}
	report := func(name string, list []time.Duration) {
		slices.Sort(list)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		b.ReportMetric(ms(list[len(list)/2]), name+"-p50-ms")
		b.ReportMetric(ms(list[len(list)-1]), name+"-max-ms")
	}
	report("ring", rings)
	report("withdraw", ends)
}
