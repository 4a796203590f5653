package media

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/livekit/protocol/auth"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
)

// Liveness of proxied signaling connections: the client is pinged every pingEvery. A user whose connection has been
// silent for lostAfter, without a newer connection, has left; LiveKit alone would notice after 20 s. On a full
// connection TCP may be silent for longer while sound comes through: after quietAfter, packets of media are signs of
// life as well.
const (
	pingEvery  = 500 * time.Millisecond
	quietAfter = 1500 * time.Millisecond
	lostAfter  = 4500 * time.Millisecond
)

// signal proxies LiveKit's signaling, for users that may be in the room now, whatever their token grants.
func (m *Media) signal(w http.ResponseWriter, r *http.Request) {
	user, room, err := m.bearer(r)
	if err == nil {
		err = m.mayConnect(r.Context(), room, user)
	}
	if err != nil {
		status := http.StatusForbidden
		if im.CodeOf(err) == im.CodeNoMedia {
			status = http.StatusBadGateway
			m.log.Warn("LiveKit unreachable", "error", err)
		}
		http.Error(w, err.Error(), status)
		return
	}
	l := &link{media: m, room: room, user: user, id: uuid.NewString()}
	m.proxy.ServeHTTP(&hijacker{ResponseWriter: w, link: l, ctx: r.Context()}, r)
	if l.Conn == nil {
		return // no connection was established
	}
	close(l.done)
	<-l.stopped
	m.connected.Add(-1)
	l.awaitReturn()
}

// bearer returns the user and the room of the token in a request for LiveKit.
func (m *Media) bearer(r *http.Request) (user, room string, err error) {
	refused := notAdmitted("the room token is invalid or has expired; call enterRoom again")
	text, header := r.URL.Query().Get("access_token"), r.Header.Values("Authorization")
	switch {
	case len(header) == 1 && text == "":
		text = strings.TrimPrefix(header[0], "Bearer ")
	case len(header) > 0: // LiveKit would use another token than this server
		return "", "", refused
	}
	v, err := auth.ParseAPIToken(text)
	if err != nil || v.APIKey() != m.live.key {
		return "", "", refused
	}
	_, claims, err := v.Verify(m.live.secret)
	if err != nil || claims.Video == nil || claims.Video.Room == "" || claims.Identity == "" {
		return "", "", refused
	}
	return claims.Identity, claims.Video.Room, nil
}

// mayConnect checks that a user may be in a room now, and creates it in LiveKit.
func (m *Media) mayConnect(ctx context.Context, room, user string) error {
	a, err := m.admission(ctx, room, user)
	if err != nil {
		return err
	}
	if _, err := choose("", a.Role()); err != nil {
		return err
	}
	return m.create(ctx, room)
}

// hijacker is a ResponseWriter that returns a link on Hijack.
type hijacker struct {
	http.ResponseWriter
	link *link
	ctx  context.Context
}

// Hijack takes over the connection from the HTTP server.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return conn, rw, err
	}
	if err := h.link.open(h.ctx, conn); err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return h.link, rw, nil
}

// link is a proxied connection between a client and LiveKit's signaling. Reads are signs of life of the client; watch
// inserts pings between written frames. mu guards left and head.
type link struct {
	net.Conn
	media          *Media
	room, user, id string
	last           atomic.Int64 // time of the last sign of life, milliseconds
	done, stopped  chan struct{}
	packets        uint64 // of media, as counted last; owned by watch
	mediaAt        int64  // when media was the last sign of life; owned by watch

	mu   sync.Mutex
	left uint64 // missing bytes of the current frame
	head []byte // an incomplete header
}

// open stores this connection as the latest of its user in the room, and starts watch. joinGrace is the time in
// milliseconds for which a room does not end after a user has connected: media takes up to 8 s.
const joinGrace = 10_000

