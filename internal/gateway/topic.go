package gateway

import (
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	wire "github.com/centrifugal/protocol"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/gateway/link"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// maxRecover and maxRecoverBytes limit one recovery, in records and bytes. A client that missed more must reload.
const (
	maxRecover      = 5000
	maxRecoverBytes = 2 << 20
)

// perRecord is the estimated overhead of a record beside its body, in bytes.
const perRecord = 100

// topic is a timeline that has readers on this node.
type topic struct {
	name string

	opening sync.Mutex // serializes opening and closing the feed
	gone    bool       // guarded by opening: the last reader has left

	mu      sync.RWMutex
	readers []*reader
}

// reader is the subscription of one client to a topic.
type reader struct {
	c     *client
	topic *topic
	since uint64 // sequence in the user's topic at which the subscription began

	mu        sync.Mutex
	seq       uint64           // sequence of the last record that was sent or skipped
	replaying bool             // records are held until the missed ones are queued
	waiting   bool             // records are held until a call of the client has its response
	held      []*encodedRecord // records held back
	ending    bool             // an unsubscribe is queued: later records are not for the device
	stopped   bool             // unsubscribed; the device is notified after the held records
}

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

// join adds a reader to a topic. The first reader opens the topic on this node.
func (g *Gateway) join(name string, r *reader) error {
	for {
		t := g.topics.findOrCreate(name)
		t.opening.Lock()
		if t.gone {
			t.opening.Unlock()
			continue
		}
		r.topic = t
		t.mu.Lock()
		t.readers = append(t.readers, r)
		first := len(t.readers) == 1
		t.mu.Unlock()
		var err error
		if first {
			if err = g.feeds.Open(g.reads, name); err != nil && t.remove(r) { // before other readers can join
				t.gone = true
				g.topics.remove(name)
			}
		}
		t.opening.Unlock()
		return err
	}
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
	t := r.topic
	t.opening.Lock()
	defer t.opening.Unlock()
	if !t.remove(r) {
		return
	}
	t.gone = true
	g.topics.remove(t.name)
	if err := g.feeds.Close(t.name); err != nil {
		g.opt.Log.Warn("topic feed close failed", "topic", t.name, "error", err)
	}
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
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ending {
		r.offer(p)
	}
}

// offer sends or holds a record. r.mu must be held.
func (r *reader) offer(p *encodedRecord) {
	if !r.replaying && !r.waiting {
		r.waiting = r.c.pending.holds(r, p.Body)
	}
	switch {
	case !r.replaying && !r.waiting:
		r.send(p)
	case len(r.held) < maxRecover:
		r.held = append(r.held, p)
	default:
		r.c.link.Close(link.Gap) // the device reconnects and reads from the log
	}
}

// resume releases the records that were held until a response.
func (r *reader) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting = false; r.replaying {
		return // live releases them
	}
	list := r.held
	r.held = nil
	for _, p := range list {
		r.offer(p)
	}
	r.close()
}

// close notifies the device of the end of a stopped reader, unless records are still held. r.mu must be held.
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
	}
	if r.c.isReader(&p.Record) {
		r.c.link.Send(p.frame(r.c.link.Framing))
	}
}

// live releases the records that were held during replay.
func (r *reader) live() {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.held
	r.replaying, r.held = false, nil
	for _, p := range list {
		r.offer(p)
	}
	r.close()
}

var (
	errReading = errors.New("already subscribed to this topic")
	errEnding  = errors.New("link is closing")
)

// open subscribes a client to a topic, since a sequence of the user's topic. Records are held until live is called.
func (c *client) open(name string, since uint64) (*reader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.is(stateClosed):
		return nil, errEnding
	case c.reading[name] != nil, slices.Contains(c.ended, name):
		return nil, errReading
	case len(c.reading) >= maxTopics:
		c.link.Close(link.TooMany)
		return nil, errEnding
	}
	r := &reader{c: c, since: since, replaying: true}
	if err := c.g.join(name, r); err != nil {
		return nil, err
	}
	if c.g.changes.stopsAfter(subscription{im.UserTopic(c.UserID), name}, since) { // queued before the reader joined
		r.mu.Lock()
		r.ending, r.held = true, nil
		r.mu.Unlock()
	}
	if c.reading == nil {
		c.reading = map[string]*reader{}
	}
	c.reading[name] = r
	return r, nil
}

