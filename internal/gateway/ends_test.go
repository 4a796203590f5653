package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/txn"
)

// in connects a device.
func (h *fixture) in(user string) *device {
	h.t.Helper()
	d := h.dial()
	d.send(fmt.Sprintf(`{"id":1,"connect":{"token":%q}}`, user))
	if r := d.next(); r.Connect == nil {
		h.t.Fatalf("%+v", r)
	}
	return d
}

// TestDeadLinkIsCut: a link without pongs is closed, one with pongs stays open.
func TestDeadLinkIsCut(t *testing.T) {
	h := open(t, Options{Ping: 300 * time.Millisecond})
	dead, alive := h.in("dead"), h.in("alive")
	heard := make(chan error)
	go func() { // answers pings meanwhile
		for {
			r, err := alive.read(true)
			if err != nil || r.Push != nil && r.Push.Pub != nil {
				heard <- err
				return
			}
		}
	}()
	dead.ends(3012, false)
	h.empty("dead")
	h.send("user:alive", "")
	if err := <-heard; err != nil {
		t.Errorf("a device that answers pings was closed: %v", err)
	}
}

// empty waits until a user has no session on this node.
func (h *fixture) empty(user string) {
	h.t.Helper()
	for limit := time.Now().Add(10 * time.Second); h.g.Devices(user)[0] > 0 || len(h.g.sessions.of(user)) > 0; {
		if time.Now().After(limit) {
			h.t.Fatalf("%s still has a session", user)
		}
		<-time.After(time.Millisecond)
	}
	if h.ways.Reads("user:" + user) {
		h.t.Errorf("the timeline of %s is still read", user)
	}
}

// TestTokenRunsOut: a session with a long expired token is closed, unless the token was renewed.
func TestTokenRunsOut(t *testing.T) {
	h := open(t, Options{Ping: 300 * time.Millisecond})
	d := h.in("ann")
	for _, c := range h.g.sessions.of("ann") {
		c.expireAt.Store(time.Now().Add(-refreshTime - time.Second).Unix())
	}
	d.ends(3005, true)
	h.handler.expires = time.Now().Add(-time.Minute).Unix()
	d = h.dial()
	d.send(`{"id":1,"connect":{"token":"ann"}}`)
	if r := d.next(); r.Error == nil || r.Error.Code != 110 {
		t.Errorf("an expired token was answered with %+v", r)
	}
}

// TestSlowReaderIsDropped: the link of a device that does not read is closed, and nothing waits for it.
func TestSlowReaderIsDropped(t *testing.T) {
	h := open(t, Options{MaxQueue: 1 << 20})
	slow, quick := h.in("slow"), h.in("quick")
	for range 2 {
		h.send("user:slow", listen.To("group:g", 0))
		h.send("user:quick", listen.To("group:g", 0))
	}
	for r := quick.next(); r.Push == nil || r.Push.Channel != "group:g"; r = quick.next() {
	}
	seen, long := uint64(0), strings.Repeat("x", 256<<10)
	for n := uint64(1); len(h.g.sessions.of("slow")) > 0; n++ {
		if n > 200 {
			t.Fatal("50 MiB wait for a slow reader")
		}
		r := h.log.append("group:g", "")
		r.Body = fmt.Appendf(nil, `{"long":%q}`, long)
		h.ways.Announce([]txn.Record{r})
		for seen < n {
			if r := quick.next(); r.Push != nil && r.Push.Pub != nil && r.Push.Channel == "group:g" {
				seen = r.Push.Pub.Offset
			}
		}
	}
	_ = slow.conn.Close()
	h.empty("slow")
}

