package signaling

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// An invitation to several users outside a group, or to the participants of a group only, has a topic of its own, on
// which each action is stored once (docs/adr/0003). An invite subscribes their devices to it: in
// a group with a record that has no other content, outside groups with the invite itself, which is part of the
// inviter's conversation with each invitee.

// announceOpen appends the message that makes devices ring.
func announceOpen(tx *txn.Tx, v *invite.Invitation, list []invite.Invitee, by rpc.Caller) error {
	m := openMessage(v, protocol.ActionInvite, v.Deadline, tx.Now)
	all := names(list)
	switch {
	case v.OwnTopic && v.GroupID != "":
		nameList(&m, all)
		return appendToParticipants(tx, v, by, m, list)
	case v.OwnTopic:
		m.InviteeList = all
		return appendToSeveral(tx, v, by, m, list, 0)
	case v.Everyone:
		m.InviteeList = all[:min(len(all), invite.MaxNames)]
	default:
		m.InviteeList = all
	}
	d := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: newSignal(m)}
	topics := audience(v)
	if err := tx.Require(topics...); err != nil {
		return err
	}
	switch {
	case v.GroupID != "":
		d.Peer = txn.GroupPeer
		countForMembers(tx, v, &d, list)
		tx.Append(topics[0], d)
	case len(topics) == 2:
		appendPair(tx, v, d, list[0].Counted)
	default:
		d.Peer = v.Peer
		tx.Append(topics[0], d)
	}
	return nil
}

// countForInvitees counts an invitation outside groups as unread, and creates missing conversations.
func countForInvitees(tx *txn.Tx, v *invite.Invitation, list []invite.Invitee) {
	if v.GroupID != "" || v.OnlineUserOnly {
		return
	}
	for i := range list {
		p := &list[i]
		if !p.Dropped {
			c := tx.Contact(p.UserID, v.Inviter)
			c.Counted++
			tx.PutContact(*c)
			p.Counted = c.Counted
		}
		if !tx.HasContact(v.Inviter, p.UserID) {
			tx.PutContact(*tx.Contact(v.Inviter, p.UserID))
		}
	}
}

// countForMembers counts a group's invitation as unread for all members.
func countForMembers(tx *txn.Tx, v *invite.Invitation, d *txn.Draft, list []invite.Invitee) {
	g := tx.Group(v.GroupID)
	if v.OnlineUserOnly || g == nil {
		return
	}
	if rules, _ := im.Rules(g.Type); !rules.Unread {
		return
	}
	d.Counts, d.Sender = true, v.Inviter
	v.Counted = tx.UnreadCount(im.GroupTopic(v.GroupID)) + 1
	for i := range list {
		list[i].Counted = v.Counted
	}
	me := tx.Member(v.GroupID, v.Inviter)
	me.Own++
	tx.PutMember(*me)
}

// appendToParticipants stores an invite once on its own topic, and once in the history of its group, visible to its
// participants alone.
func appendToParticipants(tx *txn.Tx, v *invite.Invitation, by rpc.Caller, m protocol.Signaling,
	list []invite.Invitee) error {
	topic, group := im.InvitationTopic(v.ID), im.GroupTopic(v.GroupID)
	if err := holdAll(tx, v, list, topic, group); err != nil {
		return err
	}
	if !v.OnlineUserOnly {
		countForParticipants(tx, v, list)
		tx.Append(group, txn.Draft{Peer: txn.GroupPeer, Audience: im.HistoryOf(v.ID), Flags: txn.FlagNotLast,
			Body: newSignal(m)})
	}
	joinTopic(tx, v, by, m, list, tx.Head(topic))
	return nil
}

// countForParticipants counts the next record of the group's timeline as unread for these invitees.
func countForParticipants(tx *txn.Tx, v *invite.Invitation, list []invite.Invitee) {
	if rules, _ := im.Rules(tx.Group(v.GroupID).Type); !rules.Unread {
		return
	}
	for i := range list {
		list[i].Seq = tx.Head(im.GroupTopic(v.GroupID)) + 1
		p := tx.Member(v.GroupID, list[i].UserID)
		p.Extra = p.Extra.Add(int64(list[i].Seq))
		tx.PutMember(*p)
	}
}

