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

// NATS is the bus between nodes: one subject for each topic, in which only the nodes are interested that read it. It is
// a hint, and a means to ask: it keeps nothing, and whatever it loses the log has.
type NATS struct {
	conn      *nats.Conn
	prefix    string
	inbox     chan *nats.Msg
	outbox    chan outgoing
	orders    chan []byte   // commands of other nodes
	lost      chan struct{} // something may have been lost
	log       *slog.Logger
	receive   func([]txn.Record)
	onMessage func(topic string, data []byte, reply func([]byte))
	obey      func([]byte)

	mu   sync.Mutex
	subs map[string]*followed
}

// followed is a subscription, and how many want it.
type followed struct {
	*nats.Subscription
	wanted int
}

// The last part of a subject says what the message is.
const (
	kindRecords = "r"
	kindMessage = "w"
	kindCommand = "c"
)

const (
	natsInbox   = 64 << 10  // messages that wait for this node; more are lost, and fetched
	natsOrders  = 4 << 10   // commands that wait to be obeyed
	natsOutbox  = 16 << 10  // that wait to be sent; who commits never waits for the bus
	natsMessage = 512 << 10 // bytes of records in one message; NATS takes 1 MiB
)

// NewNATS connects to NATS: nats://host1,nats://host2. House keeps the houses apart that share it. When no server can
// be reached it goes on trying, and Connected says so.
func NewNATS(url, house string, log *slog.Logger) (*NATS, error) {
	b := &NATS{prefix: "beckon." + token(house) + ".", inbox: make(chan *nats.Msg, natsInbox),
		outbox: make(chan outgoing, natsOutbox), orders: make(chan []byte, natsOrders), obey: func([]byte) {},
		lost: make(chan struct{}, 1), log: log, subs: map[string]*followed{},
		receive: func([]txn.Record) {}, onMessage: func(string, []byte, func([]byte)) {}}
	var err error
	b.conn, err = nats.Connect(url,
		nats.Name("beckon"), nats.NoEcho(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond), nats.ReconnectJitter(250*time.Millisecond, 250*time.Millisecond),
		// what cannot be sent now is not worth sending later
		nats.ReconnectBufSize(-1),
		// a link that takes nothing is given up, not waited for
		nats.FlusherTimeout(time.Second), nats.ReconnectOnFlusherError(),
		nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(2*time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("the link to NATS broke; events between nodes come late until it is back", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			log.Info("the link to NATS is back", "server", c.ConnectedUrlRedacted())
			signal(b.lost)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) {
				signal(b.lost)
				return
			}
			log.Warn("NATS", "error", err)
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("the address of NATS: %w", err)
	}
	return b, nil
}

// nodesTopic is followed by all nodes, for presence and commands to all. It has no records.
const nodesTopic = "nodes"

// nodeTopic is followed by one node, for commands to it alone. It has no records.
func nodeTopic(node string) string { return "node:" + node }

// token makes one part of a subject of anything.
func token(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func (b *NATS) subject(topic, kind string) string { return b.prefix + token(topic) + "." + kind }

// topic is the reverse of subject.
func (b *NATS) topic(subject string) (topic, kind string) {
	name, kind, _ := strings.Cut(strings.TrimPrefix(subject, b.prefix), ".")
	raw, err := base64.RawURLEncoding.DecodeString(name)
	if err != nil {
		return "", ""
	}
	return string(raw), kind
}

// OnRecords sets who is offered records; nil says that some may have been lost.
func (b *NATS) OnRecords(f func([]txn.Record)) { b.receive = f }

// OnMessage sets who hears words of other nodes; reply answers one that asked.
func (b *NATS) OnMessage(f func(topic string, data []byte, reply func([]byte))) {
	b.onMessage = f
}

// Publish offers records to this node, and to those that read their topics.
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
	default: // the sweeps of the other nodes bring them
	}
}

// outgoing is a message on its way.
type outgoing struct {
	subject string
	data    []byte
}

// Subscribe begins to receive what concerns a topic. Each Follow wants its Unfollow.
func (b *NATS) Subscribe(topic string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.subs[topic]; f != nil {
		f.wanted++
		return nil
	}
	sub, err := b.conn.ChanSubscribe(b.subject(topic, "*"), b.inbox)
	if err == nil {
		b.subs[topic] = &followed{sub, 1}
	}
	return err
}

// Unsubscribe ends it.
func (b *NATS) Unsubscribe(topic string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.subs[topic]
	if f == nil {
		return nil
	}
	if f.wanted--; f.wanted > 0 {
		return nil
	}
	delete(b.subs, topic)
	return f.Unsubscribe()
}

// PublishCommand sends a command to a node, or, without one, to all others.
func (b *NATS) PublishCommand(node string, data []byte) error {
	if node == "" {
		_ = b.conn.Publish(b.subject(nodesTopic, kindCommand), data) // while the link is down there is nobody to tell
		return nil
	}
	return b.conn.Publish(b.subject(nodeTopic(node), kindCommand), data)
}

// SubscribeCommands says who this node is, and what takes the commands to it and to all.
func (b *NATS) SubscribeCommands(node string, take func([]byte)) error {
	b.obey = take
	return errors.Join(b.Subscribe(nodesTopic), b.Subscribe(nodeTopic(node)))
}

// PublishMessage sends a word to the other nodes that follow a topic.
func (b *NATS) PublishMessage(topic string, data []byte) {
	_ = b.conn.Publish(b.subject(topic, kindMessage), data)
}

// Request sends a word to the other nodes that follow a topic, and takes up to n answers. It returns what it has when
// ctx ends; when nobody follows, at once.
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

// Connected reports whether a server is reached.
func (b *NATS) Connected() bool { return b.conn.IsConnected() }

// Close ends the link of a bus that is not run.
func (b *NATS) Close() { b.conn.Close() }

// Run hands on what comes until ctx ends, and closes the connection.
func (b *NATS) Run(ctx context.Context) error {
	defer b.conn.Close()
	var g errgroup.Group
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case m := <-b.outbox:
				// it fails while the link is down, and when a record is larger than NATS takes: the sweeps bring it
				_ = b.conn.Publish(m.subject, m.data)
			}
		}
	})
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case order := <-b.orders:
				b.obey(order)
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
			b.take(msg)
		}
	}
}

func (b *NATS) take(msg *nats.Msg) {
	topic, kind := b.topic(msg.Subject)
	switch {
	case topic == "":
	case kind == kindRecords:
		records, err := decode(topic, msg.Data)
		if err != nil {
			b.log.Debug("records of another kind came over NATS; the sweep brings them", "topic", topic)
			return
		}
		b.receive(records)
	case kind == kindCommand:
		select {
		case b.orders <- msg.Data:
		default: // whoever waits for the answer of it asks again
		}
	case kind == kindMessage:
		b.onMessage(topic, msg.Data, func(answer []byte) {
			if msg.Reply != "" {
				_ = b.conn.Publish(msg.Reply, answer)
			}
		})
	}
}
