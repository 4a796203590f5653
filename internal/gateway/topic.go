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

// maxRecover bounds what one reconnect may bring, in records and bytes. Who missed more reloads.
const (
	maxRecover      = 5000
	maxRecoverBytes = 2 << 20
)

// perRecord is about what a record takes beside its body.
const perRecord = 100

// topic is a timeline that has readers on this node.
type topic struct {
	name string

	opening sync.Mutex // the first reader opens the feed and the last one closes it, one after the other
	gone    bool       // guarded by door: the last one has left

	mu      sync.RWMutex
	readers []*reader
}

// reader is one client's place in a topic.
type reader struct {
	c     *client
	topic *topic

	mu    sync.Mutex
	seq   uint64           // of the last record that was passed on, or by
	early bool             // what comes is held until what was missed is on its way
	waits bool             // what comes is held until a call of the client has its response
	held  []*encodedRecord // what is held
	over  bool             // it has stopped; the device is told after what is held
}

// encodedRecord is a record on its way to its readers, encoded once for each framing.
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

// isReader reports whether a record is for a device: not what it did itself, whose answer it has, and not what is for
// others. Its position moves on all the same.
func (s *Session) isReader(r *txn.Record) bool {
	if r.Device != "" && r.Device == s.Origin {
		return false
	}
	if _, history := txn.AudienceInvitation(r.Audience); history {
		return false
	}
	return r.Audience == "" || im.TopicGroup(r.Topic) == "" || strings.Contains(r.Audience, " "+s.UserID+" ")
}

// topics finds the topics that are read here.
type topics struct {
	seed   maphash.Seed
	shards [64]struct {
		sync.RWMutex
		named map[string]*topic
	}
}

func (t *topics) find(name string) *topic {
	s := &t.shards[maphash.String(t.seed, name)%uint64(len(t.shards))]
	s.RLock()
	defer s.RUnlock()
	return s.named[name]
}

func (t *topics) need(name string) *topic {
	if found := t.find(name); found != nil {
		return found
	}
	s := &t.shards[maphash.String(t.seed, name)%uint64(len(t.shards))]
	s.Lock()
	defer s.Unlock()
	if s.named == nil {
		s.named = map[string]*topic{}
	}
	if s.named[name] == nil {
		s.named[name] = &topic{name: name}
	}
	return s.named[name]
}

func (t *topics) forget(name string) {
	s := &t.shards[maphash.String(t.seed, name)%uint64(len(t.shards))]
	s.Lock()
	defer s.Unlock()
	delete(s.named, name)
}

// join adds a reader to a topic. The first one opens it on this node.
func (g *Gateway) join(name string, r *reader) error {
	for {
		t := g.topics.need(name)
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
			if err = g.feeds.Open(g.reads, name); err != nil && t.remove(r) { // before the door is opened for others
				t.gone = true
				g.topics.forget(name)
			}
		}
		t.opening.Unlock()
		return err
	}
}

// remove takes a reader out and reports whether that was the last one.
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

// leave takes a reader out of its topic. The last one closes it on this node.
func (g *Gateway) leave(r *reader) {
	t := r.topic
	t.opening.Lock()
	defer t.opening.Unlock()
	if !t.remove(r) {
		return
	}
	t.gone = true
	g.topics.forget(t.name)
	if err := g.feeds.Close(t.name); err != nil {
		g.opt.Log.Warn("a timeline that nobody reads any more could not be closed", "topic", t.name, "error", err)
	}
}

// Deliver hands a record to every session that reads its topic.
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

// deliver passes a record on, in its order.
func (r *reader) deliver(p *encodedRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offer(p)
}

// offer passes a record on, or holds it. The reader's lock must be held.
func (r *reader) offer(p *encodedRecord) {
	if !r.early && !r.waits {
		r.waits = r.c.pending.holds(r, p.Body)
	}
	switch {
	case !r.early && !r.waits:
		r.send(p)
	case len(r.held) < maxRecover:
		r.held = append(r.held, p)
	default:
		r.c.link.Close(link.Gap) // it comes again and reads from the log
	}
}

// resume lets go what waited for a response.
func (r *reader) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waits = false; r.early {
		return // live lets it go
	}
	list := r.held
	r.held = nil
	for _, p := range list {
		r.offer(p)
	}
	r.close()
}