// addParticipants announces more participants of an invitation in a group. In the history the added message belongs
// to the invite and is read from the topic; a hidden record makes it count as unread for the new participants.
func addParticipants(tx *txn.Tx, v *invite.Invitation, by rpc.Caller, m protocol.Signaling,
	list []invite.Invitee) error {
	topic, group := im.InvitationTopic(v.ID), im.GroupTopic(v.GroupID)
	if err := holdAll(tx, v, list, topic, group); err != nil {
		return err
	}
	if !tx.HasGroup(v.GroupID) {
		return &txn.NeedReads{Reads: txn.ReadSet{Groups: []string{v.GroupID}}}
	}
	if !v.OnlineUserOnly && tx.Group(v.GroupID) != nil {
		countForParticipants(tx, v, list)
		tx.Append(group, txn.Draft{Peer: txn.GroupPeer, Audience: im.HistoryOf(v.ID), Flags: txn.FlagNotLast,
			Body: participant(tx, v)})
	}
	joinTopic(tx, v, by, m, list, tx.Head(topic))
	return nil
}

func participant(tx *txn.Tx, v *invite.Invitation) txn.Body {
	return &rpc.Event{Value: protocol.ParticipantEvent{Type: protocol.TypeParticipant, InviteID: v.ID, Time: tx.Now}}
}

// rejoin subscribes the inviter's devices again to the topic of an online-only invitation, because the response to
// the first call, and the subscription with it, may be lost.
func rejoin(tx *txn.Tx, v *invite.Invitation) {
	if v.OwnTopic && v.OnlineUserOnly && !v.Over() {
		tx.Append(im.UserTopic(v.Inviter), txn.Draft{Online: true, Listen: listen.To(im.InvitationTopic(v.ID), 0),
			Body: participant(tx, v)})
	}
}

// joinTopic appends a message to an invitation's topic, and subscribes the devices of the inviter and the given
// invitees. Online-only records are stored there too, so that a subscribing device misses none; they are deleted
// with the invitation.
func joinTopic(tx *txn.Tx, v *invite.Invitation, by rpc.Caller, m protocol.Signaling, list []invite.Invitee,
	from uint64) {
	topic := im.InvitationTopic(v.ID)
	d := txn.Draft{Device: by.Origin(), Body: newSignal(m)}
	if v.Over() {
		d.Listen = listen.EndOfTopic
	}
	order := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Listen: listen.To(topic, from),
		Body: participant(tx, v)}
	if m.ActionType == protocol.ActionInvite {
		tx.Append(im.UserTopic(v.Inviter), order)
	}
	for i := range list {
		if !list[i].Dropped {
			tx.Append(im.UserTopic(list[i].UserID), order)
		}
	}
	tx.Append(topic, d)
}

// appendToSeveral appends an invite to the inviter's conversation with each invitee; their devices subscribe to the
// invitation's topic after from; 0 = from its beginning. Of the inviter's copies, one is sent to devices.
func appendToSeveral(tx *txn.Tx, v *invite.Invitation, by rpc.Caller, m protocol.Signaling, list []invite.Invitee,
	from uint64) error {
	topic := im.InvitationTopic(v.ID)
	if err := holdAll(tx, v, list, topic); err != nil {
		return err
	}
	if from == 0 {
		tx.Create(topic)
		from = tx.Head(topic)
	}
	inviter := im.UserTopic(v.Inviter)
	d := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Listen: listen.To(topic, from), Body: newSignal(m)}
	if v.Over() {
		d.Listen = ""
	}
	first := m.ActionType == protocol.ActionInvite && m.Version == 1
	for i := range list {
		p := &list[i]
		mine, theirs := d, d
		mine.Peer, theirs.Peer, theirs.Ord = p.UserID, v.Inviter, p.Counted
		if !first {
			mine.Audience, mine.Listen = im.HistoryOf(v.ID), ""
		}
		switch {
		case v.OnlineUserOnly:
			if first {
				tx.Append(inviter, d)
			}
			if !p.Dropped {
				tx.Append(im.UserTopic(p.UserID), d)
			}
		case p.Dropped:
			tx.Append(inviter, mine)
		default:
			tx.AppendPair(inviter, mine, im.UserTopic(p.UserID), theirs)
		}
		first = false
	}
	return nil
}

