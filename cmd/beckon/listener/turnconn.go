package listener

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// turnIdle is the time after which a silent TURN connection is closed. Clients refresh their relays every few minutes.
// turnFirst is the limit for the first bytes.
const (
	turnIdle  = 12 * time.Minute
	turnFirst = 10 * time.Second
	turnSetup = 30 * time.Second // limit until a relay is granted
	turnWrite = 10 * time.Second // limit for a write
)

// Limits of connections without a relay.
const (
	maxSetups  = 1024
	setupsFrom = 32 // of one address
)

// Frames of TURN over a stream.
const (
	frameHeader     = 4
	maxFrame        = 4096   // media packets have at most 1500 bytes
	allocateSuccess = 0x0103 // the type of the response that grants a relay
)

var errNoFrame = errors.New("listener: the client sent no frame of TURN")

// turnConn is a connection to the TURN server. It ends when the client is silent, does not read, sends invalid
// frames, or gets no relay within turnSetup.
type turnConn struct {
	net.Conn
	of     *Accepted
	begun  time.Time
	relays atomic.Bool // the server has granted a relay
	ready  func()      // ends the count as a connection without a relay

	// owned by the reader
	in   *bufio.Reader
	rest int           // bytes of the frame that is being read
	idle time.Duration // for the next read
}

// offerTURN passes a connection to the TURN server, or closes it above the limits of connections without a relay. host
// is the address of the client; empty = unknown.
func offerTURN(a *Accepted, c net.Conn, host string) {
	if !a.setups.enter(host) {
		_ = c.Close()
		return
	}
	t := &turnConn{Conn: c, of: a, begun: time.Now(), ready: sync.OnceFunc(func() { a.setups.leave(host) }),
		in: bufio.NewReaderSize(c, maxFrame), idle: turnFirst}
	if !a.keep(t) {
		_ = t.Close()
		return
	}
	a.offer(t)
}

// setups counts the connections without a relay. mu guards the fields below it.
type setups struct {
	mu   sync.Mutex
	all  int
	from map[string]int // by address
}

// enter adds a connection, unless there are too many of its address, or in all.
func (s *setups) enter(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxSetups || host != "" && s.from[host] >= setupsFrom {
		return false
	}
	if s.from == nil {
		s.from = map[string]int{}
	}
	s.all++
	s.from[host]++
	return true
}

func (s *setups) leave(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.from[host]--; s.from[host] == 0 {
		delete(s.from, host)
	}
}

// hostOf returns the IP address of a client.
func hostOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}

// Read reads from the client, within the limit of silence and at most to the end of a frame.
func (c *turnConn) Read(p []byte) (int, error) {
	until := time.Now().Add(c.idle)
	if setup := c.begun.Add(turnSetup); !c.relays.Load() && setup.Before(until) {
		until = setup
	}
	if err := c.SetReadDeadline(until); err != nil {
		return 0, err
	}
	c.idle = turnIdle
	if c.rest == 0 {
		header, err := c.in.Peek(frameHeader)
		if err != nil {
			return 0, err
		}
		if c.rest = frameSize(header); c.rest == 0 || c.rest > maxFrame {
			return 0, errNoFrame
		}
	}
	n, err := c.in.Read(p[:min(len(p), c.rest)])
	c.rest -= n
	return n, err
}

// Write writes to a client that reads.
func (c *turnConn) Write(p []byte) (int, error) {
	if len(p) > 1 && binary.BigEndian.Uint16(p) == allocateSuccess {
		c.relays.Store(true)
		c.ready()
	}
	if err := c.SetWriteDeadline(time.Now().Add(turnWrite)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// frameSize returns the size of a frame of TURN over a stream, by its first bytes (RFC 8656, 3.1 and 12.5); 0 = it is
// none. The library computes it in 16 bits: a length near their end made it loop.
func frameSize(header []byte) int {
	length := int(binary.BigEndian.Uint16(header[2:]))
	switch header[0] >> 6 {
	case 0: // STUN
		return 20 + length
	case 1: // ChannelData, padded to four bytes
		return frameHeader + (length+3)/4*4
	}
	return 0
}

// Close closes the connection.
func (c *turnConn) Close() error {
	c.ready()
	c.of.drop(c)
	return c.Conn.Close()
}
