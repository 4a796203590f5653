package push

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/chat"
	"github.com/beckon-im/beckon/internal/push/health"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// How long a push is kept for an unreachable device by default.
const (
	ringKept    = time.Hour // an invitation without deadline
	missedKept  = 24 * time.Hour
	messageKept = 7 * 24 * time.Hour
	answerKept  = 24 * time.Hour // period in which an invitation without deadline can be answered from a push
	grace       = 2 * time.Second
	testKept    = 2 * health.AckWait
)

// compose returns the notice of a push, based on the current state, and a device that must not receive it. The notice
// is nil if the push is obsolete.
func (p *Push) compose(ctx context.Context, order *outbox.Order) (n *notice, except string, err error) {
	u, err := p.store.User(ctx, order.UserID)
	if err != nil {
		return nil, "", err
	}
	switch order.Kind {
	case outbox.KindMessage:
		n, err = p.messageNotice(ctx, order, u)
		return n, "", err
	case outbox.KindTest:
		return p.testNotice(order, u), "", nil
	}
	v, err := p.store.Invitation(ctx, order.InviteID)
	if err != nil || v == nil {
		return nil, "", err
	}
	invitee, err := p.store.Invitee(ctx, order.InviteID, order.UserID)
	if err != nil || invitee == nil {
		return nil, "", err
	}
	if order.Kind == outbox.KindEnded {
		n, err = p.endingNotice(ctx, v, invitee, u)
		return n, invitee.By.Device, err
	}
	n, err = p.ringNotice(ctx, v, invitee, u)
	return n, "", err
}

// minRing is the least remaining time for which a device is rung.
const minRing = time.Second

func (p *Push) ringNotice(ctx context.Context, v *invite.Invitation, invitee *invite.Invitee, u *txn.User) (*notice,
	error) {
	now := p.store.Now()
	deadline := v.Deadline
	if invitee.Deadline != 0 {
		deadline = invitee.Deadline
	}
	late := deadline != 0 && deadline-now < minRing.Milliseconds()
	if invitee.Dropped || invitee.StateAt(now) != invite.Open || late || quiet(u, now) {
		return nil, nil
	}
	r, err := p.reading(ctx, invitee.UserID, v.Inviter, v.GroupID)
	if err != nil || !wanted(r, false) {
		return nil, err
	}
	n, err := p.invitationNotice(ctx, v, invitee, u, textInvitation, textGroupInvitation)
	if err != nil {
		return nil, err
	}
	s := protocol.Signaling{
		Type: protocol.TypeSignaling, BusinessID: protocol.BusinessID, ActionType: protocol.ActionInvite, From: v.Inviter,
		GroupID: v.GroupID, Time: now,
		InviteID: v.ID, Inviter: v.Inviter, InviteeList: []string{invitee.UserID}, Data: v.Data, RoomID: v.RoomID,
		Timeout: v.Timeout, MinRing: v.MinRing,
		AcceptLimit: v.AcceptLimit, Version: v.Version, Deadline: deadline,
	}
	if deadline != 0 {
		s.Remaining = deadline - now
	}
	if v.GroupID == "" && v.Peer != "" {
		s.To = invitee.UserID
	}
	n.push.Kind, n.push.Signaling = protocol.PushInvitation, &s
	own := 0
	if v.Push != nil {
		own, n.voip, n.sound, n.push.Ext = v.Push.TTL, v.Push.VoIP, v.Push.Sound, v.Push.Ext
		n.content.own = v.Push
	}
	n.ring, n.until = true, until(now, deadline, own, ringKept)
	// the invitation rules decide when it is too late; minRing may extend the deadline
	if n.answerable = until(now, 0, 0, answerKept); deadline != 0 {
		n.answerable = time.UnixMilli(deadline).Add(time.Duration(v.MinRing)*time.Second + grace)
	}
	return n, nil
}

// endingNotice returns the notice that stops ringing: a missed call remains visible, an answered one is removed.
func (p *Push) endingNotice(ctx context.Context, v *invite.Invitation, invitee *invite.Invitee, u *txn.User) (*notice,
	error) {
	kind := textMissed
	answered := invitee.State == invite.Accepted || invitee.State == invite.Rejected
	if answered {
		kind = textElsewhere
	}
	n, err := p.invitationNotice(ctx, v, invitee, u, kind, kind)
	if err != nil {
		return nil, err
	}
	n.quiet = answered || invitee.Dropped || quiet(u, p.store.Now())
	n.push.Kind, n.push.State = protocol.PushEnded, invitee.State.String()
	if invitee.Dropped { // the user blocks the inviter, and learns nothing more of the invitation
		n.push.State = invite.Cancelled.String()
	}
	n.push.Signaling = &protocol.Signaling{Type: protocol.TypeSignaling, InviteID: v.ID, Inviter: v.Inviter,
		GroupID: v.GroupID, Time: p.store.Now(), Version: v.Version, Over: v.Over()}
	n.until = until(p.store.Now(), 0, 0, missedKept)
	return n, nil
}

// invitationNotice returns the common parts of notices about an invitation.
func (p *Push) invitationNotice(ctx context.Context, v *invite.Invitation, invitee *invite.Invitee, u *txn.User, kind,
	ofGroup string) (*notice, error) {
	values := map[string]string{}
	var err error
	if values["from"], err = p.name(ctx, v.Inviter); err != nil {
		return nil, err
	}
	n := &notice{collapse: digest("invitation", v.ID), thread: im.C2C(v.Inviter)}
	if v.GroupID != "" {
		if values["group"], err = p.groupName(ctx, v.GroupID); err != nil {
			return nil, err
		}
		kind, n.thread = ofGroup, im.GroupConversation(v.GroupID)
	}
	n.content = content{kind: kind, values: values, language: profile(u).Language}
	n.push = protocol.PushNotice{UserID: invitee.UserID, From: v.Inviter, GroupID: v.GroupID, Time: p.store.Now()}
	return n, nil
}

