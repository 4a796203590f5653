// Package snapshot implements the reads of invitations: the connect response, getInvitation, listInvitations.
//
// It makes no decisions about invitations.
package snapshot

import (
	"context"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/userstate"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/internal/view"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Listening is a topic that a connecting device subscribes to.
type Listening struct {
	Name    string
	After   uint64 // the last sequence that is not delivered, unless Recover
	Recover bool   // the transport resumes from its position
	Ended   bool   // no record follows the recovered ones
}

// Position is the position of a device's transport in a topic.
type Position struct {
	Seq   uint64
	Epoch string
}

// Connected is the result of Connect.
type Connected struct {
	Welcome protocol.Welcome
	Topics  []Listening
	User    *txn.User // the settings of the user; nil without any
	Follows []string  // the presence subscriptions of the user
}

// Connect reads the connect response of a device and the topics of its session. transport has the positions of the
// device's transport when the previous connection broke; hello may have positions that the device itself stored, across
// a restart.
func (r *Reader) Connect(ctx context.Context, by rpc.Caller, hello protocol.Hello,
	transport map[string]Position) (*Connected, error) {
	snap, err := userstate.ReadSnapshot(ctx, r.Store, by.UserID)
	if err != nil {
		return nil, im.Internal(err)
	}
	r.unfollow(by.UserID, snap.Over)
	c := connecting{r: r, hello: hello, transport: transport, fresh: len(transport) == 0 && len(hello.Positions) == 0}
	c.welcome = protocol.Welcome{
		UserID: by.UserID, DeviceID: by.DeviceID, ServerTime: snap.Now, Epoch: r.Store.Epoch(),
		Positions: map[string]uint64{},
	}
	snap.Invitations = slices.DeleteFunc(snap.Invitations, func(o userstate.OpenInvitation) bool {
		return o.Invitation.OnlineUserOnly && !slices.Contains(hello.Held, o.Invitation.ID)
	})
	list, whole := viewOpen(snap.Invitations, userstate.MaxSnapshot, snap.Now)
	c.welcome.Invitations, c.welcome.More = list, !whole
	if err := c.gather(ctx, by, snap); err != nil {
		return nil, im.Internal(err)
	}
	if c.welcome.Ended, err = r.ended(ctx, by, hello.Held); err != nil {
		return nil, im.Internal(err)
	}
	return &Connected{Welcome: c.welcome, Topics: c.list, User: snap.User, Follows: snap.Follows}, nil
}

// maxEnded bounds the ended invitations of one connect response.
const maxEnded = 50

// ended returns the invitations of a list that are over and visible to the user.
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

// viewWhole returns the invitations that the caller may see, with their first invitees, and reports whether more of
// them exceed the size of one response.
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
		view := view.Invitation(v, invitees, now)
		view.InviteeList = v.FirstNames()
		if size += sizeOf(view); size > maxWelcome && len(views) > 0 {
			return views, true, nil
		}
		views = append(views, *view)
	}
	return views, false, nil
}

