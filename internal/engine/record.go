package engine

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// maxFold bounds the record that answers decided together share, in bytes of their data and names.
const maxFold = 64 << 10

// signal is a signaling message as a record.
type signal struct {
	protocol.Signaling
	size int
}

func (s *signal) JSON() []byte { return verb.Encode(s.Signaling) }

// Absorb takes the answers of the same invitation into one record.
func (s *signal) Absorb(next world.Body) bool {
	n, ok := next.(*signal)
	if !ok || len(s.Answers) == 0 || len(n.Answers) == 0 || s.InviteID != n.InviteID || s.Merged != "" || n.Merged != "" || s.size+n.size > maxFold {
		return false
	}
	s.Answers = append(s.Answers, n.Answers...)
	s.size += n.size
	s.Version, s.Over, s.Time = n.Version, n.Over, n.Time
	if s.From != n.From {
		s.From = ""
	}
	return true
}

// message begins the signaling message of an action on v.
func message(v *invite.Invitation, action protocol.ActionType, from string, now int64) protocol.Signaling {
	m := protocol.Signaling{
		Type: protocol.TypeSignaling, BusinessID: protocol.BusinessID, ActionType: action, From: from, GroupID: v.GroupID, Time: now,
		InviteID: v.ID, Inviter: v.Inviter, OnlineOnly: v.OnlineUserOnly, Version: v.Version, Over: v.Over(),
	}
	if v.Peer != "" && !v.Party {
		m.To = v.Peer
		if from == v.Peer {
			m.To = v.Inviter
		}
	}
	return m
}

// openMessage is the message that rings.
func openMessage(v *invite.Invitation, action protocol.ActionType, deadline int64, now int64) protocol.Signaling {
	m := message(v, action, v.Inviter, now)
	m.Data, m.RoomID, m.Timeout, m.MinRing, m.AcceptLimit = v.Data, v.RoomID, v.Timeout, v.MinRing, v.AcceptLimit
	if v.Everyone && action == protocol.ActionInvite {
		m.Everyone, m.InviteeCount = true, v.Counts.Total()
	}
	if deadline != 0 {
		m.Deadline, m.Remaining = deadline, deadline-now
	}
	return m
}

// audience lists the topics that hear an action on v about the given invitees.
func audience(w *world.World, v *invite.Invitation, invitees []string) []string {
	switch {
	case v.GroupID != "" && !v.Party:
		return []string{im.GroupTopic(v.GroupID)}
	case v.Deaf && !v.Party:
		return []string{im.UserTopic(v.Inviter)}
	case !v.Party:
		return []string{im.UserTopic(v.Inviter), im.UserTopic(v.Peer)}
	}
	topics := make([]string, 0, 2+len(invitees))
	topics = append(topics, im.UserTopic(v.Inviter), im.InvitationTopic(v.ID))
	for _, u := range invitees {
		if p := w.Invitee(v.ID, u); p == nil || !p.Deaf {
			topics = append(topics, im.UserTopic(u))
		}
	}
	return topics
}

// tell appends a message for everybody who hears it. It asks for the topics that are not held yet.
func tell(w *world.World, v *invite.Invitation, by verb.Caller, m protocol.Signaling, concerned []string) error {
	if v.Large && !v.Party && m.ActionType != protocol.ActionInvite && m.ActionType != protocol.ActionAdd && m.ActionType != protocol.ActionModify {
		return tellLarge(w, v, by, m)
	}
	topics := audience(w, v, concerned)
	if missing := w.Missing(topics); len(missing) > 0 {
		return &world.More{Need: world.Need{Topics: missing}}
	}
	shared := newSignal(m)
	for i, t := range topics {
		d := world.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: shared}
		switch {
		case v.GroupID != "" && !v.Party:
			d.Peer = world.GroupPeer
			count(w, v, &m, &d)
		case !v.Party:
			if i == 0 && len(topics) == 2 {
				tellTwo(w, v, &m, d)
				return nil
			}
			d.Peer = v.Peer
			if m.ActionType == protocol.ActionInvite && !w.HasContact(v.Inviter, v.Peer) {
				w.PutContact(*w.Contact(v.Inviter, v.Peer))
			}
		case v.GroupID == "" && i >= 2: // an invitee's own conversation with the inviter
			d.Peer = v.Inviter
		}
		if len(m.Answers) > 0 && (v.Party || v.Peer == "") {
			d.Body = newSignal(m) // others' answers may be folded into it, on each topic for itself
		}
		if v.Over() && im.TopicInvitation(t) != "" {
			d.Listen = im.EndOfTopic
		}
		w.Append(t, d)
	}
	return nil
}

