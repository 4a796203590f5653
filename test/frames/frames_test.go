// Package frames throws arbitrary frames at a running server: it answers or closes, and goes on serving.
package frames

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

func TestMain(m *testing.M) { beckontest.VerifyNoLeaks(m) }

// errorsLogged collects what the server logs as an error: a panic or a failure of ours.
type errorsLogged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (e *errorsLogged) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.buf.Write(b)
}

func (e *errorsLogged) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.buf.String()
}

func house(t testing.TB) (*beckontest.Cluster, *errorsLogged) {
	logged := &errorsLogged{}
	h := beckontest.StartWith(t, beckon.Config{UserRate: 1e6, UserBurst: 1e6, AddressRate: 1e6, AddressBurst: 1e6,
		Log: slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelError}))})
	return h, logged
}

func dial(t testing.TB, h *beckontest.Cluster) *websocket.Conn {
	t.Helper()
	c, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(h.URL, "http")+"/connection/websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return c
}

// send writes frames and reads until the server closes or has answered a last ping-like call.
func send(t testing.TB, h *beckontest.Cluster, token string, binary bool, frames ...[]byte) {
	t.Helper()
	c := dial(t, h)
	defer c.Close()
	kind := websocket.TextMessage
	if binary {
		kind = websocket.BinaryMessage
	}
	if token != "" {
		hello, _ := json.Marshal(map[string]any{"id": 1, "connect": map[string]any{"token": token}})
		_ = c.WriteMessage(websocket.TextMessage, hello)
	}
	for _, f := range frames {
		_ = c.WriteMessage(kind, f) // the server may have closed by now
	}
	last, _ := json.Marshal(map[string]any{"id": 4294967295,
		"rpc": map[string]any{"method": "listInvitations", "data": map[string]any{}}})
	_ = c.WriteMessage(websocket.TextMessage, last)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		_, b, err := c.ReadMessage()
		if err != nil || bytes.Contains(b, []byte("4294967295")) {
			return
		}
	}
}

func alive(t testing.TB, h *beckontest.Cluster, logged *errorsLogged) {
	t.Helper()
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(h.URL + "/readyz")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("the server is gone: %v %v", res, err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if s := logged.String(); s != "" {
		t.Fatalf("the server logged: %s", s)
	}
}

func FuzzFrames(f *testing.F) {
	h, logged := house(f)
	token := h.Token("alice")
	for _, verb := range []string{"invite", "accept", "nonsense"} {
		f.Add(true, false, []byte(fmt.Sprintf(`{"id":2,"rpc":{"method":%q,"data":{"invitee":"bob","inviteID":"i"}}}`, verb)))
	}
	f.Add(true, false, []byte(`{"id":2,"subscribe":{"channel":"user:bob","recover":true}}`))
	f.Add(true, false, []byte(`{"id":2,"publish":{"channel":"user:bob","data":{}}}`))
	f.Add(true, false, []byte(`{"id":2,"history":{"channel":"user:bob","limit":10}}`))
	f.Add(false, false, []byte(`{"id":1,"connect":{"token":"x","data":{"positions":{"user:alice":18446744073709551615}},"subs":{"user:alice":{"recover":true,"offset":18446744073709551615}}}}`))
	f.Add(false, true, []byte{5, 8, 1, 34, 1, 0})
	f.Fuzz(func(t *testing.T, connected, binary bool, frame []byte) {
		who := ""
		if connected {
			who = token
		}
		send(t, h, who, binary, frame)
		alive(t, h, logged)
	})
}

// TestDoorsThatStayShut: a device subscribes to, publishes to and reads nothing by itself, and a refused call keeps the
// connection.
func TestDoorsThatStayShut(t *testing.T) {
	h, logged := house(t)
	c := dial(t, h)
	defer c.Close()
	hello, _ := json.Marshal(map[string]any{"id": 1, "connect": map[string]any{"token": h.Token("mallory")}})
	for id, frame := range []string{
		string(hello),
		`{"id":2,"subscribe":{"channel":"user:alice","recover":true}}`,
		`{"id":3,"publish":{"channel":"user:mallory","data":{}}}`,
		`{"id":4,"history":{"channel":"user:alice","limit":10}}`,
		`{"id":5,"presence":{"channel":"user:alice"}}`,
		`{"id":6,"rpc":{"method":"explode","data":{}}}`,
		`{"id":7,"rpc":{"method":"invite","data":"not an object"}}`,
		`{"id":8,"rpc":{"method":"createToken","data":{"userID":"alice"}}}`,
		`{"id":9,"rpc":{"method":"listInvitations","data":{}}}`,
	} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
			t.Fatal(err)
		}
		reply := answer(t, c, id+1)
		refused := bytes.Contains(reply, []byte(`"error"`)) || bytes.Contains(reply, []byte(`"code":6017`))
		if wantOK := id == 0 || id == 8; refused == wantOK {
			t.Errorf("%s is answered %s", frame, reply)
		}
	}
	alive(t, h, logged)
}

// answer reads until the reply to a command, over pushes.
func answer(t *testing.T, c *websocket.Conn, id int) []byte {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(beckontest.Patience))
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("the connection was closed instead of command %d being answered: %v", id, err)
		}
		for _, line := range bytes.Split(b, []byte("\n")) {
			if bytes.HasPrefix(line, []byte(fmt.Sprintf(`{"id":%d,`, id))) {
				return line
			}
		}
	}
}

// TestFallBacks: where no WebSocket gets through, HTTP streaming and SSE connect all the same.
func TestFallBacks(t *testing.T) {
	h, logged := house(t)
	hello := fmt.Sprintf(`{"id":1,"connect":{"token":%q,"data":{"deviceID":"d"}}}`, h.Token("alice"))
	for path, prefix := range map[string]string{"/connection/http_stream": `{"id":1,`, "/connection/sse": "data: {"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+path, strings.NewReader(hello))
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() && !strings.Contains(lines.Text(), "serverTime") {
		}
		if l := lines.Text(); !strings.HasPrefix(l, prefix) || !strings.Contains(l, `"userID":"alice"`) {
			t.Errorf("%s answers %q, %v", path, l, lines.Err())
		}
		_ = res.Body.Close()
	}
	alive(t, h, logged)
}

// TestDeadLinkIsNoticed: a device whose link is open and silent, as when a phone has lost its network, is found out by
// its missing answers to pings, and those who watch hear that it is offline. With the usual ping of 7 s that is within
// 15 s.
func TestDeadLinkIsNoticed(t *testing.T) {
	h := beckontest.StartWith(t, beckon.Config{Ping: time.Second})
	heard := make(chan string, 4)
	watcher := h.Device("ann", "a", client.Listener{
		OnUserStatusChanged: func(s protocol.UserStatus) { heard <- s.Status }})
	if _, err := watcher.SubscribeUserStatus(t.Context(), []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	dead := dial(t, h)
	defer dead.Close()
	hello, err := json.Marshal(map[string]any{"id": 1, "connect": map[string]any{"token": h.Token("carol")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.WriteMessage(websocket.TextMessage, hello); err != nil {
		t.Fatal(err)
	}
	limit := time.NewTimer(beckontest.Patience)
	defer limit.Stop()
	for online := false; ; {
		select {
		case s := <-heard: // at first that she is offline still
			if online = online || s == protocol.StatusOnline; online && s == protocol.StatusOffline {
				return
			}
		case <-limit.C:
			t.Fatal("nobody noticed that the link is dead")
		}
	}
}
