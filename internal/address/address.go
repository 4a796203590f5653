// Package address determines the client address of a connection, and limits each address: new connections before any
// data is read, requests, and invalid input. Each node counts separately.
package address

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/realclientip/realclientip-go"
	"golang.org/x/time/rate"
)

// Options configures the limits per address. An IPv6 address stands for its /64 network, the usual size of one
// customer's network.
type Options struct {
	// Rate is the number of connections, and of requests, per second. Default: 1000.
	Rate float64
	// Burst is the number permitted at once. Default: 5000.
	Burst int
	// Proxies are the addresses and networks (10.0.0.0/8) of trusted proxies. Their X-Forwarded-For header is used.
	// Default: none.
	Proxies []string
	// Log receives one warning if requests seem to arrive through an untrusted proxy. Default: slog.Default().
	Log *slog.Logger
}

// Invalid input costs as much as many requests: by default an address has a burst of 100 and then 10 per second. A
// futile connection costs a tenth of that, since links break and pages are closed.
const (
	wrongRate  = 100
	wrongBurst = 50
	wrongCost  = 10
	futileCost = 1
)

// maxKept limits the cached addresses. The least recently active one is evicted, which restores its burst.
const maxKept = 100_000

// Limits enforces the limits.
type Limits struct {
	opt     Options
	proxies []netip.Prefix
	behind  realclientip.Strategy
	kept    *lru.Cache[netip.Addr, *account]

	dropped   atomic.Int64
	refused   atomic.Int64
	untrusted sync.Once
}

// account holds the limiters of one address.
type account struct {
	connections, requests, wrong *rate.Limiter
	unauthenticated              atomic.Int64
}

