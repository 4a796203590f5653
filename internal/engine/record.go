package engine

import (
	"encoding/json"
	"hash/fnv"
	"strconv"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Origin names a device on the records it caused. It is a hash, because the mark travels to other people.
func Origin(userID, deviceID string) string {
	if deviceID == "" {
		return ""
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(userID + "\n" + deviceID))
	return strconv.FormatUint(h.Sum64(), 36)
}

// maxFold bounds the record that answers decided together share, in bytes of their data and names.
const maxFold = 64 << 10

// signal is a signaling message as a record.
type signal struct {
	protocol.Signaling
	size int
}

func (s *signal) JSON() []byte { return encode(s.Signaling) }

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

// tip is a change of a group as a record.
type tip struct{ protocol.GroupEvent }

func (t *tip) JSON() []byte             { return encode(t.GroupEvent) }
func (t *tip) Absorb(_ world.Body) bool { return false }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types of strings and numbers always encode
	}
	return b
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
func audience(v *invite.Invitation, invitees []string) []string {
	switch {
	case v.GroupID != "" && !v.Party:
		return []string{im.GroupTopic(v.GroupID)}
	case !v.Party:
		return []string{im.UserTopic(v.Inviter), im.UserTopic(v.Peer)}
	}
	topics := make([]string, 0, 2+len(invitees))
	topics = append(topics, im.UserTopic(v.Inviter), im.InvitationTopic(v.ID))
	for _, u := range invitees {
		topics = append(topics, im.UserTopic(u))
	}
	return topics
}

// tell appends a message for everybody who hears it. It asks for the topics that are not held yet.
func tell(w *world.World, v *invite.Invitation, by Caller, m protocol.Signaling, concerned []string) error {
	topics := audience(v, concerned)
	if missing := w.Missing(topics); len(missing) > 0 {
		return &world.More{Need: world.Need{Topics: missing}}
	}
	shared := newSignal(m)
	for _, t := range topics {
		d := world.Draft{Device: by.origin(), Online: v.OnlineUserOnly, Body: shared}
		if len(m.Answers) > 0 && (v.Party || v.Peer == "") {
			d.Body = newSignal(m) // others' answers may be folded into it, on each topic for itself
		}
		if v.Over() && im.TopicInvitation(t) != "" {
			d.Listen = world.EndOfTopic
		}
		w.Append(t, d)
	}
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