// TestBadFrames: invalid frames close the link, and unsupported commands are rejected.
func TestBadFrames(t *testing.T) {
	h := open(t, Options{})
	for _, bad := range []string{`{`, `[]`, ``, "\n", `{"id":1,"rpc":{"method":"x"}}`, `{"connect":{"token":"ann"}` +
		"\n" + `}`} {
		d := h.dial()
		d.send(bad)
		d.ends(3501, false)
	}
	d := h.in("ann")
	d.send(`{"id":2,"subscribe":{"channel":"user:bob"}}` + "\n" + `{"id":3,"rpc":{"method":"x","data":{"a":1}}}`)
	if r := d.reply(); r.ID != 2 || r.Error == nil || r.Error.Code != 108 {
		t.Errorf("a subscribe was answered with %+v", r)
	}
	if r := d.reply(); r.ID != 3 || string(r.RPC.Data) != `{"a":1}` {
		t.Errorf("a call was answered with %+v", r)
	}
	d.send(`{"id":4,"connect":{"token":"bob"}}`)
	d.ends(3501, false)
	h.empty("ann")
}

// TestLeavingIsComplete: a kicked device gets the reason and is removed from all sessions and topics.
func TestLeavingIsComplete(t *testing.T) {
	h := open(t, Options{})
	d := h.in("ann")
	h.send("user:ann", listen.To("group:g", 0))
	for r := d.next(); r.Push == nil || r.Push.Channel != "group:g"; r = d.next() {
	}
	if list := h.g.Kick("ann", "", "none"); len(list) != 1 {
		t.Errorf("kicked %v", list)
	}
	d.send(`{"id":9,"rpc":{"method":"x","data":{}}}`) // crosses the close message
	d.ends(4502, false)
	h.empty("ann")
	if h.ways.Reads("group:g") {
		t.Error("the group is still read")
	}
}

// TestStreams: without WebSocket, events arrive over a response and commands in requests.
func TestStreams(t *testing.T) {
	h := open(t, Options{})
	for _, path := range []string{PathHTTPStream, PathSSE} {
		res, err := http.Post(h.url+path, "application/json", strings.NewReader(`{"id":1,"connect":{"token":"ann"}}`))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(res.Body)
		until := func(part string) string {
			t.Helper()
			for lines.Scan() {
				if strings.Contains(lines.Text(), part) {
					return lines.Text()
				}
			}
			t.Fatalf("%s ended before %s", path, part)
			return ""
		}
		_, session, _ := strings.Cut(until(`"session":"`), `"session":"`)
		session, _, _ = strings.Cut(session, `"`)
		post := func(session string, want int) {
			t.Helper()
			r, err := http.Post(h.url+PathEmulation, "application/json",
				strings.NewReader(fmt.Sprintf(`{"session":%q,"node":%q,`+
					`"data":"{\"id\":2,\"rpc\":{\"method\":\"x\",\"data\":{\"over\":1}}}"}`, session, h.g.id)))
			if err != nil {
				t.Fatal(err)
			}
			if _ = r.Body.Close(); r.StatusCode != want {
				t.Errorf("%s: a command was answered with %d, not %d", path, r.StatusCode, want)
			}
		}
		post(session, http.StatusNoContent)
		until(`"over":1`)
		h.g.Kick("ann", "", "none")
		until(`"disconnect":{"code":4502`)
		_ = res.Body.Close()
		h.empty("ann")
		post(session, http.StatusNotFound)
	}
}

// TestOneCloseFrame: after the close frame nothing follows, whatever the device sends. Browsers treat further frames as
// an error and drop the close code.
func TestOneCloseFrame(t *testing.T) {
	h := open(t, Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	frame := func(op byte, body string) {
		t.Helper()
		masked := append([]byte{0x80 | op, 0x80 | byte(len(body)), 0, 0, 0, 0}, body...)
		if _, err := conn.Write(masked); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "+
		"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", PathWebSocket)
	in := bufio.NewReader(conn)
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	frame(1, `{"id":1,"connect":{}}`)
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil || head[0] != 0x88 || int(head[2])<<8|int(head[3]) != 4500 {
		t.Fatalf("the close frame begins with %x, %v", head, err)
	}
	if _, err := in.Discard(int(head[1]) - 2); err != nil {
		t.Fatal(err)
	}
	frame(1, `{}`)
	frame(8, "\x11\x94")
	if b, err := io.ReadAll(in); err != nil || len(b) > 0 {
		t.Errorf("received %x, %v after the close frame", b, err)
	}
}
