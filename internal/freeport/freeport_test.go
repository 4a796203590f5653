package freeport

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// TestFree: a port can be used at once, and is not one of outgoing connections.
func TestFree(t *testing.T) {
	for range 20 {
		addr, err := Address()
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if port := ln.Addr().(*net.TCPAddr).Port; port < first || port >= last {
			t.Errorf("port %d", port)
		}
		port, err := UDP()
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
}

// TestNoneFree: the error has the reasons.
func TestNoneFree(t *testing.T) {
	taken := errors.New("address already in use")
	if _, err := find(func(uint16) error { return taken }); !errors.Is(err, taken) ||
		strings.Count(err.Error(), taken.Error()) != tries {
		t.Error(err)
	}
}
