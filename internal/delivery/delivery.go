// Package delivery owns the way from a committed record to the readers on this node: strictly in order, nothing left
// out.
//
// It knows topics, records and bytes, and never what they mean. The bus is only a hint: what it loses, the sequencer
// fetches from the log, and a sweep finds what nobody hinted at.
package delivery

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
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
	Publish(records []txn.Record)
	// OnRecords sets who is offered records; nil says that some may have been lost. It is called once, before any other
	// method.
	OnRecords(func([]txn.Record))
	// Subscribe and Unfollow say which topics this node reads. Each Follow has its Unfollow.
	Subscribe(topic string) error
	Unsubscribe(topic string) error
}

// Readers are the sessions of this node.
type Readers interface {
	// Deliver hands a record to every session that reads its topic. It must not block.
	Deliver(r txn.Record)
	// Listen carries out an order that came with a record, after the record was delivered. seq is that of the record, 0
	// when it is not stored. It must not block.
	Listen(topic string, seq uint64, l im.Listen)
}

// Options are the choices for delivery. The zero value works.
type Options struct {
	// Sweep is how often the heads of the log are compared with what was delivered. A lost hint delays a record by at
	// most this and Grace. Default: 2 s.
	Sweep time.Duration
	// Grace is how long a record may be behind a later one before it is fetched: two nodes' records cross. Default: 30 ms.
	Grace time.Duration
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// Delivery brings records to readers.
type Delivery struct {
	log     Log
	bus     Bus
	readers Readers
	opt     Options
	nudge   chan struct{} // something may have been lost: sweep now

	mu    sync.RWMutex
	feeds map[string]*feed

	gapMu sync.Mutex
	gaps  map[string]struct{}
	some  chan struct{} // there are gaps
}

// fetchPage bounds one read of a gap.
const (
	fetchPage  = 500
	fetchBytes = 1 << 20
	fetchers   = 4    // gaps that are fetched side by side
	sweepPage  = 2000 // heads that are read together
)

// New makes a delivery. Readers must be set with Serve before records arrive.
func New(log Log, bus Bus, opt Options) *Delivery {
	if opt.Sweep == 0 {
		opt.Sweep = 2 * time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Grace == 0 {
		opt.Grace = 30 * time.Millisecond
	}
	d := &Delivery{log: log, bus: bus, opt: opt, nudge: make(chan struct{}, 1), feeds: map[string]*feed{},
		gaps: map[string]struct{}{}, some: make(chan struct{}, 1)}
	bus.OnRecords(d.receive)
	return d
}

// Serve sets the readers.
func (d *Delivery) Serve(r Readers) { d.readers = r }

// Announce offers committed records to everybody who reads their topics.
func (d *Delivery) Announce(records []txn.Record) { d.bus.Publish(records) }

// Open begins to deliver a topic on this node, from its head on.
func (d *Delivery) Open(ctx context.Context, topic string) error {
	f := &feed{}
	d.mu.Lock()
	_, open := d.feeds[topic] // a reader that came back before the one who left was noticed
	d.feeds[topic] = f
	d.mu.Unlock()
	if !open {
		if err := d.bus.Subscribe(topic); err != nil {
			d.forget(topic, f)
			return err
		}
	}
	head, err := d.log.Head(ctx, topic) // after Follow, so that nothing falls between
	if err != nil {
		if d.forget(topic, f) {
			err = errors.Join(err, d.bus.Unsubscribe(topic))
		}
		return err
	}
	if f.begin(head, d.deliver) {
		d.noteGap(topic)
	}
	return nil
}

// Reads reports whether anybody on this node reads a topic.
func (d *Delivery) Reads(topic string) bool { return d.feed(topic) != nil }

// Close stops delivering a topic on this node.
func (d *Delivery) Close(topic string) error {
	d.mu.Lock()
	_, open := d.feeds[topic]
	delete(d.feeds, topic)
	d.mu.Unlock()
	if !open {
		return nil
	}
	return d.bus.Unsubscribe(topic)
}

// forget removes a feed that could not begin, and reports whether it was the topic's.
func (d *Delivery) forget(topic string, f *feed) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.feeds[topic] != f {
		return false
	}
	delete(d.feeds, topic)
	return true
}

func (d *Delivery) feed(topic string) *feed {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.feeds[topic]
}

// DeliverLocal offers records to the readers of this node alone.
func (d *Delivery) DeliverLocal(records []txn.Record) { d.receive(records) }

// Watched lists the people whose coming and going somebody on this node watches.
func (d *Delivery) Watched() []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var list []string
	for t := range d.feeds {
		if u := im.TopicStatus(t); u != "" {
			list = append(list, u)
		}
	}
	return list
}

