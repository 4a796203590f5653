//go:build !nosfu

package sfu

import (
	"net"
	"testing"
	"time"

	"github.com/pion/turn/v4"
)

// TestRelay: a client with credentials of the media server reaches it through a relay, and no other address.
func TestRelay(t *testing.T) {
	sfu, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sfu.Close()
	other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := serveTURN(ln, net.IPv4(127, 0, 0, 1), sfu.LocalAddr().(*net.UDPAddr).Port, "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	user, password, err := turn.GenerateLongTermTURNRESTCredentials("secret", "alice", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: ln.Addr().String(), TURNServerAddr: ln.Addr().String(),
		Conn: turn.NewSTUNConn(conn), Username: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	relay, err := c.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	if _, err := relay.WriteTo([]byte("no"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9}); err == nil {
		t.Error("another address is permitted")
	}
	// the relay drops packets to and from another port of this machine
	if _, err := relay.WriteTo([]byte("no"), other.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.WriteTo([]byte("no"), relay.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.WriteTo([]byte("a packet to the media server"), sfu.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	_ = sfu.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, from, err := sfu.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "a packet to the media server" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	if _, err := sfu.WriteTo([]byte("a packet of the media server"), from); err != nil {
		t.Fatal(err)
	}
	_ = relay.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, from, err = relay.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "a packet of the media server" || from.String() != sfu.LocalAddr().String() {
		t.Fatalf("%q from %v, %v", buf[:n], from, err)
	}
	_ = other.SetReadDeadline(time.Now().Add(time.Millisecond)) // earlier packets have arrived
	if n, _, err := other.ReadFrom(buf); err == nil {
		t.Errorf("another port received %q", buf[:n])
	}
}