// New returns limits, or an error for malformed Proxies.
func New(opt Options) (*Limits, error) {
	if opt.Rate == 0 {
		opt.Rate = 1000
	}
	if opt.Burst == 0 {
		opt.Burst = 5000
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	ranges, err := realclientip.AddressesAndRangesToIPNets(opt.Proxies...)
	if err != nil {
		return nil, fmt.Errorf("the trusted proxies %q must be addresses or networks like 10.0.0.0/8: %w", opt.Proxies, err)
	}
	l := &Limits{opt: opt}
	if l.behind, err = realclientip.NewRightmostTrustedRangeStrategy("X-Forwarded-For", ranges); err != nil {
		return nil, err
	}
	for _, r := range ranges {
		a, _ := netip.AddrFromSlice(r.IP)
		bits, _ := r.Mask.Size()
		l.proxies = append(l.proxies, netip.PrefixFrom(a.Unmap(), bits))
	}
	l.kept, err = lru.New[netip.Addr, *account](maxKept)
	return l, err
}

// networkBits is the prefix length of IPv6 networks that share an account.
const networkBits = 64

func (l *Limits) account(a netip.Addr) *account {
	if a = a.Unmap(); a.Is6() {
		p, _ := a.WithZone("").Prefix(networkBits) // fails only for more than 128 bits
		a = p.Addr()
	}
	if c, ok := l.kept.Get(a); ok {
		return c
	}
	r, b := rate.Limit(l.opt.Rate), l.opt.Burst
	c := &account{rate.NewLimiter(r, b), rate.NewLimiter(r, b),
		rate.NewLimiter(r/wrongRate*wrongCost, max(1, b/wrongBurst)*wrongCost), atomic.Int64{}}
	if old, found, _ := l.kept.PeekOrAdd(a, c); found {
		return old
	}
	return c
}

// spent reports whether the address is blocked because of invalid input.
func (c *account) spent() bool { return c.wrong.Tokens() < 1 }

// charge deducts a cost. The balance may become negative by up to a burst; otherwise many concurrent violations would
// cost no more than one.
func (c *account) charge(cost int) {
	if c.wrong.Tokens() > -float64(c.wrong.Burst()) {
		c.wrong.ReserveN(time.Now(), cost)
	}
}

// Wrong charges an address for input that no correct client sends: an invalid token or key, malformed or oversized
// data.
func (l *Limits) Wrong(a netip.Addr) {
	if a.IsValid() {
		l.account(a).charge(wrongCost)
	}
}

// Futile charges an address for a connection that closed before it authenticated.
func (l *Limits) Futile(a netip.Addr) {
	if a.IsValid() {
		l.account(a).charge(futileCost)
	}
}

// Spent reports whether an address is blocked because of invalid input.
func (l *Limits) Spent(a netip.Addr) bool { return a.IsValid() && l.account(a).spent() }

// Stats are counters since the start.
type Stats struct {
	Connections int64 // reset before any data was read
	Requests    int64 // rejected with status 429
}

// Stats returns the counters.
func (l *Limits) Stats() Stats {
	return Stats{Connections: l.dropped.Load(), Requests: l.refused.Load()}
}

type key struct{}

// origin is the client address in the context of a request.
type origin struct {
	from   netip.Addr
	limits *Limits
}

// Enter claims a slot for an unauthenticated connection of the address, or returns false. An address has a fiftieth of
// the burst, 100 by default, because each connection may use the memory of one frame. Call leave after authentication
// or close; it may be called twice.
func Enter(ctx context.Context) (leave func(), ok bool) {
	v, _ := ctx.Value(key{}).(origin)
	if !v.from.IsValid() {
		return func() {}, true
	}
	c := v.limits.account(v.from)
	if c.unauthenticated.Add(1) > int64(max(1, v.limits.opt.Burst/wrongBurst)) {
		c.unauthenticated.Add(-1)
		v.limits.refused.Add(1)
		return nil, false
	}
	return sync.OnceFunc(func() { c.unauthenticated.Add(-1) }), true
}

// From returns the client address of a request or of the connection it became; the zero Addr if Handler did not handle
// it.
func From(ctx context.Context) netip.Addr {
	v, _ := ctx.Value(key{}).(origin)
	return v.from
}

// Wrong is Limits.Wrong for the client address of a request.
func Wrong(ctx context.Context) {
	if v, ok := ctx.Value(key{}).(origin); ok {
		v.limits.Wrong(v.from)
	}
}

// Futile is Limits.Futile for the client address of a request.
func Futile(ctx context.Context) {
	if v, ok := ctx.Value(key{}).(origin); ok {
		v.limits.Futile(v.from)
	}
}

// clientAddr returns the client address of a request: the peer, or the address forwarded by a trusted proxy.
func (l *Limits) clientAddr(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // not a network connection: in-memory pipe of a test
	}
	if !l.trusts(peer.Addr()) {
		if r.Header.Get("X-Forwarded-For") != "" {
			l.untrusted.Do(func() {
				l.opt.Log.Warn("untrusted proxy; its clients share one address limit", "proxy", peer.Addr().Unmap(),
					"hint", "set --trusted-proxies")
			})
		}
		return peer.Addr().Unmap()
	}
	if a, err := netip.ParseAddr(l.behind.ClientIP(r.Header, r.RemoteAddr)); err == nil {
		return a.Unmap()
	}
	list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if a, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
		return a.Unmap() // a client within the proxy networks, as seen by the nearest proxy
	}
	return peer.Addr().Unmap() // a request of the proxy itself
}

func (l *Limits) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range l.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Handler limits the requests of each address and passes the client address to next in the context. Requests over the
// limit are passed to refuse.
func (l *Limits) Handler(next, refuse http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := l.clientAddr(r)
		if a.IsValid() {
			if c := l.account(a); c.spent() || !c.requests.Allow() {
				l.refused.Add(1)
				refuse(w, r)
				return
			}
		}
		next(w, r.WithContext(context.WithValue(r.Context(), key{}, origin{a, l})))
	})
}

// Listener resets connections from addresses over their connection rate or blocked because of invalid input, before any
// data is read, to minimize the cost of a flood. Connections of trusted proxies are exempt; the requests in them are
// limited.
func (l *Limits) Listener(ln net.Listener) net.Listener { return &listener{ln, l} }

type listener struct {
	net.Listener
	limits *Limits
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		t, tcp := c.(*net.TCPConn)
		if l.limits.permitted(c.RemoteAddr()) {
			if tcp {
				// the listener may have left keep-alive to us, which saves four system calls per reset connection
				_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true})
			}
			return c, nil
		}
		if tcp {
			_ = t.SetLinger(0) // a reset leaves no state on either side; if this fails, the close is ordinary
		}
		_ = c.Close() // a failure has no effect
	}
}

func (l *Limits) permitted(from net.Addr) bool {
	t, ok := from.(*net.TCPAddr)
	if !ok {
		return true
	}
	a := t.AddrPort().Addr()
	if l.trusts(a) {
		return true
	}
	if c := l.account(a); c.spent() || !c.connections.Allow() {
		l.dropped.Add(1)
		return false
	}
	return true
}
