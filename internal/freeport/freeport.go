// Package freeport finds free ports for servers that are started a moment later.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
)

// The range is below the one from which systems take the ports of outgoing connections: one of these could take a port
// between its choice and its use.
const first, last = 15_000, 32_000

// tries is the number of random ports to try.
const tries = 100

// TCP returns a port that no server uses on 127.0.0.1.
func TCP() (int, error) {
	return find(func(port uint16) error {
		ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(loopback(port)))
		if err != nil {
			return err
		}
		return ln.Close()
	})
}

// UDP returns a port that no program uses on any address.
func UDP() (int, error) {
	return find(func(port uint16) error {
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: int(port)})
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// Address returns an address on 127.0.0.1 with a free TCP port.
func Address() (string, error) {
	port, err := TCP()
	return loopback(uint16(port)).String(), err
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

func find(try func(port uint16) error) (int, error) {
	var errs []error
	for range tries {
		port := uint16(first + rand.IntN(last-first))
		err := try(port)
		if err == nil {
			return int(port), nil
		}
		errs = append(errs, err)
	}
	return 0, errors.Join(errs...)
}