// close tells the device that a stopped reader has ended, unless something is still held. The reader's lock must be
// held.
func (r *reader) close() {
	if r.over && !r.waits {
		r.c.unsubscribed(r.topic.name)
	}
}

func (r *reader) send(p *encodedRecord) {
	switch {
	case p.Seq == 0: // of no timeline: whoever is there hears it
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

// live lets go what was held.
func (r *reader) live() {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.held
	r.early, r.held = false, nil
	for _, p := range list {
		r.offer(p)
	}
	r.close()
}

var (
	errReading = errors.New("the timeline is being read already")
	errEnding  = errors.New("the link is ending")
)

// open makes a client a reader of a topic. What comes is held until live.
func (c *client) open(name string) (*reader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.gone:
		return nil, errEnding
	case c.reading[name] != nil:
		return nil, errReading
	case len(c.reading) >= maxTopics:
		c.link.Close(link.TooMany)
		return nil, errEnding
	}
	r := &reader{c: c, early: true}
	if err := c.g.join(name, r); err != nil {
		return nil, err
	}
	if c.reading == nil {
		c.reading = map[string]*reader{}
	}
	c.reading[name] = r
	return r, nil
}

// missed reads what comes after a position, or where the topic stands. It reports whether nothing is missing between.
// What all topics of a device bring as it connects is bounded together, so that it fits into its queue.
func (c *client) missed(name string, from *Position) (store.Page, bool, error) {
	g := c.g
	head, err := g.timelines.Head(g.reads, name)
	at := store.Page{Head: head}
	if err != nil || from == nil || from.Epoch != "" && from.Epoch != g.timelines.Epoch() {
		return at, false, err
	}
	if from.Seq > head { // another node was ahead, or there is no such record
		here, err := g.timelines.Reaches(g.reads, name, from.Seq)
		if here {
			at.Head = from.Seq
		}
		return at, here, err
	}
	if from.Seq == head {
		return at, true, nil
	}
	page, err := g.timelines.Records(g.reads, name, from.Seq, maxRecover, maxRecoverBytes)
	if err != nil {
		return at, false, err
	}
	size := int64(0)
	for i := range page.Records {
		size += int64(len(page.Records[i].Body)) + perRecord
	}
	if n := len(page.Records); n > 0 && page.Records[0].Seq == from.Seq+1 && page.Records[n-1].Seq == page.Head &&
		(c.ready.Load() || c.budget.Add(-size) >= 0) {
		return page, true, nil
	}
	return store.Page{Head: page.Head}, false, nil
}

// listen makes a client read one more timeline, after a sequence. Who has missed too much begins at the head, and is
// told.
func (c *client) listen(name string, after uint64) {
	r, err := c.open(name)
	switch {
	case errors.Is(err, errReading), errors.Is(err, errEnding):
		return
	case err == nil:
		err = c.begin(r, after)
	}
	if err != nil {
		// A session that misses one timeline would not know what it missed: it comes again and recovers.
		c.g.opt.Log.Warn("a session could not read a timeline and is sent away to come again", "topic", name, "error", err)
		c.link.Close(link.ServerError)
		return
	}
	if user := im.TopicStatus(name); user != "" {
		c.g.opt.OnWatched(user) // who came or went since the statuses were read
	}
}

// begin sends what a new reader missed, and lets the rest follow.
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
	c.push(&wire.Push{Channel: name, Subscribe: &wire.Subscribe{Recoverable: true, Positioned: true,
		Epoch: c.g.timelines.Epoch(), Offset: after}})
	r.seq = after
	for i := range missed.Records {
		r.send(&encodedRecord{Record: missed.Records[i]})
	}
	r.live()
	if n := len(missed.Records); n > 0 && missed.Records[n-1].Listen == im.EndOfTopic {
		c.stop(name) // the feed began after the end, and does not order it
	}
	return nil
}

// stop makes a client read a timeline no more.
func (c *client) stop(name string) {
	c.mu.Lock()
	r := c.reading[name]
	delete(c.reading, name)
	c.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	if r.over = true; !r.early {
		r.close()
	}
	r.mu.Unlock()
	c.g.leave(r)
}

// unsubscribed tells a device that it reads a timeline no more.
func (c *client) unsubscribed(name string) {
	const byServer = 2000
	c.push(&wire.Push{Channel: name, Unsubscribe: &wire.Unsubscribe{Code: byServer, Reason: "server unsubscribe"}})
}
