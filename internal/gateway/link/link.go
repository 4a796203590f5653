// Package link owns the connections of devices, over WebSocket, HTTP streaming and SSE: commands of the client protocol
// come in, one after the other, and whole frames go out through a bounded queue. It knows no session.
package link

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	wire "github.com/centrifugal/protocol"
)

// Code tells a device why its link ends. Clients know by it whether to come again: after 3000–3499 and 4000–4499.
type Code uint32

// Why links end, by the numbers of the transport's protocol.
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

// reason is what logs of clients say of a code.
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

// goodbye is the last a device is told.
type goodbye struct {
	code   Code
	reason string
}

// Device is who is told what comes over a link. Receive and Gone are never called at the same time.
type Device interface {
	// Receive takes one command. The next one waits until it returns.
	Receive(c *wire.Command)
	// Pong takes the answer to a ping.
	Pong()
	// Gone is called once, when nothing follows any more.
	Gone()
}

// Options are the choices for links.
type Options struct {
	// CheckOrigin says whether a browser page may connect. Default: pages of the same host only.
	CheckOrigin func(*http.Request) bool
	// MaxFrame bounds what a device may send at once, and MaxQueue what may wait for it, in bytes.
	MaxFrame, MaxQueue int
	// WriteTime is how long a write may take.
	WriteTime time.Duration
	// Log receives what operators should know.
	Log *slog.Logger
}

// Link is the connection of one device.
type Link struct {
	Framing Framing
	Stream  bool // commands come in requests of their own
	From    netip.Addr
	Known   func() // to be called once it is known who this is, or the link has ended
	device  Device
	out     sink
	max     int

	mu      sync.Mutex
	queue   [][]byte
	waiting int  // bytes in the queue, and those that are being written
	writing bool // somebody empties the queue
	bye     *goodbye
}

// Discard is a link that takes everything and sends nothing, to measure what is before it.
func Discard() *Link { return &Link{Known: func() {}, max: 1 << 20, out: nowhere{}} }

type nowhere struct{}

func (nowhere) write([][]byte) error { return nil }
func (nowhere) end(goodbye)          {}
func (nowhere) cut()                 {}

// sink is a link's way out. Its methods are called one after the other.
type sink interface {
	// write sends frames together.
	write(frames [][]byte) error
	// end says goodbye and lets the other side hang up, for a moment.
	end(g goodbye)
	// cut hangs up.
	cut()
}

// Send queues a frame. It never blocks: who reads too slowly is sent away.
func (l *Link) Send(frame []byte) {
	l.mu.Lock()
	if l.bye != nil {
		l.mu.Unlock()
		return
	}
	if l.waiting += len(frame); l.waiting > l.max {
		l.queue, l.writing = nil, true
		l.bye = &goodbye{Slow, Slow.reason()}
		l.mu.Unlock()
		go l.out.cut() // a goodbye would wait behind what is not read
		return
	}
	l.queue = append(l.queue, frame)
	l.wake()
}

// Ping asks the device whether it is there.
func (l *Link) Ping() { l.Send(l.Framing.ping()) }

// Close ends the link once what was queued before is written.
func (l *Link) Close(c Code) { l.Dismiss(c, c.reason()) }

// Dismiss ends the link like Close, and says why in other words, of at most 123 bytes.
func (l *Link) Dismiss(c Code, reason string) {
	l.mu.Lock()
	if l.bye != nil {
		l.mu.Unlock()
		return
	}
	l.bye = &goodbye{c, reason}
	l.wake()
}

// Ending reports whether the link is closed or about to be.
func (l *Link) Ending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bye != nil
}

// Ended says why the link ended; WriteFailed when the device hung up.
func (l *Link) Ended() Code {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bye == nil {
		return WriteFailed
	}
	return l.bye.code
}

// wake makes somebody empty the queue, and gives the lock back.
func (l *Link) wake() {
	idle := !l.writing
	l.writing = true
	l.mu.Unlock()
	if idle {
		go l.flush() // no goroutine waits for the next frame: most devices are idle most of the time
	}
}

// flush writes what is queued, and what is queued meanwhile, then ends the link if that was asked for.
func (l *Link) flush() {
	var last [][]byte
	for {
		l.mu.Lock()
		frames := l.queue
		if len(frames) == 0 {
			bye := l.bye
			l.writing = bye != nil // nothing is written after a goodbye
			if cap(last) <= fewFrames {
				l.queue = last[:0]
			} else {
				l.queue = nil
			}
			l.mu.Unlock()
			if bye != nil {
				l.out.end(*bye)
			}
			return
		}
		l.queue = last[:0]
		l.mu.Unlock()
		if err := l.out.write(frames); err != nil {
			l.give(WriteFailed)
			l.out.cut()
			return
		}
		l.wrote(frames)
		clear(frames)
		last = frames
	}
}

// wrote notes that frames wait no more.
func (l *Link) wrote(frames [][]byte) {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	l.mu.Lock()
	l.waiting -= n
	l.mu.Unlock()
}

// fewFrames is the length of a queue that is kept for the next time.
const fewFrames = 2

// give notes that the link has ended without a goodbye of ours, and why.
func (l *Link) give(c Code) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bye == nil {
		l.bye = &goodbye{c, c.reason()}
	}
	l.queue, l.writing = nil, true
}

// receive hands the commands of a frame to the device, until there was a goodbye.
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

// reply is a goodbye as a frame.
func (g goodbye) reply() *wire.Reply {
	return &wire.Reply{Push: &wire.Push{Disconnect: &wire.Disconnect{Code: uint32(g.code), Reason: g.reason}}}
}
