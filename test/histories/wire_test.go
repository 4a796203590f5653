package histories

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// This file is the client: PROTOCOL.md over a WebSocket, with nothing of Beckon's own and no library of the transport.

// command is what a client sends.
type command struct {
	ID      int64           `json:"id,omitempty"`
	Connect *connectCommand `json:"connect,omitempty"`
	RPC     *rpcCommand     `json:"rpc,omitempty"`
}

type connectCommand struct {
	Token string                 `json:"token"`
	Data  hello                  `json:"data"`
	Subs  map[string]recoverFrom `json:"subs,omitempty"`
}

type hello struct {
	DeviceID  string            `json:"deviceID"`
	Platform  string            `json:"platform"`
	Epoch     string            `json:"epoch,omitempty"`
	Positions map[string]uint64 `json:"positions,omitempty"`
	Held      []string          `json:"held,omitempty"`
}

type recoverFrom struct {
	Recover bool   `json:"recover"`
	Epoch   string `json:"epoch"`
	Offset  uint64 `json:"offset"`
}

type rpcCommand struct {
	Method string          `json:"method"`
	Data   json.RawMessage `json:"data"`
}

// reply is what a server sends: the answer to a command, or a push.
type reply struct {
	ID      int64         `json:"id"`
	Error   *replyError   `json:"error"`
	Connect *connectReply `json:"connect"`
	RPC     *struct {
		Data json.RawMessage `json:"data"`
	} `json:"rpc"`
	Push *struct {
		Channel     string          `json:"channel"`
		Pub         *publication    `json:"pub"`
		Subscribe   *subscription   `json:"subscribe"`
		Unsubscribe json.RawMessage `json:"unsubscribe"`
		Message     *struct {
			Data struct {
				Type      string   `json:"type"`
				Timelines []string `json:"timelines"`
			} `json:"data"`
		} `json:"message"`
	} `json:"push"`
}

type replyError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

type connectReply struct {
	Data welcome                 `json:"data"`
	Subs map[string]subscription `json:"subs"`
}

type subscription struct {
	Epoch         string        `json:"epoch"`
	Offset        uint64        `json:"offset"`
	WasRecovering bool          `json:"was_recovering"`
	Recovered     bool          `json:"recovered"`
	Publications  []publication `json:"publications"`
}

type publication struct {
	Offset uint64          `json:"offset"`
	Data   json.RawMessage `json:"data"`
}

type welcome struct {
	ServerTime  int64             `json:"serverTime"`
	Epoch       string            `json:"epoch"`
	Positions   map[string]uint64 `json:"positions"`
	Invitations []view            `json:"invitations"`
	Ended       []view            `json:"ended"`
	More        bool              `json:"more"`
	Reload      []string          `json:"reload"`
}

// view is an invitation as it stands.
type view struct {
	InviteID   string    `json:"inviteID"`
	Inviter    string    `json:"inviter"`
	GroupID    string    `json:"groupID"`
	CreatedAt  int64     `json:"createdAt"`
	Deadline   int64     `json:"deadline"`
	Version    int64     `json:"version"`
	Over       bool      `json:"over"`
	OnlineOnly bool      `json:"onlineUserOnly"`
	Invitees   []invitee `json:"invitees"`
}

type invitee struct {
	UserID    string `json:"userID"`
	State     string `json:"state"`
	DecidedAt int64  `json:"decidedAt"`
	Deadline  int64  `json:"deadline"` // when it differs from the invitation's
}

// signaling is an event of an invitation.
type signaling struct {
	Type        string   `json:"type"`
	ActionType  int      `json:"actionType"`
	InviteID    string   `json:"inviteID"`
	Inviter     string   `json:"inviter"`
	InviteeList []string `json:"inviteeList"`
	Everyone    bool     `json:"everyone"`
	OnlineOnly  bool     `json:"onlineUserOnly"`
	Notice      bool     `json:"notice"`
	Answers     []struct {
		Invitee    string `json:"invitee"`
		ActionType int    `json:"actionType"`
	} `json:"answers"`
	Version int64 `json:"version"`
	Over    bool  `json:"over"`
}

