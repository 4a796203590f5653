//go:build linux

package main

import (
	"net/netip"
	"sync"
)

// Ports that the address translation uses.
const firstPort, lastPort = 20_000, 60_000

// flow is one side of a connection or of an exchange of datagrams.
type flow struct {
	tcp  bool
	addr netip.AddrPort
}

// nat is the address translation of one user's router: each socket of the user has one port of the public address.
type nat struct {
	mu              sync.Mutex
	private, public netip.Addr
	next            uint16
	out, in         map[flow]netip.AddrPort
}

// move gives the user other addresses. Everything open is forgotten.
func (n *nat) move(private, public netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.private, n.public = private, public
	n.clear()
}

// forget drops all mappings, like a restart of a router: open flows get other ports, or silence.
func (n *nat) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clear()
}

func (n *nat) clear() { n.out, n.in = map[flow]netip.AddrPort{}, map[flow]netip.AddrPort{} }

// outgoing translates a packet of the user. Packets from an address that the user no longer has, and of TCP connections
// that the router does not know, are refused.
func (n *nat) outgoing(p packet) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.src.Addr() != n.private {
		return false
	}
	from := flow{p.tcp, p.src}
	to, known := n.out[from]
	if !known {
		if p.tcp && !p.opens() {
			return false
		}
		if n.next < firstPort || n.next >= lastPort {
			n.next = firstPort
		}
		n.next++
		to = netip.AddrPortFrom(n.public, n.next)
		n.out[from], n.in[flow{p.tcp, to}] = to, p.src
	}
	p.setSource(to)
	return true
}

// incoming translates a packet for the user.
func (n *nat) incoming(p packet) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	to, known := n.in[flow{p.tcp, p.dst}]
	if known {
		p.setDest(to)
	}
	return known
}

// has reports whether the user has a public address.
func (n *nat) has(public netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.public == public
}
