package beckon_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestForgersAreKeptAway: an address that comes with too many forged tokens or keys is not listened to at either door, while those
// of other addresses, and the devices that the same address has connected already, go on.
func TestForgersAreKeptAway(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	node := house.Nodes[0].URL
	from := func(address string) func(context.Context, string, string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext
	}
	post := func(address, key string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, node+"/v1/listInvitations", strings.NewReader(`{}`))
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
	const often = 60 // of each; a hundred are let through at once, and then ten a second
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
