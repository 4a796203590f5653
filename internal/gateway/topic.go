package gateway

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	wire "github.com/centrifugal/protocol"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/gateway/link"
	"github.com/beckon-im/beckon/internal/txn"
)

// maxRecover and maxRecoverBytes limit one recovery, in records and bytes. A client that missed more must reload.
const (
	maxRecover      = 5000
	maxRecoverBytes = 2 << 20
)

// topic is a timeline that has readers on this node.
type topic struct {
	name string

	opening sync.Mutex // serializes opening and closing the feed
	gone    bool       // guarded by opening: the last reader has left

	mu      sync.RWMutex
	readers []*reader
}

// reader is the subscription of one client to a topic. There is one for each group of each device: its size counts. Its
// fields after topic are guarded by the client's delivering.
type reader struct {
	c     *client
	topic *topic

	seq       uint64 // sequence of the last record that was sent or skipped
	rare      *rare  // nil for most
	own       bool   // of the topic of the client's user
	replaying bool   // records are held until the missed ones are queued
	waiting   bool   // records are held until a response, or until subscription changes are applied
	ending    bool   // an unsubscribe is queued: later records are not for the device
	stopped   bool   // unsubscribed; the device is notified after the held records
}

// rare is the state that few readers have.
type rare struct {
	since uint64           // sequence in the user's topic at which the subscription began; 0 = when the client connected
	held  []*encodedRecord // records held back
}

// end ends the delivery of records.
func (r *reader) end() {
	if r.ending = true; r.rare != nil {
		r.rare.held = nil
	}
}

// since returns the sequence in the user's topic at which the subscription began.
func (r *reader) since() uint64 {
	if r.rare != nil && r.rare.since != 0 {
		return r.rare.since
	}
	return r.c.Head
}

// hold adds a record to the held ones, and reports whether there was space for it.
func (r *reader) hold(p *encodedRecord) bool {
	if r.rare == nil {
		r.rare = &rare{}
	}
	if len(r.rare.held) >= maxRecover {
		return false
	}
	r.rare.held = append(r.rare.held, p)
	return true
}

// putFirst puts missed records before the held ones. The client's delivering must be held.
func (r *reader) putFirst(missed []txn.Record) {
	if len(missed) == 0 {
		return
	}
	if r.rare == nil {
		r.rare = &rare{}
	}
	list := make([]*encodedRecord, len(missed), len(missed)+len(r.rare.held))
	for i := range missed {
		list[i] = &encodedRecord{Record: missed[i]}
	}
	r.rare.held = append(list, r.rare.held...)
}

// release offers the held records again. The client's delivering must be held.
func (r *reader) release() {
	if r.rare != nil {
		list := r.rare.held
		if r.rare.held = nil; r.rare.since == 0 {
			r.rare = nil
		}
		for _, p := range list {
			r.offer(p)
		}
	}
	r.close()
}

// byTopic orders readers by the names of their topics.
func byTopic(r *reader, name string) int { return strings.Compare(r.topic.name, name) }

// encodedRecord is a record encoded at most once per framing for all its readers.
type encodedRecord struct {
	txn.Record
	once   [link.Framings]sync.Once
	frames [link.Framings][]byte
}

func (p *encodedRecord) frame(f link.Framing) []byte {
	p.once[f].Do(func() {
		p.frames[f] = f.Encode(&wire.Reply{Push: &wire.Push{Channel: p.Topic, Pub: publication(&p.Record)}})
	})
	return p.frames[f]
}

func publication(r *txn.Record) *wire.Publication {
	return &wire.Publication{Offset: r.Seq, Data: r.Body}
}

// isReader reports whether a record is for a device. The device's own records are not, since it has the response, nor
// are records for other audiences. The reader's sequence advances regardless.
func (s *Session) isReader(r *txn.Record) bool {
	if r.Device != "" && r.Device == s.Origin {
		return false
	}
	if _, history := im.AudienceInvitation(r.Audience); history {
		return false
	}
	return r.Audience == "" || im.TopicGroup(r.Topic) == "" || strings.Contains(r.Audience, " "+s.UserID+" ")
}

// topics is the index of topics with readers on this node.
type topics struct {
	seed   maphash.Seed
	shards [64]struct {
		sync.RWMutex
		byName map[string]*topic
	}
}

func (t *topics) find(name string) *topic {
	s := &t.shards[maphash.String(t.seed, name)%uint64(len(t.shards))]
	s.RLock()
	defer s.RUnlock()
	return s.byName[name]
}

func (t *topics) findOrCreate(name string) *topic {
	if found := t.find(name); found != nil {
		return found
	}
	s := &t.shards[maphash.String(t.seed, name)%uint64(len(t.shards))]
	s.Lock()
	defer s.Unlock()
	if s.byName == nil {
		s.byName = map[string]*topic{}
	}
	if s.byName[name] == nil {
		s.byName[name] = &topic{name: name}
	}
	return s.byName[name]
}

func (t *topics) remove(name string) {
	s := &t.shards[maphash.String(t.seed, name)%uint64(len(t.shards))]
	s.Lock()
	defer s.Unlock()
	delete(s.byName, name)
}

