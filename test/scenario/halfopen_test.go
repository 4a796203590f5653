package scenario

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/test/cluster"
)

// halfOpen is a cluster with a push service, and devices of which some are behind a network that can go silent.
type halfOpen struct {
	*scene
	pushed chan string // the paths of pushes
	web    *httptest.Server
}

func newHalfOpen(t *testing.T) *halfOpen {
	t.Helper()
	h := &halfOpen{pushed: make(chan string, 100)}
	h.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.pushed <- strings.TrimPrefix(r.URL.Path, "/")
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(h.web.Close)
	h.scene = &scene{t: t, Cluster: newHouse(t, beckon.Config{Push: beckon.PushConfig{Private: true}})}
	return h
}

// last returns the address of the last node.
func (h *halfOpen) last() string { return h.Nodes[len(h.Nodes)-1].URL }

// silent returns a network to the last node that can be frozen.
func (h *halfOpen) silent() (link *cluster.Link, url string) {
	h.t.Helper()
	link, err := cluster.NewLink(strings.TrimPrefix(h.last(), "http://"), false)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(link.Close)
	return link, "http://" + link.Addr()
}

// device connects a device; with a token, pushes to it have the path of its user and device.
func (h *halfOpen) device(url, user, device string, token bool, l client.Listener) *client.Client {
	h.t.Helper()
	c := h.DeviceWith(client.Options{Server: url, Token: h.Token(user), DeviceID: device, Listener: l})
	if !token {
		return c
	}
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	if _, err := c.SetPushToken(h.t.Context(), protocol.SetPushTokenRequest{Provider: protocol.PushWeb,
		Subscription: &protocol.WebPushSubscription{Endpoint: h.web.URL + "/" + user + "-" + device,
			Keys: protocol.WebPushKeys{P256dh: enc(key.PublicKey().Bytes()), Auth: enc(make([]byte, 16))}}}); err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *halfOpen) invite(by *client.Client, user, id string) {
	h.t.Helper()
	res, err := by.Invite(h.t.Context(), protocol.InviteRequest{Invitee: user,
		InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 600}})
	if err != nil {
		h.t.Fatal(err)
	}
	if r := res.Reach[0]; r.Status != protocol.ReachConnected { // push is set until each node knows the tokens
		h.t.Errorf("%s is reached as %+v", user, r)
	}
}

// push returns the path of the next push.
func (h *halfOpen) push() string {
	h.t.Helper()
	select {
	case path := <-h.pushed:
		return path
	case <-time.After(beckontest.Patience):
		h.t.Fatal("no push came")
		return ""
	}
}

// TestHalfOpenLink: an invitation is pushed to a device in a network that has gone silent, although it still counts as
// connected, and not to devices that acknowledge it or live without an acknowledgement.
func TestHalfOpenLink(t *testing.T) {
	t.Parallel()
	h := newHalfOpen(t)
	link, url := h.silent()
	rang := make(chan string, 10)
	phone := h.device(url, "bob", "phone", true,
		client.Listener{OnReceiveNewInvitation: func(e client.InvitationEvent) { rang <- e.InviteID }})
	var carol *client.Client
	acknowledged := make(chan error, 1)
	carol = h.device(h.last(), "carol", "phone", true, client.Listener{
		OnReceiveNewInvitation: func(e client.InvitationEvent) {
			go func() {
				_, err := carol.Ring(t.Context(), e.InviteID)
				acknowledged <- err
			}()
		}})
	h.device(h.last(), "dan", "phone", true, client.Listener{}) // it shows nothing
	alice := h.device(h.Nodes[0].URL, "alice", "a", false, client.Listener{})
	h.invite(alice, "carol", "to-carol")
	if err := <-acknowledged; err != nil {
		t.Fatal(err)
	}
	h.invite(alice, "dan", "to-dan")
	link.Freeze()
	begin := time.Now()
	h.invite(alice, "bob", "to-bob")
	if path := h.push(); path != "bob-phone" {
		t.Errorf("the first push goes to %s", path)
	}
	t.Logf("the push came %v after the invite", time.Since(begin).Round(time.Millisecond))
	eventually(t, "the dead connection has ended", func() bool {
		list, err := h.device(h.last(), "bob", "desktop", false, client.Listener{}).GetDeviceList(t.Context())
		return err == nil && len(list.Devices) == 1
	})
	for user, want := range map[string]string{"carol": protocol.ReachAcknowledged, "dan": "", "bob": ""} {
		res, err := alice.GetInvitation(t.Context(), protocol.GetInvitationRequest{InviteID: "to-" + user})
		if err != nil || len(res.Invitation.Invitees) != 1 || res.Invitation.Invitees[0].Reach != want {
			t.Errorf("the invitation to %s: %+v, %v; want the reach %q", user, res.Invitation, err, want)
		}
	}
	link.Heal()
	if got := <-rang; got != "to-bob" {
		t.Errorf("%s rings on the phone", got)
	}
	if _, err := phone.Accept(t.Context(), "to-bob", ""); err != nil {
		t.Fatal(err)
	}
	if len(h.pushed) > 0 {
		t.Errorf("a push to %s came, which has a living device", <-h.pushed)
	}
}

// TestHalfOpenBesideALivingDevice: the acknowledgement of a user's desktop does not silence the phone with a dead
// connection.
func TestHalfOpenBesideALivingDevice(t *testing.T) {
	t.Parallel()
	h := newHalfOpen(t)
	link, url := h.silent()
	h.device(url, "bob", "phone", true, client.Listener{})
	var desktop *client.Client
	acknowledged := make(chan error, 1)
	desktop = h.device(h.Nodes[0].URL, "bob", "desktop", false, client.Listener{
		OnReceiveNewInvitation: func(e client.InvitationEvent) {
			go func() {
				_, err := desktop.Ring(t.Context(), e.InviteID)
				acknowledged <- err
			}()
		}})
	alice := h.device(h.last(), "alice", "a", false, client.Listener{})
	link.Freeze()
	begin := time.Now()
	h.invite(alice, "bob", "to-both")
	if err := <-acknowledged; err != nil {
		t.Fatal(err)
	}
	if path := h.push(); path != "bob-phone" {
		t.Errorf("the push goes to %s", path)
	}
	t.Logf("the push came %v after the invite", time.Since(begin).Round(time.Millisecond))
	link.Heal()
}
