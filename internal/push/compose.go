package push

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/chat"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// For how long a push is kept for a device that cannot be reached, when nothing else says so.
const (
	ringKept    = time.Hour // an invitation without a deadline
	missedKept  = 24 * time.Hour
	messageKept = 7 * 24 * time.Hour
	answerKept  = 24 * time.Hour // for which an invitation without a deadline can be answered from a push
	grace       = 2 * time.Second
)

// errThere says that the person has a connected device: what rings there need not be pushed, as long as it stays.
var errThere = errors.New("the person has a connected device again")

// compose makes what a push says, from what is true now, and names a device that knows it already; nil when there is
// nobody to tell.
func (p *Push) compose(ctx context.Context, order *outbox.Order) (n *notice, but string, err error) {
	who, err := p.store.User(ctx, order.UserID)
	if err != nil {
		return nil, "", err
	}
	if order.Kind == outbox.KindMessage {
		n, err = p.ofMessage(ctx, order, who)
		return n, "", err
	}
	v, err := p.store.Invitation(ctx, order.InviteID)
	if err != nil || v == nil {
		return nil, "", err
	}
	mine, err := p.store.Invitee(ctx, order.InviteID, order.UserID)
	if err != nil || mine == nil {
		return nil, "", err
	}
	if order.Kind == outbox.KindEnded {
		n, err = p.ofEnding(ctx, v, mine, who)
		return n, mine.By.Device, err
	}
	n, err = p.ofInvitation(ctx, v, mine, who)
	return n, "", err
}

// minRing is the least time for which it is worth to ring.
const minRing = time.Second

func (p *Push) ofInvitation(ctx context.Context, v *invite.Invitation, mine *invite.Invitee, who *txn.User) (*notice,
	error) {
	now := p.store.Now()
	deadline := v.Deadline
	if mine.Deadline != 0 {
		deadline = mine.Deadline
	}
	if mine.StateAt(now) != invite.Open || deadline != 0 && deadline-now < minRing.Milliseconds() || quiet(who, now) {
		return nil, nil
	}
	if p.opt.Online(mine.UserID) {
		return nil, errThere
	}
	if wanted, err := p.wanted(ctx, mine.UserID, v.Inviter, v.GroupID, false); err != nil || !wanted {
		return nil, err
	}
	n, err := p.about(ctx, v, mine, who, wordInvitation, wordGroupInvitation)
	if err != nil {
		return nil, err
	}
	s := protocol.Signaling{
		Type: protocol.TypeSignaling, BusinessID: protocol.BusinessID, ActionType: protocol.ActionInvite, From: v.Inviter,
		GroupID: v.GroupID, Time: now,
		InviteID: v.ID, Inviter: v.Inviter, InviteeList: []string{mine.UserID}, Data: v.Data, RoomID: v.RoomID,
		Timeout: v.Timeout, MinRing: v.MinRing,
		AcceptLimit: v.AcceptLimit, Version: v.Version, Deadline: deadline,
	}
	if deadline != 0 {
		s.Remaining = deadline - now
	}
	if v.GroupID == "" && v.Peer != "" {
		s.To = mine.UserID
	}
	n.push.Kind, n.push.Signaling = protocol.PushInvitation, &s
	own := 0
	if v.Push != nil {
		own, n.voip, n.sound, n.push.Ext = v.Push.TTL, v.Push.VoIP, v.Push.Sound, v.Push.Ext
		n.words.own = v.Push
	}
	n.ring, n.until = true, until(now, deadline, own, ringKept)
	// the rule says when it is too late; minRing may move that
	if n.answerable = until(now, 0, 0, answerKept); deadline != 0 {
		n.answerable = time.UnixMilli(deadline).Add(time.Duration(v.MinRing)*time.Second + grace)
	}
	return n, nil
}

// ofEnding tells devices that rang that they need not any more: a call that nobody answered here stays as one that was
// missed, what was answered is taken away.
func (p *Push) ofEnding(ctx context.Context, v *invite.Invitation, mine *invite.Invitee, who *txn.User) (*notice,
	error) {
	kind := wordMissed
	answered := mine.State == invite.Accepted || mine.State == invite.Rejected
	if answered {
		kind = wordElsewhere
	}
	n, err := p.about(ctx, v, mine, who, kind, kind)
	if err != nil {
		return nil, err
	}
	n.quiet = answered || quiet(who, p.store.Now())
	n.push.Kind, n.push.State = protocol.PushEnded, mine.State.String()
	n.push.Signaling = &protocol.Signaling{Type: protocol.TypeSignaling, InviteID: v.ID, Inviter: v.Inviter,
		GroupID: v.GroupID, Time: p.store.Now(), Version: v.Version, Over: v.Over()}
	n.until = until(p.store.Now(), 0, 0, missedKept)
	return n, nil
}

