package scenario

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestForgersAreKeptAway: an address that comes with too many forged tokens or keys is not listened to at either door,
// while those of other addresses, and the devices that the same address has connected already, go on.
func TestForgersAreKeptAway(t *testing.T) {
	house := newHouse(t, beckon.Config{AddressRate: 1, AddressBurst: 5000}) // so that it is forgiven slowly
	node := house.Nodes[0].URL
	from := func(address string) func(context.Context, string, string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext
	}
	post := func(address, key string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, node+"/v1/listInvitations",
			strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := (&http.Client{Transport: &http.Transport{DialContext: from(address), DisableKeepAlives: true}}).Do(req)
		if err != nil {
			return 0 // reset
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	connect := func(address, token string) error {
		d := websocket.Dialer{NetDialContext: from(address)}
		c, _, err := d.DialContext(t.Context(), "ws"+strings.TrimPrefix(node, "http")+"/connection/websocket", nil)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if err := c.WriteMessage(websocket.TextMessage, []byte(`{"id":1,"connect":{"token":"`+token+`"}}`)); err != nil {
			return err
		}
		_, _, err = c.ReadMessage()
		return err
	}
	ann := house.Device("ann", "a", client.Listener{})
	good := house.Token("bob")
	forged := good[:len(good)-4] + "AAAA"
	const often = 60 // of each; a hundred are let through
	refused := 0
	for range often {
		if err := connect("127.0.0.2", forged); !websocket.IsCloseError(err, protocol.CloseRefused) {
			refused++
		}
		if code := post("127.0.0.2", forged); code != http.StatusUnauthorized {
			refused++
		}
	}
	if refused == 0 || refused > often {
		t.Errorf("%d of %d forged tokens were not even looked at", refused, 2*often)
	}
	if code := post("127.0.0.3", good); code != http.StatusOK {
		t.Errorf("another address is answered %d", code)
	}
	if err := connect("127.0.0.3", good); err != nil {
		t.Errorf("another address cannot connect: %v", err)
	}
	if _, err := ann.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob"}); err != nil {
		t.Errorf("a device that was there before: %v", err)
	}
	for range 3 * often {
		if code := post("127.0.0.4", house.Token("cat")); code != http.StatusOK {
			t.Fatalf("an address with good tokens is answered %d", code)
		}
	}
}

// TestNobodyIsShutOut: what pages of others can make a browser do, what clients do that know no better, and what
// breaks, is not held against an address.
func TestNobodyIsShutOut(t *testing.T) {
	house := newHouse(t, beckon.Config{AddressRate: 1, AddressBurst: 5000})
	node := house.Nodes[0].URL
	old, err := house.Server.Token("bob", "", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, site string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, node+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if site != "" {
			req.Header.Set("Sec-Fetch-Site", site)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	forged := url.QueryEscape(`{"id":1,"connect":{"token":"a.b.c"}}`)
	for range 150 {
		if a, b, c := get("/connection/websocket", ""), get("/connection/websocket",
			"cross-site"), get("/connection/sse?cf_connect="+forged, "cross-site"); a != http.StatusUpgradeRequired ||
			b != http.StatusUpgradeRequired || c != http.StatusForbidden {
			t.Fatalf("they are answered with %d, %d, %d", a, b, c)
		}
	}
	eventually(t, "the token runs out", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, node+"/v1/listInvitations",
			strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+old)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusUnauthorized
	})
	for range 150 { // connects with what has run out, and sends the next command at once
		c, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(node, "http")+
			"/connection/websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.WriteMessage(websocket.TextMessage,
			[]byte(`{"id":1,"connect":{"token":"`+old+`"}}`+"\n"+
				`{"id":2,"rpc":{"method":"listInvitations","data":{}}}`)); err != nil {
			t.Fatal(err)
		}
		if _, b, err := c.ReadMessage(); err != nil || !strings.Contains(string(b), `"code":109`) {
			t.Fatalf("it is answered with %s, %v", b, err)
		}
		_ = c.Close()
	}
	house.Device("ann", "a", client.Listener{})
}

// TestUnsentBody: who announces a body and does not send it is not waited for.
func TestUnsentBody(t *testing.T) {
	t.Parallel()
	house := newHouse(t, beckon.Config{})
	var all errgroup.Group
	for _, begin := range []string{"GET /healthz", "POST /v1/invite", "POST /connection/http_stream", "POST /emulation",
		"POST /v1/files"} {
		all.Go(func() error {
			c, err := net.Dial("tcp", strings.TrimPrefix(house.Nodes[0].URL, "http://"))
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			if _, err := fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", begin); err != nil {
				return err
			}
			if err := c.SetReadDeadline(time.Now().Add(2 * beckontest.Patience)); err != nil {
				return err
			}
			if b, err := io.ReadAll(c); err != nil {
				return fmt.Errorf("%s is held: %w after %q", begin, err, b)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
}
