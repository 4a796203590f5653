package link

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lxzan/gws"

	"github.com/beckon-im/beckon/internal/address"
)

// Subprotocols that select the framing.
const (
	subJSON     = "centrifuge-json"
	subProtobuf = "centrifuge-protobuf"
)

// closeTimeout is the time a device has to disconnect after the close frame.
const closeTimeout = time.Second

// WebSocket serves links over WebSocket. accept returns the device of a new link; it must not use the link before it
// returns.
func WebSocket(opt Options, accept func(*Link) Device) http.Handler {
	config := func(subs ...string) *gws.ServerOption {
		return &gws.ServerOption{
			ReadMaxPayloadSize: opt.MaxFrame,
			ReadBufferSize:     readBuffer,
			SubProtocols:       subs,
			NewSession:         func() gws.SessionStorage { return &connSession{} },
		}
	}
	plain, named := gws.NewUpgrader(events{}, config()), gws.NewUpgrader(events{}, config(subProtobuf, subJSON))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			w.Header().Set("Upgrade", "websocket")
			http.Error(w, "this endpoint requires a WebSocket upgrade", http.StatusUpgradeRequired)
			return
		}
		release, ok := opt.admit(w, r)
		if !ok {
			return
		}
		up := plain
		if requested := r.Header.Get("Sec-WebSocket-Protocol"); strings.Contains(requested, subJSON) ||
			strings.Contains(requested, subProtobuf) {
			up = named
		}
		raw, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			release()
			http.Error(w, "WebSocket upgrade failed: proxies must use HTTP/1.1 to reach this server",
				http.StatusInternalServerError)
			return
		}
		from := address.From(r.Context())
		lingering := &lingeringConn{Conn: raw, time: opt.WriteTime}
		conn, err := up.UpgradeFromConn(lingering, bufio.NewReaderSize(lingering, readBuffer), r)
		if err != nil {
			release()
			_ = raw.Close() // the upgrader has sent the error response
			address.Futile(r.Context())
			return
		}
		f := framing(conn.SubProtocol(), r.URL.Query())
		l := &Link{Framing: f, From: from, Release: release, max: opt.MaxQueue,
			out: &socket{conn: conn, raw: raw, framing: f}}
		l.device = accept(l)
		conn.Session().(*connSession).link = l
		go l.read(conn, opt.Log) // frees the request's goroutine and buffers
	})
}

// readBuffer is the read buffer size in bytes. It fits most commands; longer ones take several reads.
const readBuffer = 512

func framing(sub string, query url.Values) Framing {
	if sub == subProtobuf || query.Get("format") == "protobuf" || query.Get("cf_protocol") == "protobuf" {
		return Protobuf
	}
	return JSON
}

// admit rejects pages of other origins, and addresses with too many unauthenticated connections. release is
// Link.Release.
func (opt *Options) admit(w http.ResponseWriter, r *http.Request) (release func(), ok bool) {
	check := opt.CheckOrigin
	if check == nil {
		check = sameHost
	}
	if !check(r) {
		http.Error(w, "origin not allowed", http.StatusForbidden)
		return nil, false
	}
	if release, ok = address.Enter(r.Context()); !ok {
		http.Error(w, "too many unauthenticated connections from this address; retry later", http.StatusTooManyRequests)
	}
	return release, ok
}

// sameHost rejects pages of other hosts.
func sameHost(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// connSession attaches the link to a connection of the library, in place of its map.
type connSession struct{ link *Link }

func (*connSession) Len() int                          { return 0 }
func (*connSession) Load(string) (value any, has bool) { return nil, false }
func (*connSession) Delete(string)                     {}
func (*connSession) Store(string, any)                 {}
func (*connSession) Range(func(string, any) bool)      {}

// events handles frames read by the library.
type events struct{ gws.BuiltinEventHandler }

// OnMessage handles a frame. Commands keep references to its bytes, so only pongs return their buffer to the pool.
func (events) OnMessage(c *gws.Conn, m *gws.Message) {
	l := c.Session().(*connSession).link
	if l.Framing.isPong(m.Bytes()) {
		l.device.Pong()
		_ = m.Close() // never fails
		return
	}
	l.receive(m.Bytes())
}

// OnPing echoes the payload. A failed write also ends the read loop.
func (events) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

// OnClose records a protocol error if the library closed the connection because of invalid data, as opposed to a
// disconnect.
func (events) OnClose(c *gws.Conn, err error) {
	var closed *gws.CloseError
	var netErr net.Error
	if errors.As(err, &closed) || errors.As(err, &netErr) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) {
		return
	}
	if l := c.Session().(*connSession).link; l != nil {
		l.markClosed(BadRequest) // the library has sent the close frame
	}
}

// read runs the read loop. A panic of the library closes only this link.
func (l *Link) read(conn *gws.Conn, log *slog.Logger) {
	defer func() {
		if r := recover(); r != nil {
			log.Warn("link closed after a read panic", "panic", r)
			l.markClosed(BadRequest)
		}
		l.markClosed(WriteFailed)
		l.out.abort()
		l.device.Gone()
	}()
	conn.ReadLoop()
}

// socket is the sink that writes to a WebSocket.
type socket struct {
	conn    *gws.Conn
	raw     net.Conn
	framing Framing
}

// maxBatch is the most bytes written as one frame. Each frame has its own write timeout, so a slow device is served as
// long as it keeps reading.
const maxBatch = 32 << 10

func (s *socket) write(frames [][]byte) error {
	for len(frames) > 0 {
		n, size := 1, len(frames[0])
		for n < len(frames) && size+len(frames[n]) <= maxBatch {
			size += len(frames[n])
			n++
		}
		if err := s.writeSome(frames[:n]); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

func (s *socket) writeSome(frames [][]byte) error {
	op := gws.OpcodeText
	if s.framing == Protobuf {
		op = gws.OpcodeBinary
	}
	switch {
	case len(frames) == 1:
		return s.conn.WriteMessage(op, frames[0])
	case s.framing == JSON:
		return s.conn.WriteMessage(op, bytes.Join(frames, []byte{'\n'}))
	}
	return s.conn.Writev(op, frames...)
}

func (s *socket) end(g closeMessage) {
	// fails only if the connection is down, which the read loop notices
	_ = s.conn.WriteClose(uint16(g.code), []byte(g.reason))
}

func (s *socket) abort() { _ = s.raw.Close() }

// lingeringConn is a connection whose Close only shuts down the write side and keeps reading: otherwise a device that
// is just sending would get a reset before it has read the close code.
type lingeringConn struct {
	net.Conn
	time time.Duration
}

// Write sets a deadline for each write, including those of the library itself.
func (l *lingeringConn) Write(b []byte) (int, error) {
	if err := l.SetWriteDeadline(time.Now().Add(l.time)); err != nil {
		return 0, err
	}
	return l.Conn.Write(b)
}

// Close shuts down the write side. The read loop closes the rest when the device disconnects or closeTimeout has
// passed.
func (l *lingeringConn) Close() error {
	_ = l.SetReadDeadline(time.Now().Add(closeTimeout)) // if it fails, the connection is down
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return l.Conn.Close()
}