// tellTwo appends a one-to-one message to both timelines, as part of the conversation of the two.
func tellTwo(w *world.World, v *invite.Invitation, m *protocol.Signaling, d world.Draft) {
	if v.OnlineUserOnly {
		w.Append(im.UserTopic(v.Inviter), d)
		w.Append(im.UserTopic(v.Peer), d)
		return
	}
	mine, theirs := d, d
	mine.Peer, theirs.Peer = v.Peer, v.Inviter
	if m.ActionType == protocol.ActionInvite {
		theirs.Ord = counted(w, v.Peer, v.Inviter)
		if !w.HasContact(v.Inviter, v.Peer) {
			w.PutContact(*w.Contact(v.Inviter, v.Peer))
		}
	}
	w.AppendPair(im.UserTopic(v.Inviter), mine, im.UserTopic(v.Peer), theirs)
}

// counted makes an invitation one more that a person has not read, and returns the count.
func counted(w *world.World, user, inviter string) int64 {
	c := w.Contact(user, inviter)
	c.Counted++
	w.PutContact(*c)
	return c.Counted
}

// count makes a group's invitation one more that its members have not read.
func count(w *world.World, v *invite.Invitation, m *protocol.Signaling, d *world.Draft) {
	g := w.Group(v.GroupID)
	if m.ActionType != protocol.ActionInvite || v.OnlineUserOnly || g == nil {
		return
	}
	rules, _ := im.Rules(g.Type)
	if d.Counts = rules.Unread; d.Counts {
		d.Sender = v.Inviter
		me := w.Member(v.GroupID, v.Inviter)
		me.Own++
		w.PutMember(*me)
	}
}

// maxNames bounds the names that onlookers in a large group are told.
const maxNames = 100

// tellLarge tells an answer or an ending in a large group: the inviter hears everything, an answering person hears of
// their own answer, and the onlookers hear endings here and answers from the digest.
func tellLarge(w *world.World, v *invite.Invitation, by verb.Caller, m protocol.Signaling) error {
	topics := []string{im.UserTopic(v.Inviter)}
	for _, a := range m.Answers {
		topics = append(topics, im.UserTopic(a.Invitee))
	}
	if missing := w.Missing(topics); len(missing) > 0 {
		return &world.More{Need: world.Need{Topics: missing}}
	}
	for _, t := range topics {
		w.Append(t, world.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: newSignal(m)})
	}
	if len(m.Answers) > 0 {
		return nil
	}
	if len(m.InviteeList) > maxNames && v.Over() {
		m.Everyone, m.InviteeCount, m.InviteeList = true, len(m.InviteeList), m.InviteeList[:maxNames]
	}
	m.Digest = &protocol.Digest{Counts: v.Counts}
	w.Append(im.GroupTopic(v.GroupID), world.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: newSignal(m), Peer: world.GroupPeer})
	return nil
}

func newSignal(m protocol.Signaling) *signal {
	s := &signal{Signaling: m, size: len(m.Data)}
	for _, a := range m.Answers {
		s.size += len(a.Data) + len(a.Invitee) + len(a.Reason) + 80
	}
	s.Answers = append([]protocol.Answer(nil), m.Answers...)
	return s
}

func names(list []invite.Invitee) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].UserID
	}
	return out
}
