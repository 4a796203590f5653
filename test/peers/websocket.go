package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/beckon-im/beckon"
)

// socket is a WebSocket with concurrent writers.
type socket struct {
	mu sync.Mutex
	*websocket.Conn
}

func (s *socket) write(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.WriteMessage(websocket.TextMessage, []byte(text))
}

func (s *socket) read() (string, error) {
	_, b, err := s.ReadMessage()
	return string(b), err
}

func (s *socket) close() { _ = s.Conn.Close() }

// relayUser is a client of the relay: one line each for the addressee, the sender, the kind, the ID, and the payload.
type relayUser struct {
	*socket
	me string
}

func dialRelay(addr string) func(int, ear) (user, error) {
	return func(i int, e ear) (user, error) {
		c, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/?user="+strconv.Itoa(i), nil)
		if err != nil {
			return nil, err
		}
		u := &relayUser{&socket{Conn: c}, strconv.Itoa(i)}
		go func() {
			for {
				_, b, err := c.ReadMessage()
				if err != nil {
					return
				}
				p := strings.SplitN(string(b), "\n", 5)
				if from, _ := strconv.Atoi(p[1]); p[2] == "invite" {
					e.invited(i, from, p[3])
				} else {
					e.accepted(p[3])
				}
			}
		}()
		return u, nil
	}
}

func (u *relayUser) send(to int, what, id string) error {
	return u.write(strconv.Itoa(to) + "\n" + u.me + "\n" + what + "\n" + id + "\n" + strings.Repeat("x", payload))
}
func (u *relayUser) invite(to int, id string) error   { return u.send(to, "invite", id) }
func (u *relayUser) accept(from int, id string) error { return u.send(from, "accept", id) }

// serveRelay forwards each message to the user named in its first line, and does nothing else: the upper bound.
func serveRelay(addr string) error {
	var users sync.Map
	up := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		users.Store(r.URL.Query().Get("user"), &socket{Conn: c})
		for {
			_, b, err := c.ReadMessage()
			if err != nil {
				return
			}
			to, _, _ := strings.Cut(string(b), "\n")
			if there, ok := users.Load(to); ok {
				_ = there.(*socket).write(string(b))
			}
		}
	}))
}

// beckonUser speaks the documented client protocol, JSON over WebSocket, without the SDK.
type beckonUser struct {
	*socket
	n int
}

func name(i int) string { return fmt.Sprintf("user%d", i) }

func dialBeckon(addr, data string) func(int, ear) (user, error) {
	return func(i int, e ear) (user, error) {
		token, err := beckon.MintToken(data, "", name(i), "", 0)
		if err != nil {
			return nil, err
		}
		c, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/connection/websocket", nil)
		if err != nil {
			return nil, err
		}
		u := &beckonUser{socket: &socket{Conn: c}, n: 1}
		if err := u.write(fmt.Sprintf(`{"id":1,"connect":{"token":%q,"data":{"deviceID":"peers"}}}`, token)); err != nil {
			return nil, err
		}
		if _, b, err := c.ReadMessage(); err != nil || !strings.Contains(string(b), "serverTime") {
			return nil, fmt.Errorf("unexpected connect reply %s, %w", b, err)
		}
		go u.listen(i, e)
		return u, nil
	}
}

// event is the fields of a push that are needed.
type event struct {
	Push struct {
		Pub struct {
			Data struct {
				ActionType int
				InviteID   string
				Inviter    string
				Answers    []struct{ Invitee string }
			}
		}
	}
}

func (u *beckonUser) listen(me int, e ear) {
	for {
		_, b, err := u.ReadMessage()
		if err != nil {
			return
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			if line == "{}" {
				_ = u.write("{}") // a ping
				continue
			}
			if !strings.HasPrefix(line, `{"push"`) {
				continue
			}
			var v event
			if json.Unmarshal([]byte(line), &v) != nil {
				continue
			}
			d := &v.Push.Pub.Data
			switch {
			case d.ActionType == 1 && d.Inviter != name(me):
				from, _ := strconv.Atoi(strings.TrimPrefix(d.Inviter, "user"))
				e.invited(me, from, d.InviteID)
			case len(d.Answers) > 0 && d.Inviter == name(me):
				e.accepted(d.InviteID)
			}
		}
	}
}

func (u *beckonUser) call(verb, data string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n++
	return u.WriteMessage(websocket.TextMessage,
		[]byte(`{"id":`+strconv.Itoa(u.n)+`,"rpc":{"method":"`+verb+`","data":`+data+`}}`))
}

func (u *beckonUser) invite(to int, id string) error {
	return u.call("invite", `{"invitee":"`+name(to)+`","inviteID":"`+id+`","requestID":"r`+id+`","timeout":60,"data":"`+
		strings.Repeat("x", payload)+`"}`)
}

func (u *beckonUser) accept(_ int, id string) error {
	return u.call("accept", `{"inviteID":"`+id+`","requestID":"a`+id+`"}`)
}
