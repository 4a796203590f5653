package listener

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"time"
)

// acceptAgain is the pause after a failed accept.
const acceptAgain = 50 * time.Millisecond

// handshakeTime limits the TLS handshake.
const handshakeTime = 10 * time.Second

// Accepted is a listener of connections that another listener has accepted. mu guards open; closed is set under mu too.
type Accepted struct {
	addr   net.Addr
	queue  chan net.Conn
	closed chan struct{}

	setups setups // of TURN

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
		offerTURN(s.turn, c, hostOf(c))
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
			offerTURN(a, c, "") // the address is that of the proxy
		}
	}()
	return a
}