// missed reads the records after a position, or the head if there is none. recovered reports whether the records are
// complete. The bytes of all topics of a connecting device share one budget, so that they fit into its queue.
func (c *client) missed(name string, from *Position) (missed store.Page, recovered bool, err error) {
	g := c.g
	head, err := g.timelines.Head(g.reads, name)
	at := store.Page{Head: head}
	if err != nil || from == nil || from.Epoch != "" && from.Epoch != g.timelines.Epoch() {
		return at, false, err
	}
	if from.Seq > head { // this node lags behind, or there is no such record
		exists, err := g.timelines.Reaches(g.reads, name, from.Seq)
		if exists {
			at.Head = from.Seq
		}
		return at, exists, err
	}
	if from.Seq == head {
		return at, true, nil
	}
	page, err := g.timelines.Records(g.reads, name, from.Seq, maxRecover, maxRecoverBytes)
	if err != nil {
		return at, false, err
	}
	first := from.Seq + 1
	if from.Seq == 0 && im.TopicInvitation(name) != "" { // its sequences begin with a time
		if first = page.Floor + 1; page.Head == page.Floor {
			return page, true, nil
		}
	}
	size := int64(0)
	for i := range page.Records {
		size += int64(len(page.Records[i].Body)) + perRecord
	}
	if n := len(page.Records); n > 0 && page.Records[0].Seq == first && page.Records[n-1].Seq == page.Head &&
		(c.is(stateOnline) || c.budget.Add(-size) >= 0) {
		return page, true, nil
	}
	return store.Page{Head: page.Head}, false, nil
}

// listen subscribes a client to one more topic, after a sequence; since is the sequence of the change. A client that
// missed too much starts at the head and receives a reload notice.
func (c *client) listen(name string, after, since uint64) {
	r, err := c.open(name, since)
	switch {
	case errors.Is(err, errReading), errors.Is(err, errEnding):
		return
	case err == nil:
		err = c.begin(r, after)
	}
	if err != nil {
		// A session without the topic would miss records unnoticed; it reconnects and recovers.
		c.g.opt.Log.Warn("subscription failed", "topic", name, "error", err)
		c.link.Close(link.ServerError)
		return
	}
	if user := im.TopicStatus(name); user != "" {
		c.g.opt.OnWatched(user) // presence may have changed since the statuses were read
	}
}

// begin sends the missed records to a new reader, then releases the held ones.
func (c *client) begin(r *reader, after uint64) error {
	name := r.topic.name
	missed, recovered, err := c.missed(name, &Position{Seq: after})
	if err != nil {
		return err
	}
	if !recovered {
		after = missed.Head
		c.push(&wire.Push{Message: &wire.Message{Data: protocol.ReloadNotice(name)}})
	}
	if after == 0 && im.TopicInvitation(name) != "" {
		after = missed.Floor
	}
	c.push(&wire.Push{Channel: name, Subscribe: &wire.Subscribe{Recoverable: true, Positioned: true,
		Epoch: c.g.timelines.Epoch(), Offset: after}})
	r.seq = after
	for i := range missed.Records {
		r.send(&encodedRecord{Record: missed.Records[i]})
	}
	r.live()
	if n := len(missed.Records); n > 0 && missed.Records[n-1].Listen == im.EndOfTopic {
		c.end(name) // the feed started after the end of the topic and does not deliver it
	}
	return nil
}

// endedKept limits the ended topics that a client remembers.
const endedKept = 32

// end unsubscribes a client from a topic that has no further records. A subscription change for it that arrives late,
// as those of online-only invitations may, is ignored: it would deliver all records again.
func (c *client) end(name string) {
	c.mu.Lock()
	if len(c.ended) == endedKept {
		c.ended = slices.Delete(c.ended, 0, 1)
	}
	c.ended = append(c.ended, name)
	c.mu.Unlock()
	c.stop(name)
}

// stop unsubscribes a client from a topic.
func (c *client) stop(name string) {
	c.mu.Lock()
	r := c.reading[name]
	delete(c.reading, name)
	c.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	if r.stopped = true; !r.replaying {
		r.close()
	}
	r.mu.Unlock()
	c.g.leave(r)
}

// unsubscribed notifies a device that its subscription has ended.
func (c *client) unsubscribed(name string) {
	const byServer = 2000
	c.push(&wire.Push{Channel: name, Unsubscribe: &wire.Unsubscribe{Code: byServer, Reason: "server unsubscribe"}})
}
