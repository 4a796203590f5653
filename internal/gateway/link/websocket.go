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

// The subprotocols by which a device may ask for a framing.
const (
	subJSON     = "centrifuge-json"
	subProtobuf = "centrifuge-protobuf"
)

// parting is how long a device has to hang up after a goodbye.
const parting = time.Second

// WebSocket serves links over WebSocket. Accept makes the device of each; it must not use the link before it returns.
func WebSocket(opt Options, accept func(*Link) Device) http.Handler {
	config := func(subs ...string) *gws.ServerOption {
		return &gws.ServerOption{
			ReadMaxPayloadSize: opt.MaxFrame,
			ReadBufferSize:     readBuffer,
			SubProtocols:       subs,
			NewSession:         func() gws.SessionStorage { return &pocket{} },
		}
	}
	plain, named := gws.NewUpgrader(events{}, config()), gws.NewUpgrader(events{}, config(subProtobuf, subJSON))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			w.Header().Set("Upgrade", "websocket")
			http.Error(w, "here is a WebSocket", http.StatusUpgradeRequired)
			return
		}
		known, ok := opt.mayConnect(w, r)
		if !ok {
			return
		}
		up := plain
		if asked := r.Header.Get("Sec-WebSocket-Protocol"); strings.Contains(asked, subJSON) ||
			strings.Contains(asked, subProtobuf) {
			up = named
		}
		raw, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			known()
			http.Error(w, "this connection cannot become a WebSocket; without proxies that speak HTTP/2 to the server it can",
				http.StatusInternalServerError)
			return
		}
		from := address.From(r.Context())
		slow := &lingering{Conn: raw, time: opt.WriteTime}
		conn, err := up.UpgradeFromConn(slow, bufio.NewReaderSize(slow, readBuffer), r)
		if err != nil {
			known()
			_ = raw.Close() // it was told
			address.Futile(r.Context())
			return
		}
		f := framing(conn.SubProtocol(), r.URL.Query())
		l := &Link{Framing: f, From: from, Known: known, max: opt.MaxQueue, out: &socket{conn: conn, raw: raw, framing: f}}
		l.device = accept(l)
		conn.Session().(*pocket).link = l
		go l.read(conn, opt.Log) // the request's goroutine and buffers are free again
	})
}

// readBuffer is enough for most commands at once; longer ones take a few reads.
const readBuffer = 512

func framing(sub string, query url.Values) Framing {
	if sub == subProtobuf || query.Get("format") == "protobuf" || query.Get("cf_protocol") == "protobuf" {
		return Protobuf
	}
	return JSON
}

// mayConnect refuses the pages of others, and more from one address than may wait to say who they are; known is for
// Link.
func (opt *Options) mayConnect(w http.ResponseWriter, r *http.Request) (known func(), ok bool) {
	check := opt.CheckOrigin
	if check == nil {
		check = sameHost
	}
	if !check(r) {
		http.Error(w, "pages of this origin may not connect", http.StatusForbidden)
		return nil, false
	}
	if known, ok = address.Enter(r.Context()); !ok {
		http.Error(w, "too many of this address connect at once; come again", http.StatusTooManyRequests)
	}
	return known, ok
}

// sameHost refuses pages that were served by somebody else.
func sameHost(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// pocket carries the link through the library, in place of its map.
type pocket struct{ link *Link }

func (*pocket) Len() int                          { return 0 }
func (*pocket) Load(string) (value any, has bool) { return nil, false }
func (*pocket) Delete(string)                     {}
func (*pocket) Store(string, any)                 {}
func (*pocket) Range(func(string, any) bool)      {}

// events takes what the library reads.
type events struct{ gws.BuiltinEventHandler }

// OnMessage takes a frame. Commands go on using its bytes, so only pongs give theirs back.
func (events) OnMessage(c *gws.Conn, m *gws.Message) {
	l := c.Session().(*pocket).link
	if l.Framing.isPong(m.Bytes()) {
		l.device.Pong()
		_ = m.Close() // it never fails
		return
	}
	l.receive(m.Bytes())
}

// OnPing answers with what was asked.
// where it fails, nothing more can be read
func (events) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

// OnClose notes when the library gave up because of what it read, and not because nobody is there.
func (events) OnClose(c *gws.Conn, err error) {
	var told *gws.CloseError
	var broken net.Error
	if errors.As(err, &told) || errors.As(err, &broken) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) {
		return
	}
	if l := c.Session().(*pocket).link; l != nil {
		l.give(BadRequest) // the device was told by the library
	}
}

// read reads until nothing more can be read. A frame that the library stumbles over costs its device the link, and
// nobody else.
func (l *Link) read(conn *gws.Conn, log *slog.Logger) {
	defer func() {
		if r := recover(); r != nil {
			log.Warn("a device sent what cannot be read, and is cut off", "panic", r)
			l.give(BadRequest)
		}
		l.give(WriteFailed)
		l.out.cut()
		l.device.Gone()
	}()
	conn.ReadLoop()
}

// socket is the way out over WebSocket.
type socket struct {
	conn    *gws.Conn
	raw     net.Conn
	framing Framing
}

// together is how many bytes share a frame: each has its own time, so that a slow device is served as long as it reads.
const together = 32 << 10

func (s *socket) write(frames [][]byte) error {
	for len(frames) > 0 {
		n, size := 1, len(frames[0])
		for n < len(frames) && size+len(frames[n]) <= together {
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

func (s *socket) end(g goodbye) {
	// it fails only where the link is down, and then the reader knows
	_ = s.conn.WriteClose(uint16(g.code), []byte(g.reason))
}

func (s *socket) cut() { _ = s.raw.Close() }

// lingering is a connection that, told to close, only says that nothing follows, and goes on being read: a device that
// just then sends would otherwise be cut off before it has read why.
type lingering struct {
	net.Conn
	time time.Duration
}

// Write gives each write its time, those too that the library makes by itself.
func (l *lingering) Write(b []byte) (int, error) {
	if err := l.SetWriteDeadline(time.Now().Add(l.time)); err != nil {
		return 0, err
	}
	return l.Conn.Write(b)
}

// Close ends the way out. The reader ends the rest, when the device hangs up or its time is over.
func (l *lingering) Close() error {
	_ = l.SetReadDeadline(time.Now().Add(parting)) // as above
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return l.Conn.Close()
}