func (p *Push) messageNotice(ctx context.Context, order *outbox.Order, u *txn.User) (*notice, error) {
	m, now := order.Message, p.store.Now()
	if m == nil || quiet(u, now) {
		return nil, nil
	}
	stored, err := p.current(ctx, order)
	if err != nil || stored == nil {
		return nil, err
	}
	mentioned := m.MentionAll || slices.Contains(m.Mentioned, order.UserID)
	r, err := p.reading(ctx, order.UserID, m.From, m.GroupID)
	if err != nil || !wanted(r, mentioned) || stored.seq <= r.ReadSeq {
		return nil, err
	}
	if m.GroupID == "" {
		c, err := p.store.Contact(ctx, order.UserID, m.From)
		if err != nil || c.Blocks() { // blocked since it was sent
			return nil, err
		}
	}
	if wait := p.opt.MessageDelay - time.Duration(now-m.At)*time.Millisecond; wait > 0 &&
		p.connected(order.UserID).Count > 0 {
		return nil, laterThan(wait, "the user may read the message on a connected device")
	}
	if m.Text != "" {
		m.Text = stored.text
	}
	values := map[string]string{}
	if values["from"], err = p.name(ctx, m.From); err != nil {
		return nil, err
	}
	plain := ""
	if values["text"] = m.Text; m.Text == "" {
		plain = m.Kind
	}
	kind, thread := textMessage, im.C2C(m.From)
	if m.GroupID != "" {
		if values["group"], err = p.groupName(ctx, m.GroupID); err != nil {
			return nil, err
		}
		if kind, thread = textGroupMessage, im.GroupConversation(m.GroupID); mentioned {
			kind = textMention
		}
	}
	n := &notice{thread: thread, collapse: digest("message", m.MessageID), until: until(now, 0, 0, messageKept)}
	n.content = content{kind: kind, values: values, plain: plain, language: profile(u).Language}
	n.push = protocol.PushNotice{Kind: protocol.PushMessage, UserID: order.UserID, MessageID: m.MessageID, From: m.From,
		GroupID: m.GroupID, Time: now}
	if m.Push != nil {
		n.sound, n.push.Ext, n.until = m.Push.Sound, m.Push.Ext, until(now, 0, m.Push.TTL, messageKept)
		n.content.own = m.Push
	}
	return n, nil
}

// testNotice returns the notice of a test push. It is shown also to a user who does not want to be disturbed, and who
// asked for it.
func (p *Push) testNotice(order *outbox.Order, u *txn.User) *notice {
	now := p.store.Now()
	n := &notice{ring: true, collapse: digest("test", order.UserID), thread: "test", until: until(now, 0, 0, testKept),
		answerable: until(now, 0, 0, outbox.TestKept), content: content{kind: textTest, language: profile(u).Language}}
	n.push = protocol.PushNotice{Kind: protocol.PushTest, UserID: order.UserID, TestID: order.TestID, Time: now}
	return n
}

// message is the current state of a message.
type message struct {
	seq  uint64 // on the timeline of the recipient
	text string
}

// current returns the current state of a message; nil if it was revoked or removed by retention.
func (p *Push) current(ctx context.Context, order *outbox.Order) (*message, error) {
	topic := im.UserTopic(order.UserID)
	if order.Message.GroupID != "" {
		topic = im.GroupTopic(order.Message.GroupID)
	}
	stored, err := p.store.Message(ctx, topic, order.Message.MessageID)
	if err != nil || stored == nil || stored.Flags&txn.FlagRevoked != 0 {
		return nil, err
	}
	var m protocol.Message
	err = json.Unmarshal(stored.Body, &m)
	return &message{stored.Seq, chat.Preview(&m.Body)}, err
}

// reading returns a user's side of a conversation; nil if the user is not a member of the group.
func (p *Push) reading(ctx context.Context, user, peer, group string) (*im.Reading, error) {
	if group == "" {
		c, err := p.store.Contact(ctx, user, peer)
		return &c.Reading, err
	}
	m, err := p.store.Member(ctx, group, user)
	if err != nil || !m.Present() {
		return nil, err
	}
	return &m.Reading, nil
}

// wanted reports whether a user wants pushes of a conversation.
func wanted(r *im.Reading, mentioned bool) bool {
	return r != nil && (r.Opt == im.OptNotify || r.Opt == im.OptMentions && mentioned)
}

func quiet(u *txn.User, now int64) bool {
	return u != nil && im.QuietNow(u.DND, now) != nil
}

// profile returns the profile of a user, or an empty one.
func profile(u *txn.User) (v protocol.Profile) {
	if u != nil && u.Profile != "" {
		_ = json.Unmarshal([]byte(u.Profile), &v) // written by this server
	}
	return v
}

func (p *Push) name(ctx context.Context, user string) (string, error) {
	u, err := p.store.User(ctx, user)
	return cmp.Or(profile(u).Nick, user), err
}

func (p *Push) groupName(ctx context.Context, id string) (string, error) {
	g, err := p.store.Group(ctx, id)
	if err != nil || g == nil {
		return id, err
	}
	return cmp.Or(g.Info.Name, id), nil
}
