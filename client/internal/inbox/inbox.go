// Package inbox maintains the conversations of one user in memory: a state loaded from the server, updated by events.
//
// It does no I/O: the SDK loads it, passes it events, and reloads single conversations on request.
package inbox

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Inbox is the list of conversations. mu guards all fields except on.
type Inbox struct {
	on       bool
	mu       sync.Mutex
	me       string
	boxes    map[string]*box
	loaded   bool
	notified uint64 // number of updates
}

// New returns an empty inbox. A disabled one ignores all updates.
func New(on bool) *Inbox { return &Inbox{on: on, boxes: map[string]*box{}} }

// On reports whether the inbox is enabled.
func (x *Inbox) On() bool { return x.on }

// SetUser sets the user of the conversations.
func (x *Inbox) SetUser(me string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.me = me
}

func (x *Inbox) user() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.me
}

// Replace replaces a conversation by the server's state, read when the user's own timeline was at own. Later local
// updates are kept.
func (x *Inbox) Replace(v protocol.Conversation, own uint64) {
	if x.on {
		x.begin(v.ConversationID, true, func(b *box) { b.replace(v, own) })
	}
}

func (b *box) replace(v protocol.Conversation, own uint64) {
	old := *b
	*b = box{Conversation: v, gone: old.gone, later: old.later, own: max(own, old.own)}
	b.PeerReadSeq = max(v.PeerReadSeq, old.PeerReadSeq)
	if old.own > own { // actions of the user's devices since own are not included
		b.ReadSeq, b.Pinned, b.ReceiveOption = old.ReadSeq, old.Pinned, old.ReceiveOption
		b.Unread, b.Head = old.Unread, old.Head
	}
	b.read(b.Unread, b.Head)
	b.clear(old.ClearedSeq)
	if old.LastSeq > v.Head {
		b.last(old.LastSeq, old.LastTime, old.Last)
	}
	b.HiddenSeq = max(b.HiddenSeq, old.HiddenSeq)
}

// Deleted records messages deleted by this user: their events may still arrive, if the deletion overtook them.
func (x *Inbox) Deleted(id string, seqs []uint64) {
	if x.on {
		x.change(id, func(b *box) { b.gone = append(b.gone, seqs...) })
	}
}

// Tip applies a visible change of a group, and returns the conversation if it is new here.
func (x *Inbox) Tip(seq uint64, e *protocol.GroupEvent, data []byte) (fresh string) {
	if !x.on {
		return ""
	}
	return x.change(im.GroupConversation(e.GroupID), func(b *box) {
		b.last(seq, e.Time, slices.Clone(data))
		if e.Info != nil {
			b.Name = e.Info.Name
		}
	})
}

// box is one conversation: the server's state up to Head, and the updates after it.
type box struct {
	protocol.Conversation
	later    []uint64 // sequences after Head that count as unread
	gone     []uint64 // deleted by this user
	own      uint64   // sequence on the user's own timeline of the last applied action of the user's devices
	notified uint64   // the inbox's update count at the last update of this conversation
}

// listed reports whether the conversation is in the list: it has an entry newer than its deletion.
func (b *box) listed() bool {
	if b.LastSeq == 0 {
		return b.Pinned || b.Type == "group" && b.HiddenSeq == 0
	}
	return b.Pinned || b.LastSeq > b.HiddenSeq
}

func (b *box) unread() int64 { return b.Unread + int64(len(b.later)) }

// read applies the server's unread count at the sequence head.
func (b *box) read(unread int64, head uint64) {
	if head < b.Head {
		return
	}
	b.Unread, b.Head = unread, head
	b.later = slices.DeleteFunc(b.later, func(seq uint64) bool { return seq <= head })
}

// last applies a record as the conversation's last entry, if it is newer.
func (b *box) last(seq uint64, at int64, body json.RawMessage) {
	if seq > b.LastSeq && seq > b.ClearedSeq && !slices.Contains(b.gone, seq) {
		b.LastSeq, b.LastTime, b.Last = seq, at, body
	}
}

// Ask starts a load of all conversations, and returns the argument for Load. Until Load the inbox is not loaded.
func (x *Inbox) Ask() (asked uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loaded = false
	return x.notified
}

