package listener

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

// TestFrames: frames of TURN pass whole; other bytes, and lengths that the TURN library cannot count, end the
// connection.
func TestFrames(t *testing.T) {
	stun := append([]byte{0, 1, 0, 4}, make([]byte, 20)...)
	channel := []byte{0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0}
	for name, c := range map[string]struct {
		sent []byte
		want error
	}{
		"two frames":                     {append(bytes.Clone(stun), channel...), nil},
		"a length that wraps to nothing": {[]byte{0x40, 0, 0xff, 0xfc, 0, 0, 0, 0, 0}, errNoFrame},
		"a STUN length that wraps":       {append([]byte{0, 1, 0xff, 0xec}, make([]byte, 16)...), errNoFrame},
		"a frame above the limit":        {[]byte{0x40, 0, 0x10, 0, 0}, errNoFrame},
		"HTTP":                           {[]byte("GET / HTTP/1.1\r\n"), errNoFrame},
		"TLS":                            {[]byte{0x16, 3, 1, 2, 0}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			a := NewAccepted(server.LocalAddr())
			defer func() { _ = a.Close() }()
			go offerTURN(a, server, "192.0.2.1")
			conn, err := a.Accept()
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = client.Write(c.sent)
				_ = client.Close()
			}()
			got, err := io.ReadAll(conn)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if name == "two frames" && !bytes.Equal(got, c.sent) {
				t.Errorf("%x arrived of %x", got, c.sent)
			}
		})
	}
}

// TestNoRelay: a connection without a relay ends after the setup time.
func TestNoRelay(t *testing.T) {
	client, server := pair(t)
	a := NewAccepted(server.LocalAddr())
	go offerTURN(a, server, "192.0.2.1")
	accepted, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := accepted.(*turnConn)
	conn.begun = time.Now().Add(-turnSetup)
	if _, err := conn.Read(make([]byte, 8)); err == nil {
		t.Error("it was read from")
	}
	go func() { _, _ = io.Copy(io.Discard, client) }()
	if _, err := conn.Write([]byte{1, 3, 0, 0}); err != nil || !conn.relays.Load() {
		t.Errorf("a relay was not noted: %v", err)
	}
}

// TestSetups: an address has a limited number of connections without a relay; one that gets its relay, or ends, frees
// its place.
func TestSetups(t *testing.T) {
	a := NewAccepted(&net.TCPAddr{})
	defer func() { _ = a.Close() }()
	offer := func(host string) *turnConn {
		client, server := pair(t)
		go func() { _, _ = io.Copy(io.Discard, client) }()
		taken := make(chan struct{})
		go func() {
			defer close(taken)
			offerTURN(a, server, host)
		}()
		select {
		case c := <-a.queue:
			<-taken
			return c.(*turnConn)
		case <-taken: // refused
			return nil
		}
	}
	conns := make([]*turnConn, setupsFrom)
	for i := range conns {
		conns[i] = offer("192.0.2.1")
	}
	if offer("192.0.2.1") != nil {
		t.Error("the address has another connection without a relay")
	}
	if offer("192.0.2.2") == nil {
		t.Error("another address has none")
	}
	if _, err := conns[0].Write([]byte{1, 3, 0, 0}); err != nil {
		t.Fatal(err)
	}
	_ = conns[0].Close() // counted once
	_ = conns[1].Close()
	for i, free := range []bool{true, true, false} {
		if taken := offer("192.0.2.1") != nil; taken != free {
			t.Errorf("connection %d after a relay and a closed connection: taken is %t, want %t", i+1, taken, free)
		}
	}
}
