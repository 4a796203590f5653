package delivery

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/txn"
)

// NATS is the bus between nodes. Each topic has a subject, subscribed to by the nodes that read the topic. The bus
// persists nothing: lost records are fetched from the log.
//
// mu guards subs. The callbacks are set before Run.
type NATS struct {
	conn      *nats.Conn
	prefix    string
	inbox     chan *nats.Msg
	outbox    chan outgoing
	commands  chan []byte   // commands from other nodes
	lost      chan struct{} // signals that messages may have been lost
	log       *slog.Logger
	receive   func([]txn.Record)
	onMessage func(topic string, data []byte, reply func([]byte))
	onCommand func([]byte)

	mu   sync.Mutex
	subs map[string]*topicSub
}

// topicSub is a reference-counted subscription.
type topicSub struct {
	*nats.Subscription
	refs int
}

// Message kinds, the last token of a subject.
const (
	kindRecords = "r"
	kindMessage = "w"
	kindCommand = "c"
)

const (
	natsInbox    = 64 << 10  // queued incoming messages; records over the limit are lost, and fetched from the log
	natsCommands = 4 << 10   // queued incoming commands
	natsOutbox   = 16 << 10  // queued outgoing messages; commits never wait for the bus
	natsMessage  = 512 << 10 // bytes of records in one message; the limit of NATS is 1 MiB
)

