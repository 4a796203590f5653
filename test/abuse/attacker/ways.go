//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// way is one attack. once runs it once from an address.
type way struct {
	once    func(ctx context.Context, from string) error
	workers int // concurrent; default: 2
}

func (a *attack) ways() map[string]way {
	return map[string]way{
		"connects with a bad token":     {once: a.flood},
		"links that never connect":      {once: a.silent},
		"devices that answer no ping":   {once: a.dead},
		"devices that read nothing":     {once: a.slow},
		"frames that cannot be":         {once: a.senseless},
		"malformed commands":            {once: a.malformed},
		"requests with forged tokens":   {once: a.forged},
		"the same request again":        {once: a.replayed},
		"bodies that are too long":      {once: a.oversized},
		"streams that say nothing more": {once: a.stream},

		nameLarge:                 {once: a.accounts.large, workers: 8},
		nameLarge + ", and calls": {once: a.accounts.crowd, workers: 200},
		namePictures:              {once: a.accounts.picture, workers: 16},
		namePushes:                {once: a.accounts.push},
		nameStrangers:             {once: a.accounts.leave},
		nameStrangers + ", and connects of that user": {once: a.enter},
	}
}

func dialer(from string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
}

// link opens a WebSocket from an address.
func (a *attack) link(ctx context.Context, from string) (*websocket.Conn, error) {
	d := websocket.Dialer{NetDialContext: dialer(from).DialContext, HandshakeTimeout: 5 * time.Second}
	c, _, err := d.DialContext(ctx, "ws://"+a.Addr+"/connection/websocket", nil)
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	}
	return c, err
}

func (a *attack) flood(ctx context.Context, from string) error {
	c, err := a.link(ctx, from)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.WriteMessage(websocket.TextMessage,
		[]byte(`{"id":1,"connect":{"token":"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."}}`))
	_, _, err = c.ReadMessage()
	if websocket.IsCloseError(err, 4500) {
		return nil
	}
	return err
}

func (a *attack) silent(ctx context.Context, from string) error {
	var d net.Dialer = *dialer(from)
	c, err := d.DialContext(ctx, "tcp", a.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgr")
	hold(ctx, time.Second)
	return nil
}

// hold waits for d or the end of ctx.
func hold(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// in connects a device of a user.
func (a *attack) in(ctx context.Context, from, user string) (*websocket.Conn, error) {
	c, err := a.link(ctx, from)
	if err != nil {
		return nil, err
	}
	_ = c.WriteMessage(websocket.TextMessage, []byte(fmt.Sprintf(`{"id":1,"connect":{"token":%q}}`, a.Tokens[user])))
	return c, nil
}

func (a *attack) dead(ctx context.Context, from string) error {
	c, err := a.in(ctx, from, "dead")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	hold(ctx, 2*time.Second)
	return nil
}

// slow requests large responses and reads nothing.
func (a *attack) slow(ctx context.Context, from string) error {
	c, err := a.in(ctx, from, "slow")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	long := strings.Repeat("x", 10_000)
	for n := range 100 {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		if err := c.WriteMessage(websocket.TextMessage,
			[]byte(fmt.Sprintf(`{"id":%d,"rpc":{"method":"invite","data":{"invitee":"nobody","timeout":1,`+
				`"onlineUserOnly":true,"data":%q}}}`, n+2, long))); err != nil {
			return nil // disconnected by the server, as expected
		}
	}
	hold(ctx, time.Second)
	return nil
}

func (a *attack) senseless(ctx context.Context, from string) error {
	c, err := a.in(ctx, from, "odd")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	frames := [][]byte{
		[]byte("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"),
		[]byte("\x81\xff\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x00"),
		[]byte("\x81\x05hello"), []byte("\x01\x80\x00\x00\x00\x00\x81\x80\x00\x00\x00\x00"),
		[]byte("\xf1\x80\x00\x00\x00\x00"), []byte("\x89\xfe\x01\x00\x00\x00\x00\x00"),
	}
	_, err = c.NetConn().Write(frames[rand.IntN(len(frames))])
	return err
}

func (a *attack) malformed(ctx context.Context, from string) error {
	c, err := a.in(ctx, from, "odd")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	b := make([]byte, rand.IntN(2000))
	for i := range b {
		b[i] = byte(rand.IntN(256))
	}
	texts := [][]byte{b, []byte(strings.Repeat("[", 100_000)),
		[]byte(`{"id":2,"rpc":{"method":"` + strings.Repeat("é", 5000) + `"}}`), []byte(`{"id":2,"connect":{}}`),
		[]byte(`{"id":-1}`)}
	return c.WriteMessage(websocket.TextMessage, texts[rand.IntN(len(texts))])
}

// post sends a request from an address.
func (a *attack) post(ctx context.Context, from, path, key string, body io.Reader) (int, error) {
	web := &http.Client{Transport: &http.Transport{DialContext: dialer(from).DialContext, DisableKeepAlives: true},
		Timeout: 10 * time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.Addr+path, body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := web.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Body.Close()
}

// errLetIn reports a request that should have been refused.
var errLetIn = errors.New("the request was accepted")

func (a *attack) forged(ctx context.Context, from string) error {
	status, err := a.post(ctx, from, "/v1/listInvitations", "bk_"+fmt.Sprint(rand.Uint64(), rand.Uint64()),
		strings.NewReader(`{}`))
	if status == http.StatusOK {
		return errLetIn
	}
	return err
}

func (a *attack) replayed(ctx context.Context, from string) error {
	status, err := a.post(ctx, from, "/v1/invite", a.Tokens["replayer"],
		strings.NewReader(`{"invitee":"somebody","inviteID":"again","requestID":"again","timeout":0}`))
	if err == nil && status != http.StatusOK && status != http.StatusTooManyRequests {
		return fmt.Errorf("a repeat was answered with %d", status)
	}
	return err
}

func (a *attack) oversized(ctx context.Context, from string) error {
	status, err := a.post(ctx, from, "/v1/sendMessage", a.Tokens["odd"], io.LimitReader(zeros{}, 3<<20))
	if err == nil && status == http.StatusOK {
		return errLetIn
	}
	return err // the server may close the connection during the upload
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func (a *attack) stream(ctx context.Context, from string) error {
	some, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	body, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, `{"id":1,"conn`)
		<-some.Done()
		_ = w.Close()
	}()
	_, _ = a.post(some, from, "/connection/http_stream", "", body)
	return nil
}
