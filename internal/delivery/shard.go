package delivery

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strconv"
	"time"

	"github.com/beckon-im/beckon/im"
)

// Shards is the number of shards. Each topic belongs to one, by its hash; a shard has one subject.
const Shards = 1024

// Shard returns the shard of a topic, the same on all nodes. The timeline and the online status of a user share one.
func Shard(topic string) int {
	if user := im.TopicStatus(topic); user != "" {
		topic = im.UserTopic(user)
	}
	return int(crc32.ChecksumIEEE([]byte(topic)) % Shards)
}

// peer is the state of the messages from another node.
type peer struct {
	at       time.Time      // of the last heartbeat, or of the first message
	greeted  bool           // a heartbeat arrived, and was answered by one
	counters [Shards]uint64 // of the last message of each shard
}

// received notes a message of a shard, and reports whether messages before it were lost.
func (p *peer) received(shard int, counter uint64) (lost bool) {
	last := p.counters[shard]
	if counter > last {
		p.counters[shard] = counter
	}
	return counter > last+1
}

// Subscribe subscribes to the shard of a topic. Each Subscribe needs one Unsubscribe.
func (b *NATS) Subscribe(topic string) error { return b.SubscribeShard(Shard(topic)) }

// Unsubscribe releases a subscription.
func (b *NATS) Unsubscribe(topic string) error { return b.UnsubscribeShard(Shard(topic)) }

// SubscribeShard subscribes to a shard. Each SubscribeShard needs one UnsubscribeShard.
func (b *NATS) SubscribeShard(shard int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refs[shard] == 0 {
		sub, err := b.conn.ChanSubscribe(b.shardSubject(shard), b.inbox)
		if err != nil {
			return err
		}
		b.subs[shard] = sub
	}
	b.refs[shard]++
	return nil
}

// UnsubscribeShard releases a subscription.
func (b *NATS) UnsubscribeShard(shard int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refs[shard]--; b.refs[shard] > 0 {
		return nil
	}
	b.refs[shard] = 0
	sub := b.subs[shard]
	if b.subs[shard] = nil; sub == nil {
		return nil
	}
	return sub.Unsubscribe()
}

func (b *NATS) shardSubject(shard int) string { return b.prefix + "shard." + strconv.Itoa(shard) }

// count numbers a message of a shard, after those that were dropped.
func (b *NATS) count(shard int, data []byte) {
	c := &b.sent[shard]
	c.n += 1 + uint64(b.dropped[shard].Swap(0))
	c.at = b.beats
	binary.BigEndian.PutUint64(data[counterAt:], c.n)
}

// sentCounter counts the messages to a shard. The sending goroutine owns it.
type sentCounter struct {
	n  uint64
	at uint64 // heartbeat of the last change
}

const (
	heartbeat = 500 * time.Millisecond
	// A heartbeat has the counters that changed within the last recentBeats, and those of one in allBeats of the other
	// shards, in case heartbeats were lost.
	recentBeats = 6
	allBeats    = 16
)

// beat returns a heartbeat: the counters of this node. A node that is new gets one that is not counted.
func (b *NATS) beat(counted bool) []byte {
	data := envelope(kindCounters, b.node, 256)
	for shard := range b.sent {
		c := &b.sent[shard]
		if n := b.dropped[shard].Swap(0); n > 0 {
			c.n, c.at = c.n+uint64(n), b.beats
		}
		if c.n > 0 && (b.beats-c.at < recentBeats || (uint64(shard)+b.beats)%allBeats == 0) {
			data = binary.AppendUvarint(binary.AppendUvarint(data, uint64(shard)), c.n)
		}
	}
	if counted {
		b.beats++
	}
	return data
}

// beaten handles a heartbeat of another node.
func (b *NATS) beaten(node string, contents []byte) {
	var lost []int
	b.mu.Lock()
	p := b.peer(node)
	if p.at = time.Now(); !p.greeted {
		p.greeted = true
		signal(b.hello)
	}
	r := reader{b: contents}
	for len(r.b) > 0 {
		shard, n := r.number(), r.number()
		if r.failed || shard >= Shards {
			break
		}
		if n > p.counters[shard] {
			if p.counters[shard] = n; b.refs[shard] > 0 { // otherwise a subscription begins after these messages
				lost = append(lost, int(shard))
			}
		}
	}
	b.mu.Unlock()
	for _, f := range b.onHeartbeat {
		f(node)
	}
	b.reportLoss(node, lost)
}

// peer returns the state of another node. mu must be held.
func (b *NATS) peer(node string) *peer {
	p := b.peers[node]
	if p == nil {
		p = &peer{at: time.Now()}
		b.peers[node] = p
	}
	return p
}

// reportLoss reports that messages of a node to some shards were lost.
func (b *NATS) reportLoss(node string, shards []int) {
	if len(shards) == 0 {
		return
	}
	b.losses.Add(int64(len(shards)))
	for _, f := range b.onLoss {
		f(node, slices.Clone(shards))
	}
}

// Losses counts the losses of messages, one for each sender and shard.
func (b *NATS) Losses() int64 { return b.losses.Load() }

// Alive reports whether a heartbeat of another node arrived within a time.
func (b *NATS) Alive(node string, within time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peers[node]
	return p != nil && time.Since(p.at) < within
}

// OldNodes reports whether a heartbeat of a node of an old version, without shards, arrived within a time.
func (b *NATS) OldNodes(within time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Since(b.old) < within
}

// forget drops nodes that have been silent for long.
func (b *NATS) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for node, p := range b.peers {
		if time.Since(p.at) > forgetAfter {
			delete(b.peers, node)
		}
	}
}

const forgetAfter = 5 * time.Minute