// Load applies the server's complete list, read when the user's own timeline was at own. Conversations not in the list
// are empty or no longer this user's, and are hidden until a newer entry, unless this device has updates after Ask.
func (x *Inbox) Load(list []protocol.Conversation, asked, own uint64) {
	listed := map[string]bool{}
	for _, v := range list {
		listed[v.ConversationID] = true
		x.Replace(v, own)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loaded = true
	for id, b := range x.boxes {
		if !listed[id] && b.before(asked, own) {
			b.HiddenSeq, b.Pinned = max(b.HiddenSeq, b.LastSeq, 1), false
		}
	}
}

// before reports whether a list requested at asked, and read at own of the user's own timeline, includes all updates of
// the conversation. A one-to-one conversation is on the user's own timeline, so this is exact.
func (b *box) before(asked, own uint64) bool {
	if b.GroupID == "" {
		return max(b.own, b.LastSeq) <= own
	}
	return b.notified <= asked
}

// Loaded reports whether no load is needed.
func (x *Inbox) Loaded() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.on || x.loaded
}

// List returns the listed conversations: pinned ones first, then by the latest entry.
func (x *Inbox) List() []protocol.Conversation {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]protocol.Conversation, 0, len(x.boxes))
	for _, b := range x.boxes {
		if !b.listed() {
			continue
		}
		v := b.Conversation
		v.Unread = b.unread()
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b protocol.Conversation) int {
		if a.Pinned != b.Pinned {
			if a.Pinned {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.LastTime, a.LastTime), cmp.Compare(a.ConversationID, b.ConversationID))
	})
	return list
}

// change updates a conversation with f; x.on must be set. An unknown one-to-one conversation is created; a group's must
// be loaded from the server, because events of a group may arrive after its member has left.
//
// It returns the ID if the conversation is new here: the server may have more of it.
func (x *Inbox) change(id string, f func(*box)) (fresh string) { return x.begin(id, false, f) }

func (x *Inbox) begin(id string, loaded bool, f func(*box)) (fresh string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := x.boxes[id]
	if b == nil {
		peer, group, err := im.ParseConversation(id)
		switch {
		case err != nil:
			return ""
		case group != "" && !loaded:
			return id
		}
		fresh = id
		b = &box{Conversation: protocol.Conversation{ConversationID: id, Type: "c2c", UserID: peer, GroupID: group}}
		if group != "" {
			b.Type = "group"
		}
		x.boxes[id] = b
	}
	f(b)
	x.notified++
	b.notified = x.notified
	return fresh
}

// counts reports whether messages in the conversation count as unread.
func (b *box) counts() bool {
	rules, known := im.Rules(im.GroupType(b.GroupType))
	return !known || rules.Unread
}

// Sent applies a message sent by this device, and returns the conversation if it is new here.
func (x *Inbox) Sent(id string, seq uint64, m *protocol.Message, body []byte) (fresh string) {
	if !x.on || m.ExcludeLastMessage || len(m.ReceiverList) > 0 {
		return ""
	}
	return x.change(id, func(b *box) { b.last(seq, m.Time, body) })
}

// Adjusted applies an action of this device on a conversation, and returns the conversation if it is new here.
func (x *Inbox) Adjusted(v *protocol.Conversation, own uint64) (fresh string) {
	if !x.on {
		return ""
	}
	return x.begin(v.ConversationID, true, func(b *box) {
		b.PeerReadSeq = max(b.PeerReadSeq, v.PeerReadSeq)
		b.HiddenSeq = max(b.HiddenSeq, v.HiddenSeq)
		b.did(own, v.ReadSeq, v.Unread, v.Head, v.ClearedSeq)
		if own >= b.own { // responses may arrive out of order
			b.Pinned, b.ReceiveOption, b.own = v.Pinned, v.ReceiveOption, own
		}
	})
}

// did applies the read and cleared positions of the user's devices. They only increase.
func (b *box) did(own, readSeq uint64, unread int64, head, clearedSeq uint64) {
	if own >= b.own {
		b.read(unread, head)
	}
	b.ReadSeq = max(b.ReadSeq, readSeq)
	b.clear(clearedSeq)
}

// clear hides entries up to a sequence.
func (b *box) clear(upTo uint64) {
	b.ClearedSeq = max(b.ClearedSeq, upTo)
	if b.LastSeq <= b.ClearedSeq {
		b.LastSeq, b.LastTime, b.Last = 0, 0, nil
	}
}

// Drop removes a conversation that is no longer this user's.
func (x *Inbox) Drop(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.boxes, id)
}

// Message applies a message, and returns the conversation if it is new here.
func (x *Inbox) Message(seq uint64, m *protocol.Message, body []byte) (fresh string) {
	if !x.on || seq == 0 {
		return ""
	}
	return x.change(Of(x.user(), m.From, m.To, m.GroupID), func(b *box) {
		targeted := len(m.ReceiverList) > 0
		if m.From != x.me && !m.ExcludeUnread && !targeted && seq > b.Head && seq > b.ReadSeq && b.counts() &&
			!slices.Contains(b.later, seq) {
			b.later = append(b.later, seq)
		}
		if !m.ExcludeLastMessage && !targeted {
			b.last(seq, m.Time, body)
		}
	})
}

