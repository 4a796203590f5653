// Package delivery brings committed records to the readers on this node, strictly in order and without gaps.
//
// The bus is only a hint: the sequencer fetches records that the bus lost from the log, and a periodic sweep finds
// topics without any hint. The package handles topics, records and bytes, not their meaning.
package delivery

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// Log is the durable log of records.
type Log interface {
	Records(ctx context.Context, topic string, after uint64, limit, maxBytes int) (store.Page, error)
	Heads(ctx context.Context, topics []string) (map[string]uint64, error)
}

// Bus carries committed records to the nodes that read their topics. It may lose, duplicate and reorder records.
type Bus interface {
	// Publish sends records to all nodes, including this one.
	Publish(records []txn.Record)
	// OnRecords sets the handler of received records, of topics that this node reads; a nil slice means that records of
	// any topic may have been lost. It is called once, before all other methods.
	OnRecords(handle func([]txn.Record), reads func(topic []byte) bool)
	// OnLoss adds a handler of losses of messages of a node in some shards. It is called before all other methods.
	OnLoss(func(node string, shards []int))
	// Subscribe and Unsubscribe set the topics that this node reads. They are counted: each Subscribe needs one
	// Unsubscribe.
	Subscribe(topic string) error
	Unsubscribe(topic string) error
}

// Readers are the sessions on this node.
type Readers interface {
	// Deliver sends a record to every session that reads its topic. It must not block.
	Deliver(r txn.Record)
	// Listen applies the subscription change of a record, after the record is delivered. seq is the record's sequence, 0
	// if the record is not stored. It must not block.
	Listen(topic string, seq uint64, l listen.Change)
}

// Options configures a Delivery. The zero value is valid.
type Options struct {
	// Sweep is the interval at which the heads in the log are compared with the delivered sequences, while Complete
	// reports false. A lost hint delays a record by at most Sweep + Grace. Default: 2 s.
	Sweep time.Duration
	// Complete reports whether the bus would report every loss. The heads are then compared once a minute, and those of
	// the shards in which something was lost. Default: false.
	Complete func() bool
	// Grace is the delay before a gap is fetched from the log, because records of two nodes may cross. Default: 30 ms.
	Grace time.Duration
	// Log is the logger. Default: slog.Default().
	Log *slog.Logger
}

// Delivery delivers records to readers. mu guards feeds, lostMu guards lost and all, gapMu guards gaps and retries.
type Delivery struct {
	log     Log
	bus     Bus
	readers Readers
	opt     Options
	wake    chan struct{} // wakes the sweep: records may have been lost
	failed  atomic.Bool   // a sweep failed

	mu    sync.RWMutex
	feeds map[string]*feed

	lostMu sync.Mutex
	lost   map[int]struct{} // shards in which records may have been lost
	all    bool             // in any shard

	gapMu   sync.Mutex
	gaps    map[string]struct{}
	retries map[string]struct{} // gaps that could not be fetched
	gapped  chan struct{}       // signals that gaps is not empty
}

// Limits of reads from the log.
const (
	fetchPage  = 500
	fetchBytes = 1 << 20
	fetchers   = 4    // gaps fetched concurrently
	sweepPage  = 2000 // heads read per query

	checkEvery = 250 * time.Millisecond // interval of asking whether the bus is complete
	fullSweep  = time.Minute            // interval of comparing all heads while nothing is lost
	sweepRest  = 100 * time.Millisecond // after a sweep, so that many losses share the next one
)

// New returns a Delivery. Serve must set the readers before records arrive.
func New(log Log, bus Bus, opt Options) *Delivery {
	if opt.Sweep == 0 {
		opt.Sweep = 2 * time.Second
	}
	if opt.Complete == nil {
		opt.Complete = func() bool { return false }
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Grace == 0 {
		opt.Grace = 30 * time.Millisecond
	}
	d := &Delivery{log: log, bus: bus, opt: opt, wake: make(chan struct{}, 1), feeds: map[string]*feed{},
		lost: map[int]struct{}{}, gaps: map[string]struct{}{}, retries: map[string]struct{}{},
		gapped: make(chan struct{}, 1)}
	bus.OnRecords(d.receive, d.reads)
	bus.OnLoss(func(_ string, shards []int) { d.noteLoss(shards) })
	return d
}

// Serve sets the readers.
func (d *Delivery) Serve(r Readers) { d.readers = r }

// Announce publishes committed records to all readers of their topics.
func (d *Delivery) Announce(records []txn.Record) { d.bus.Publish(records) }

// Open subscribes this node to a topic that it does not read. Its records are held until Begin.
func (d *Delivery) Open(topic string) error {
	d.mu.Lock()
	d.feeds[topic] = &feed{}
	d.mu.Unlock()
	err := d.bus.Subscribe(topic)
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.feeds, topic)
	}
	return err
}

// Begin starts the delivery of an open topic after its head, which must have been read after Open, so that no record
// falls in between.
func (d *Delivery) Begin(topic string, head uint64) {
	if f := d.feed(topic); f != nil && f.begin(head, d.deliver) {
		d.noteGap(topic)
	}
}

