package gateway

import (
	"encoding/json"
	"errors"
	"slices"

	wire "github.com/centrifugal/protocol"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/gateway/link"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/protocol"
)

var errEnding = errors.New("link is closing")

// open subscribes a client to topics, since a sequence of the user's topic, and returns the readers and heads of those
// that it did not read. Records are held until live is called.
func (c *client) open(names []string, since uint64) (readers []*reader, heads map[string]uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(stateClosed) {
		return nil, nil, errEnding
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	names = slices.DeleteFunc(names, func(name string) bool {
		_, reads := slices.BinarySearchFunc(c.reading, name, byTopic)
		return reads || slices.Contains(c.ended, name)
	})
	if len(c.reading)+len(names) > maxTopics {
		c.link.Close(link.TooMany)
		return nil, nil, errEnding
	}
	if len(names) == 0 {
		return nil, nil, nil
	}
	block := make([]reader, len(names)) // one allocation, without gaps between readers
	for i := range block {
		block[i].c, block[i].replaying, block[i].own = c, true, names[i] == im.UserTopic(c.UserID)
		if since != c.Head {
			block[i].rare = &rare{since: since}
		}
	}
	if heads, err = c.g.join(names, block); err != nil {
		return nil, nil, err
	}
	readers = make([]*reader, len(block))
	for i := range block {
		r := &block[i]
		if c.g.changes.stopsAfter(subscription{im.UserTopic(c.UserID), names[i]}, since) { // queued before it joined
			r.c.delivering.Lock()
			r.end()
			r.c.delivering.Unlock()
		}
		readers[i] = r
	}
	c.reading = append(c.reading, readers...)
	slices.SortFunc(c.reading, func(a, b *reader) int { return byTopic(a, b.topic.name) })
	return readers, heads, nil
}

// start is where a client starts to read a topic.
type start struct {
	topic string
	from  *Position // nil = at the head
	head  uint64    // of the topic
}

// missed are the records of a topic after a client's start.
type missed struct {
	store.Page
	recovered bool // the records are complete
}

// readMissed reads the records after the starts of a client, all at once. Their bytes share one budget while the client
// connects, so that they fit into its queue.
func (c *client) readMissed(starts []start) ([]missed, error) {
	g := c.g
	list := make([]missed, len(starts))
	var behind []store.After
	var which, ahead []int // the indexes in starts of those behind, and of those ahead of the head
	for i, s := range starts {
		list[i].Head = s.head
		switch own := im.TopicInvitation(s.topic) != ""; {
		case s.from == nil || s.from.Epoch != "" && s.from.Epoch != g.timelines.Epoch():
		case s.from.Seq > s.head: // this node lags behind, or there is no such record
			ahead = append(ahead, i)
		case s.from.Seq == s.head:
			list[i].recovered = true
		case own && s.from.Seq == 0: // its sequences begin with a time
			behind, which = append(behind, store.After{Topic: s.topic, Limit: maxRecover}), append(which, i)
		case s.head-s.from.Seq <= maxRecover:
			behind = append(behind, store.After{Topic: s.topic, Seq: s.from.Seq, Limit: int(s.head - s.from.Seq)})
			which = append(which, i)
		}
	}
	if err := c.checkAhead(starts, ahead, list); err != nil || len(behind) == 0 {
		return list, err
	}
	limit := maxRecoverBytes
	if !c.is(stateOnline) {
		limit = int(max(c.budget.Load(), 0))
	}
	pages, err := g.timelines.Pages(g.reads, behind, limit)
	for i, page := range pages {
		list[which[i]] = c.complete(behind[i], starts[which[i]].head, page)
	}
	return list, err
}

// checkAhead recovers the positions ahead of the heads of this node, if their records exist.
func (c *client) checkAhead(starts []start, ahead []int, list []missed) error {
	names := make([]string, len(ahead))
	for i, at := range ahead {
		names[i] = starts[at].topic
	}
	lasts, err := c.g.timelines.Lasts(c.g.reads, names)
	for _, at := range ahead {
		if seq := starts[at].from.Seq; seq <= lasts[starts[at].topic] {
			list[at].Head, list[at].recovered = seq, true
		}
	}
	return err
}

// complete returns a page after a position, and whether its records are complete up to the head and within the client's
// budget. Later records are delivered.
func (c *client) complete(after store.After, head uint64, page store.Page) missed {
	first := after.Seq + 1
	if after.Seq == 0 && im.TopicInvitation(after.Topic) != "" { // its sequences begin with a time
		if first = page.Floor + 1; page.Head == page.Floor && page.Head >= head { // without records, and read
			return missed{page, true}
		}
	}
	size := int64(0)
	for i := range page.Records {
		size += int64(store.RecordSize(&page.Records[i]))
	}
	if n := len(page.Records); n > 0 && page.Records[0].Seq == first && page.Records[n-1].Seq >= head &&
		(c.is(stateOnline) || c.budget.Add(-size) >= 0) {
		page.Head = page.Records[n-1].Seq
		return missed{page, true}
	}
	return missed{Page: store.Page{Head: head}}
}

// listen subscribes a client to one more topic, after a sequence; since is the sequence of the change. A client that
// missed too much starts at the head and receives a reload notice.
func (c *client) listen(name string, after, since uint64) {
	readers, heads, err := c.open([]string{name}, since)
	if errors.Is(err, errEnding) || err == nil && len(readers) == 0 {
		return
	}
	var list []missed
	if err == nil {
		list, err = c.readMissed([]start{{name, &Position{Seq: after}, heads[name]}})
	}
	if err != nil {
		// A session without the topic would miss records unnoticed; it reconnects and recovers.
		c.g.opt.Log.Warn("subscription failed", "topic", name, "error", err)
		c.link.Close(link.ServerError)
		return
	}
	c.begin(readers[0], after, list[0])
}

// begin sends the missed records to a new reader, then releases the held ones.
func (c *client) begin(r *reader, after uint64, m missed) {
	name := r.topic.name
	if !m.recovered {
		after = m.Head
		c.push(&wire.Push{Message: &wire.Message{Data: reloadNotice(name)}})
	}
	if after == 0 && im.TopicInvitation(name) != "" {
		after = m.Floor
	}
	c.push(&wire.Push{Channel: name, Subscribe: &wire.Subscribe{Recoverable: true, Positioned: true,
		Epoch: c.g.timelines.Epoch(), Offset: after}})
	r.begin(after, m.Records)
	if n := len(m.Records); n > 0 && m.Records[n-1].Listen == listen.EndOfTopic {
		c.end(name) // the feed started after the end of the topic and does not deliver it
	}
	if user := im.TopicStatus(name); user != "" {
		c.g.opt.OnWatched(user) // presence may have changed since the statuses were read
	}
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
	at, reads := slices.BinarySearchFunc(c.reading, name, byTopic)
	if !reads {
		c.mu.Unlock()
		return
	}
	r := c.reading[at]
	c.reading = slices.Delete(c.reading, at, at+1)
	c.mu.Unlock()
	r.c.delivering.Lock()
	if r.stopped = true; !r.replaying {
		r.close()
	}
	r.c.delivering.Unlock()
	c.g.leave(r)
}

// unsubscribed notifies a device that its subscription has ended.
func (c *client) unsubscribed(name string) {
	const byServer = 2000
	c.push(&wire.Push{Channel: name, Unsubscribe: &wire.Unsubscribe{Code: byServer, Reason: "server unsubscribe"}})
}

// reloadNotice encodes a reload of one timeline.
func reloadNotice(timeline string) []byte {
	b, err := json.Marshal(protocol.Notice{Type: protocol.TypeReload, Timelines: []string{timeline}})
	if err != nil {
		panic(err) // a struct of strings always encodes
	}
	return b
}