func (l *link) open(ctx context.Context, conn net.Conn) error {
	m := l.media
	reads := txn.ReadSet{Topics: []string{im.RoomTopic(l.room)}, Links: []txn.SeatKey{{RoomID: l.room, UserID: l.user}},
		Rooms: []string{l.room}}
	err := rpc.Write(ctx, m.store, reads, func(tx *txn.Tx) error {
		tx.PutLink(txn.Link{RoomID: l.room, UserID: l.user, ID: l.id, At: tx.Now})
		if r := tx.Room(l.room); r != nil && r.EndedAt == 0 && r.EmptyAt == 0 && r.CheckAt != 0 {
			r.CheckAt = max(r.CheckAt, tx.Now+joinGrace) // of a call of two, the other is coming back
			tx.PutRoom(*r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.Conn, l.done, l.stopped = conn, make(chan struct{}), make(chan struct{})
	l.last.Store(m.store.Now())
	m.expect(l.room, l.user)
	m.connected.Add(1)
	go l.watch()
	return nil
}

// Read reads from the client.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		l.last.Store(l.media.store.Now())
	}
	return n, err
}

// Write writes to the client.
func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass(p)
	return l.Conn.Write(p)
}

// pass follows the frames in p, so that pings are written between frames only.
func (l *link) pass(p []byte) {
	for len(p) > 0 {
		if l.left > 0 {
			n := min(uint64(len(p)), l.left)
			l.left, p = l.left-n, p[n:]
			continue
		}
		l.head, p = append(l.head, p[0]), p[1:]
		if size, whole := frameSize(l.head); whole {
			l.left, l.head = size, l.head[:0]
		}
	}
}

// frameSize parses the header of a WebSocket frame (RFC 6455, 5.2) and returns the number of bytes that follow it.
func frameSize(head []byte) (size uint64, whole bool) {
	if len(head) < 2 {
		return 0, false
	}
	masked, n := head[1]&0x80 != 0, 2
	switch size = uint64(head[1] & 0x7f); size {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if len(head) < n {
		return 0, false
	}
	switch n {
	case 4:
		size = uint64(binary.BigEndian.Uint16(head[2:]))
	case 10:
		size = binary.BigEndian.Uint64(head[2:])
	}
	if masked {
		size += 4
	}
	return size, true
}

// watch pings the client, and closes the connection when it is silent for lostAfter.
func (l *link) watch() {
	defer close(l.stopped)
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-l.media.ends:
			_ = l.Conn.Close()
			return
		case <-t.C:
		}
		if l.silent() < lostAfter-quietAfter || l.last.Load() == l.mediaAt {
			l.countMedia()
		} else {
			l.packets = 0
		}
		if l.silent() <= 0 {
			_ = l.Conn.Close()
			return
		}
		if l.mu.TryLock() { // otherwise a frame is being written, perhaps to a dead client
			if l.left == 0 && len(l.head) == 0 {
				_ = l.Conn.SetWriteDeadline(time.Now().Add(lostAfter))
				_, _ = l.Conn.Write([]byte{0x89, 0}) // a ping without a payload
				_ = l.Conn.SetWriteDeadline(time.Time{})
			}
			l.mu.Unlock()
		}
	}
}

// countMedia takes packets of media that have arrived since the last count as a sign of life. It is called at each ping
// while media is the last sign, so that the end of media is known to half a second.
func (l *link) countMedia() {
	count := l.media.opt.Packets
	if count == nil {
		return
	}
	before := l.packets
	if l.packets = count(l.room, l.user); before != 0 && l.packets > before {
		l.mediaAt = l.media.store.Now()
		l.last.Store(l.mediaAt)
	}
}

// silent returns the remaining time for which the client may be silent.
func (l *link) silent() time.Duration {
	return lostAfter - time.Duration(l.media.store.Now()-l.last.Load())*time.Millisecond
}

// awaitReturn waits for the client to reconnect after its connection has ended. Without a newer connection the user
// has left, at the time of the last sign of life.
func (l *link) awaitReturn() {
	m := l.media
	if rest := l.silent(); rest > 0 {
		t := time.NewTimer(rest)
		defer t.Stop()
		select {
		case <-m.ends:
			return // this server stops; the client reconnects to another node
		case <-t.C:
		}
	}
	select {
	case <-m.ends:
		return
	default:
	}
	reads := callReads(l.room, l.user)
	reads.Links = []txn.SeatKey{{RoomID: l.room, UserID: l.user}}
	remove := false
	ctx := context.Background() // also while this server stops
	err := rpc.Write(ctx, m.store, reads, func(tx *txn.Tx) error {
		if k := tx.Link(l.room, l.user); k == nil || k.ID != l.id {
			remove = false
			return nil // there is a newer connection
		}
		tx.PutLink(txn.Link{RoomID: l.room, UserID: l.user, At: tx.Now})
		c := tx.CallIn(l.room)
		if c == nil {
			remove = true
			return nil
		}
		p := tx.Participant(c.ID, l.user)
		remove = p.JoinedAt != 0 || p.FirstAt == 0
		if c.Leave(p, "", im.LeftWent, l.last.Load(), tx.Now) {
			put(tx, c, p)
		}
		return nil
	})
	if err == nil && remove {
		err = m.callLiveKit(ctx, func(ctx context.Context) error { return m.live.remove(ctx, l.room, l.user) })
	}
	if err != nil {
		m.log.Warn("removing a participant from LiveKit failed", "room", l.room, "user", l.user, "error", err)
	}
}
