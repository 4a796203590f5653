package signaling

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// The participants of an invitation that no group hears read its own topic, on which each action is stored once (docs/adr/0003).
// An invite orders their devices to read that topic: in a group with a record that says nothing else, without a group with the
// invite itself, which stands in the inviter's conversation with each invitee.

// announceOpen appends the message that rings.
func announceOpen(w *txn.World, v *invite.Invitation, list []invite.Invitee, by rpc.Caller) error {
	m := openMessage(v, protocol.ActionInvite, v.Deadline, w.Now)
	all := names(list)
	switch {
	case v.Party && v.GroupID != "":
		nameList(&m, all)
		return tellParticipants(w, v, by, m, list)
	case v.Party:
		m.InviteeList = all
		return tellSeveral(w, v, by, m, list, 0)
	case v.Everyone:
		m.InviteeList = all[:min(len(all), invite.MaxNames)]
	default:
		m.InviteeList = all
	}
	d := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: newSignal(m)}
	topics := audience(v)
	if missing := w.Missing(topics); len(missing) > 0 {
		return &txn.More{Need: txn.Need{Topics: missing}}
	}
	switch {
	case v.GroupID != "":
		d.Peer = txn.GroupPeer
		countForMembers(w, v, &d, list)
		w.Append(topics[0], d)
	case len(topics) == 2:
		tellTwo(w, v, d, list[0].Counted)
	default:
		d.Peer = v.Peer
		w.Append(topics[0], d)
	}
	return nil
}

// countForInvitees makes an invitation without a group one more that its invitees have not read, and opens the conversations.
func countForInvitees(w *txn.World, v *invite.Invitation, list []invite.Invitee) {
	if v.GroupID != "" || v.OnlineUserOnly {
		return
	}
	for i := range list {
		p := &list[i]
		if !p.Deaf {
			c := w.Contact(p.UserID, v.Inviter)
			c.Counted++
			w.PutContact(*c)
			p.Counted = c.Counted
		}
		if !w.HasContact(v.Inviter, p.UserID) {
			w.PutContact(*w.Contact(v.Inviter, p.UserID))
		}
	}
}

// countForMembers makes a group's invitation one more that its members have not read.
func countForMembers(w *txn.World, v *invite.Invitation, d *txn.Draft, list []invite.Invitee) {
	g := w.Group(v.GroupID)
	if v.OnlineUserOnly || g == nil {
		return
	}
	if rules, _ := im.Rules(g.Type); !rules.Unread {
		return
	}
	d.Counts, d.Sender = true, v.Inviter
	v.Counted = w.Counted(im.GroupTopic(v.GroupID)) + 1
	for i := range list {
		list[i].Counted = v.Counted
	}
	me := w.Member(v.GroupID, v.Inviter)
	me.Own++
	w.PutMember(*me)
}

// tellParticipants stores an invite once on its topic, and once in the history of its group, for its participants alone.
func tellParticipants(w *txn.World, v *invite.Invitation, by rpc.Caller, m protocol.Signaling, list []invite.Invitee) error {
	topic, group := im.InvitationTopic(v.ID), im.GroupTopic(v.GroupID)
	if err := holdAll(w, v, list, topic, group); err != nil {
		return err
	}
	if !v.OnlineUserOnly {
		countForParticipants(w, v, list)
		w.Append(group, txn.Draft{Peer: txn.GroupPeer, Audience: txn.HistoryOf(v.ID), Flags: txn.FlagNotLast, Body: newSignal(m)})
	}
	joinTopic(w, v, by, m, list, w.Head(topic))
	return nil
}

// countForParticipants makes the record that comes next on the group's timeline one more that these invitees have not read.
func countForParticipants(w *txn.World, v *invite.Invitation, list []invite.Invitee) {
	if rules, _ := im.Rules(w.Group(v.GroupID).Type); !rules.Unread {
		return
	}
	for i := range list {
		list[i].Seq = w.Head(im.GroupTopic(v.GroupID)) + 1
		p := w.Member(v.GroupID, list[i].UserID)
		p.Extra = p.Extra.Add(int64(list[i].Seq))
		w.PutMember(*p)
	}
}

// addParticipants announces more participants of an invitation in a group. The history has the message with the invite, where it
// follows from the topic; a record that is not shown makes it count as unread for them.
func addParticipants(w *txn.World, v *invite.Invitation, by rpc.Caller, m protocol.Signaling, list []invite.Invitee) error {
	topic, group := im.InvitationTopic(v.ID), im.GroupTopic(v.GroupID)
	if err := holdAll(w, v, list, topic, group); err != nil {
		return err
	}
	if !w.HasGroup(v.GroupID) {
		return &txn.More{Need: txn.Need{Groups: []string{v.GroupID}}}
	}
	if !v.OnlineUserOnly && w.Group(v.GroupID) != nil {
		countForParticipants(w, v, list)
		w.Append(group, txn.Draft{Peer: txn.GroupPeer, Audience: txn.HistoryOf(v.ID), Flags: txn.FlagNotLast, Body: participant(w, v)})
	}
	joinTopic(w, v, by, m, list, w.Head(topic))
	return nil
}

func participant(w *txn.World, v *invite.Invitation) txn.Body {
	return &rpc.Event{Value: protocol.ParticipantEvent{Type: protocol.TypeParticipant, InviteID: v.ID, Time: w.Now}}
}

// rejoin orders the inviter's devices once more to read the topic of an online-only invitation: the response to the first call, and
// the order with it, may be lost.
func rejoin(w *txn.World, v *invite.Invitation) {
	if v.Party && v.OnlineUserOnly && !v.Over() {
		w.Append(im.UserTopic(v.Inviter), txn.Draft{Online: true, Listen: im.ListenTo(im.InvitationTopic(v.ID), 0), Body: participant(w, v)})
	}
}