// unfollow clears the flag Follows of a user on invitations to several users that are over, so that the next connect
// does not read them.
func (r *Reader) unfollow(user string, ids []string) {
	if len(ids) == 0 {
		return
	}
	reads := txn.ReadSet{Topics: []string{im.UserTopic(user)}}
	for _, id := range ids {
		reads.Invitees = append(reads.Invitees, txn.InviteeKey{InviteID: id, UserID: user})
	}
	rpc.WriteLater(r.Store, reads, func(tx *txn.Tx) error {
		for _, id := range ids {
			if p := tx.Invitee(id, user); p != nil && p.Follows {
				p.Follows = false
				tx.PutInvitee(*p)
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			r.Log.Warn("clearing followed invitations failed", "user", user, "error", err)
		}
	})
}

// connecting is the state of one connect: the response and the subscriptions of a device. One goroutine owns it.
type connecting struct {
	r         *Reader
	hello     protocol.Hello
	transport map[string]Position
	fresh     bool // the device has no position here and starts from the snapshot
	welcome   protocol.Welcome
	list      []Listening
}

func (c *connecting) gather(ctx context.Context, by rpc.Caller, snap *userstate.Snapshot) error {
	c.listen(im.UserTopic(by.UserID), snap.Ends, snap.Head, 0)
	joined, err := c.joinedMeanwhile(ctx, im.UserTopic(by.UserID), snap.Head)
	if err != nil {
		return err
	}
	for _, g := range snap.Groups {
		topic, after := im.GroupTopic(g.GroupID), g.Head
		if _, known := c.hello.Positions[topic]; has(joined, topic) {
			after = g.JoinedSeq
		} else if _, here := c.transport[topic]; !c.fresh && !known && !here {
			c.welcome.Reload = append(c.welcome.Reload, topic) // the device has no position in it
		}
		c.listen(topic, g.Ends, after, g.JoinedSeq)
	}
	for i := range snap.Invitations {
		if o := &snap.Invitations[i]; o.Invitation.OwnTopic {
			topic, after := im.InvitationTopic(o.Invitation.ID), o.Head-min(o.Head-min(o.Head, o.Floor), maxReplay)
			if from, ok := joined[topic]; ok {
				after = from
			}
			c.listen(topic, o.Ends, after, 0)
		}
	}
	return c.pastTopics(ctx, by, joined)
}

// maxReplay bounds the records of an open invitation that are replayed to a device without a position in its topic:
// the answers so far.
const maxReplay = 1000

func has[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

// maxPastTopics bounds the topics of past invitations that one connect looks up.
const maxPastTopics = 500

// pastTopics subscribes a device to the topics of invitations that are not in the snapshot, and that it read before
// or was subscribed to while it was disconnected.
func (c *connecting) pastTopics(ctx context.Context, by rpc.Caller, joined map[string]uint64) error {
	var ids []string
	seen := map[string]bool{}
	add := func(topic string) {
		id := im.TopicInvitation(topic)
		if _, listed := c.welcome.Positions[topic]; id == "" || listed || seen[id] {
			return
		}
		if seen[id] = true; len(ids) == maxPastTopics {
			c.welcome.Reload = append(c.welcome.Reload, topic)
			return
		}
		ids = append(ids, id)
	}
	for topic := range joined {
		add(topic)
	}
	for topic := range c.transport {
		add(topic)
	}
	for topic := range c.hello.Positions {
		add(topic)
	}
	past, err := userstate.PastInvitations(ctx, c.r.Store, by.UserID, ids)
	if err != nil {
		return err
	}
	for i := range past {
		p := &past[i]
		if p.Invitation.Inviter != by.UserID && !p.Invited {
			continue
		}
		topic := im.InvitationTopic(p.Invitation.ID)
		c.listen(topic, p.Ends, joined[topic], 0)
		c.list[len(c.list)-1].Ended = p.Invitation.Over() && c.r.Store.AllReadable(topic)
	}
	return nil
}

// joinedMeanwhile returns the topics that a returning device was subscribed to while it was disconnected, with their
// first sequence. The records just before the device's position count as well, because the connection may have broken
// before their changes were applied.
func (c *connecting) joinedMeanwhile(ctx context.Context, topic string, head uint64) (map[string]uint64, error) {
	joined := map[string]uint64{}
	p, ok := c.transport[topic]
	if !ok {
		p.Seq, ok = c.hello.Positions[topic], c.hello.Positions[topic] > 0 || !c.fresh
	}
	began := p.Seq
	at := began - min(began, listen.UnappliedRecords)
	var before []subscription
	for ok && at < head {
		page, err := c.r.Store.Records(ctx, topic, at, joinPage, joinBytes)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Records {
			if at = r.Seq; at > head {
				break // the session reads it when it catches up
			}
			l, ok := listen.Parse(r.Listen)
			switch {
			case at <= began:
				before = append(before, subscription{at: r.At, Change: l})
			case ok && !l.End:
				if delete(joined, l.Topic); !l.Stop {
					joined[l.Topic] = l.From
				}
			}
		}
		if ok = len(page.Records) > 0; at-began > maxJoinScan && at > began {
			break // a device that was away so long reloads anyway
		}
	}
	for _, o := range before {
		if last := before[len(before)-1]; o.Topic != "" && !o.Stop && last.at-o.at < listen.UnappliedTime {
			joined[o.Topic] = o.From
		}
	}
	return joined, nil
}

// subscription is the subscription change in a record of a user's timeline.
type subscription struct {
	at int64 // milliseconds
	listen.Change
}

// Limits of the search of a returning device's own timeline for subscription changes.
const (
	joinPage    = 1000
	joinBytes   = 4 << 20
	maxJoinScan = 10_000
)

// listen adds a topic: from the position of the transport, or after the position that the device stored, or else
// after the given sequence. Records before the sequence joined are not delivered.
func (c *connecting) listen(topic string, ends userstate.Ends, after, joined uint64) {
	c.welcome.Positions[topic] = ends.Head
	if p, ok := c.transport[topic]; ok && p.Seq >= joined {
		c.list = append(c.list, Listening{Name: topic, Recover: true})
		return
	}
	if pos, ok := c.hello.Positions[topic]; ok && len(c.transport) == 0 {
		if c.hello.Epoch == c.r.Store.Epoch() && pos >= ends.Floor && pos <= ends.Last {
			after = max(pos, joined)
		} else {
			after = ends.Head
			c.welcome.Reload = append(c.welcome.Reload, topic)
		}
	}
	c.list = append(c.list, Listening{Name: topic, After: after})
}
