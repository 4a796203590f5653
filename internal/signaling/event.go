package signaling

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// maxFold bounds the record into which answers of one batch are folded, in bytes of their data and user IDs.
const maxFold = 64 << 10

// signal is a signaling message as the body of a record.
type signal struct {
	protocol.Signaling
	size int
}

func (s *signal) JSON() []byte { return rpc.Encode(s.Signaling) }

// Absorb folds the answers of next, to the same invitation, into s. It reports whether it did.
func (s *signal) Absorb(next txn.Body) bool {
	n, ok := next.(*signal)
	if !ok || len(s.Answers) == 0 || len(n.Answers) == 0 || s.InviteID != n.InviteID || s.Merged != "" || n.Merged != "" ||
		s.size+n.size > maxFold {
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

// message returns the signaling message of an action on v, without its details.
func message(v *invite.Invitation, action protocol.ActionType, from string, now int64) protocol.Signaling {
	m := protocol.Signaling{
		Type: protocol.TypeSignaling, BusinessID: protocol.BusinessID, ActionType: action, From: from, GroupID: v.GroupID,
		Time:     now,
		InviteID: v.ID, Inviter: v.Inviter, OnlineOnly: v.OnlineUserOnly, Version: v.Version, Over: v.Over(),
	}
	if v.Peer != "" && !v.OwnTopic {
		m.To = v.Peer
		if from == v.Peer {
			m.To = v.Inviter
		}
	}
	return m
}

// openMessage returns the message that makes devices ring.
func openMessage(v *invite.Invitation, action protocol.ActionType, deadline int64, now int64) protocol.Signaling {
	m := message(v, action, v.Inviter, now)
	m.Data, m.RoomID, m.Timeout, m.MinRing, m.AcceptLimit = v.Data, v.RoomID, v.Timeout, v.MinRing, v.AcceptLimit
	if v.Everyone && action == protocol.ActionInvite {
		m.Everyone, m.InviteeCount = true, v.Counts.Total()
	}
	m.Notice = v.Notice
	if v.OwnTopic {
		m.Notify = invite.NotifyParticipants
	}
	if deadline != 0 {
		m.Deadline, m.Remaining = deadline, max(0, deadline-now)
	}
	return m
}

// nameList sets the user IDs concerned in a message: all of them up to invite.MaxNames, beyond it the first ones and
// the count.
func nameList(m *protocol.Signaling, names []string) {
	if m.InviteeList = names; len(names) > invite.MaxNames {
		m.Everyone, m.InviteeCount, m.InviteeList = true, len(names), names[:invite.MaxNames]
	}
}

// audience returns the topics on which an action on v is announced.
func audience(v *invite.Invitation) []string {
	switch {
	case v.OwnTopic:
		return []string{im.InvitationTopic(v.ID)}
	case v.GroupID != "":
		return []string{im.GroupTopic(v.GroupID)}
	case v.Dropped:
		return []string{im.UserTopic(v.Inviter)}
	}
	return []string{im.UserTopic(v.Inviter), im.UserTopic(v.Peer)}
}

// appendEvent appends a message for its whole audience. It requires the missing topics.
func appendEvent(tx *txn.Tx, v *invite.Invitation, by rpc.Caller, m protocol.Signaling) error {
	if v.Large && m.ActionType != protocol.ActionInvite && m.ActionType != protocol.ActionAdd &&
		m.ActionType != protocol.ActionModify {
		return appendToLargeGroup(tx, v, by, m)
	}
	topics := audience(v)
	if err := tx.Require(topics...); err != nil {
		return err
	}
	d := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: newSignal(m)}
	switch {
	case v.OwnTopic:
		d.Online = false // as in joinTopic
		if v.Over() {
			d.Listen = listen.EndOfTopic
		}
	case v.GroupID != "":
		d.Peer = txn.GroupPeer
	case len(topics) == 2:
		appendPair(tx, v, d, 0)
		return nil
	default:
		d.Peer = v.Peer
	}
	tx.Append(topics[0], d)
	return nil
}

// appendPair appends a one-to-one message to the timelines of both users, as part of their conversation. counted is
// its running count if it counts as unread for the invitee, otherwise 0.
func appendPair(tx *txn.Tx, v *invite.Invitation, d txn.Draft, counted int64) {
	if v.OnlineUserOnly {
		tx.Append(im.UserTopic(v.Inviter), d)
		tx.Append(im.UserTopic(v.Peer), d)
		return
	}
	mine, theirs := d, d
	mine.Peer, theirs.Peer, theirs.Ord = v.Peer, v.Inviter, counted
	tx.AppendPair(im.UserTopic(v.Inviter), mine, im.UserTopic(v.Peer), theirs)
}

// appendToLargeGroup announces an answer or an ending in a large group: an answer to the inviter and to its invitee,
// an ending to all members. Other members receive answers as digests.
func appendToLargeGroup(tx *txn.Tx, v *invite.Invitation, by rpc.Caller, m protocol.Signaling) error {
	if len(m.Answers) > 0 {
		topics := []string{im.UserTopic(v.Inviter)}
		for _, a := range m.Answers {
			topics = append(topics, im.UserTopic(a.Invitee))
		}
		if err := tx.Require(topics...); err != nil {
			return err
		}
		for _, t := range topics {
			tx.Append(t, txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: newSignal(m)})
		}
		return nil
	}
	if err := tx.Require(im.GroupTopic(v.GroupID)); err != nil {
		return err
	}
	m.Digest = &protocol.Digest{Counts: v.Counts}
	tx.Append(im.GroupTopic(v.GroupID), txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: newSignal(m),
		Peer: txn.GroupPeer})
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
