package scenario

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
)

// TestRevokedTokens: a user's devices go at once, wherever they are, their tokens are of no use at any door, and a
// later one is.
func TestRevokedTokens(t *testing.T) {
	s := &scene{Cluster: newHouse(t, beckon.Config{}), t: t}
	old := s.Token("ann")
	gone := make(chan string, 8)
	for _, n := range s.Nodes {
		c, err := client.New(client.Options{Server: n.URL, Token: old, DeviceID: strings.ReplaceAll(n.URL[7:], ":", "-"),
			Listener: client.Listener{OnKickedOffline: func(reason string) { gone <- reason }}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	bob := s.Device("bob", "d", client.Listener{OnKickedOffline: func(string) { t.Error("bob was sent away") }})
	s.act("", "revokeTokens", map[string]string{"userID": "ann"}, nil)
	for range s.Nodes {
		select {
		case reason := <-gone:
			if !strings.Contains(reason, "revoked") {
				t.Errorf("a device was sent away with %q", reason)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a device is still there")
		}
	}
	if e := s.try("ann", "Bearer "+old, "listInvitations", map[string]any{}, nil); e == nil || e.Code != 70009 {
		t.Errorf("the old token at the HTTP door: %+v", e)
	}
	come := func(token string) error {
		c, err := client.New(client.Options{Server: s.URL, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		return c.Connect(ctx)
	}
	if err := come(old); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("the old token came in: %v", err)
	}
	second := time.Now().Unix()
	for time.Now().Unix() <= second {
		<-time.After(10 * time.Millisecond)
	}
	if err := come(s.Token("ann")); err != nil {
		t.Errorf("a new token: %v", err)
	}
	if _, err := bob.GetDeviceList(t.Context()); err != nil {
		t.Error(err)
	}
}