// answer is the part that the harness reads of the answer to a call; an error object has a code.
type answer struct {
	Code        int      `json:"code"`
	Message     string   `json:"message"`
	InviteID    string   `json:"inviteID"`
	Version     int64    `json:"version"`
	InviteeList []string `json:"inviteeList"`
	Repeat      bool     `json:"repeat"`
	Merged      bool     `json:"merged"`
	RetryAfter  int64    `json:"retryAfter"`
	Invitation  *view    `json:"invitation"`
	Invitations []view   `json:"invitations"`
}

var errLost = errors.New("the connection was lost")

// severable is a TCP connection that can be cut in the middle of a frame.
type severable struct {
	net.Conn
	left atomic.Int64 // bytes that still go through in each direction; negative: all
}

// sever lets a few more bytes through and then ends the connection.
func (s *severable) sever(bytes int64) {
	s.left.Store(bytes)
	time.AfterFunc(20*time.Millisecond, func() { _ = s.Close() })
}

func (s *severable) take(n int) (int, error) {
	left := s.left.Load()
	switch {
	case left < 0:
		return n, nil
	case left == 0:
		return 0, io.ErrUnexpectedEOF
	}
	n = min(n, int(left))
	s.left.Add(-int64(n))
	return n, nil
}

func (s *severable) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if err != nil {
		return n, err
	}
	m, err := s.take(n)
	if err != nil {
		_ = s.Close()
	}
	return m, err
}

func (s *severable) Write(b []byte) (int, error) {
	n, err := s.take(len(b))
	if err != nil {
		_ = s.Close()
		return 0, err
	}
	if n, err = s.Conn.Write(b[:n]); err == nil && n < len(b) {
		_ = s.Close()
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// link is one connection of a device.
type link struct {
	ws  *websocket.Conn
	tcp *severable

	mu      sync.Mutex // guards writes and what follows
	next    int64
	waiting map[int64]chan json.RawMessage
	dead    bool
}

func dial(addr string) (*link, error) {
	l := &link{waiting: map[int64]chan json.RawMessage{}, next: 1}
	d := websocket.Dialer{HandshakeTimeout: 5 * time.Second, NetDial: func(network, to string) (net.Conn, error) {
		c, err := net.DialTimeout(network, to, 5*time.Second)
		if err != nil {
			return nil, err
		}
		l.tcp = &severable{Conn: c}
		l.tcp.left.Store(-1)
		return l.tcp, nil
	}}
	var err error
	l.ws, _, err = d.Dial("ws://"+addr+"/connection/websocket", nil)
	return l, err
}

func (l *link) send(c command) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ws.WriteMessage(websocket.TextMessage, b)
}

// read returns the replies of one frame, and answers pings.
func (l *link) read() ([]json.RawMessage, error) {
	if err := l.ws.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	_, frame, err := l.ws.ReadMessage()
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	for line := range bytes.SplitSeq(frame, []byte("\n")) {
		switch line = bytes.TrimSpace(line); {
		case len(line) == 0:
		case string(line) == "{}":
			l.mu.Lock()
			err := l.ws.WriteMessage(websocket.TextMessage, line)
			l.mu.Unlock()
			if err != nil {
				return list, err
			}
		default:
			list = append(list, line)
		}
	}
	return list, nil
}

// expect returns where the answer to the next command comes.
func (l *link) expect() (int64, chan json.RawMessage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := make(chan json.RawMessage, 1)
	l.next++
	if l.dead {
		close(c)
	} else {
		l.waiting[l.next] = c
	}
	return l.next, c
}

func (l *link) answered(id int64, data json.RawMessage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.waiting[id]; c != nil {
		delete(l.waiting, id)
		c <- data
	}
}

// die fails the calls that wait for an answer.
func (l *link) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	for _, c := range l.waiting {
		close(c)
	}
	l.waiting = map[int64]chan json.RawMessage{}
	_ = l.ws.Close()
}
