package listener

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"strings"
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

// Frames of TURN over a stream.
const (
	frameHeader     = 4
	maxFrame        = 4096   // media packets have at most 1500 bytes
	allocateSuccess = 0x0103 // the type of the response that grants a relay
)

var errNoFrame = errors.New("listener: the client sent no frame of TURN")

// acceptAgain is the pause after a failed accept.
const acceptAgain = 50 * time.Millisecond

// handshakeTime limits the TLS handshake.
const handshakeTime = 10 * time.Second

// Accepted is a listener of connections that another listener has accepted. mu guards open; closed is set under mu too.
type Accepted struct {
	addr   net.Addr
	queue  chan net.Conn
	closed chan struct{}

	mu   sync.Mutex
	open map[net.Conn]struct{} // that close with the listener; nil = they do not
}

// NewAccepted returns a listener at the address of another one.
func NewAccepted(addr net.Addr) *Accepted {
	return &Accepted{addr: addr, queue: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept returns the next connection.
func (a *Accepted) Accept() (net.Conn, error) {
	select {
	case c := <-a.queue:
		return c, nil
	case <-a.closed:
		return nil, net.ErrClosed
	}
}

// Addr returns the address of the listener that accepts.
func (a *Accepted) Addr() net.Addr { return a.addr }

// Close ends Accept, and closes the connections that are kept.
func (a *Accepted) Close() error {
	for _, c := range a.end() {
		_ = c.Close() // without the lock: it drops the connection
	}
	return nil
}

// end marks the listener as closed, and returns the connections that are kept.
func (a *Accepted) end() (list []net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.closed:
		return nil
	default:
	}
	close(a.closed)
	for c := range a.open {
		list = append(list, c)
	}
	return list
}

// offer passes a connection on. It blocks until it is accepted or the listener is closed.
func (a *Accepted) offer(c net.Conn) {
	select {
	case a.queue <- c:
	case <-a.closed:
		_ = c.Close()
	}
}

// keep adds a connection to those that close with the listener.
func (a *Accepted) keep(c net.Conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.closed:
		return false
	default:
	}
	if a.open == nil {
		a.open = map[net.Conn]struct{}{}
	}
	a.open[c] = struct{}{}
	return true
}

func (a *Accepted) drop(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, c)
}

// turnConn is a connection to the TURN server. It ends when the client is silent, does not read, sends invalid
// frames, or gets no relay within turnSetup.
type turnConn struct {
	net.Conn
	of     *Accepted
	begun  time.Time
	relays atomic.Bool // the server has granted a relay

	// owned by the reader
	in   *bufio.Reader
	rest int           // bytes of the frame that is being read
	idle time.Duration // for the next read
}

// offerTURN passes a connection to the TURN server.
func offerTURN(a *Accepted, c net.Conn) {
	t := &turnConn{Conn: c, of: a, begun: time.Now(), in: bufio.NewReaderSize(c, maxFrame), idle: turnFirst}
	if !a.keep(t) {
		_ = c.Close()
		return
	}
	a.offer(t)
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
	c.of.drop(c)
	return c.Conn.Close()
}

// splitter accepts TLS connections: those with domain as server name go to turn, the others to web. It owns raw.
type splitter struct {
	raw       net.Listener
	config    *tls.Config
	domain    string
	web, turn *Accepted
	working   sync.WaitGroup
}

// split returns a listener that adds TLS to raw, of the connections to other names than domain. Those to domain are
// passed to turn.
func split(raw net.Listener, config *tls.Config, domain string, turn *Accepted) net.Listener {
	s := &splitter{raw: raw, domain: domain, web: NewAccepted(raw.Addr()), turn: turn}
	forTURN := config.Clone()
	forTURN.NextProtos = nil // clients of TURN may name protocols of their own
	s.config = config.Clone()
	s.config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if s.isTURN(hello.ServerName) {
			return forTURN, nil
		}
		return nil, nil //nolint:nilnil // the configuration applies
	}
	s.working.Go(s.accept)
	return s
}

func (s *splitter) isTURN(name string) bool { return strings.EqualFold(name, s.domain) }

// Accept returns the next connection that is not for the TURN server.
func (s *splitter) Accept() (net.Conn, error) { return s.web.Accept() }

// Addr returns the address of the listener.
func (s *splitter) Addr() net.Addr { return s.raw.Addr() }

// Close closes the listener and the handshakes in progress.
func (s *splitter) Close() error {
	err := s.raw.Close()
	_ = s.web.Close()
	s.working.Wait()
	return err
}

func (s *splitter) accept() {
	for {
		c, err := s.raw.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			_ = s.web.Close()
			return
		case err != nil: // too many open files
			select {
			case <-s.web.closed:
				return
			case <-time.After(acceptAgain):
			}
			continue
		}
		s.working.Go(func() { s.hand(tls.Server(c, s.config)) })
	}
}

// hand completes the handshake of a connection and passes it on.
func (s *splitter) hand(c *tls.Conn) {
	if !s.web.keep(c) {
		_ = c.Close()
		return
	}
	err := c.SetDeadline(time.Now().Add(handshakeTime))
	if err == nil {
		err = c.Handshake()
	}
	s.web.drop(c)
	switch {
	case err != nil || c.SetDeadline(time.Time{}) != nil:
		_ = c.Close()
	case s.isTURN(c.ConnectionState().ServerName):
		offerTURN(s.turn, c)
	default:
		s.web.offer(c)
	}
}

// plain returns a listener of TURN connections from a proxy that ends TLS. Closing it closes raw.
func plain(raw net.Listener) *Accepted {
	a := NewAccepted(raw.Addr())
	go func() {
		<-a.closed
		_ = raw.Close()
	}()
	go func() {
		for {
			c, err := raw.Accept()
			switch {
			case errors.Is(err, net.ErrClosed):
				_ = a.Close()
				return
			case err != nil: // too many open files
				select {
				case <-a.closed:
					return
				case <-time.After(acceptAgain):
				}
				continue
			}
			offerTURN(a, c)
		}
	}()
	return a
}
