// Package snapshot owns the reads of invitations: the welcome of a connecting device, getInvitation, listInvitations.
//
// It decides nothing about them.
package snapshot

import (
	"context"
	"slices"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
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

// Connect reads the connect response of a device and the topics of its session. stood has the positions of its
// transport when the previous connection broke; hello may have positions that the device stored itself, across a
// restart.
func (r *Reader) Connect(ctx context.Context, by rpc.Caller, hello protocol.Hello,
	stood map[string]Position) (protocol.Welcome, []Listening, error) {
	snap, err := r.Store.Snapshot(ctx, by.UserID)
	if err != nil {
		return protocol.Welcome{}, nil, im.Internal(err)
	}
	r.unfollow(by.UserID, snap.Over)
	c := connecting{r: r, hello: hello, stood: stood, fresh: len(stood) == 0 && len(hello.Positions) == 0}
	c.welcome = protocol.Welcome{
		UserID: by.UserID, DeviceID: by.DeviceID, ServerTime: snap.Now, Epoch: r.Store.Epoch(),
		Positions: map[string]uint64{},
	}
	snap.Invitations = slices.DeleteFunc(snap.Invitations, func(o store.OpenInvitation) bool {
		return o.Invitation.OnlineUserOnly && !slices.Contains(hello.Held, o.Invitation.ID)
	})
	list, whole := viewOpen(snap.Invitations, store.MaxSnapshot, snap.Now)
	c.welcome.Invitations, c.welcome.More = list, !whole
	if err := c.gather(ctx, by, snap); err != nil {
		return protocol.Welcome{}, nil, im.Internal(err)
	}
	if c.welcome.Ended, err = r.ended(ctx, by, hello.Held); err != nil {
		return protocol.Welcome{}, nil, im.Internal(err)
	}
	return c.welcome, c.list, nil
}

// maxEnded bounds the ended invitations of one welcome.
const maxEnded = 50

// ended shows those invitations of a list that are over and that the user takes part in.
func (r *Reader) ended(ctx context.Context, by rpc.Caller, ids []string) ([]protocol.Invitation, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := r.Store.Invitations(ctx, ids)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(v invite.Invitation) bool { return !v.Over() })
	list, _, err := r.viewWhole(ctx, by, found[:min(len(found), maxEnded)])
	return list, err
}

// viewWhole shows invitations with their first invitees, those that the caller may see, and reports whether there are
// more of these than one answer takes.
func (r *Reader) viewWhole(ctx context.Context, by rpc.Caller, list []invite.Invitation) (views []protocol.Invitation,
	more bool, err error) {
	size := 0
	views = make([]protocol.Invitation, 0, len(list))
	for i := range list {
		v := &list[i]
		mine, err := r.Store.Invitee(ctx, v.ID, by.UserID)
		if err != nil {
			return nil, false, err
		}
		if im.CodeOf(r.maySee(ctx, v, mine, by)) != 0 {
			continue
		}
		invitees, err := r.Store.Invitees(ctx, v.ID, 0, invite.MaxNames)
		if err != nil {
			return nil, false, err
		}
		if mine != nil && mine.Ord >= invite.MaxNames {
			invitees = append(invitees, *mine)
		}
		v, now, err := r.decided(ctx, v, invitees)
		if err != nil {
			return nil, false, err
		}
		for j := range invitees {
			invitees[j] = SeenBy(invitees[j], v, by)
		}
		view := protocol.ViewInvitation(v, invitees, now)
		view.InviteeList = v.FirstNames()
		if size += sizeOf(view); size > maxWelcome && len(views) > 0 {
			return views, true, nil
		}
		views = append(views, *view)
	}
	return views, false, nil
}

