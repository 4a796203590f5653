package hook

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/protocol"
)

// head is what a record must say for an event to be made of it.
type head struct {
	Type        string              `json:"type"`
	ActionType  protocol.ActionType `json:"actionType"`
	InviteID    string              `json:"inviteID"`
	Inviter     string              `json:"inviter"`
	To          string              `json:"to"`
	GroupID     string              `json:"groupID"`
	Version     int64               `json:"version"`
	MessageID   string              `json:"messageID"`
	MessageType string              `json:"messageType"`
	Tip         string              `json:"tip"`
	RoomID      string              `json:"roomID"`
}

// kind names the event; empty = app servers are not told.
func (h *head) kind() string {
	switch h.Type {
	case protocol.TypeSignaling:
		return invitationKind(h.ActionType)
	case protocol.TypeMessage:
		if h.MessageType == "call" {
			return "call.ended"
		}
		return "message.sent"
	case protocol.TypeRevoked:
		return "message.revoked"
	case protocol.TypeModified:
		return "message.modified"
	case protocol.TypeGroup:
		return "group." + h.Tip
	case protocol.TypeRoom:
		return "room.roleChanged"
	}
	return ""
}

func invitationKind(a protocol.ActionType) string {
	switch a {
	case protocol.ActionInvite:
		return "invitation.created"
	case protocol.ActionCancel:
		return "invitation.cancelled"
	case protocol.ActionAccept, protocol.ActionReject:
		return "invitation.answered"
	case protocol.ActionTimeout:
		return "invitation.timedOut"
	case protocol.ActionModify:
		return "invitation.modified"
	case protocol.ActionAdd:
		return "invitation.inviteesAdded"
	case protocol.ActionRinging:
		return "invitation.ringing"
	}
	return "" // a digest repeats what was said
}

// subject tells records apart that are about different things: one thing may stand on several timelines.
func (h *head) subject(r *world.Record) string {
	switch h.Type {
	case protocol.TypeSignaling:
		return h.InviteID + "\n" + h.kind() + "\n" + string(rune(h.Version))
	case protocol.TypeMessage, protocol.TypeRevoked, protocol.TypeModified:
		return h.Type + "\n" + h.MessageID
	}
	return r.Topic + "\n" + string(r.Body)
}

// told is a record that an event may be made of.
type told struct {
	head
	kind string
	rec  *world.Record
}

// better reports whether a record stands in a better place than another that says the same: where everything of its
// conversation stands, so that events leave in that order. Between two people it is always the same one's timeline.
func (t *told) better(than *told) bool {
	rank := func(t *told) int {
		switch topic := t.rec.Topic; {
		case t.Type == protocol.TypeSignaling && t.To == "" && topic == im.UserTopic(t.Inviter):
			return 0 // of several people, and in a large group, only the inviter hears all
		case im.TopicGroup(topic) != "":
			return 1
		case im.TopicUser(topic) != "":
			return 2
		}
		return 3
	}
	if a, b := rank(t), rank(than); a != b {
		return a < b
	}
	return t.rec.Topic < than.rec.Topic
}

// tap makes the events of a batch's records. What is never stored leaves no event.
func (h *Hooks) tap(now int64, records []world.Record) []world.Outgoing {
	found := map[string]*told{}
	var order []string
	for i := range records {
		r := &records[i]
		if r.Seq == 0 || im.TopicInvitation(r.Topic) != "" {
			continue
		}
		t := &told{rec: r}
		if json.Unmarshal(r.Body, &t.head) != nil {
			continue
		}
		if t.kind = t.head.kind(); t.kind == "" || !h.wants(t.kind) || t.Type == protocol.TypeGroup && im.TopicGroup(r.Topic) == "" {
			continue
		}
		subject := t.subject(r)
		if before := found[subject]; before == nil {
			order = append(order, subject)
		} else if !t.better(before) {
			continue
		}
		found[subject] = t
	}
	list := make([]world.Outgoing, 0, len(order))
	for _, subject := range order {
		t := found[subject]
		list = append(list, world.Outgoing{
			OutgoingKey: world.OutgoingKey{Queue: queueName, Topic: t.rec.Topic, Seq: t.rec.Seq}, At: now, Due: now, Kind: t.kind,
			Body: `{"type":"` + t.kind + `","timestamp":"` + time.UnixMilli(now).UTC().Format("2006-01-02T15:04:05.000Z") + `","data":` + string(t.rec.Body) + `}`,
		})
	}
	return list
}

// wants reports whether the operator asked for a kind of event.
func (h *Hooks) wants(kind string) bool {
	if len(h.opt.Kinds) == 0 {
		return true
	}
	family, _, _ := strings.Cut(kind, ".")
	for _, k := range h.opt.Kinds {
		if k == kind || k == family {
			return true
		}
	}
	return false
}
