//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

const private, public, server = "192.168.7.2", "10.77.1.1", "10.77.0.1"

// build returns a packet with correct checksums.
func build(tcp bool, flags byte, src, dst string, payload string) []byte {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	size, proto := minUDP, byte(protoUDP)
	if tcp {
		size, proto = minTCP, protoTCP
	}
	b := make([]byte, minIP+size, minIP+size+len(payload))
	b[0], b[8], b[ipProto] = 0x45, 64, proto
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[ipLength:], uint16(len(b)))
	copy(b[ipSource:], from.Addr().AsSlice())
	copy(b[ipDest:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[minIP:], from.Port())
	binary.BigEndian.PutUint16(b[minIP+2:], to.Port())
	if tcp {
		b[minIP+12], b[minIP+tcpFlags] = 5<<4, flags
	} else {
		binary.BigEndian.PutUint16(b[minIP+4:], uint16(len(b)-minIP))
	}
	header, transport := sums(b)
	binary.BigEndian.PutUint16(b[ipCheck:], header)
	binary.BigEndian.PutUint16(b[minIP+checkOf(tcp):], transport)
	return b
}

func checkOf(tcp bool) int {
	if tcp {
		return checkTCP
	}
	return checkUDP
}

// sums returns the checksums that a packet has to have.
func sums(b []byte) (header, transport uint16) {
	add := func(sum uint32, b []byte) uint32 {
		for i := 0; i < len(b)-1; i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
		if len(b)%2 == 1 {
			sum += uint32(b[len(b)-1]) << 8
		}
		return sum
	}
	fold := func(sum uint32) uint16 {
		for sum > 0xffff {
			sum = sum&0xffff + sum>>16
		}
		return ^uint16(sum)
	}
	c := bytes.Clone(b)
	tcp := b[ipProto] == protoTCP
	binary.BigEndian.PutUint16(c[ipCheck:], 0)
	binary.BigEndian.PutUint16(c[minIP+checkOf(tcp):], 0)
	pseudo := add(uint32(b[ipProto])+uint32(len(b)-minIP), c[ipSource:minIP])
	return fold(add(0, c[:minIP])), fold(add(pseudo, c[minIP:]))
}

func mustParse(t *testing.T, b []byte) packet {
	t.Helper()
	p, ok := parse(b)
	if !ok {
		t.Fatalf("%x was refused", b)
	}
	header, transport := sums(b)
	if got := binary.BigEndian.Uint16(b[ipCheck:]); got != header {
		t.Errorf("checksum of IP %x, want %x", got, header)
	}
	if got := binary.BigEndian.Uint16(b[minIP+checkOf(p.tcp):]); got != transport {
		t.Errorf("checksum of the transport %x, want %x", got, transport)
	}
	return p
}

func TestTranslation(t *testing.T) {
	n := nat{private: netip.MustParseAddr(private), public: netip.MustParseAddr(public)}
	n.clear()
	out := func(tcp bool, flags byte, src string) (netip.AddrPort, bool) {
		b := build(tcp, flags, src, server+":8787", "odd")
		ok := n.outgoing(mustParse(t, b))
		return mustParse(t, b).src, ok
	}
	in := func(tcp bool, to netip.AddrPort) (netip.AddrPort, bool) {
		b := build(tcp, flagACK, server+":8787", to.String(), "even")
		ok := n.incoming(mustParse(t, b))
		return mustParse(t, b).dst, ok
	}
	for _, tcp := range []bool{false, true} {
		first, ok := out(tcp, flagSYN, private+":5000")
		if again, _ := out(tcp, flagACK, private+":5000"); !ok || again != first || first.Addr() != n.public {
			t.Fatalf("tcp %v: %v, then %v", tcp, first, again)
		}
		if to, ok := in(tcp, first); !ok || to.String() != private+":5000" {
			t.Errorf("tcp %v: a response came to %v, %v", tcp, to, ok)
		}
		n.forget()
		if _, ok := in(tcp, first); ok {
			t.Errorf("tcp %v: a forgotten port answered", tcp)
		}
		// datagrams get another port; a connection has to be opened again
		if again, ok := out(tcp, flagACK, private+":5000"); ok == tcp || ok && again == first {
			t.Errorf("tcp %v: after a restart %v, %v", tcp, again, ok)
		}
	}
	n.move(netip.MustParseAddr("192.168.8.2"), netip.MustParseAddr("10.77.2.1"))
	if _, ok := out(false, 0, private+":5000"); ok {
		t.Error("a packet from an earlier address passed")
	}
}

func TestConditions(t *testing.T) {
	udp := mustParse(t, build(false, 0, private+":5000", server+":7882", string(make([]byte, 972)))) // 1,000 bytes
	tcp := mustParse(t, build(true, flagACK, private+":5000", server+":7881", ""))
	now := time.Now()
	// passed sends n packets and returns how many pass, and the delay of the last.
	passed := func(c Conditions, pk packet, n int) (int, time.Duration) {
		p := newPath(nil, 1)
		p.set(c)
		for range n {
			p.send(pk, pk.dst.Port(), now)
		}
		var last time.Duration
		count := len(p.queue)
		for range count {
			last = (<-p.queue).at.Sub(now)
		}
		return count, last
	}
	for _, test := range []struct {
		conditions Conditions
		udp, tcp   int
	}{
		{Conditions{}, 10, 10},
		{Conditions{Drop: []string{"udp"}}, 0, 10},
		{Conditions{Drop: []string{"tcp:7881", "udp:1"}}, 10, 0},
		{Conditions{Drop: []string{"all"}}, 0, 0},
		{Conditions{Loss: 100}, 0, 0},
	} {
		u, _ := passed(test.conditions, udp, 10)
		if n, _ := passed(test.conditions, tcp, 10); u != test.udp || n != test.tcp {
			t.Errorf("%+v: %d and %d packets, want %d and %d", test.conditions, u, n, test.udp, test.tcp)
		}
	}
	if n, last := passed(Conditions{DelayMS: 300}, udp, 1); n != 1 || last != 300*time.Millisecond {
		t.Errorf("a delay of 300 ms: %d after %v", n, last)
	}
	// 1,000 bytes take 40 ms at 200 kbit/s: 13 are begun within 500 ms, the last ends after 520
	if n, last := passed(Conditions{RateKbit: 200}, udp, 100); n != 13 || last != 520*time.Millisecond {
		t.Errorf("200 kbit/s: %d, the last after %v", n, last)
	}
	if n, _ := passed(Conditions{Loss: 30}, udp, 5000); n < 3300 || n > 3700 {
		t.Errorf("a loss of 30 %%: %d of 5000 pass", n)
	}
}