// unfollow takes the marks of invitations to several that are over from a user: each connect leaves nothing for the
// next one.
func (r *Reader) unfollow(user string, ids []string) {
	if len(ids) == 0 {
		return
	}
	need := txn.ReadSet{Topics: []string{im.UserTopic(user)}}
	for _, id := range ids {
		need.Invitees = append(need.Invitees, txn.InviteeKey{InviteID: id, UserID: user})
	}
	rpc.WriteLater(r.Store, need, func(tx *txn.Tx) error {
		for _, id := range ids {
			if p := tx.Invitee(id, user); p != nil && p.Follows {
				p.Follows = false
				tx.PutInvitee(*p)
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			r.Log.Warn("ended invitations still marked as followed", "user", user, "error", err)
		}
	})
}

// connecting gathers what one device listens to.
type connecting struct {
	r       *Reader
	hello   protocol.Hello
	stood   map[string]Position
	fresh   bool // the device has no past here: the snapshot is its beginning
	welcome protocol.Welcome
	list    []Listening
	parties int // topics of invitations that were looked up
}

func (c *connecting) gather(ctx context.Context, by rpc.Caller, snap *store.Snapshot) error {
	if err := c.listen(ctx, im.UserTopic(by.UserID), snap.Head, snap.Head, 0); err != nil {
		return err
	}
	joined, err := c.joinedMeanwhile(ctx, im.UserTopic(by.UserID), snap.Head)
	if err != nil {
		return err
	}
	for _, g := range snap.Groups {
		topic, after := im.GroupTopic(g.GroupID), g.Head
		if _, known := c.hello.Positions[topic]; has(joined, topic) {
			after = g.JoinedSeq
		} else if _, here := c.stood[topic]; !c.fresh && !known && !here {
			c.welcome.Reload = append(c.welcome.Reload, topic) // the device lost its place in it
		}
		if err := c.listen(ctx, topic, g.Head, after, g.JoinedSeq); err != nil {
			return err
		}
	}
	for i := range snap.Invitations {
		if o := &snap.Invitations[i]; o.Invitation.OwnTopic {
			topic, after := im.InvitationTopic(o.Invitation.ID), o.Head-min(o.Head, maxReplay)
			if from, told := joined[topic]; told {
				after = from
			}
			if err := c.listen(ctx, topic, o.Head, after, 0); err != nil {
				return err
			}
		}
	}
	return c.pastTopics(ctx, by, joined)
}

// maxReplay bounds the records of an open invitation that a device without a position in it is sent: the answers so
// far.
const maxReplay = 1000

func has[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

// pastTopics lets a device read how invitations went on that it read before, or was ordered to read while it was away,
// and that are not in the snapshot.
func (c *connecting) pastTopics(ctx context.Context, by rpc.Caller, joined map[string]uint64) error {
	for topic, from := range joined {
		if err := c.pastTopic(ctx, by, topic, from); err != nil {
			return err
		}
	}
	for topic := range c.stood {
		if err := c.pastTopic(ctx, by, topic, 0); err != nil {
			return err
		}
	}
	for topic := range c.hello.Positions {
		if err := c.pastTopic(ctx, by, topic, 0); err != nil {
			return err
		}
	}
	return nil
}

// maxParties bounds the topics of invitations that one connect looks up.
const maxParties = 500

func (c *connecting) pastTopic(ctx context.Context, by rpc.Caller, topic string, from uint64) error {
	id := im.TopicInvitation(topic)
	if _, listed := c.welcome.Positions[topic]; id == "" || listed {
		return nil
	}
	if c.parties++; c.parties > maxParties {
		c.welcome.Reload = append(c.welcome.Reload, topic)
		return nil
	}
	v, err := c.r.Store.Invitation(ctx, id)
	if err != nil || v == nil {
		return err
	}
	if v.Inviter != by.UserID {
		p, err := c.r.Store.Invitee(ctx, id, by.UserID)
		if err != nil || p == nil || p.Dropped {
			return err
		}
	}
	head, err := c.r.Store.Head(ctx, topic)
	if err != nil {
		return err
	}
	if err := c.listen(ctx, topic, head, from, 0); err != nil {
		return err
	}
	c.list[len(c.list)-1].Ended = v.Over() && c.r.Store.AllReadable(topic)
	return nil
}

// joinedMeanwhile finds the topics that a device which was here before was ordered to listen to while it was away, and
// from which sequence on. An order may have come just before the device's position, and the link broken before it was
// carried out: those count as well.
func (c *connecting) joinedMeanwhile(ctx context.Context, topic string, head uint64) (map[string]uint64, error) {
	joined := map[string]uint64{}
	p, ok := c.stood[topic]
	if !ok {
		p.Seq, ok = c.hello.Positions[topic], c.hello.Positions[topic] > 0 || !c.fresh
	}
	began := p.Seq
	at := began - min(began, lookBack)
	var before []subscription
	for ok && at < head {
		page, err := c.r.Store.Records(ctx, topic, at, joinPage, joinBytes)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Records {
			if at = r.Seq; at > head {
				break // the session finds it when it catches up
			}
			l, ok := im.ParseListen(r.Listen)
			switch {
			case at <= began:
				before = append(before, subscription{at: r.At, Listen: l})
			case ok && !l.End:
				if delete(joined, l.Topic); !l.Stop {
					joined[l.Topic] = l.From
				}
			}
		}
		if ok = len(page.Records) > 0; at-began > maxJoinScan && at > began {
			break // who was away so long reloads anyway
		}
	}
	for _, o := range before {
		if last := before[len(before)-1]; o.Topic != "" && !o.Stop && last.at-o.at < justOrdered.Milliseconds() {
			joined[o.Topic] = o.From
		}
	}
	return joined, nil
}

// subscription is what a record of a user's timeline ordered.
type subscription struct {
	at int64 // milliseconds
	im.Listen
}

// How far before a device's position an order may not have been carried out yet: records, and time.
const (
	lookBack    = 20
	justOrdered = time.Second
)

// What a returning device's own timeline is searched for joins, at most.
const (
	joinPage    = 1000
	joinBytes   = 4 << 20
	maxJoinScan = 10_000
)

// listen adds a topic: from where the transport stood, or after the position that the device kept, or else after the
// given sequence. Records before the sequence joined are not delivered.
func (c *connecting) listen(ctx context.Context, topic string, head, after, joined uint64) error {
	c.welcome.Positions[topic] = head
	if p, ok := c.stood[topic]; ok && p.Seq >= joined {
		c.list = append(c.list, Listening{Name: topic, Recover: true})
		return nil
	}
	if pos, ok := c.hello.Positions[topic]; ok && len(c.stood) == 0 {
		floor, err := c.r.Store.Floor(ctx, topic)
		if err != nil {
			return err
		}
		here := pos <= head
		if !here { // another node was ahead, or there is no such record
			if here, err = c.r.Store.Reaches(ctx, topic, pos); err != nil {
				return err
			}
		}
		if c.hello.Epoch == c.r.Store.Epoch() && pos >= floor && here {
			after = max(pos, joined)
		} else {
			after = head
			c.welcome.Reload = append(c.welcome.Reload, topic)
		}
	}
	c.list = append(c.list, Listening{Name: topic, After: after})
	return nil
}