// Reads reports whether a topic has readers on this node.
func (d *Delivery) Reads(topic string) bool { return d.feed(topic) != nil }

func (d *Delivery) reads(topic []byte) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.feeds[string(topic)] != nil
}

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

func (d *Delivery) feed(topic string) *feed {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.feeds[topic]
}

// DeliverLocal delivers records only to the readers on this node.
func (d *Delivery) DeliverLocal(records []txn.Record) { d.receive(records) }

// Watched returns the users with presence watchers on this node.
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

// receive handles records from the bus.
func (d *Delivery) receive(records []txn.Record) {
	if records == nil {
		d.noteLoss(nil)
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
	default: // already signaled
	}
}

func (d *Delivery) noteGap(topic string) {
	d.gapMu.Lock()
	defer d.gapMu.Unlock()
	d.gaps[topic] = struct{}{}
	signal(d.gapped)
}

// retryLater notes that a gap could not be fetched.
func (d *Delivery) retryLater(topic string) {
	d.gapMu.Lock()
	defer d.gapMu.Unlock()
	d.retries[topic] = struct{}{}
}

// retry fetches the gaps again that could not be fetched.
func (d *Delivery) retry() {
	d.gapMu.Lock()
	defer d.gapMu.Unlock()
	if len(d.retries) > 0 {
		maps.Copy(d.gaps, d.retries)
		clear(d.retries)
		signal(d.gapped)
	}
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
	if l, ok := listen.Parse(r.Listen); ok {
		d.readers.Listen(r.Topic, r.Seq, l)
	}
}

// noteLoss notes that records of some shards may have been lost; without shards, of any.
func (d *Delivery) noteLoss(shards []int) {
	d.lostMu.Lock()
	defer d.lostMu.Unlock()
	d.all = d.all || len(shards) == 0
	for _, s := range shards {
		d.lost[s] = struct{}{}
	}
	signal(d.wake)
}

func (d *Delivery) takeLoss() (shards map[int]struct{}, all bool) {
	d.lostMu.Lock()
	defer d.lostMu.Unlock()
	shards, all = d.lost, d.all
	d.lost, d.all = map[int]struct{}{}, false
	return shards, all
}

// Run fetches gaps and sweeps until ctx ends.
func (d *Delivery) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return d.closeGaps(ctx) })
	t := time.NewTicker(min(d.opt.Sweep, checkEvery))
	defer t.Stop()
	rest := time.NewTimer(0)
	defer rest.Stop()
	swept, retried, complete := time.Now(), time.Now(), d.opt.Complete() // there is nothing to compare at the start
	for {
		select {
		case <-ctx.Done():
			return g.Wait()
		case <-t.C:
			was, since := complete, time.Since(swept)
			complete = d.opt.Complete()
			if complete != was || since >= fullSweep ||
				since >= d.opt.Sweep && (!complete || d.failed.Swap(false)) {
				d.noteLoss(nil)
			}
			if time.Since(retried) >= d.opt.Sweep {
				retried = time.Now()
				d.retry()
			}
		case <-d.wake:
		}
		shards, all := d.takeLoss()
		if all {
			swept = time.Now()
		}
		if all || len(shards) > 0 {
			d.reconcile(ctx, shards, all)
		}
		rest.Reset(sweepRest)
		select {
		case <-ctx.Done():
		case <-rest.C:
		}
	}
}

// closeGaps fetches missing records from the log once their grace period is over.
func (d *Delivery) closeGaps(ctx context.Context) error {
	grace := time.NewTimer(d.opt.Grace)
	defer grace.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.gapped:
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
		_ = g.Wait() // never fails
	}
}

// fetch delivers the records of a topic that are in the log and not yet delivered.
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
				d.opt.Log.Warn("gap fetch failed", "topic", topic, "after", after, "error", err)
			}
			d.retryLater(topic)
			return
		}
		if p.Floor > after { // trimmed before it was delivered here
			f.begin(p.Floor, d.deliver)
		}
		for i := range p.Records {
			f.offer(p.Records[i], d.deliver)
		}
		if len(p.Records) == 0 {
			d.retryLater(topic) // the record is not readable yet
			return
		}
	}
}

// reconcile finds the topics of some shards, or of all, that are behind their heads in the log. Records that are still
// on their way get the grace period of a gap.
func (d *Delivery) reconcile(ctx context.Context, shards map[int]struct{}, all bool) {
	d.mu.RLock()
	topics := slices.Collect(maps.Keys(d.feeds))
	d.mu.RUnlock()
	if !all {
		topics = slices.DeleteFunc(topics, func(t string) bool {
			_, lost := shards[Shard(t)]
			return !lost
		})
	}
	for page := range slices.Chunk(topics, sweepPage) {
		heads, err := d.log.Heads(ctx, page)
		if err != nil {
			if ctx.Err() == nil {
				d.opt.Log.Warn("sweep failed", "retry_in", d.opt.Sweep, "error", err)
			}
			d.failed.Store(true)
			return
		}
		for t, head := range heads {
			if f := d.feed(t); f != nil && f.expect(head) {
				d.noteGap(t)
			}
		}
	}
}
