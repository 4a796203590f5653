package hook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// head contains the fields of a record that events are made from.
type head struct {
	Type        string              `json:"type"`
	ActionType  protocol.ActionType `json:"actionType"`
	InviteID    string              `json:"inviteID"`
	Inviter     string              `json:"inviter"`
	To          string              `json:"to"`
	GroupID     string              `json:"groupID"`
	MessageID   string              `json:"messageID"`
	MessageType string              `json:"messageType"`
	Tip         string              `json:"tip"`
	From        string              `json:"from"`
	UserID      string              `json:"userID"`
	Notify      string              `json:"notify"` // participants: later events are on the topic of the invitation
}

// kind returns the kind of the event; empty if the record has no event.
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
	case protocol.TypeReactions:
		return "message.reactions"
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
	return "" // a digest repeats earlier events
}

// orderingKey returns the ordering key of the event: a group, the two users of a conversation, or an invitation to
// several users. It is empty if another timeline of the same batch has the same event.
func (h *head) orderingKey(r *txn.Record, batch []txn.Record) string {
	if _, history := im.AudienceInvitation(r.Audience); history {
		return "" // the topic of the invitation, or another record of the inviter, has it
	}
	if im.TopicGroup(r.Topic) != "" {
		return r.Topic
	}
	me := im.TopicUser(r.Topic)
	switch {
	case im.TopicInvitation(r.Topic) != "" && h.GroupID != "":
		return im.GroupTopic(h.GroupID)
	case im.TopicInvitation(r.Topic) != "":
		return r.Topic
	case me == "" || h.Type == protocol.TypeGroup || h.Notify != "" &&
		(h.ActionType != protocol.ActionInvite || me != h.Inviter):
		return ""
	case h.Type == protocol.TypeRoom:
		return im.UserTopic(h.UserID)
	case h.Type == protocol.TypeSignaling && h.GroupID != "" && me == h.Inviter:
		return im.GroupTopic(h.GroupID)
	case h.Type == protocol.TypeSignaling && h.To == "" && me == h.Inviter:
		return im.InvitationTopic(h.InviteID)
	case h.Type == protocol.TypeSignaling && (h.GroupID != "" || h.To == ""):
		return ""
	}
	peer := r.Peer
	if h.Type == protocol.TypeRevoked || h.Type == protocol.TypeModified || h.Type == protocol.TypeReactions {
		if peer = h.To; peer == me {
			peer = h.From
		}
		r.Paired = slices.ContainsFunc(batch, func(o txn.Record) bool {
			return o.Topic == im.UserTopic(peer) &&
				bytes.Equal(o.Body, r.Body)
		})
	}
	if r.Paired && peer < me {
		return "" // the peer's timeline has it too
	}
	return "two:" + min(me, peer) + " " + max(me, peer)
}

// events returns the events of the records in a batch. Records that are never stored have none.
func (h *Hooks) events(now int64, records []txn.Record) []txn.OutboxEvent {
	var list []txn.OutboxEvent
	for i := range records {
		r := records[i]
		var d head
		if r.Seq == 0 || json.Unmarshal(r.Body, &d) != nil {
			continue
		}
		kind := d.kind()
		if kind == "" || !h.enabled(kind) {
			continue
		}
		key := d.orderingKey(&r, records)
		if key == "" {
			continue
		}
		list = append(list, txn.OutboxEvent{
			OutboxKey: txn.OutboxKey{Queue: txn.QueueHook, OrderingKey: key, Seq: h.number(now)}, At: now, Due: now, Kind: kind,
			Owner: cmp.Or(d.From, d.Inviter),
			Body: `{"type":"` + kind + `","timestamp":"` + time.UnixMilli(now).UTC().Format("2006-01-02T15:04:05.000Z") +
				`","data":` + string(r.Body) + `}`,
		})
	}
	if len(list) > 0 {
		h.pending.Store(true)
	}
	return list
}

// number returns a unique, increasing sequence number for an event, based on the store's time. A later writer of a
// conversation has waited for its lock, or on another node for the commit, so its time is later as well.
func (h *Hooks) number(now int64) int64 {
	const perMilli = 1_000_000
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = max(now*perMilli, h.last+1)
	return h.last
}

// enabled reports whether events of a kind are sent.
func (h *Hooks) enabled(kind string) bool {
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
