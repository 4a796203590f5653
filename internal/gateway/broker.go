package gateway

import (
	"context"
	"log/slog"

	"github.com/centrifugal/centrifuge"

	"github.com/beckon-im/beckon/internal/world"
)

// tagOrigin is the tag by which a record passes the acting device by.
const tagOrigin = "by"

// tagAudience is the tag of a record that is for some readers only: their names, each between spaces.
const tagAudience = "for"

// maxRecover bounds what one reconnect may bring, in records and bytes. Who missed more reloads.
const (
	maxRecover      = 5000
	maxRecoverBytes = 2 << 20
)

// broker makes our timelines the transport's channels: channel = topic, offset = sequence, epoch = database.
type broker struct {
	reads     context.Context // ends when sessions are about to end
	timelines Timelines
	feeds     Feeds
	handler   centrifuge.BrokerEventHandler
	log       *slog.Logger
}

func (b *broker) RegisterBrokerEventHandler(h centrifuge.BrokerEventHandler) error {
	b.handler = h
	return nil
}

func (b *broker) Subscribe(topics ...string) error {
	for _, t := range topics {
		if err := b.feeds.Open(b.reads, t); err != nil {
			return err
		}
	}
	return nil
}

func (b *broker) Unsubscribe(topics ...string) error {
	for _, t := range topics {
		if err := b.feeds.Close(t); err != nil {
			return err
		}
	}
	return nil
}

// History is the transport's catch-up.
func (b *broker) History(topic string, opts centrifuge.HistoryOptions) ([]*centrifuge.Publication, centrifuge.StreamPosition, error) {
	ctx, top := b.reads, centrifuge.StreamPosition{Epoch: b.timelines.Epoch()}
	head, err := b.timelines.Head(ctx, topic)
	if err != nil {
		return nil, top, err
	}
	top.Offset = head
	f := opts.Filter
	if f.Limit == 0 || f.Since == nil || f.Since.Offset >= head || f.Since.Epoch != "" && f.Since.Epoch != top.Epoch {
		return nil, top, nil
	}
	page, err := b.timelines.Records(ctx, topic, f.Since.Offset, maxRecover, maxRecoverBytes)
	if err != nil {
		return nil, top, err
	}
	top.Offset = page.Head
	pubs := make([]*centrifuge.Publication, len(page.Records))
	for i := range page.Records {
		pubs[i] = publication(&page.Records[i])
	}
	return pubs, top, nil
}

func publication(r *world.Record) *centrifuge.Publication {
	p := &centrifuge.Publication{Offset: r.Seq, Data: r.Body}
	if r.Device != "" || r.Audience != "" {
		p.Tags = map[string]string{}
	}
	if r.Device != "" {
		p.Tags[tagOrigin] = r.Device
	}
	if r.Audience != "" {
		p.Tags[tagAudience] = r.Audience
	}
	return p
}

// ReliableDelivery tells the transport that delivery never leaves a gap, so that it need not compare positions.
func (b *broker) ReliableDelivery() bool { return true }

// Publish is not ours to do: records come from the log alone.
func (b *broker) Publish(string, []byte, centrifuge.PublishOptions) (centrifuge.PublishResult, error) {
	return centrifuge.PublishResult{}, centrifuge.ErrorNotAvailable
}

func (b *broker) PublishJoin(string, *centrifuge.ClientInfo) error  { return nil }
func (b *broker) PublishLeave(string, *centrifuge.ClientInfo) error { return nil }
func (b *broker) RemoveHistory(string) error                        { return centrifuge.ErrorNotAvailable }

// controller lets the transport's nodes speak to each other.
type controller struct {
	nodes Nodes
	self  string
}

func (c *controller) RegisterControlEventHandler(h centrifuge.ControlEventHandler) error {
	return c.nodes.Obey(c.self, func(data []byte) { _ = h.HandleControl(data) }) // what is garbled is of another version
}

func (c *controller) PublishControl(data []byte, nodeID, _ string) error {
	return c.nodes.Command(nodeID, data)
}

// Deliver hands a record to every session that reads its topic.
func (g *Gateway) Deliver(r world.Record) {
	b := g.broker
	sp := centrifuge.StreamPosition{Offset: r.Seq, Epoch: b.timelines.Epoch()}
	if err := b.handler.HandlePublication(r.Topic, publication(&r), sp, false, nil); err != nil {
		b.log.Error("a record could not be handed to its readers", "topic", r.Topic, "seq", r.Seq, "error", err)
	}
}