// NewNATS connects to NATS: nats://host1,nats://host2. clusterID separates clusters that share a NATS server. If no
// server is reachable it keeps retrying; see Connected.
func NewNATS(url, clusterID string, log *slog.Logger) (*NATS, error) {
	b := &NATS{prefix: "beckon." + token(clusterID) + ".", inbox: make(chan *nats.Msg, natsInbox),
		outbox: make(chan outgoing, natsOutbox), commands: make(chan []byte, natsCommands), onCommand: func([]byte) {},
		lost: make(chan struct{}, 1), log: log, subs: map[string]*topicSub{},
		receive: func([]txn.Record) {}, onMessage: func(string, []byte, func([]byte)) {}}
	var err error
	b.conn, err = nats.Connect(url,
		nats.Name("beckon"), nats.NoEcho(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond), nats.ReconnectJitter(250*time.Millisecond, 250*time.Millisecond),
		// no buffer: late messages are useless
		nats.ReconnectBufSize(-1),
		// a stalled connection is closed and reopened
		nats.FlusherTimeout(time.Second), nats.ReconnectOnFlusherError(),
		nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(2*time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("NATS disconnected; cross-node delivery is delayed", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			log.Info("NATS reconnected", "server", c.ConnectedUrlRedacted())
			signal(b.lost)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) {
				signal(b.lost)
				return
			}
			log.Warn("NATS error", "error", err)
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("NATS address: %w", err)
	}
	return b, nil
}

// nodesTopic is the topic of all nodes, for presence and broadcast commands. It has no records.
const nodesTopic = "nodes"

// nodeTopic is the topic of one node, for commands to it. It has no records.
func nodeTopic(node string) string { return "node:" + node }

// token encodes a string as one token of a subject.
func token(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func (b *NATS) subject(topic, kind string) string { return b.prefix + token(topic) + "." + kind }

// topic is the inverse of subject.
func (b *NATS) topic(subject string) (topic, kind string) {
	name, kind, _ := strings.Cut(strings.TrimPrefix(subject, b.prefix), ".")
	raw, err := base64.RawURLEncoding.DecodeString(name)
	if err != nil {
		return "", ""
	}
	return string(raw), kind
}

// OnRecords sets the handler of received records; a nil slice means that records may have been lost.
func (b *NATS) OnRecords(f func([]txn.Record)) { b.receive = f }

// OnMessage sets the handler of messages from other nodes. reply responds to a request.
func (b *NATS) OnMessage(f func(topic string, data []byte, reply func([]byte))) {
	b.onMessage = f
}

// Publish sends records to this node and to the nodes that read their topics.
func (b *NATS) Publish(records []txn.Record) {
	b.receive(records)
	byTopic := map[string][]txn.Record{}
	var order []string
	for _, r := range records {
		if byTopic[r.Topic] == nil {
			order = append(order, r.Topic)
		}
		byTopic[r.Topic] = append(byTopic[r.Topic], r)
	}
	for _, t := range order {
		list, size, from := byTopic[t], 0, 0
		for i := range list {
			if size += len(list[i].Body) + 64; size > natsMessage && i > from {
				b.send(t, list[from:i])
				size, from = len(list[i].Body), i
			}
		}
		b.send(t, list[from:])
	}
}

func (b *NATS) send(topic string, records []txn.Record) {
	select {
	case b.outbox <- outgoing{b.subject(topic, kindRecords), encode(records)}:
	default: // dropped: the sweeps of the other nodes fetch them
	}
}

// outgoing is a queued message.
type outgoing struct {
	subject string
	data    []byte
}

// Subscribe subscribes to the messages of a topic. Each Subscribe needs one Unsubscribe.
func (b *NATS) Subscribe(topic string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.subs[topic]; f != nil {
		f.refs++
		return nil
	}
	sub, err := b.conn.ChanSubscribe(b.subject(topic, "*"), b.inbox)
	if err == nil {
		b.subs[topic] = &topicSub{sub, 1}
	}
	return err
}

// Unsubscribe releases a subscription.
func (b *NATS) Unsubscribe(topic string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.subs[topic]
	if f == nil {
		return nil
	}
	if f.refs--; f.refs > 0 {
		return nil
	}
	delete(b.subs, topic)
	return f.Unsubscribe()
}

// PublishCommand sends a command to a node, or to all other nodes if node is empty.
func (b *NATS) PublishCommand(node string, data []byte) error {
	if node == "" {
		_ = b.conn.Publish(b.subject(nodesTopic, kindCommand), data) // while disconnected no other node is reachable
		return nil
	}
	return b.conn.Publish(b.subject(nodeTopic(node), kindCommand), data)
}

// SubscribeCommands sets the name of this node, and the handler of commands to it and to all nodes.
func (b *NATS) SubscribeCommands(node string, handle func([]byte)) error {
	b.onCommand = handle
	return errors.Join(b.Subscribe(nodesTopic), b.Subscribe(nodeTopic(node)))
}

// PublishMessage sends a message to the other nodes subscribed to a topic.
func (b *NATS) PublishMessage(topic string, data []byte) {
	_ = b.conn.Publish(b.subject(topic, kindMessage), data)
}

// Request sends a message to the other nodes subscribed to a topic and collects up to n responses. It returns the
// responses so far when ctx ends, and at once if no other node is subscribed.
func (b *NATS) Request(ctx context.Context, topic string, data []byte, n int) [][]byte {
	if n == 1 {
		msg, err := b.conn.RequestWithContext(ctx, b.subject(topic, kindMessage), data)
		if err != nil {
			return nil
		}
		return [][]byte{msg.Data}
	}
	reply := b.conn.NewInbox()
	sub, err := b.conn.SubscribeSync(reply)
	if err != nil {
		return nil
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.conn.PublishRequest(b.subject(topic, kindMessage), reply, data); err != nil {
		return nil
	}
	var list [][]byte
	for len(list) < n {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil || len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
			break
		}
		list = append(list, msg.Data)
	}
	return list
}

// Connected reports whether a server is connected.
func (b *NATS) Connected() bool { return b.conn.IsConnected() }

// Close closes the connection of a bus that is not run.
func (b *NATS) Close() { b.conn.Close() }

// Run sends and receives messages until ctx ends, then closes the connection.
func (b *NATS) Run(ctx context.Context) error {
	defer b.conn.Close()
	var g errgroup.Group
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case m := <-b.outbox:
				// fails while disconnected, and if a record exceeds the limit of NATS: the sweeps fetch it
				_ = b.conn.Publish(m.subject, m.data)
			}
		}
	})
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case command := <-b.commands:
				b.onCommand(command)
			}
		}
	})
	for {
		select {
		case <-ctx.Done():
			return g.Wait()
		case <-b.lost:
			b.receive(nil)
		case msg := <-b.inbox:
			b.handle(msg)
		}
	}
}

func (b *NATS) handle(msg *nats.Msg) {
	topic, kind := b.topic(msg.Subject)
	switch {
	case topic == "":
	case kind == kindRecords:
		records, err := decode(topic, msg.Data)
		if err != nil {
			b.log.Debug("undecodable records received; the sweep fetches them", "topic", topic)
			return
		}
		b.receive(records)
	case kind == kindCommand:
		select {
		case b.commands <- msg.Data:
		default: // dropped: callers time out and retry
		}
	case kind == kindMessage:
		b.onMessage(topic, msg.Data, func(answer []byte) {
			if msg.Reply != "" {
				_ = b.conn.Publish(msg.Reply, answer)
			}
		})
	}
}
