package cluster

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

// Link is a TCP proxy between two parts of a cluster, with fault injection. mu guards the fields below it.
type Link struct {
	to   string
	nats bool
	ln   net.Listener
	open sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	cut    bool
	frozen chan struct{} // closed on Heal; nil = not frozen
	loss   float64
	lost   int
	shut   bool
}

// NewLink returns a link to an address; nats enables message loss for a NATS server.
func NewLink(to string, nats bool) (*Link, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{to: to, nats: nats, ln: ln, conns: map[net.Conn]struct{}{}}
	l.open.Go(l.accept)
	return l, nil
}

// Addr is the link's listen address; of a plain link, its target.
func (l *Link) Addr() string {
	if l.ln == nil {
		return l.to
	}
	return l.ln.Addr().String()
}

// Cut closes all connections and refuses new ones.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.conns {
		_ = c.Close()
	}
}

// Freeze holds back all data without closing connections, like a network that drops every packet.
func (l *Link) Freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen == nil {
		l.frozen = make(chan struct{})
	}
}

// Lose drops a share of the messages sent by NATS through the link.
func (l *Link) Lose(share float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loss = share
}

// Lost returns the number of dropped messages.
func (l *Link) Lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Heal ends all faults.
func (l *Link) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.loss = false, 0
	if l.frozen != nil {
		close(l.frozen)
		l.frozen = nil
	}
}

// Close closes the link.
func (l *Link) Close() {
	l.Heal()
	l.mu.Lock()
	l.shut = true
	for c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	if l.ln != nil {
		_ = l.ln.Close()
	}
	l.open.Wait()
}

func (l *Link) accept() {
	for {
		c, err := l.ln.Accept()
		if err != nil {
			return
		}
		if l.keep(c) {
			l.open.Go(func() { l.lead(c) })
		}
	}
}

func (l *Link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut || l.cut {
		_ = c.Close()
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *Link) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	_ = c.Close()
}

func (l *Link) lead(c net.Conn) {
	defer l.drop(c)
	there, err := net.DialTimeout("tcp", l.to, 2*time.Second)
	if err != nil || !l.keep(there) {
		return
	}
	defer l.drop(there)
	l.open.Go(func() {
		_, _ = io.Copy(there, &held{c, l})
		l.drop(there)
	})
	_ = l.back(c, there)
}

// held is a connection whose reads wait while the link is frozen.
type held struct {
	net.Conn
	l *Link
}

func (h *held) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.l.mu.Lock()
	frozen := h.l.frozen
	h.l.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	return n, err
}

// back copies the responses: those of NATS message by message, so that some can be dropped.
func (l *Link) back(to io.Writer, from net.Conn) error {
	if !l.nats {
		_, err := io.Copy(to, &held{from, l})
		return err
	}
	in := bufio.NewReaderSize(&held{from, l}, 64<<10)
	for {
		if err := l.message(to, in); err != nil {
			return err
		}
	}
}

func (l *Link) share() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loss
}

// message forwards or drops one message of NATS: a header line, and after MSG and HMSG a payload of the given size.
func (l *Link) message(to io.Writer, in *bufio.Reader) error {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	fields := bytes.Fields(line)
	lose := false
	if len(fields) > 3 && (string(fields[0]) == "MSG" || string(fields[0]) == "HMSG") {
		size, err := strconv.Atoi(string(fields[len(fields)-1]))
		if err != nil {
			return err
		}
		payload := make([]byte, size+2)
		if _, err := io.ReadFull(in, payload); err != nil {
			return err
		}
		line, lose = append(line, payload...), rand.Float64() < l.share()
	}
	if lose {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lost++
		return nil
	}
	_, err = to.Write(line)
	return err
}
