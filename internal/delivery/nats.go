package delivery

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/txn"
)

// NATS is the bus between nodes. Topics share the subjects of shards; a node subscribes to the shards of the topics
// that it reads, and drops other records. The bus persists nothing. Every message to a shard has a number, and
// heartbeats have the last ones, so that receivers notice losses, and read the records from the log (docs/adr/0034).
//
// mu guards refs, subs, peers, old and waiting. The sending goroutine of Run owns sent and beats. The callbacks are
// set before Run.
type NATS struct {
	conn     *nats.Conn
	prefix   string // of all subjects
	replies  string // of the subjects of responses to this node
	node     string
	inbox    chan *nats.Msg
	outbox   chan outgoing
	commands chan *nats.Msg // commands from other nodes
	lost     chan struct{}  // signals that messages of any shard may have been lost
	hello    chan struct{}  // signals that a new node is to get a heartbeat of this one
	log      *slog.Logger

	sent    [Shards]sentCounter
	beats   uint64
	dropped [Shards]atomic.Uint32 // messages that found the outbox full
	losses  atomic.Int64
	last    atomic.Uint64 // request

	finished atomic.Bool

	receive     func([]txn.Record)
	reads       func(topic []byte) bool
	onMessage   func(topic string, data []byte, reply func([]byte))
	onLoss      []func(node string, shards []int)
	onHeartbeat []func(node string)
	onCommand   func(command []byte, reply func(known bool))

	mu      sync.Mutex
	refs    [Shards]int
	subs    [Shards]*nats.Subscription
	peers   map[string]*peer
	old     time.Time                 // of the last heartbeat of a node of an old version
	waiting map[string]chan *nats.Msg // for responses, by the last token of their subject
}

const (
	natsInbox    = 64 << 10  // queued incoming messages; records over the limit are lost, and fetched from the log
	natsCommands = 4 << 10   // queued incoming commands
	natsOutbox   = 16 << 10  // queued outgoing messages; commits never wait for the bus
	natsMessage  = 512 << 10 // bytes of records in one message; the limit of NATS is 1 MiB
)

// NewNATS connects to NATS: nats://host1,nats://host2. clusterID separates clusters that share a NATS server; node is
// the unique name of this node. If no server is reachable it keeps retrying; see Connected.
func NewNATS(url, clusterID, node string, log *slog.Logger) (*NATS, error) {
	b := &NATS{prefix: "beckon." + token(clusterID) + ".", node: node, inbox: make(chan *nats.Msg, natsInbox),
		outbox: make(chan outgoing, natsOutbox), commands: make(chan *nats.Msg, natsCommands),
		onCommand: func([]byte, func(bool)) {},
		lost:      make(chan struct{}, 1), hello: make(chan struct{}, 1), log: log, peers: map[string]*peer{},
		waiting: map[string]chan *nats.Msg{},
		receive: func([]txn.Record) {}, reads: func([]byte) bool { return false },
		onMessage: func(string, []byte, func([]byte)) {}}
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
	b.replies = b.conn.NewInbox() + "."
	for _, subject := range []string{b.replies + "*", b.nodeSubject(""), b.nodeSubject(node), b.oldSubject()} {
		if _, err := b.conn.ChanSubscribe(subject, b.inbox); err != nil {
			b.conn.Close()
			return nil, fmt.Errorf("NATS: %w", err)
		}
	}
	return b, nil
}

