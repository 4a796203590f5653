package scenario

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestPushPerDevice: while a user's desktop is connected, an invitation is pushed to the closed phone, and the answer
// on the desktop takes it away; a phone that disconnects while it rings is pushed too, each on another node.
func TestPushPerDevice(t *testing.T) {
	pushed := make(chan time.Time, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		pushed <- time.Now()
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(service.Close)
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{Push: beckon.PushConfig{Private: true}})}
	first, last := s.Nodes[0].URL, s.Nodes[len(s.Nodes)-1].URL
	connect := func(url, user, device string, l client.Listener) *client.Client {
		t.Helper()
		return s.DeviceWith(client.Options{Server: url, Token: s.Token(user), DeviceID: device, Listener: l})
	}
	wait := func(what string) time.Time {
		t.Helper()
		select {
		case at := <-pushed:
			return at
		case <-time.After(beckontest.Patience):
			t.Fatal("no push came: " + what)
			return time.Time{}
		}
	}
	rang := make(chan string, 10)
	desktop := connect(last, "bob", "desktop",
		client.Listener{OnReceiveNewInvitation: func(e client.InvitationEvent) { rang <- e.InviteID }})
	phone := connect(first, "bob", "phone", client.Listener{})
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	if _, err := phone.SetPushToken(t.Context(), protocol.SetPushTokenRequest{Provider: protocol.PushWeb,
		Subscription: &protocol.WebPushSubscription{Endpoint: service.URL + "/phone",
			Keys: protocol.WebPushKeys{P256dh: enc(key.PublicKey().Bytes()), Auth: enc(make([]byte, 16))}}}); err != nil {
		t.Fatal(err)
	}
	alice := connect(first, "alice", "a", client.Listener{})
	invite := func(id string) protocol.Reach {
		t.Helper()
		res, err := alice.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob",
			InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 600}})
		if err != nil {
			t.Fatal(err)
		}
		if got := <-rang; got != id {
			t.Errorf("%s rings on the desktop", got)
		}
		return res.Reach[0]
	}
	if r := invite("both"); r.Status != protocol.ReachConnected || r.Push || r.Devices != 2 {
		t.Errorf("with both devices connected: %+v", r)
	}
	phone.Close() // while it rings
	wait("the phone disconnected")
	if _, err := desktop.Accept(t.Context(), "both", ""); err != nil {
		t.Fatal(err)
	}
	wait("it was answered on the desktop")
	eventually(t, "the phone is seen to be closed", func() bool {
		list, err := desktop.GetDeviceList(t.Context())
		return err == nil && len(list.Devices) == 1
	})
	begin := time.Now()
	if r := invite("closed"); r.Status != protocol.ReachConnected || !r.Push || r.Devices != 1 {
		t.Errorf("with a closed phone: %+v", r)
	}
	ringing := wait("the phone is closed").Sub(begin)
	begin = time.Now()
	if _, err := desktop.Reject(t.Context(), "closed", "", ""); err != nil {
		t.Fatal(err)
	}
	t.Logf("the phone rings after %v, and its notification is taken away %v after the answer", ringing,
		wait("it was declined on the desktop").Sub(begin))
}
