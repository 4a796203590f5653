package engine

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/protocol"
)

// Listening is a topic that a connecting device hears.
type Listening struct {
	Name    string
	After   uint64 // the last sequence that it does not hear, unless Recover
	Recover bool   // the transport goes on from where it stood
	Ended   bool   // nothing will follow what is recovered
}

// Position is how far a device's transport had come in a topic.
type Position struct {
	Seq   uint64
	Epoch string
}

// Connect reads what a connecting device is told, and what it listens to. stood is where its transport stood when the
// connection before broke; hello may bring positions that the device kept itself, over a restart.
func (e *Engine) Connect(ctx context.Context, by verb.Caller, hello protocol.Hello, stood map[string]Position) (protocol.Welcome, []Listening, error) {
	snap, err := e.store.Snapshot(ctx, by.UserID)
	if err != nil {
		return protocol.Welcome{}, nil, im.Internal(err)
	}
	c := connecting{e: e, hello: hello, stood: stood, fresh: len(stood) == 0 && len(hello.Positions) == 0}
	c.welcome = protocol.Welcome{
		UserID: by.UserID, DeviceID: by.DeviceID, ServerTime: snap.Now, Epoch: e.store.Epoch(), Positions: map[string]uint64{},
		Invitations: viewOpen(snap.Invitations, store.MaxSnapshot, snap.Now), More: len(snap.Invitations) >= store.MaxSnapshot,
	}
	if err := c.gather(ctx, by, snap); err != nil {
		return protocol.Welcome{}, nil, im.Internal(err)
	}
	return c.welcome, c.list, nil
}

// connecting gathers what one device listens to.
type connecting struct {
	e       *Engine
	hello   protocol.Hello
	stood   map[string]Position
	fresh   bool // the device has no past here: the snapshot is its beginning
	welcome protocol.Welcome
	list    []Listening
}

func (c *connecting) gather(ctx context.Context, by verb.Caller, snap *store.Snapshot) error {
	if err := c.listen(ctx, im.UserTopic(by.UserID), snap.Head, snap.Head, 0); err != nil {
		return err
	}
	joined, err := c.joinedMeanwhile(ctx, im.UserTopic(by.UserID), snap.Head)
	if err != nil {
		return err
	}
	for _, g := range snap.Groups {
		topic, after := im.GroupTopic(g.GroupID), g.Head
		if _, known := c.hello.Positions[topic]; joined[topic] {
			after = g.JoinedSeq
		} else if _, here := c.stood[topic]; !c.fresh && !known && !here && snap.Now-g.JoinedAt < justJoined.Milliseconds() {
			after = g.JoinedSeq // its node died between the order to listen and the listening
		} else if !c.fresh && !known && !here {
			c.welcome.Reload = append(c.welcome.Reload, topic) // the device lost its place in it
		}
		if err := c.listen(ctx, topic, g.Head, after, g.JoinedSeq); err != nil {
			return err
		}
	}
	for i := range snap.Invitations {
		if o := &snap.Invitations[i]; o.Mine != nil && o.Invitation.Party {
			if err := c.party(ctx, o.Invitation.ID); err != nil {
				return err
			}
		}
	}
	for t := range c.stood {
		if err := c.heardBefore(ctx, by, im.TopicInvitation(t)); err != nil {
			return err
		}
	}
	return nil
}

// joinedMeanwhile finds the topics that a device which was here before was told to listen to while it was away.
func (c *connecting) joinedMeanwhile(ctx context.Context, topic string, head uint64) (map[string]bool, error) {
	joined := map[string]bool{}
	p, ok := c.stood[topic]
	if !ok {
		p.Seq, ok = c.hello.Positions[topic], c.hello.Positions[topic] > 0 || !c.fresh
	}
	for ok && p.Seq < head {
		page, err := c.e.store.Records(ctx, topic, p.Seq, joinPage, joinBytes)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Records {
			p.Seq = r.Seq
			if l, ok := im.ParseListen(r.Listen); ok && !l.End {
				joined[l.Topic] = !l.Stop
			}
		}
		if ok = len(page.Records) > 0; p.Seq-c.stood[topic].Seq > maxJoinScan {
			break // who was away so long reloads anyway
		}
	}
	return joined, nil
}

// justJoined is how long after a joining a returning device that never heard the group is taken to have missed its beginning.
const justJoined = 10 * time.Minute

// What a returning device's own timeline is searched for joins, at most.
const (
	joinPage    = 1000
	joinBytes   = 4 << 20
	maxJoinScan = 10_000
)

// listen adds a topic: from where the transport stood, or after the position that the device kept, or else after the
// given sequence. Nobody hears what was said before the sequence joined.
func (c *connecting) listen(ctx context.Context, topic string, head, after, joined uint64) error {
	c.welcome.Positions[topic] = head
	if p, ok := c.stood[topic]; ok && p.Seq >= joined {
		c.list = append(c.list, Listening{Name: topic, Recover: true})
		return nil
	}
	if pos, ok := c.hello.Positions[topic]; ok && len(c.stood) == 0 {
		floor, err := c.e.store.Floor(ctx, topic)
		if err != nil {
			return err
		}
		if c.hello.Epoch == c.e.store.Epoch() && pos >= floor && pos <= head {
			after = max(pos, joined)
		} else {
			after = head
			c.welcome.Reload = append(c.welcome.Reload, topic)
		}
	}
	c.list = append(c.list, Listening{Name: topic, After: after})
	return nil
}

// party adds the topic of an invitation, from its beginning: it is short.
func (c *connecting) party(ctx context.Context, id string) error {
	head, err := c.e.store.Head(ctx, im.InvitationTopic(id))
	if err != nil {
		return err
	}
	return c.listen(ctx, im.InvitationTopic(id), head, 0, 0)
}

// heardBefore lets a device that listened to an invitation hear how it went on, also when it is over.
func (c *connecting) heardBefore(ctx context.Context, by verb.Caller, id string) error {
	if _, listed := c.welcome.Positions[im.InvitationTopic(id)]; id == "" || listed {
		return nil
	}
	p, err := c.e.store.Invitee(ctx, id, by.UserID)
	if err != nil || p == nil {
		return err
	}
	v, err := c.e.store.Invitation(ctx, id)
	if err != nil || v == nil {
		return err
	}
	if err := c.party(ctx, id); err != nil {
		return err
	}
	c.list[len(c.list)-1].Ended = v.Over()
	return nil
}