// token encodes a string as one token of a subject.
func token(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// nodeSubject is the subject of the messages to a node, or to all nodes if node is empty.
func (b *NATS) nodeSubject(node string) string { return b.prefix + "node." + token(node) + "_" }

// commandSubject is the subject of the commands to a gateway.
func (b *NATS) commandSubject(name string) string { return b.prefix + token("node:"+name) + ".c" }

// oldSubject is the subject of the heartbeats of nodes of an old version, without shards.
func (b *NATS) oldSubject() string { return b.prefix + token("nodes") + ".w" }

// OnRecords sets the handler of received records, for topics that this node reads; a nil slice means that records of
// any topic may have been lost.
func (b *NATS) OnRecords(f func([]txn.Record), reads func(topic []byte) bool) {
	b.receive, b.reads = f, reads
}

// OnLoss adds a handler of losses: messages of a node to some shards, or of any node to any shard if node is empty.
func (b *NATS) OnLoss(f func(node string, shards []int)) { b.onLoss = append(b.onLoss, f) }

// OnMessage sets the handler of messages from other nodes. reply responds to a request.
func (b *NATS) OnMessage(f func(topic string, data []byte, reply func([]byte))) { b.onMessage = f }

// OnHeartbeat adds a handler of heartbeats from other nodes.
func (b *NATS) OnHeartbeat(f func(node string)) { b.onHeartbeat = append(b.onHeartbeat, f) }

// Publish sends records to this node and to the nodes that read their topics.
func (b *NATS) Publish(records []txn.Record) {
	b.receive(records)
	byShard := map[int][]byte{}
	var order []int
	last := map[int]string{} // topic, by shard
	for i := range records {
		r := &records[i]
		shard := Shard(r.Topic)
		data := byShard[shard]
		if data != nil && len(data)+sizeOf(r) > natsMessage {
			b.queue(outgoing{b.shardSubject(shard), shard, data, ""})
			data = nil
		} else if data == nil {
			order = append(order, shard)
		}
		if data == nil {
			data, last[shard] = envelope(kindRecords, b.node, sizeOf(r)), ""
		}
		byShard[shard], last[shard] = appendRecord(data, r, last[shard]), r.Topic
	}
	for _, shard := range order {
		b.queue(outgoing{b.shardSubject(shard), shard, byShard[shard], ""})
	}
}

// outgoing is a queued message.
type outgoing struct {
	subject string
	shard   int // noShard: the message is not counted
	data    []byte
	reply   string // subject for responses; empty = none
}

const noShard = -1

// queue queues a message, or drops it if the queue is full: the receivers notice it by the counters.
func (b *NATS) queue(m outgoing) {
	select {
	case b.outbox <- m:
	default:
		if m.shard != noShard {
			b.dropped[m.shard].Add(1)
		}
	}
}

// commandTime is the longest time that SendCommand waits for a response.
const commandTime = 2 * time.Second

// The responses to a command: its session is known to the node, or not, or the node has too many commands.
var (
	commandUnknown = []byte{0}
	commandTaken   = []byte{1}
	commandBusy    = []byte{2}
)

var errBusy = errors.New("the node has too many commands")

// SendCommand sends a command to a gateway, and reports whether the gateway knows its session. It returns an error if
// the command cannot have reached the gateway. Without a response in time it may have: nodes of earlier versions send
// none.
func (b *NATS) SendCommand(ctx context.Context, name string, data []byte) (known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	msg, err := b.conn.RequestWithContext(ctx, b.commandSubject(name), data)
	if errors.Is(err, context.DeadlineExceeded) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if bytes.Equal(msg.Data, commandBusy) {
		return false, errBusy
	}
	return !bytes.Equal(msg.Data, commandUnknown), nil
}

// SubscribeCommands sets the name of this node for commands, and their handler, which calls reply once.
func (b *NATS) SubscribeCommands(name string, handle func(command []byte, reply func(known bool))) error {
	b.onCommand = handle
	_, err := b.conn.ChanSubscribe(b.commandSubject(name), b.inbox)
	return err
}

// PublishMessage sends a message to the nodes that are subscribed to the shard of a topic.
func (b *NATS) PublishMessage(topic string, data []byte) {
	shard := Shard(topic)
	b.queue(outgoing{b.shardSubject(shard), shard, b.message(topic, data), ""})
}

// SendMessage sends a message to a node, or to all other nodes if node is empty. Its loss is not noticed.
func (b *NATS) SendMessage(node string, data []byte) {
	b.queue(outgoing{b.nodeSubject(node), noShard, b.message("", data), ""})
}

func (b *NATS) message(topic string, data []byte) []byte {
	m := appendText(envelope(kindMessage, b.node, len(topic)+len(data)+4), topic)
	return append(m, data...)
}

// Request sends a message to a node, or to all other nodes if node is empty, and collects up to n responses. It returns
// the responses so far when ctx ends, and at once if there is no such node.
func (b *NATS) Request(ctx context.Context, node string, data []byte, n int) [][]byte {
	if n == 0 || !b.conn.IsConnected() {
		return nil
	}
	name := strconv.FormatUint(b.last.Add(1), 36)
	answers := make(chan *nats.Msg, n)
	b.mu.Lock()
	b.waiting[name] = answers
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting, name)
	}()
	b.queue(outgoing{b.nodeSubject(node), noShard, b.message("", data), b.replies + name})
	var list [][]byte
	for len(list) < n {
		select {
		case <-ctx.Done():
			return list
		case m := <-answers:
			if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
				return list // no such node
			}
			list = append(list, m.Data)
		}
	}
	return list
}

// Connected reports whether a server is connected.
func (b *NATS) Connected() bool { return b.conn.IsConnected() }

