package link

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lxzan/gws"
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
	if opt.CheckOrigin == nil {
		opt.CheckOrigin = sameHost
	}
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
		if !opt.CheckOrigin(r) {
			http.Error(w, "pages of this origin may not connect", http.StatusForbidden)
			return
		}
		up := plain
		if asked := r.Header.Get("Sec-WebSocket-Protocol"); strings.Contains(asked, subJSON) || strings.Contains(asked, subProtobuf) {
			up = named
		}
		conn, err := up.Upgrade(w, r)
		if err != nil {
			return // it was told
		}
		f := framing(conn.SubProtocol(), r.URL.Query())
		l := &Link{Framing: f, max: opt.MaxQueue, out: &socket{conn: conn, framing: f, time: opt.WriteTime}}
		l.device = accept(l)
		conn.Session().(*pocket).link = l
		go conn.ReadLoop() // the request's goroutine and buffers are free again
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

// OnClose is called when nothing more can be read.
func (events) OnClose(c *gws.Conn, _ error) {
	l := c.Session().(*pocket).link
	l.give()
	l.device.Gone()
}

// socket is the way out over WebSocket.
type socket struct {
	conn    *gws.Conn
	framing Framing
	time    time.Duration
}

func (s *socket) write(frames [][]byte) error {
	op := gws.OpcodeText
	if s.framing == Protobuf {
		op = gws.OpcodeBinary
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.time)); err != nil {
		return err
	}
	if len(frames) == 1 {
		return s.conn.WriteMessage(op, frames[0])
	}
	if s.framing == JSON {
		frames = [][]byte{bytes.Join(frames, []byte{'\n'})}
	}
	return s.conn.Writev(op, frames...)
}

// end writes the close frame itself: the library would hang up at once, and a device that just then sends would not learn why.
func (s *socket) end(g goodbye) {
	const closing, control = 0x88, 125
	body := append(binary.BigEndian.AppendUint16(nil, uint16(g.code)), g.reason...)
	body = body[:min(len(body), control)]
	until := time.Now().Add(parting)
	conn := s.conn.NetConn()
	_ = conn.SetDeadline(until) // it fails only where the link is down, and then the reader knows
	if _, err := conn.Write(slices.Concat([]byte{closing, byte(len(body))}, body)); err != nil {
		s.cut()
	}
}

func (s *socket) cut() { _ = s.conn.NetConn().Close() }
