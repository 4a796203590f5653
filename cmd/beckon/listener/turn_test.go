package listener

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

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
			client, server := net.Pipe()
			a := NewAccepted(server.LocalAddr())
			defer func() { _ = a.Close() }()
			go offerTURN(a, server)
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
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	a := NewAccepted(server.LocalAddr())
	go offerTURN(a, server)
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
