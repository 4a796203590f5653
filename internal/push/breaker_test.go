package push

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beckon-im/beckon/protocol"
)

// TestBreaker: an origin that fails three times is paused, longer each time; then one push probes it, and after a
// response all are sent.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		try := func(answered bool) {
			t.Helper()
			done, wait := b.enter("https://a")
			if done == nil {
				t.Fatalf("it is left alone for %v", wait)
			}
			done(answered)
		}
		try(true)
		for range openAfter {
			try(false)
		}
		for n, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
			done, wait := b.enter("https://a")
			if rest := want * time.Second; done != nil || wait < rest || wait > rest+retrySoon {
				t.Fatalf("the %d. time it is left alone for %v, not %v", n+1, wait, rest)
			}
			time.Sleep(wait)
			first, _ := b.enter("https://a")
			if second, wait := b.enter("https://a"); first == nil || second != nil || wait > 2*retrySoon {
				t.Fatalf("more or less than one probe: %v", wait)
			}
			first(false)
		}
		time.Sleep(openMost)
		try(true)
		first, _ := b.enter("https://a")
		second, _ := b.enter("https://a")
		if first == nil || second == nil {
			t.Fatal("it is still left alone")
		}
	})
}

// TestPartsOfTheWorkers: neither an origin nor all unproven origins together get all workers.
func TestPartsOfTheWorkers(t *testing.T) {
	b := newBreaker()
	fill := func(name string) (n int) {
		for {
			if done, _ := b.enter(name); done == nil {
				return n
			}
			n++
		}
	}
	done, _ := b.enter("https://good")
	done(true)
	got := 0
	for i := range 10 {
		n := fill(fmt.Sprint("https://bad", i))
		got += n
		if n > ofUnproven {
			t.Errorf("one that never answered has %d", n)
		}
	}
	if got != allUnproven {
		t.Errorf("those that never answered have %d", got)
	}
	if n := fill("https://good"); n != ofOrigin {
		t.Errorf("one that answers has %d", n)
	}
}

// TestHangingEndpoint: 2,000 pushes to an endpoint that never responds, and 40 users with such endpoints, delay no
// other pushes.
func TestHangingEndpoint(t *testing.T) {
	h := newFixture(t)
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	hang := func(user string) {
		s := *h.browser.subscribe("b")
		s.Endpoint = hanging.URL + "/" + user
		h.has(user, user+"1", protocol.SetPushTokenRequest{Provider: protocol.PushWeb, Subscription: &s})
	}
	hang("eve")
	for i := range 40 {
		hang(fmt.Sprint("mallory", i))
	}
	h.has("bob", "b1", protocol.SetPushTokenRequest{Provider: protocol.PushWeb, Subscription: h.browser.subscribe("bob")})
	for i := range 2000 {
		do(h, h.chat.SendMessage, on(fmt.Sprint("spammer", i%10), "laptop"),
			protocol.SendMessageRequest{UserID: "eve", Body: protocol.Body{Text: "spam"}})
	}
	for i := range 40 {
		h.invites(fmt.Sprint("spammer", i), fmt.Sprint("mallory", i), fmt.Sprint("more", i))
	}
	var took []time.Duration
	for i := range 5 {
		begin := time.Now()
		h.invites("ann", "bob", fmt.Sprint("call", i))
		h.browser.next()
		took = append(took, time.Since(begin))
	}
	if slices.Sort(took); took[2] > time.Second { // the median, because other tests may use the processors
		t.Errorf("bob's phone rang after %v", took)
	}
}

// TestDeferredPushesAreSpread: thousands of pushes to an origin that does not answer come back at a bounded rate, which
// is lower for one that never has, and those to another origin are not delayed.
func TestDeferredPushesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		done, _ := b.enter("https://proven")
		done(true)
		for _, c := range []struct {
			name          string
			pushes, burst int
			perSecond     time.Duration
		}{{"https://proven", 4000, deferredBurst, deferredPerSecond},
			{"https://unknown", 400, unknownBurst, unknownPerSecond}} {
			for range openAfter {
				done, _ := b.enter(c.name)
				done(false)
			}
			latest := time.Duration(0)
			for range c.pushes {
				done, wait := b.enter(c.name)
				if done != nil {
					t.Fatal("an origin that is paused gets a push")
				}
				latest = max(latest, wait)
			}
			spread := time.Duration(c.pushes-c.burst) * time.Second / c.perSecond
			if latest < spread || latest > spread+openFirst+2*retrySoon {
				t.Errorf("%s: the last of %d comes back after %v, not %v", c.name, c.pushes, latest, spread)
			}
		}
		if done, wait := b.enter("https://good"); done == nil {
			t.Errorf("another origin waits for %v", wait)
		}
	})
}