// holdAll requires the topics of the inviter and of invitees, and more.
func holdAll(tx *txn.Tx, v *invite.Invitation, list []invite.Invitee, more ...string) error {
	topics := append(more, im.UserTopic(v.Inviter))
	for i := range list {
		topics = append(topics, im.UserTopic(list[i].UserID))
	}
	return tx.Require(topics...)
}

// announceAdded rings the new invitees and announces them to the existing participants.
func announceAdded(tx *txn.Tx, before *invite.Invitation, c *invite.Change, by rpc.Caller) error {
	v := &c.Invitation
	m := openMessage(v, protocol.ActionAdd, c.Invitees[0].Deadline, tx.Now)
	m.InviteeList = names(c.Invitees)
	topic := im.InvitationTopic(v.ID)
	switch {
	case !v.OwnTopic:
		for i := range c.Invitees {
			c.Invitees[i].Counted = v.Counted // the invite counts as unread for them, too
		}
		return appendEvent(tx, v, by, m)
	case v.GroupID != "":
		nameList(&m, m.InviteeList)
		return addParticipants(tx, v, by, m, c.Invitees)
	}
	more := []string{topic}
	if v.Peer != "" {
		more = append(more, im.UserTopic(v.Peer))
	}
	if err := holdAll(tx, v, c.Invitees, more...); err != nil {
		return err
	}
	from := tx.Head(topic) + 1 // after the next record
	tx.Append(topic, txn.Draft{Device: by.Origin(), Body: newSignal(m)})
	if !before.OwnTopic { // the first two participants subscribe now
		d := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Listen: listen.To(topic, from), Body: newSignal(m)}
		if before.Dropped {
			d.Peer = v.Peer
			tx.Append(im.UserTopic(v.Inviter), d)
		} else {
			appendPair(tx, v, d, 0)
		}
	}
	ring := m
	ring.ActionType = protocol.ActionInvite
	return appendToSeveral(tx, v, by, ring, c.Invitees, from)
}

// read removes an answered invitation from the unread count of its invitee. It requires the missing rows.
func read(tx *txn.Tx, v *invite.Invitation, p *invite.Invitee) error {
	switch {
	case p.Counted == 0 && p.Seq == 0:
		return nil
	case v.GroupID == "":
		k := txn.ContactKey{UserID: p.UserID, Peer: v.Inviter}
		if !tx.HasContacts([]txn.ContactKey{k}) {
			return &txn.NeedReads{Reads: txn.ReadSet{Contacts: []txn.ContactKey{k}}}
		}
		side := tx.Contact(p.UserID, v.Inviter)
		if side.ReadOrd < p.Counted {
			side.Skip(p.Counted)
			tx.PutContact(*side)
		}
		return nil
	}
	k := txn.MemberKey{GroupID: v.GroupID, UserID: p.UserID}
	if !tx.HasMember(k) {
		return &txn.NeedReads{Reads: txn.ReadSet{Members: []txn.MemberKey{k}}}
	}
	m := tx.Member(v.GroupID, p.UserID)
	if !m.Present() {
		return nil
	}
	before := *m
	if p.Seq > m.ReadSeq {
		m.Extra = m.Extra.Remove(int64(p.Seq))
	}
	if p.Counted != 0 {
		m.Skip(p.Counted)
	}
	if *m != before {
		tx.PutMember(*m)
	}
	return nil
}