// about begins what is said of an invitation.
func (p *Push) about(ctx context.Context, v *invite.Invitation, mine *invite.Invitee, who *txn.User, kind,
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
	n.words = words{kind: kind, values: values, language: profile(who).Language}
	n.push = protocol.PushNotice{UserID: mine.UserID, From: v.Inviter, GroupID: v.GroupID, Time: p.store.Now()}
	return n, nil
}

func (p *Push) ofMessage(ctx context.Context, order *outbox.Order, who *txn.User) (*notice, error) {
	m, now := order.Message, p.store.Now()
	if m == nil || quiet(who, now) || p.opt.Online(order.UserID) {
		return nil, nil
	}
	if text, stands, err := p.asItStands(ctx, order); err != nil || !stands {
		return nil, err
	} else if m.Text != "" {
		m.Text = text
	}
	mentioned := m.MentionAll || slices.Contains(m.Mentioned, order.UserID)
	if wanted, err := p.wanted(ctx, order.UserID, m.From, m.GroupID, mentioned); err != nil || !wanted {
		return nil, err
	}
	values := map[string]string{}
	var err error
	if values["from"], err = p.name(ctx, m.From); err != nil {
		return nil, err
	}
	plain := ""
	if values["text"] = m.Text; m.Text == "" {
		plain = m.Kind
	}
	kind, thread := wordMessage, im.C2C(m.From)
	if m.GroupID != "" {
		if values["group"], err = p.groupName(ctx, m.GroupID); err != nil {
			return nil, err
		}
		if kind, thread = wordGroupMessage, im.GroupConversation(m.GroupID); mentioned {
			kind = wordMention
		}
	}
	n := &notice{thread: thread, collapse: digest("message", m.MessageID), until: until(now, 0, 0, messageKept)}
	n.words = words{kind: kind, values: values, plain: plain, language: profile(who).Language}
	n.push = protocol.PushNotice{Kind: protocol.PushMessage, UserID: order.UserID, MessageID: m.MessageID, From: m.From,
		GroupID: m.GroupID, Time: now}
	if m.Push != nil {
		n.sound, n.push.Ext, n.until = m.Push.Sound, m.Push.Ext, until(now, 0, m.Push.TTL, messageKept)
		n.words.own = m.Push
	}
	return n, nil
}

// asItStands reads what a message says now; it does not stand any more when it was taken back, or its time is over.
func (p *Push) asItStands(ctx context.Context, order *outbox.Order) (text string, stands bool, err error) {
	topic := im.UserTopic(order.UserID)
	if order.Message.GroupID != "" {
		topic = im.GroupTopic(order.Message.GroupID)
	}
	stored, err := p.store.Message(ctx, topic, order.Message.MessageID)
	if err != nil || stored == nil || stored.Flags&txn.FlagRevoked != 0 {
		return "", false, err
	}
	var m protocol.Message
	err = json.Unmarshal(stored.Body, &m)
	return chat.Preview(&m.Body), true, err
}

// wanted says whether a person wants to be told of a conversation when they are away.
func (p *Push) wanted(ctx context.Context, user, peer, group string, mentioned bool) (bool, error) {
	opt := im.OptNotify
	if group == "" {
		c, err := p.store.Contact(ctx, user, peer)
		if err != nil {
			return false, err
		}
		if c != nil {
			opt = c.Opt
		}
	} else {
		m, err := p.store.Member(ctx, group, user)
		if err != nil || !m.Present() {
			return false, err
		}
		opt = m.Opt
	}
	return opt == im.OptNotify || opt == im.OptMentions && mentioned, nil
}

func quiet(who *txn.User, now int64) bool {
	return who != nil && im.QuietNow(who.DND, now) != nil
}

// profile reads what people say of themselves; nothing when they say nothing.
func profile(who *txn.User) (v protocol.Profile) {
	if who != nil && who.Profile != "" {
		_ = json.Unmarshal([]byte(who.Profile), &v) // this program wrote it
	}
	return v
}

func (p *Push) name(ctx context.Context, user string) (string, error) {
	who, err := p.store.User(ctx, user)
	return cmp.Or(profile(who).Nick, user), err
}

func (p *Push) groupName(ctx context.Context, id string) (string, error) {
	g, err := p.store.Group(ctx, id)
	if err != nil || g == nil {
		return id, err
	}
	return cmp.Or(g.Info.Name, id), nil
}
