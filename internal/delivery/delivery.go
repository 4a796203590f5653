// Package delivery owns the way from a committed record to the readers on this node: strictly in order, nothing left out.
//
// It knows topics, records and bytes, and never what they mean. The bus is only a hint: what it loses, the sequencer
// fetches from the log, and a sweep finds what nobody hinted at.
package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/world"
)

// Log is where records are durable.
type Log interface {
	Records(ctx context.Context, topic string, after uint64, limit, maxBytes int) (store.Page, error)
	Head(ctx context.Context, topic string) (uint64, error)
	Heads(ctx context.Context, topics []string) (map[string]uint64, error)
}

// Bus carries committed records to the nodes that read their topics. It may lose, double and reorder them.
type Bus interface {
	// Publish offers records to all nodes, this one included.
	Publish(records []world.Record)
	// Receive sets who is offered records. It is called once, before any other method.
	Receive(func([]world.Record))
	// Follow and Unfollow say which topics this node reads.
	Follow(topic string) error
	Unfollow(topic string) error
}

// Readers are the sessions of this node.
type Readers interface {
	// Deliver hands a record to every session that reads its topic. It must not block.
	Deliver(r world.Record)
	// Listen carries out an order that came with a record, after the record was delivered. It must not block.
	Listen(topic string, l world.Listen)
}

// Options are the choices for delivery. The zero value works.
type Options struct {
	// Sweep is how often the heads of the log are compared with what was delivered. A lost hint delays a record by at
	// most two sweeps. Default: 2 s.
	Sweep time.Duration
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Delivery brings records to readers.
type Delivery struct {
	log     Log
	bus     Bus
	readers Readers
	opt     Options
	gaps    chan string

	mu    sync.RWMutex
	feeds map[string]*feed
}

// fetchPage bounds one read of a gap.
const (
	fetchPage  = 500
	fetchBytes = 1 << 20
)

// New makes a delivery. Readers must be set with Serve before records arrive.
func New(log Log, bus Bus, opt Options) *Delivery {
	if opt.Sweep == 0 {
		opt.Sweep = 2 * time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	d := &Delivery{log: log, bus: bus, opt: opt, gaps: make(chan string, 1024), feeds: map[string]*feed{}}
	bus.Receive(d.receive)
	return d
}

// Serve sets the readers.
func (d *Delivery) Serve(r Readers) { d.readers = r }

// Announce offers committed records to everybody who reads their topics.
func (d *Delivery) Announce(records []world.Record) { d.bus.Publish(records) }

// Open begins to deliver a topic on this node, from its head on.
func (d *Delivery) Open(ctx context.Context, topic string) error {
	f := &feed{}
	d.mu.Lock()
	d.feeds[topic] = f
	d.mu.Unlock()
	if err := d.bus.Follow(topic); err != nil {
		d.forget(topic, f)
		return err
	}
	head, err := d.log.Head(ctx, topic) // after Follow, so that nothing falls between
	if err != nil {
		d.forget(topic, f)
		return err
	}
	f.begin(head, d.hand)
	return nil
}

// Reads reports whether anybody on this node reads a topic.
func (d *Delivery) Reads(topic string) bool { return d.feed(topic) != nil }

// Close stops delivering a topic on this node.
func (d *Delivery) Close(topic string) error {
	d.mu.Lock()
	delete(d.feeds, topic)
	d.mu.Unlock()
	return d.bus.Unfollow(topic)
}

func (d *Delivery) forget(topic string, f *feed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.feeds[topic] == f {
		delete(d.feeds, topic)
	}
}

func (d *Delivery) feed(topic string) *feed {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.feeds[topic]
}

// receive takes what the bus offers.
func (d *Delivery) receive(records []world.Record) {
	for i := range records {
		f := d.feed(records[i].Topic)
		if f != nil && f.offer(records[i], d.hand) {
			select {
			case d.gaps <- records[i].Topic:
			default: // the sweep will find it
			}
		}
	}
}

func (d *Delivery) hand(r world.Record) {
	d.readers.Deliver(r)
	if l, ok := world.ParseListen(r.Listen); ok {
		d.readers.Listen(r.Topic, l)
	}
}

// Run fetches gaps and sweeps until ctx ends.
func (d *Delivery) Run(ctx context.Context) error {
	t := time.NewTicker(d.opt.Sweep)
	defer t.Stop()
	behind := map[string]uint64{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case topic := <-d.gaps:
			d.fetch(ctx, topic)
		case <-t.C:
			behind = d.sweep(ctx, behind)
		}
	}
}

// fetch delivers what the log has and this node has not delivered.
func (d *Delivery) fetch(ctx context.Context, topic string) {
	f := d.feed(topic)
	for f != nil {
		after, ready := f.delivered()
		if !ready {
			return
		}
		p, err := d.log.Records(ctx, topic, after, fetchPage, fetchBytes)
		if err != nil {
			if ctx.Err() == nil {
				d.opt.Log.Warn("a gap could not be fetched; the sweep tries again", "topic", topic, "after", after, "error", err)
			}
			return
		}
		for i := range p.Records {
			f.offer(p.Records[i], d.hand)
		}
		if now, _ := f.delivered(); len(p.Records) == 0 || now == after || now >= p.Head {
			return
		}
	}
}

// sweep fetches the topics that were behind their head at the sweep before and have not moved since.
func (d *Delivery) sweep(ctx context.Context, before map[string]uint64) map[string]uint64 {
	d.mu.RLock()
	topics := make([]string, 0, len(d.feeds))
	for t := range d.feeds {
		topics = append(topics, t)
	}
	d.mu.RUnlock()
	heads, err := d.log.Heads(ctx, topics)
	if err != nil {
		if ctx.Err() == nil {
			d.opt.Log.Warn("the sweep could not read heads; it comes again", "error", err)
		}
		return before
	}
	behind := map[string]uint64{}
	for t, head := range heads {
		f := d.feed(t)
		if f == nil {
			continue
		}
		at, ready := f.delivered()
		if !ready || at >= head {
			continue
		}
		if was, ok := before[t]; ok && was == at {
			d.fetch(ctx, t)
			continue
		}
		behind[t] = at
	}
	return behind
}
