package address_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/address"
)

func newLimits(t *testing.T, opt address.Options) *address.Limits {
	t.Helper()
	l, err := address.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ask sends a request from a peer with X-Forwarded-For headers and returns the detected client address; "" if the
// request is rejected.
func ask(l *address.Limits, peer string, forwarded ...string) (from string) {
	h := l.Handler(func(_ http.ResponseWriter, r *http.Request) { from = address.From(r.Context()).String() },
		func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = peer
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	return from
}

// TestWhoItIs: X-Forwarded-For is used only from trusted proxies, and only the part they added themselves.
func TestWhoItIs(t *testing.T) {
	l := newLimits(t, address.Options{Proxies: []string{"10.0.0.0/8", "fd00::1"}})
	for _, c := range []struct {
		peer string
		says []string
		want string
	}{
		{"203.0.113.5:1000", nil, "203.0.113.5"},
		{"203.0.113.5:1000", []string{"198.51.100.1"}, "203.0.113.5"}, // not a trusted proxy
		{"10.1.1.1:1000", []string{"198.51.100.1"}, "198.51.100.1"},   //
		// the first is forged by the client
		{"10.1.1.1:1000", []string{"192.0.2.66, 198.51.100.1"}, "198.51.100.1"},
		{"10.1.1.1:1000", []string{"192.0.2.66", "198.51.100.1"}, "198.51.100.1"},         // in two headers
		{"10.1.1.1:1000", []string{"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},             // two proxies
		{"10.1.1.1:1000", []string{"198.51.100.1:4711"}, "198.51.100.1"},                  // with a port
		{"10.1.1.1:1000", nil, "10.1.1.1"},                                                // request of the proxy itself
		{"10.1.1.1:1000", []string{"nonsense"}, "10.1.1.1"},                               //
		{"[::ffff:10.1.1.1]:1000", []string{"198.51.100.1"}, "198.51.100.1"},              // IPv4 on an IPv6 socket
		{"[fd00::1]:1000", []string{"2001:db8::7"}, "2001:db8::7"},                        //
		{"[fd00::2]:1000", []string{"2001:db8::7"}, "fd00::2"},                            //
		{"[2001:db8::7%eth0]:1000", nil, "2001:db8::7%eth0"},                              //
		{"10.1.1.1:1000", []string{"10.3.3.3"}, "10.3.3.3"},                               // a proxy behind a proxy
		{"[::ffff:203.0.113.5]:1000", []string{"198.51.100.1"}, "203.0.113.5"},            //
		{"10.1.1.1:1000", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},                //
		{"10.1.1.1:1000", []string{`"[2001:db8::7]:80"`, "198.51.100.9"}, "198.51.100.9"}, //
	} {
		if got := ask(l, c.peer, c.says...); got != c.want {
			t.Errorf("%s with X-Forwarded-For %q is detected as %q, not %q", c.peer, c.says, got, c.want)
		}
	}
	if _, err := address.New(address.Options{Proxies: []string{"my-proxy"}}); err == nil {
		t.Error("a name was taken for a network")
	}
}

// TestEachHasItsOwn: each address has a separate limit.
func TestEachHasItsOwn(t *testing.T) {
	l := newLimits(t, address.Options{Rate: 1e-9, Burst: 3, Proxies: []string{"10.0.0.1"}})
	passes := func(peer string, forwarded ...string) (n int) {
		for range 10 {
			if ask(l, peer, forwarded...) != "" {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		peer, says string
		want       int
	}{
		{"203.0.113.5:1", "", 3}, {"203.0.113.5:2", "", 0}, {"203.0.113.6:1", "", 3},
		{"10.0.0.1:1", "203.0.113.7", 3}, {"10.0.0.1:1", "203.0.113.8", 3}, // behind one proxy
		// one customer's network
		{"[2001:db8:0:1::1]:1", "", 3}, {"[2001:db8:0:1:ffff::2]:1", "", 0}, {"[2001:db8:0:2::1]:1", "", 3},
	} {
		if got := passes(c.peer, c.says); got != c.want {
			t.Errorf("of ten requests of %s %s %d pass, not %d", c.peer, c.says, got, c.want)
		}
	}
	if got := l.Stats().Requests; got != 80-6*3 {
		t.Errorf("%d requests are counted as refused", got)
	}
}

// TestWrong: only an address with too much invalid input is blocked.
func TestWrong(t *testing.T) {
	l := newLimits(t, address.Options{Rate: 1e-9, Burst: 200})
	five, six, seven := netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("203.0.113.6"), netip.MustParseAddr(
		"203.0.113.7")
	for range 4 {
		if ask(l, "203.0.113.5:1") == "" || l.Spent(five) {
			t.Fatal("refused before it was wrong four times")
		}
		l.Wrong(five)
	}
	if ask(l, "203.0.113.5:1") != "" || !l.Spent(five) || ask(l, "203.0.113.6:1") == "" || l.Spent(six) {
		t.Error("the offender is not blocked, or another address is")
	}
	for range 39 { // ten times as many as invalid ones
		l.Futile(seven)
	}
	if ask(l, "203.0.113.7:1") == "" {
		t.Error("futile connections are charged like forged tokens")
	}
	if l.Futile(seven); ask(l, "203.0.113.7:1") != "" {
		t.Error("futile connections are never limited")
	}
	l.Wrong(netip.Addr{}) // unknown address
	if l.Stats().Requests != 2 {
		t.Error(l.Stats())
	}
}

// TestOnCredit: many concurrent violations cost more than one, and the debt is eventually paid back.
func TestOnCredit(t *testing.T) {
	// a burst of four violations, then a thousand per second
	l := newLimits(t, address.Options{Rate: 100_000, Burst: 200})
	five := netip.MustParseAddr("203.0.113.5")
	begin := time.Now()
	for range 1000 {
		l.Wrong(five)
	}
	for l.Spent(five) {
		<-time.After(time.Millisecond)
	}
	if took := time.Since(begin); took < 4*time.Millisecond || took > 5*time.Second {
		t.Errorf("a thousand wrong tokens at once are forgiven after %v", took)
	}
}

// TestStrangers: an address has a limited number of unauthenticated connections.
func TestStrangers(t *testing.T) {
	l := newLimits(t, address.Options{Rate: 1000, Burst: 100})
	var leave []func()
	enter := func(peer string) (in int) {
		h := l.Handler(func(_ http.ResponseWriter, r *http.Request) {
			if out, ok := address.Enter(r.Context()); ok {
				in, leave = in+1, append(leave, out)
			}
		}, func(http.ResponseWriter, *http.Request) { t.Error("refused") })
		for range 5 {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = peer
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		return in
	}
	if a, b, c := enter("203.0.113.5:1"), enter("203.0.113.5:1"), enter("203.0.113.6:1"); a != 2 || b != 0 || c != 2 {
		t.Errorf("of five each %d, %d and %d of another address are admitted", a, b, c)
	}
	leave[0]()
	leave[0]() // the second call has no effect
	if n := enter("203.0.113.5:1"); n != 1 {
		t.Errorf("after one has left, %d are admitted", n)
	}
}

// TestListener: connections over the rate are reset before any data is exchanged; those of a trusted proxy are not
// counted.
func TestListener(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		opt := address.Options{Rate: 1e-9, Burst: 3}
		if trusted {
			opt.Proxies = []string{"127.0.0.0/8"}
		}
		l := newLimits(t, opt)
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln := l.Listener(inner)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte("hello"))
				_ = c.Close()
			}
		}()
		greeted := 0
		for range 10 {
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				continue // reset during the handshake
			}
			b, err := io.ReadAll(c)
			switch {
			case string(b) == "hello":
				greeted++
			case !errors.Is(err, syscall.ECONNRESET):
				t.Errorf("received %q and %v", b, err)
			}
			_ = c.Close()
		}
		want, reset := 3, int64(7)
		if trusted {
			want, reset = 10, 0
		}
		if greeted != want || l.Stats().Connections != reset {
			t.Errorf("trusted %v: %d of ten were greeted, %d reset", trusted, greeted, l.Stats().Connections)
		}
		_ = ln.Close()
		<-done
	}
}
