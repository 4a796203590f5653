//go:build !nosfu

package sfu

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/pion/logging"
	"github.com/pion/turn/v4"
)

// turnLife is the validity of TURN credentials, in seconds. A relayed call that lasts longer reconnects.
const turnLife = 24 * 3600

// maxRelays bounds the relays of one participant: two connections, before and after some restarts.
const maxRelays = 16

// relays is a TURN server that relays packets between clients and the UDP port of the media server, and to no other
// address: a client must not reach the network of this machine through it. mu guards count.
type relays struct {
	public net.IP       // the media server as clients know it
	sfu    *net.UDPAddr // the same on this machine

	mu    sync.Mutex
	count map[string]int // by credentials
}

// serveTURN serves TURN to the connections of a listener, until the server is closed.
func serveTURN(ln net.Listener, public net.IP, port int, secret string) (*turn.Server, error) {
	local, err := localIP(public)
	if err != nil {
		return nil, err
	}
	r := &relays{public: public, sfu: &net.UDPAddr{IP: local, Port: port}, count: map[string]int{}}
	silent := &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
	s, err := turn.NewServer(turn.ServerConfig{
		Realm:         "beckon",
		AuthHandler:   turn.LongTermTURNRESTAuthHandler(secret, silent.NewLogger("turn")),
		LoggerFactory: silent,
		QuotaHandler:  r.quota,
		EventHandler: turn.EventHandler{
			OnAllocationCreated: func(_, _ net.Addr, _, user, _ string, _ net.Addr, _ int) { r.add(user, 1) },
			OnAllocationDeleted: func(_, _ net.Addr, _, user, _ string) { r.add(user, -1) },
		},
		ListenerConfigs: []turn.ListenerConfig{{Listener: ln, RelayAddressGenerator: r, PermissionHandler: r.permits}},
	})
	if err != nil {
		return nil, fmt.Errorf("TURN server: %w", err)
	}
	return s, nil
}

// localIP returns the address of this machine that receives the packets for the media server's public address.
func localIP(public net.IP) (net.IP, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(public) {
			return public, nil
		}
	}
	if public.IsLoopback() {
		return public, nil
	}
	return ownIP()
}

func (r *relays) quota(user, _ string, _ net.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[user] < maxRelays
}

func (r *relays) add(user string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count[user] += n; r.count[user] <= 0 {
		delete(r.count, user)
	}
}

func (r *relays) permits(_ net.Addr, peer net.IP) bool {
	return peer.Equal(r.public) || peer.Equal(r.sfu.IP)
}

// Validate is part of turn.RelayAddressGenerator.
func (*relays) Validate() error { return nil }

// AllocatePacketConn opens a relay: a free port on this machine.
func (r *relays) AllocatePacketConn(string, int) (net.PacketConn, net.Addr, error) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: r.sfu.IP})
	if err != nil {
		return nil, nil, err
	}
	return &relay{c, r}, c.LocalAddr(), nil
}

// AllocateConn refuses relays of TCP.
func (*relays) AllocateConn(string, int) (net.Conn, net.Addr, error) {
	return nil, nil, errors.New("TCP is not relayed")
}

// relay is the socket of one relay. Its only peer is the media server.
type relay struct {
	*net.UDPConn
	of *relays
}

// WriteTo sends a packet of the client to the media server, and drops those to other addresses.
func (r *relay) WriteTo(p []byte, to net.Addr) (int, error) {
	if a, ok := to.(*net.UDPAddr); !ok || a.Port != r.of.sfu.Port || !r.of.permits(nil, a.IP) {
		return len(p), nil
	}
	return r.UDPConn.WriteTo(p, r.of.sfu)
}

// ReadFrom receives a packet of the media server, as if it came from its public address.
func (r *relay) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := r.ReadFromUDP(p)
		if err != nil {
			return n, nil, err
		}
		if from.Port == r.of.sfu.Port && from.IP.Equal(r.of.sfu.IP) {
			return n, &net.UDPAddr{IP: r.of.public, Port: from.Port}, nil
		}
	}
}
