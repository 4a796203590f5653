package scenario

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestServerLost: something rings on a device whose server goes, and the device with it. The other servers, or the next
// one, ring that person by a push.
func TestServerLost(t *testing.T) {
	t.Parallel()
	pushed := make(chan struct{}, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		pushed <- struct{}{}
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(service.Close)
	cfg := beckon.Config{DataDir: t.TempDir(), Postgres: onGround(t), Push: beckon.PushConfig{Private: true}}
	if *nodes > 1 {
		cfg.DataDir = "" // each has its own
	}
	s := &scene{t: t, Cluster: newHouse(t, cfg)}
	s.subscribe("bob", service.URL+"/b")
	rang := make(chan string, 1)
	last := s.Nodes[len(s.Nodes)-1]
	bob, err := client.New(client.Options{Server: last.URL, Token: s.Token("bob"), Listener: client.Listener{
		OnReceiveNewInvitation: func(e client.InvitationEvent) { rang <- e.InviteID }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bob.Close)
	if err := bob.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.act("alice", "invite", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{Timeout: 600}},
		nil)
	<-rang
	if len(pushed) > 0 {
		t.Fatal("who is connected was rung by a push")
	}
	if *nodes > 1 {
		err = last.Stop()
	} else {
		s.Stop()
		bob.Close()
		newHouse(t, cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-pushed:
	case <-time.After(beckontest.Patience):
		t.Error("nobody was rung by a push")
	}
}
