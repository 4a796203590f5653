package sink

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/freeport"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/twmb/franz-go/pkg/kfake.(*Cluster).run"))
}

// connected returns a sink.
func connected(t *testing.T, address string) Sink {
	t.Helper()
	s, err := New(address, Options{Time: 2 * time.Second})
	if err == nil {
		err = s.Connect()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// publish publishes an event of an ordering key.
func publish(t *testing.T, s Sink, key string, n int) error {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return s.Publish(ctx, &Event{ID: fmt.Sprint("evt_", key, n), Key: key, Kind: "invitation.created",
		Body: fmt.Appendf(nil, `{"n":%d}`, n)})
}

// startNATS starts a server with JetStream, and creates a stream if there is none.
func startNATS(t *testing.T, port int, dir string) *server.Server {
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
	return s
}

// TestJetStream: events are stored once, with their headers, also when the broker starts after the server.
func TestJetStream(t *testing.T) {
	port, err := freeport.TCP()
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("nats://127.0.0.1:%d/beckon.events", port)
	s := connected(t, address)
	if err := publish(t, s, "a", 0); err == nil || !strings.Contains(err.Error(), "is not connected") {
		t.Errorf("without a broker: %v", err)
	}
	broker := startNATS(t, port, t.TempDir())
	defer func() { broker.Shutdown(); broker.WaitForShutdown() }()
	conn, err := nats.Connect(broker.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "events", Subjects: []string{"beckon.>"}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		for range 2 { // a repetition
			for err = publish(t, s, "a", n); err != nil && n == 0; err = publish(t, s, "a", n) { // until it is connected
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range 3 {
		m, err := st.GetMsg(t.Context(), uint64(n+1))
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != "beckon.events.invitation.created" || string(m.Data) != fmt.Sprintf(`{"n":%d}`, n) ||
			m.Header.Get(HeaderID) != fmt.Sprint("evt_a", n) || m.Header.Get(HeaderKey) != "a" {
			t.Errorf("the stream has %s %s %v", m.Subject, m.Data, m.Header)
		}
	}
	if info, err := st.Info(t.Context()); err != nil || info.State.Msgs != 3 {
		t.Errorf("the stream has %+v, %v", info, err)
	}
}

// TestKafka: events of an ordering key are in one partition, in order, with their headers. The broker is kfake, which
// speaks the protocol in this process.
func TestKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.SeedTopics(3, "events"), kfake.NumBrokers(2))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	s := connected(t, "kafka://"+strings.Join(cluster.ListenAddrs(), ",")+"/events")
	for n := range 30 {
		if err := publish(t, s, string(rune('a'+n%3)), n); err != nil {
			t.Fatal(err)
		}
	}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("events"))
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	bodies, partitions := map[string][]string{}, map[string]int32{}
	for n := 0; n < 30; {
		list := consumer.PollFetches(t.Context())
		if err := list.Err(); err != nil {
			t.Fatal(err)
		}
		list.EachRecord(func(r *kgo.Record) {
			key := string(r.Key)
			if before, ok := partitions[key]; ok && before != r.Partition {
				t.Errorf("%s is in the partitions %d and %d", key, before, r.Partition)
			}
			partitions[key] = r.Partition
			bodies[key] = append(bodies[key], string(r.Value))
			if len(r.Headers) != 2 || r.Headers[0].Key != HeaderID || string(r.Headers[1].Value) != "invitation.created" {
				t.Errorf("headers %+v", r.Headers)
			}
			n++
		})
	}
	for i, key := range []string{"a", "b", "c"} {
		var want []string
		for n := i; n < 30; n += 3 {
			want = append(want, fmt.Sprintf(`{"n":%d}`, n))
		}
		if !slices.Equal(bodies[key], want) {
			t.Errorf("%s: %v", key, bodies[key])
		}
	}
}

// TestKafkaAuthentication: a wrong password and a broker that cannot be reached are errors of the attempt.
func TestKafkaAuthentication(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.SeedTopics(1, "events"), kfake.NumBrokers(1), kfake.EnableSASL(),
		kfake.Superuser("SCRAM-SHA-256", "beckon", "right"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "password")
	address := "kafka://" + cluster.ListenAddrs()[0] + "/events?sasl=scram-sha-256&user=beckon&passwordFile=" + file
	for _, password := range []string{"right", "wrong"} {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := publish(t, connected(t, address), "a", 1); (err == nil) != (password == "right") {
			t.Errorf("with the %s password: %v", password, err)
		}
	}
	cluster.Close()
	if err := publish(t, connected(t, address), "a", 1); err == nil {
		t.Error("an event was stored without a broker")
	}
}

// TestAddresses: a wrong address is refused with what is wrong.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"nats://h:4222":                                      "must have the form",
		"nats://h:4222/":                                     "must have the form",
		"nats:///subject":                                    "must have the form",
		"nats://h:4222/a.>":                                  "must have the form",
		"nats://u:p@h:4222/s":                                "must not contain a user or a password",
		"nats://h:4222/s?cred=x":                             `unknown parameter "cred"`,
		"nats://h:4222/s?creds=/missing":                     "no such file",
		"kafka://h:9092,/t":                                  "must have the form",
		"kafka://h:9092/t?creds=x":                           `unknown parameter "creds"`,
		"kafka://h:9092/t?sasl=plain":                        "needs the parameters user and passwordFile",
		"kafka://h:9092/t?ca=/missing":                       "no such file",
		"kafka://h:9092/t?user=u&passwordFile=/x":            "no such file",
		"kafka://h:9092/t?tls=1&ca=sink_test.go":             "no certificate",
		"kafka://h/t?user=u&passwordFile=sink.go":            "unknown parameter sasl",
		"kafka://h/t?user=u&passwordFile=sink.go&sasl=plain": "needs tls",
	} {
		if _, err := New(address, Options{Time: time.Second}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", address, err, want)
		}
	}
}
