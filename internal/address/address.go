// Package address knows who is at the other end of a connection, and bounds what each address may do: connections
// before anything of them is read, requests, and what is wrong with them. It counts on each node by itself.
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

// Options bound an address. An address of IPv6 stands for its whole network of 64 bits, which is what one customer has.
type Options struct {
	// Rate is connections, and as many requests, per second. Default: 1000.
	Rate float64
	// Burst is how many at once. Default: 5000.
	Burst int
	// Proxies are the addresses and networks (10.0.0.0/8) of proxies that are believed when they say in X-Forwarded-For
	// whom they speak for. Default: none.
	Proxies []string
	// Log is told once when there seems to be a proxy that is not trusted.
	Log *slog.Logger
}

// What is wrong costs as much as many requests: by default an address may be wrong 100 times at once and then 10 times
// a second. What is only futile costs a tenth of that: links break, and pages are left.
const (
	wrongRate  = 100
	wrongBurst = 50
	wrongCost  = 10
	futileCost = 1
)

// maxKept bounds the memory of addresses; who has not come for long is forgotten first, and has its whole burst again.
const maxKept = 100_000

// Limits counts what addresses do.
type Limits struct {
	opt     Options
	proxies []netip.Prefix
	behind  realclientip.Strategy
	kept    *lru.Cache[netip.Addr, *account]

	dropped   atomic.Int64
	refused   atomic.Int64
	untrusted sync.Once
}

// account is what one address has left.
type account struct {
	connections, requests, wrong *rate.Limiter
	strangers                    atomic.Int64
}

// New makes limits.
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
		return nil, fmt.Errorf("the trusted proxies %q are not addresses or networks like 10.0.0.0/8: %w", opt.Proxies, err)
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

// networkBits is what of an IPv6 address is counted together.
const networkBits = 64

func (l *Limits) account(a netip.Addr) *account {
	if a = a.Unmap(); a.Is6() {
		p, _ := a.WithZone("").Prefix(networkBits) // it fails only for more bits than there are
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

// spent says that the address was wrong too often to be listened to now.
func (c *account) spent() bool { return c.wrong.Tokens() < 1 }

// charge takes what something costs, also on credit, up to a burst's worth: else many things at once would cost no more
// than one.
func (c *account) charge(cost int) {
	if c.wrong.Tokens() > -float64(c.wrong.Burst()) {
		c.wrong.ReserveN(time.Now(), cost)
	}
}

// Wrong notes that an address did what no client of ours does: it came with a token or a key that is not one, sent what
// makes no sense or is too long.
func (l *Limits) Wrong(a netip.Addr) {
	if a.IsValid() {
		l.account(a).charge(wrongCost)
	}
}

// Futile notes that an address connected and hung up before it said who it is.
func (l *Limits) Futile(a netip.Addr) {
	if a.IsValid() {
		l.account(a).charge(futileCost)
	}
}

// Spent says that an address was wrong too often to be listened to now.
func (l *Limits) Spent(a netip.Addr) bool { return a.IsValid() && l.account(a).spent() }

// Stats are what was kept away so far.
type Stats struct {
	Connections int64 // reset before anything of them was read
	Requests    int64 // answered with 429
}

// Stats counts what was kept away so far.
func (l *Limits) Stats() Stats {
	return Stats{Connections: l.dropped.Load(), Requests: l.refused.Load()}
}

type key struct{}

// visit is what the context of a request knows of where it comes from.
type visit struct {
	from   netip.Addr
	limits *Limits
}

// Enter says whether one more who has not yet said who they are may wait here: of an address a fiftieth of the burst
// may, by default 100, because each may take a frame's worth of memory. Call leave once they have said it, or are gone;
// it may be called twice.
func Enter(ctx context.Context) (leave func(), ok bool) {
	v, _ := ctx.Value(key{}).(visit)
	if !v.from.IsValid() {
		return func() {}, true
	}
	c := v.limits.account(v.from)
	if c.strangers.Add(1) > int64(max(1, v.limits.opt.Burst/wrongBurst)) {
		c.strangers.Add(-1)
		v.limits.refused.Add(1)
		return nil, false
	}
	return sync.OnceFunc(func() { c.strangers.Add(-1) }), true
}

// From is the address that a request, or what it became, comes from; the zero Addr when Handler did not see it.
func From(ctx context.Context) netip.Addr {
	v, _ := ctx.Value(key{}).(visit)
	return v.from
}

// Wrong is Limits.Wrong for the address that a request comes from.
func Wrong(ctx context.Context) {
	if v, ok := ctx.Value(key{}).(visit); ok {
		v.limits.Wrong(v.from)
	}
}

// Futile is Limits.Futile for the address that a request comes from.
func Futile(ctx context.Context) {
	if v, ok := ctx.Value(key{}).(visit); ok {
		v.limits.Futile(v.from)
	}
}

// of finds out who makes a request: the peer, or whom the trusted proxy that is the peer speaks for.
func (l *Limits) of(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // no network: a test's own pipe
	}
	if !l.trusts(peer.Addr()) {
		if r.Header.Get("X-Forwarded-For") != "" {
			l.untrusted.Do(func() {
				l.opt.Log.Warn("a request came through a proxy that is not trusted, so that all who use it count as one address: "+
					"name it with --trusted-proxies if it is yours", "proxy", peer.Addr().Unmap())
			})
		}
		return peer.Addr().Unmap()
	}
	if a, err := netip.ParseAddr(l.behind.ClientIP(r.Header, r.RemoteAddr)); err == nil {
		return a.Unmap()
	}
	list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if a, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
		return a.Unmap() // somebody within the networks of the proxies: as the nearest one saw them
	}
	return peer.Addr().Unmap() // the proxy itself asks
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

// Handler bounds the requests of each address, and tells next where they come from. What is over the bound goes to
// refuse.
func (l *Limits) Handler(next, refuse http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := l.of(r)
		if a.IsValid() {
			if c := l.account(a); c.spent() || !c.requests.Allow() {
				l.refused.Add(1)
				refuse(w, r)
				return
			}
		}
		next(w, r.WithContext(context.WithValue(r.Context(), key{}, visit{a, l})))
	})
}

// Listener resets connections of addresses that connect too often or were wrong too often, before anything of them is
// read, so that a flood costs as little as it can. Connections of trusted proxies are not counted here: what they carry
// is.
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
		if l.limits.welcome(c.RemoteAddr()) {
			if tcp {
				// the listener may have left it to us, to save four system calls for each that is reset
				_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true})
			}
			return c, nil
		}
		if tcp {
			_ = t.SetLinger(0) // a reset leaves no state behind on either side; where it fails the close is ordinary
		}
		_ = c.Close() // there is nobody to tell
	}
}

func (l *Limits) welcome(from net.Addr) bool {
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