// joinTopic appends a message to an invitation's topic, and orders the devices of the inviter and the given invitees to read it. The
// records of an online-only invitation are stored there as well, so that no device misses one while it begins to read; they go with
// the invitation, minutes after its end.
func joinTopic(w *txn.World, v *invite.Invitation, by rpc.Caller, m protocol.Signaling, list []invite.Invitee, from uint64) {
	topic := im.InvitationTopic(v.ID)
	d := txn.Draft{Device: by.Origin(), Body: newSignal(m)}
	if v.Over() {
		d.Listen = im.EndOfTopic
	}
	order := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Listen: im.ListenTo(topic, from), Body: participant(w, v)}
	if m.ActionType == protocol.ActionInvite {
		w.Append(im.UserTopic(v.Inviter), order)
	}
	for i := range list {
		if !list[i].Deaf {
			w.Append(im.UserTopic(list[i].UserID), order)
		}
	}
	w.Append(topic, d)
}

// tellSeveral appends an invite to the inviter's conversation with each of the invitees; their devices read the invitation's topic
// after a sequence from then on. Of the inviter's copies, one is sent to devices.
func tellSeveral(w *txn.World, v *invite.Invitation, by rpc.Caller, m protocol.Signaling, list []invite.Invitee, from uint64) error {
	topic := im.InvitationTopic(v.ID)
	if err := holdAll(w, v, list, topic); err != nil {
		return err
	}
	inviter := im.UserTopic(v.Inviter)
	d := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Listen: im.ListenTo(topic, from), Body: newSignal(m)}
	if v.Over() {
		d.Listen = ""
	}
	first := m.ActionType == protocol.ActionInvite && m.Version == 1
	for i := range list {
		p := &list[i]
		mine, theirs := d, d
		mine.Peer, theirs.Peer, theirs.Ord = p.UserID, v.Inviter, p.Counted
		if !first {
			mine.Audience, mine.Listen = txn.HistoryOf(v.ID), ""
		}
		switch {
		case v.OnlineUserOnly:
			if first {
				w.Append(inviter, d)
			}
			if !p.Deaf {
				w.Append(im.UserTopic(p.UserID), d)
			}
		case p.Deaf:
			w.Append(inviter, mine)
		default:
			w.AppendPair(inviter, mine, im.UserTopic(p.UserID), theirs)
		}
		first = false
	}
	return nil
}

// holdAll asks for the topics of the inviter and of invitees, and more.
func holdAll(w *txn.World, v *invite.Invitation, list []invite.Invitee, more ...string) error {
	topics := append(more, im.UserTopic(v.Inviter))
	for i := range list {
		topics = append(topics, im.UserTopic(list[i].UserID))
	}
	if missing := w.Missing(topics); len(missing) > 0 {
		return &txn.More{Need: txn.Need{Topics: missing}}
	}
	return nil
}

// announceAdded rings the new invitees and names them to the others.
func announceAdded(w *txn.World, before *invite.Invitation, c *invite.Change, by rpc.Caller) error {
	v := &c.Invitation
	m := openMessage(v, protocol.ActionAdd, c.Invitees[0].Deadline, w.Now)
	m.InviteeList = names(c.Invitees)
	topic := im.InvitationTopic(v.ID)
	switch {
	case !v.Party:
		for i := range c.Invitees {
			c.Invitees[i].Counted = v.Counted // the invite counts for them, too
		}
		return tell(w, v, by, m)
	case v.GroupID != "":
		nameList(&m, m.InviteeList)
		return addParticipants(w, v, by, m, c.Invitees)
	}
	if err := holdAll(w, v, c.Invitees, topic, im.UserTopic(v.Peer)); v.Peer != "" && err != nil {
		return err
	} else if err := holdAll(w, v, c.Invitees, topic); err != nil {
		return err
	}
	from := w.Head(topic) + 1 // after the record that follows
	w.Append(topic, txn.Draft{Device: by.Origin(), Body: newSignal(m)})
	if !before.Party { // the two it had so far begin to read the topic
		d := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Listen: im.ListenTo(topic, from), Body: newSignal(m)}
		if before.Deaf {
			d.Peer = v.Peer
			w.Append(im.UserTopic(v.Inviter), d)
		} else {
			tellTwo(w, v, d, 0)
		}
	}
	ring := m
	ring.ActionType = protocol.ActionInvite
	return tellSeveral(w, v, by, ring, c.Invitees, from)
}

// read takes an invitation that its invitee answers out of what is unread for that user. It asks for the rows that it needs.
func read(w *txn.World, v *invite.Invitation, p *invite.Invitee) error {
	switch {
	case p.Counted == 0 && p.Seq == 0:
		return nil
	case v.GroupID == "":
		k := txn.ContactKey{UserID: p.UserID, Peer: v.Inviter}
		if !w.KnowsContacts([]txn.ContactKey{k}) {
			return &txn.More{Need: txn.Need{Contacts: []txn.ContactKey{k}}}
		}
		side := w.Contact(p.UserID, v.Inviter)
		if side.ReadOrd < p.Counted {
			side.Skip(p.Counted)
			w.PutContact(*side)
		}
		return nil
	}
	k := txn.MemberKey{GroupID: v.GroupID, UserID: p.UserID}
	if !w.HasMember(k) {
		return &txn.More{Need: txn.Need{Members: []txn.MemberKey{k}}}
	}
	m := w.Member(v.GroupID, p.UserID)
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
		w.PutMember(*m)
	}
	return nil
}
