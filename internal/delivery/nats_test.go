package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/beckon-im/beckon/internal/txn"
)

// endpoint is a bus that keeps the received messages.
type endpoint struct {
	*NATS
	mu       sync.Mutex
	records  []string
	messages []string
	losses   []string
	changed  chan struct{}
}

func (e *endpoint) note(list *[]string, s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*list = append(*list, s)
	signal(e.changed)
}

// wait waits until a list is as wanted.
func (e *endpoint) wait(t *testing.T, list *[]string, want ...string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		e.mu.Lock()
		got := slices.Clone(*list)
		e.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
		select {
		case <-e.changed:
		case <-deadline:
			t.Fatalf("received %v, want %v", got, want)
		}
	}
}

// newBus runs nodes on a NATS server. Each reads topics that begin with "user:".
func newBus(t *testing.T, names ...string) []*endpoint {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not start")
	}
	var nodes []*endpoint
	for _, name := range names {
		b, err := NewNATS(s.ClientURL(), "cluster", name, quiet())
		if err != nil {
			t.Fatal(err)
		}
		e := &endpoint{NATS: b, changed: make(chan struct{}, 1)}
		b.OnRecords(func(list []txn.Record) {
			for _, r := range list {
				e.note(&e.records, fmt.Sprint(r.Topic, " ", r.Seq))
			}
		}, func(topic []byte) bool { return string(topic[:5]) == "user:" })
		b.OnLoss(func(node string, shards []int) { e.note(&e.losses, fmt.Sprint(node, " ", shards)) })
		b.OnMessage(func(topic string, data []byte, reply func([]byte)) {
			e.note(&e.messages, fmt.Sprintf("%q %s", topic, data))
			reply([]byte(name))
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		await(t, "a connection", b.Connected)
		subscribed(t, e)
		nodes = append(nodes, e)
	}
	return nodes
}

func record(topic string, seq uint64) []txn.Record { return []txn.Record{{Topic: topic, Seq: seq}} }

// TestLossesOverNATS: messages that the server did not deliver are reported, by the next message of the shard or the
// next heartbeat.
func TestLossesOverNATS(t *testing.T) {
	nodes := newBus(t, "a", "b")
	a, b := nodes[0], nodes[1]
	shard := Shard("user:ann")
	if err := b.Subscribe("user:ann"); err != nil {
		t.Fatal(err)
	}
	subscribed(t, b)
	a.Publish(append(record("user:ann", 1), record("group:g", 1)...))
	a.Publish(record("user:ann", 2))
	b.wait(t, &b.records, "user:ann 1", "user:ann 2")
	deafen := func(f func()) {
		b.NATS.mu.Lock()
		_ = b.subs[shard].Unsubscribe()
		b.NATS.mu.Unlock()
		subscribed(t, b)
		f()
		sent(t, a, "b")
		b.NATS.mu.Lock()
		b.subs[shard], _ = b.conn.ChanSubscribe(b.shardSubject(shard), b.inbox)
		b.NATS.mu.Unlock()
		subscribed(t, b)
	}
	lost := fmt.Sprintf("a [%d]", shard)
	deafen(func() { a.Publish(record("user:ann", 3)) })
	b.wait(t, &b.losses, lost) // by a heartbeat
	deafen(func() { a.Publish(record("user:ann", 4)) })
	a.Publish(record("user:ann", 5))
	b.wait(t, &b.records, "user:ann 1", "user:ann 2", "user:ann 5")
	b.wait(t, &b.losses, lost, lost)
	a.dropped[shard].Add(1) // as when the outbox is full
	b.wait(t, &b.losses, lost, lost, lost)
	if !b.Alive("a", 2*time.Second) || b.Alive("c", time.Hour) || b.OldNodes(time.Hour) {
		t.Error("the living nodes are wrong")
	}
	if err := a.conn.Publish("beckon."+token("cluster")+"."+token("nodes")+".w", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	await(t, "a heartbeat of a node of an old version", func() bool { return b.OldNodes(time.Hour) })
}

// subscribed waits until the server has the subscriptions of a node.
func subscribed(t *testing.T, e *endpoint) {
	t.Helper()
	if err := e.conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

// sent waits until the server has everything that a node sent: another one answers a later message.
func sent(t *testing.T, e *endpoint, other string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if answers := e.Request(ctx, other, []byte("later"), 1); len(answers) != 1 {
		t.Fatal("the other node does not answer")
	}
}

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestRequestsOverNATS: a node answers, all nodes answer, and an absent node is noticed at once.
func TestRequestsOverNATS(t *testing.T) {
	nodes := newBus(t, "a", "b", "c")
	ask := func(node string, n int) (got []string, took time.Duration) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, answer := range nodes[0].Request(ctx, node, []byte("question"), n) {
			got = append(got, string(answer))
		}
		slices.Sort(got)
		return got, time.Since(begin)
	}
	if got, _ := ask("b", 1); !slices.Equal(got, []string{"b"}) {
		t.Errorf("b answers %v", got)
	}
	if got, _ := ask("", 2); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("all answer %v", got)
	}
	if got, took := ask("d", 1); got != nil || took > 10*time.Second {
		t.Errorf("a node that does not exist answers %v after %v", got, took)
	}
	nodes[0].SendMessage("c", []byte("told"))
	nodes[2].wait(t, &nodes[2].messages, `"" question`, `"" told`)
}

// TestCommandsOverNATS: a command reports whether its node knows the session, and an error if there is no such node.
func TestCommandsOverNATS(t *testing.T) {
	nodes := newBus(t, "a", "b")
	err := nodes[1].SubscribeCommands("gateway", func(command []byte, reply func(bool)) {
		reply(string(command) == "known")
	})
	if err != nil {
		t.Fatal(err)
	}
	subscribed(t, nodes[1])
	for _, c := range []struct {
		name, command string
		known         bool
		unreachable   bool
	}{{"gateway", "known", true, false}, {"gateway", "unknown", false, false}, {"gone", "known", false, true}} {
		known, err := nodes[0].SendCommand(t.Context(), c.name, []byte(c.command))
		if known != c.known || (err != nil) != c.unreachable {
			t.Errorf("%s to %s: %v, %v", c.command, c.name, known, err)
		}
	}
}