// join adds readers to topics, and returns the heads of the topics, read after that. The first reader of a topic opens
// it on this node. The names must be sorted, so that two calls do not wait for each other.
func (g *Gateway) join(names []string, readers []reader) (heads map[string]uint64, err error) {
	var opened []*topic
	defer func() {
		for _, t := range opened {
			t.opening.Unlock()
		}
	}()
	joined := 0
	for i, name := range names {
		t, first := g.enter(name, &readers[i])
		if joined++; !first {
			t.opening.Unlock()
			continue
		}
		opened = append(opened, t)
		if err = g.feeds.Open(name); err != nil {
			break
		}
	}
	if err == nil {
		heads, err = g.timelines.Heads(g.reads, names)
	}
	if err != nil {
		for i := range readers[:joined] {
			if r := &readers[i]; slices.Contains(opened, r.topic) {
				g.closeWithout(r)
			} else {
				g.leave(r)
			}
		}
		return nil, err
	}
	for _, t := range opened {
		g.feeds.Begin(t.name, heads[t.name]) // before other readers can join
	}
	return heads, nil
}

// enter adds a reader to a topic, and reports whether it is the first. It returns with the topic's opening locked.
func (g *Gateway) enter(name string, r *reader) (t *topic, first bool) {
	for {
		t = g.topics.findOrCreate(name)
		t.opening.Lock()
		if !t.gone {
			break
		}
		t.opening.Unlock()
	}
	r.topic = t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers = append(t.readers, r)
	return t, len(t.readers) == 1
}

// remove removes a reader and reports whether the topic is now empty.
func (t *topic) remove(r *reader) (empty bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.readers, r)
	if i < 0 {
		return false
	}
	last := len(t.readers) - 1
	t.readers[i], t.readers[last] = t.readers[last], nil
	t.readers = t.readers[:last]
	return last == 0
}

// leave removes a reader from its topic. The last reader closes the topic on this node.
func (g *Gateway) leave(r *reader) {
	r.topic.opening.Lock()
	defer r.topic.opening.Unlock()
	g.closeWithout(r)
}

// closeWithout removes a reader from its topic, and closes the topic without readers. Its opening must be locked.
func (g *Gateway) closeWithout(r *reader) {
	t := r.topic
	if !t.remove(r) {
		return
	}
	t.gone = true
	if err := g.feeds.Close(t.name); err != nil {
		g.opt.Log.Warn("topic feed close failed", "topic", t.name, "error", err)
	}
	g.topics.remove(t.name) // last: the next opening waits for the close of the feed
}

// Deliver sends a record to every session that reads its topic.
func (g *Gateway) Deliver(r txn.Record) {
	t := g.topics.find(r.Topic)
	if t == nil {
		return
	}
	p := &encodedRecord{Record: r}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, rd := range t.readers {
		rd.deliver(p)
	}
}

// deliver sends or holds a record, in order.
func (r *reader) deliver(p *encodedRecord) {
	r.c.delivering.Lock()
	defer r.c.delivering.Unlock()
	if !r.ending {
		r.offer(p)
	}
}

// offer sends or holds a record. The client's delivering must be held.
func (r *reader) offer(p *encodedRecord) {
	if !r.replaying && !r.waiting {
		r.waiting = r.c.pending.holds(r, p.Body) || r.c.unapplied.holds(r, &p.Record)
	}
	switch {
	case !r.replaying && !r.waiting:
		r.send(p)
	case !r.hold(p):
		r.c.link.Close(link.Gap) // the device reconnects and reads from the log
	}
}

// resume releases the records that were held until a response.
func (r *reader) resume() {
	r.c.delivering.Lock()
	defer r.c.delivering.Unlock()
	if r.waiting = false; r.replaying {
		return // live releases them
	}
	r.release()
}

// close notifies the device of the end of a stopped reader, unless records are still held. The client's delivering
// must be held.
func (r *reader) close() {
	if r.stopped && !r.waiting {
		r.c.unsubscribed(r.topic.name)
	}
}

func (r *reader) send(p *encodedRecord) {
	switch {
	case p.Seq == 0: // not stored: delivered only to present readers
	case p.Seq <= r.seq:
		return
	case p.Seq != r.seq+1:
		r.c.link.Close(link.Gap)
		return
	default:
		r.seq = p.Seq
		if r.own && p.Listen != "" {
			r.c.unapplied.sent(&p.Record)
		}
	}
	if r.c.isReader(&p.Record) {
		r.c.link.Send(p.frame(r.c.link.Framing))
	}
}

// live releases the records that were held during replay.
func (r *reader) live() {
	r.c.delivering.Lock()
	defer r.c.delivering.Unlock()
	r.replaying = false
	r.release()
}

// begin sends the missed records after a sequence, and then those that were held meanwhile.
func (r *reader) begin(after uint64, missed []txn.Record) {
	r.c.delivering.Lock()
	defer r.c.delivering.Unlock()
	r.seq, r.replaying = after, false
	r.putFirst(missed)
	r.release()
}