// receive takes what the bus offers.
func (d *Delivery) receive(records []txn.Record) {
	if records == nil {
		signal(d.nudge)
	}
	for i := range records {
		f := d.feed(records[i].Topic)
		if f != nil && f.offer(records[i], d.deliver) {
			d.noteGap(records[i].Topic)
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is known already
	}
}

func (d *Delivery) noteGap(topic string) {
	d.gapMu.Lock()
	defer d.gapMu.Unlock()
	d.gaps[topic] = struct{}{}
	signal(d.some)
}

func (d *Delivery) takeGaps() map[string]struct{} {
	d.gapMu.Lock()
	defer d.gapMu.Unlock()
	gaps := d.gaps
	d.gaps = map[string]struct{}{}
	return gaps
}

func (d *Delivery) deliver(r txn.Record) {
	d.readers.Deliver(r)
	if l, ok := im.ParseListen(r.Listen); ok {
		d.readers.Listen(r.Topic, r.Seq, l)
	}
}

// Run fetches gaps and sweeps until ctx ends.
func (d *Delivery) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return d.closeGaps(ctx) })
	t := time.NewTicker(d.opt.Sweep)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return g.Wait()
		case <-t.C:
		case <-d.nudge:
		}
		d.reconcile(ctx)
	}
}

// closeGaps fetches what is missing, once it had its time to come by itself.
func (d *Delivery) closeGaps(ctx context.Context) error {
	grace := time.NewTimer(d.opt.Grace)
	defer grace.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.some:
		}
		grace.Reset(d.opt.Grace)
		select {
		case <-ctx.Done():
			return nil
		case <-grace.C:
		}
		var g errgroup.Group
		g.SetLimit(fetchers)
		for topic := range d.takeGaps() {
			g.Go(func() error {
				d.fetch(ctx, topic)
				return nil
			})
		}
		_ = g.Wait() // none fails
	}
}

// fetch delivers what the log has and this node has not delivered.
func (d *Delivery) fetch(ctx context.Context, topic string) {
	f := d.feed(topic)
	for f != nil {
		after, behind := f.behind()
		if !behind {
			return
		}
		p, err := d.log.Records(ctx, topic, after, fetchPage, fetchBytes)
		if err != nil {
			if ctx.Err() == nil {
				d.opt.Log.Warn("a gap could not be fetched; the sweep tries again", "topic", topic, "after", after, "error", err)
			}
			return
		}
		if p.Floor > after { // it was trimmed before it could be delivered here
			f.begin(p.Floor, d.deliver)
		}
		for i := range p.Records {
			f.offer(p.Records[i], d.deliver)
		}
		if len(p.Records) == 0 {
			return
		}
	}
}

// reconcile finds the topics that are behind their heads. What is only on its way has the time of a gap to come.
func (d *Delivery) reconcile(ctx context.Context) {
	d.mu.RLock()
	topics := slices.Collect(maps.Keys(d.feeds))
	d.mu.RUnlock()
	for page := range slices.Chunk(topics, sweepPage) {
		heads, err := d.log.Heads(ctx, page)
		if err != nil {
			if ctx.Err() == nil {
				d.opt.Log.Warn("the sweep could not read heads; it comes again", "error", err)
			}
			return
		}
		for t, head := range heads {
			if f := d.feed(t); f != nil && f.expect(head) {
				d.noteGap(t)
			}
		}
	}
}