// Close closes the connection of a bus that is not run.
func (b *NATS) Close() { b.conn.Close() }

// Run sends and receives messages until ctx ends. Then it sends the queued messages, and closes the connection.
func (b *NATS) Run(ctx context.Context) error {
	defer b.conn.Close()
	var g errgroup.Group
	g.Go(func() error { return b.send(ctx) })
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case m := <-b.commands:
				b.onCommand(m.Data, func(known bool) {
					answer := commandUnknown
					if known {
						answer = commandTaken
					}
					if m.Reply != "" {
						b.queue(outgoing{m.Reply, noShard, answer, ""})
					}
				})
			}
		}
	})
	for {
		select {
		case <-ctx.Done():
			return g.Wait()
		case <-b.lost:
			b.receive(nil)
			for _, f := range b.onLoss {
				f("", nil)
			}
		case msg := <-b.inbox:
			b.handle(msg)
		}
	}
}

// send sends the queued messages, in order, and heartbeats.
func (b *NATS) send(ctx context.Context) error {
	t := time.NewTicker(heartbeat)
	defer t.Stop()
	signal(b.hello)
	for {
		select {
		case <-ctx.Done():
			b.finish()
			return nil
		case <-b.hello:
			_ = b.conn.Publish(b.nodeSubject(""), b.beat(false))
		case <-t.C:
			b.forget()
			_ = b.conn.Publish(b.nodeSubject(""), b.beat(true)) // the next one repeats it
		case m := <-b.outbox:
			b.sendOne(m)
		}
	}
}

func (b *NATS) sendOne(m outgoing) {
	if m.shard != noShard {
		b.count(m.shard, m.data)
	}
	// It fails while disconnected, and if a record exceeds the limit of NATS: the receivers notice it by the counters.
	if m.reply != "" {
		_ = b.conn.PublishRequest(m.subject, m.reply, m.data)
	} else {
		_ = b.conn.Publish(m.subject, m.data)
	}
}

// flushTime is the timeout for sending the last messages.
const flushTime = time.Second

// finish sends the queued messages and a last heartbeat.
func (b *NATS) finish() {
	for {
		select {
		case m := <-b.outbox:
			b.sendOne(m)
			continue
		default:
		}
		break
	}
	err := b.conn.Publish(b.nodeSubject(""), b.beat(true))
	if err == nil {
		err = b.conn.FlushTimeout(flushTime)
	}
	b.finished.Store(err == nil)
}

// Finished reports whether the servers have everything that this node had to send, after Run.
func (b *NATS) Finished() bool { return b.finished.Load() }

// handle handles a message, on the receiving goroutine.
func (b *NATS) handle(msg *nats.Msg) {
	if name, ok := strings.CutPrefix(msg.Subject, b.replies); ok {
		b.answered(name, msg)
		return
	}
	if strings.HasSuffix(msg.Subject, ".c") {
		select {
		case b.commands <- msg:
		default:
			if msg.Reply != "" {
				b.queue(outgoing{msg.Reply, noShard, commandBusy, ""})
			}
		}
		return
	}
	if msg.Subject == b.oldSubject() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.old = time.Now()
		return
	}
	kind, counter, from, contents, err := open(msg.Data)
	if err != nil {
		return
	}
	sender := string(from)
	if sender == b.node {
		return // it came back after a reconnect to another server
	}
	if counter > 0 {
		b.counted(sender, strings.TrimPrefix(msg.Subject, b.prefix), counter)
	}
	switch kind {
	case kindCounters:
		b.beaten(sender, contents)
	case kindRecords:
		records, err := decode(contents, b.reads)
		if err != nil {
			signal(b.lost)
		} else if len(records) > 0 {
			b.receive(records)
		}
	case kindMessage:
		r := reader{b: contents}
		topic := string(r.text())
		b.onMessage(topic, r.b, func(answer []byte) {
			if msg.Reply != "" {
				b.queue(outgoing{msg.Reply, noShard, answer, ""})
			}
		})
	}
}

// counted notes the number of a message to a shard.
func (b *NATS) counted(sender, subject string, counter uint64) {
	shard, err := strconv.Atoi(strings.TrimPrefix(subject, "shard."))
	if err != nil || shard < 0 || shard >= Shards {
		return
	}
	b.mu.Lock()
	lost := b.peer(sender).received(shard, counter)
	b.mu.Unlock()
	if lost {
		b.reportLoss(sender, []int{shard})
	}
}

// answered hands a response to its request.
func (b *NATS) answered(name string, msg *nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.waiting[name] <- msg:
	default: // nobody waits for it any more
	}
}
