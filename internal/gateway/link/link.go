// Package link implements device connections over WebSocket, HTTP streaming and SSE. It decodes commands of the client
// protocol, one at a time, and writes frames through a bounded queue. It has no knowledge of sessions.
package link

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	wire "github.com/centrifugal/protocol"
)

// Code is a close code. Clients reconnect after 3000–3499 and 4000–4499.
type Code uint32

// Close codes of the transport protocol.
const (
	Shutdown    Code = 3001
	ServerError Code = 3004
	Expired     Code = 3005
	Slow        Code = 3008
	WriteFailed Code = 3009
	Gap         Code = 3010
	NoPong      Code = 3012
	BadRequest  Code = 3501
	Stale       Code = 3502
	TooMany     Code = 3505
)

// reason returns the standard reason of a code, for logs of clients.
func (c Code) reason() string {
	switch c {
	case Shutdown:
		return "shutdown"
	case ServerError:
		return "internal server error"
	case Expired:
		return "connection expired"
	case Slow:
		return "slow"
	case WriteFailed:
		return "write error"
	case Gap:
		return "insufficient state"
	case NoPong:
		return "no pong"
	case BadRequest:
		return "bad request"
	case Stale:
		return "stale"
	case TooMany:
		return "channel limit"
	}
	return ""
}

// closeMessage is the code and reason that end a link.
type closeMessage struct {
	code   Code
	reason string
}

// Device receives the commands of a link. Receive and Gone are never called concurrently.
type Device interface {
	// Receive handles one command. The next one waits until it returns.
	Receive(c *wire.Command)
	// Pong handles the answer to a ping.
	Pong()
	// Gone is called once, after the link has closed.
	Gone()
}

// Options configures links.
type Options struct {
	// CheckOrigin reports whether a browser page may connect. Default: only pages of the same host.
	CheckOrigin func(*http.Request) bool
	// MaxFrame limits a received frame and MaxQueue the outgoing queue, in bytes.
	MaxFrame, MaxQueue int
	// WriteTime is the timeout of a write.
	WriteTime time.Duration
	// Log is the logger.
	Log *slog.Logger
}

// Link is the connection of one device. mu guards the outgoing queue.
type Link struct {
	Framing Framing
	Stream  bool // commands arrive in separate requests
	From    netip.Addr
	Release func() // releases the slot of an unauthenticated connection; call it after authentication or close
	device  Device
	out     sink
	max     int

	mu      sync.Mutex
	queue   [][]byte
	waiting int  // bytes queued or being written
	writing bool // a goroutine runs flush, or the link is closed
	closing *closeMessage
}

// Discard returns a link that discards all frames, for benchmarks.
func Discard() *Link { return &Link{Release: func() {}, max: 1 << 20, out: discardSink{}} }

type discardSink struct{}

func (discardSink) write([][]byte) error { return nil }
func (discardSink) end(closeMessage)     {}
func (discardSink) abort()               {}

// sink is the outgoing side of a link. Its methods are not called concurrently.
type sink interface {
	// write sends a batch of frames.
	write(frames [][]byte) error
	// end sends the close message and gives the peer a moment to disconnect.
	end(g closeMessage)
	// abort closes the connection.
	abort()
}

// Send queues a frame. It never blocks: a link over its queue limit is closed.
func (l *Link) Send(frame []byte) {
	l.mu.Lock()
	if l.closing != nil {
		l.mu.Unlock()
		return
	}
	if l.waiting += len(frame); l.waiting > l.max {
		l.queue, l.writing = nil, true
		l.closing = &closeMessage{Slow, Slow.reason()}
		l.mu.Unlock()
		go l.out.abort() // a close message would queue behind the unread data
		return
	}
	l.queue = append(l.queue, frame)
	l.wake()
}

// Ping queues a ping.
func (l *Link) Ping() { l.Send(l.Framing.ping()) }

// Close closes the link after the queue is written.
func (l *Link) Close(c Code) { l.CloseWithReason(c, c.reason()) }

// CloseWithReason is Close with a custom reason of at most 123 bytes.
func (l *Link) CloseWithReason(c Code, reason string) {
	l.mu.Lock()
	if l.closing != nil {
		l.mu.Unlock()
		return
	}
	l.closing = &closeMessage{c, reason}
	l.wake()
}

// Ending reports whether the link is closing or closed.
func (l *Link) Ending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing != nil
}

// Ended returns the close code; WriteFailed if the device disconnected.
func (l *Link) Ended() Code {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing == nil {
		return WriteFailed
	}
	return l.closing.code
}

// wake starts flush unless it is running, and unlocks mu.
func (l *Link) wake() {
	idle := !l.writing
	l.writing = true
	l.mu.Unlock()
	if idle {
		go l.flush() // no permanent writer goroutine: most devices are idle most of the time
	}
}

// flush writes the queue until it is empty, then closes the link if requested.
func (l *Link) flush() {
	var last [][]byte
	for {
		l.mu.Lock()
		frames := l.queue
		if len(frames) == 0 {
			closing := l.closing
			l.writing = closing != nil // no writes after the close message
			if cap(last) <= keptFrames {
				l.queue = last[:0]
			} else {
				l.queue = nil
			}
			l.mu.Unlock()
			if closing != nil {
				l.out.end(*closing)
			}
			return
		}
		l.queue = last[:0]
		l.mu.Unlock()
		if err := l.out.write(frames); err != nil {
			l.markClosed(WriteFailed)
			l.out.abort()
			return
		}
		l.wrote(frames)
		clear(frames)
		last = frames
	}
}

// wrote subtracts written frames from the queue size.
func (l *Link) wrote(frames [][]byte) {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	l.mu.Lock()
	l.waiting -= n
	l.mu.Unlock()
}

// keptFrames is the most capacity of a queue slice that is reused.
const keptFrames = 2

// markClosed records a close without a close message from this side.
func (l *Link) markClosed(c Code) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing == nil {
		l.closing = &closeMessage{c, c.reason()}
	}
	l.queue, l.writing = nil, true
}

// receive passes the commands of a frame to the device until the link is closing.
func (l *Link) receive(frame []byte) {
	err := l.Framing.decode(frame, func(c *wire.Command) {
		if l.Ending() {
			return
		}
		if c.Id == 0 && c.Send == nil {
			l.device.Pong()
			return
		}
		l.device.Receive(c)
	})
	if err != nil {
		l.Close(BadRequest)
	}
}

// reply returns the close message as a reply, for transports without close codes.
func (g closeMessage) reply() *wire.Reply {
	return &wire.Reply{Push: &wire.Push{Disconnect: &wire.Disconnect{Code: uint32(g.code), Reason: g.reason}}}
}
