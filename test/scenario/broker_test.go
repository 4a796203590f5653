package scenario

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/internal/freeport"
	"github.com/beckon-im/beckon/protocol"
)

// broker starts NATS with JetStream and its stream of events.
func broker(t *testing.T, port int, dir string) (*server.Server, jetstream.Stream) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true,
		NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("NATS does not start")
	}
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "events", Subjects: []string{"calls.>"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s, st
}

// TestEventsToABroker: with a NATS address as webhook, every event is in the stream once, the answer after its
// invitation, although the broker is restarted meanwhile.
func TestEventsToABroker(t *testing.T) {
	t.Parallel()
	port, err := freeport.TCP()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	first, _ := broker(t, port, dir)
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{
		Webhook: fmt.Sprintf("nats://127.0.0.1:%d/calls", port), WebhookEvents: []string{"invitation"}})}
	const calls = 30
	var stream jetstream.Stream
	for i := range calls {
		id := fmt.Sprint("i", i)
		s.act("ann", "invite", protocol.InviteRequest{Invitee: fmt.Sprint("bob", i),
			InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 60}}, nil)
		switch i {
		case calls / 3:
			first.Shutdown()
			first.WaitForShutdown()
		case 2 * calls / 3:
			_, stream = broker(t, port, dir)
		}
		s.act(fmt.Sprint("bob", i), "accept", protocol.AnswerRequest{InviteID: id}, nil)
	}
	if stream == nil {
		t.Fatal("the broker did not return")
	}
	kinds := map[string][]string{}
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	for range 2 * calls {
		m, err := messages.Next()
		if err != nil {
			t.Fatal(err)
		}
		var e delivery
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			t.Fatal(err)
		}
		kinds[e.Data.InviteID] = append(kinds[e.Data.InviteID], m.Subject())
	}
	for i := range calls {
		list := kinds[fmt.Sprint("i", i)]
		if len(list) != 2 || list[0] != "calls.invitation.created" || list[1] != "calls.invitation.answered" {
			t.Errorf("i%d: %v", i, list)
		}
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != 2*calls {
		t.Errorf("%+v, %v", info, err)
	}
}