// Of returns the conversation of a message, in the view of the user me.
func Of(me, from, to, group string) string {
	switch {
	case group != "":
		return im.GroupConversation(group)
	case from == me:
		return im.C2C(to)
	}
	return im.C2C(from)
}

// Signaling applies an invitation event to its conversation, and returns the conversation if it must be reloaded: it is
// new here, this user has answered, or the event is in a history that sessions do not receive.
func (x *Inbox) Signaling(topic string, seq uint64, m *protocol.Signaling, body []byte) (fresh string) {
	if !x.on || seq == 0 || m.ActionType == protocol.ActionDigest || m.ActionType == protocol.ActionRinging {
		return ""
	}
	group, mine := im.TopicGroup(topic), im.TopicUser(topic) != ""
	me := x.user()
	rings := m.ActionType == protocol.ActionInvite && m.Inviter != me
	var id string
	switch {
	case group != "":
		id = im.GroupConversation(group)
	case mine && m.GroupID == "" && m.To != "":
		id = im.C2C(m.Inviter)
		if m.Inviter == me {
			if id = im.C2C(m.To); m.From != me && m.From != "" {
				id = im.C2C(m.From)
			}
		}
	case mine && m.GroupID == "" && m.Inviter != me: // one of several invitees: the conversation with the inviter
		id = im.C2C(m.Inviter)
	case m.GroupID != "" && m.Inviter != me && m.ActionType != protocol.ActionTimeout && !answersOthers(m, me):
		return im.GroupConversation(m.GroupID) // on the invitation's own topic
	case len(m.Answers) > 0 && !answersOthers(m, me):
		return im.C2C(m.Inviter)
	default:
		return ""
	}
	fresh = x.change(id, func(b *box) {
		if rings && seq > b.Head && seq > b.ReadSeq && b.counts() && !slices.Contains(b.later, seq) {
			b.later = append(b.later, seq)
		}
		b.last(seq, m.Time, body)
	})
	if len(m.Answers) > 0 && !answersOthers(m, me) {
		return id // answering marks the invite as read
	}
	return fresh
}

// answersOthers reports whether an event has answers of other invitees only.
func answersOthers(m *protocol.Signaling, me string) bool {
	return len(m.Answers) > 0 && !slices.ContainsFunc(m.Answers, func(a protocol.Answer) bool { return a.Invitee == me })
}

// Conversation applies an action of this user's other device, and returns the conversation if it is new here.
func (x *Inbox) Conversation(e *protocol.ConversationEvent, own uint64) (fresh string) {
	if !x.on {
		return ""
	}
	return x.begin(e.ConversationID, true, func(b *box) {
		b.did(own, e.ReadSeq, e.Unread, e.Head, e.ClearedSeq)
		if own >= b.own {
			b.Pinned, b.ReceiveOption = e.Pinned, e.ReceiveOption
		}
		b.own = max(b.own, own)
		b.HiddenSeq = max(b.HiddenSeq, e.HiddenSeq)
	})
}

// Modified applies a modification by this device.
func (x *Inbox) Modified(m *protocol.Message) {
	x.Changed(&protocol.MessageEvent{Type: protocol.TypeModified, MessageID: m.MessageID, From: m.From, To: m.To,
		GroupID: m.GroupID, Message: m})
}

// Changed applies a change of a message, and returns the conversation if its unread count may be lower.
func (x *Inbox) Changed(e *protocol.MessageEvent) (id string) {
	if !x.on {
		return ""
	}
	if e.Type == protocol.TypeReceipt {
		if e.ConversationID != "" {
			x.change(e.ConversationID, func(b *box) { b.PeerReadSeq = max(b.PeerReadSeq, e.PeerReadSeq) })
		}
		return ""
	}
	where := Of(x.user(), e.From, e.To, e.GroupID)
	if e.Type == protocol.TypeRevoked {
		id = where
	}
	x.change(where, func(b *box) {
		var m protocol.Message
		if json.Unmarshal(b.Last, &m) != nil || m.MessageID != e.MessageID {
			return
		}
		if e.Message != nil {
			m = *e.Message
		} else {
			m.Body, m.Revoked, m.RevokedBy, m.RevokeReason = protocol.Body{}, true, e.By, e.Reason
		}
		b.Last, _ = json.Marshal(m) // a struct of strings and numbers always encodes
	})
	return id
}
