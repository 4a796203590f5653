//go:build linux

package main

import (
	"encoding/binary"
	"net/netip"
)

// Numbers of the protocols that pass the relay, and the offsets of fields in their headers.
const (
	protoTCP, protoUDP   = 6, 17
	checkTCP, checkUDP   = 16, 6 // checksum within the header of the transport
	ipLength, ipFragment = 2, 6
	ipProto, ipCheck     = 9, 10
	ipSource, ipDest     = 12, 16
	tcpFlags             = 13
	flagSYN, flagACK     = 0x02, 0x10
	minTCP, minUDP       = 20, 8
	minIP                = 20
	moreFragments        = 0x3fff // the flag and the offset
)

// packet is an IPv4 packet with TCP or UDP.
type packet struct {
	data     []byte
	header   int // bytes of the IP header
	tcp      bool
	src, dst netip.AddrPort
}

// parse reads the addresses of a packet. Anything but unfragmented TCP and UDP over IPv4 is refused.
func parse(b []byte) (packet, bool) {
	if len(b) < minIP || b[0]>>4 != 4 || binary.BigEndian.Uint16(b[ipFragment:])&moreFragments != 0 {
		return packet{}, false
	}
	p := packet{data: b, header: int(b[0]&15) * 4, tcp: b[ipProto] == protoTCP}
	least := minTCP
	if !p.tcp {
		least = minUDP
	}
	if !p.tcp && b[ipProto] != protoUDP || p.header < minIP || len(b) < p.header+least {
		return packet{}, false
	}
	if n := int(binary.BigEndian.Uint16(b[ipLength:])); n < p.header+least || n > len(b) {
		return packet{}, false
	}
	address := func(ip, port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[ip:ip+4])), binary.BigEndian.Uint16(b[p.header+port:]))
	}
	p.src, p.dst = address(ipSource, 0), address(ipDest, 2)
	return p, true
}

// opens reports whether the packet begins a TCP connection.
func (p packet) opens() bool {
	return p.tcp && p.data[p.header+tcpFlags]&(flagSYN|flagACK) == flagSYN
}

func (p packet) setSource(to netip.AddrPort) { p.rewrite(ipSource, 0, to) }
func (p packet) setDest(to netip.AddrPort)   { p.rewrite(ipDest, 2, to) }

// rewrite replaces an address and a port, and corrects both checksums.
func (p packet) rewrite(ip, port int, to netip.AddrPort) {
	check := p.header + checkUDP
	if p.tcp {
		check = p.header + checkTCP
	}
	addr := to.Addr().As4()
	transport := p.tcp || binary.BigEndian.Uint16(p.data[check:]) != 0 // UDP may have none
	set := func(at int, value uint16, sums ...int) {
		old := binary.BigEndian.Uint16(p.data[at:])
		binary.BigEndian.PutUint16(p.data[at:], value)
		for _, sum := range sums {
			if sum == ipCheck || transport {
				binary.BigEndian.PutUint16(p.data[sum:], adjust(binary.BigEndian.Uint16(p.data[sum:]), old, value))
			}
		}
	}
	set(ip, binary.BigEndian.Uint16(addr[:2]), ipCheck, check)
	set(ip+2, binary.BigEndian.Uint16(addr[2:]), ipCheck, check)
	set(p.header+port, to.Port(), check)
	if !p.tcp && transport && binary.BigEndian.Uint16(p.data[check:]) == 0 {
		binary.BigEndian.PutUint16(p.data[check:], 0xffff) // 0 means no checksum
	}
}

// adjust returns a checksum after one word was replaced (RFC 1624).
func adjust(sum, old, value uint16) uint16 {
	n := uint32(^sum) + uint32(^old) + uint32(value)
	n = n&0xffff + n>>16
	n = n&0xffff + n>>16
	return ^uint16(n)
}
