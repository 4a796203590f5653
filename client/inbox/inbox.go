// Package inbox owns the conversations of one user as one device knows them: what the server said, kept in step with
// what the device hears.
//
// It does no I/O and asks nobody: the SDK loads it, feeds it, and reads single conversations anew where it must.
package inbox

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Inbox keeps this user's conversations in step with what the device hears, when Options.Inbox asks for it.
type Inbox struct {
	on       bool
	mu       sync.Mutex
	me       string
	boxes    map[string]*box
	loaded   bool
	notified uint64 // counts what the inbox was told
}

// New makes an inbox. One that is not on takes nothing in.
func New(on bool) *Inbox { return &Inbox{on: on, boxes: map[string]*box{}} }

// On says whether it takes anything in.
func (x *Inbox) On() bool { return x.on }

// SetUser says whose conversations these are.
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

// Replace puts one conversation in its place as the server said that it stands, when this user's own timeline stood at
// own. What this device was answered since then is newer.
func (x *Inbox) Replace(v protocol.Conversation, own uint64) {
	if x.on {
		x.begin(v.ConversationID, true, func(b *box) { b.replace(v, own) })
	}
}

func (b *box) replace(v protocol.Conversation, own uint64) {
	old := *b
	*b = box{Conversation: v, gone: old.gone, later: old.later, own: max(own, old.own)}
	b.PeerReadSeq = max(v.PeerReadSeq, old.PeerReadSeq)
	if old.own > own { // what this user's devices did since is not in it
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

// Deleted notes what this user has deleted: it may still come, when the device that deleted it was quicker than the
// news.
func (x *Inbox) Deleted(id string, seqs []uint64) {
	if x.on {
		x.change(id, func(b *box) { b.gone = append(b.gone, seqs...) })
	}
}

// Tip takes a shown change of a group in, and reports the conversation when it is new here.
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

// box is one conversation: as the server had it up to Head, and what came after.
type box struct {
	protocol.Conversation
	later    []uint64 // what counts as unread and came after Head
	gone     []uint64 // what this user has deleted
	own      uint64   // the sequence on this user's own timeline of the last news of what this user's devices did with it
	notified uint64   // the inbox's count when it was last told of this conversation
}

// listed says that the conversation is in the list: there is something in it that is newer than its deletion.
func (b *box) listed() bool {
	if b.LastSeq == 0 {
		return b.Pinned || b.Type == "group" && b.HiddenSeq == 0
	}
	return b.Pinned || b.LastSeq > b.HiddenSeq
}

func (b *box) unread() int64 { return b.Unread + int64(len(b.later)) }

// read takes a count of the server's, of what stands up to head.
func (b *box) read(unread int64, head uint64) {
	if head < b.Head {
		return
	}
	b.Unread, b.Head = unread, head
	b.later = slices.DeleteFunc(b.later, func(seq uint64) bool { return seq <= head })
}

// last notes that a record stands in the conversation.
func (b *box) last(seq uint64, at int64, body json.RawMessage) {
	if seq > b.LastSeq && seq > b.ClearedSeq && !slices.Contains(b.gone, seq) {
		b.LastSeq, b.LastTime, b.Last = seq, at, body
	}
}

// Ask notes that the server is about to be asked for all conversations, and returns what Load needs to know of that
// moment. Until Load the inbox counts as not loaded.
func (x *Inbox) Ask() (asked uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loaded = false
	return x.notified
}

// Load takes in all conversations that the server lists, when this user's own timeline stood at own. Those that it does
// not list have nothing to show, or are no longer this user's, and are shown again when something comes; unless this
// device was answered about them after it asked.
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

// before says that a list which was asked for then, and made when this user's own timeline stood at own, knows all that
// this device knows of the conversation. One with a person stands on the own timeline, where this is exact.
func (b *box) before(asked, own uint64) bool {
	if b.GroupID == "" {
		return max(b.own, b.LastSeq) <= own
	}
	return b.notified <= asked
}

// Loaded says that the conversations need not be read.
func (x *Inbox) Loaded() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.on || x.loaded
}

// List is every conversation as it stands now, the pinned first, then the latest.
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

// change runs f on a conversation; x.on must be set. One with a person begins when it is not known; a group's begins
// with what the server says of it, because its last words may still come after its member has left.
//
// It reports the id when the conversation is new here: then the server may know more of it.
func (x *Inbox) change(id string, f func(*box)) (fresh string) { return x.begin(id, false, f) }

func (x *Inbox) begin(id string, said bool, f func(*box)) (fresh string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := x.boxes[id]
	if b == nil {
		peer, group, err := im.ParseConversation(id)
		switch {
		case err != nil:
			return ""
		case group != "" && !said:
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

// counts says whether messages in the conversation count as unread.
func (b *box) counts() bool {
	rules, known := im.Rules(im.GroupType(b.GroupType))
	return !known || rules.Unread
}

// Sent notes a message of this device's own, and reports the conversation when it is new here.
func (x *Inbox) Sent(id string, seq uint64, m *protocol.Message, body []byte) (fresh string) {
	if !x.on || m.ExcludeLastMessage || len(m.ReceiverList) > 0 {
		return ""
	}
	return x.change(id, func(b *box) { b.last(seq, m.Time, body) })
}

// Adjusted notes what this device did to its side of a conversation, and reports the conversation when it is new here.
func (x *Inbox) Adjusted(v *protocol.Conversation, own uint64) (fresh string) {
	if !x.on {
		return ""
	}
	return x.begin(v.ConversationID, true, func(b *box) {
		b.PeerReadSeq = max(b.PeerReadSeq, v.PeerReadSeq)
		b.HiddenSeq = max(b.HiddenSeq, v.HiddenSeq)
		b.did(own, v.ReadSeq, v.Unread, v.Head, v.ClearedSeq)
		if own >= b.own { // two answers may come in the wrong order
			b.Pinned, b.ReceiveOption, b.own = v.Pinned, v.ReceiveOption, own
		}
	})
}

// did takes in how far this user's devices have read and cleared. It only ever goes forward.
func (b *box) did(own, readSeq uint64, unread int64, head, clearedSeq uint64) {
	if own >= b.own {
		b.read(unread, head)
	}
	b.ReadSeq = max(b.ReadSeq, readSeq)
	b.clear(clearedSeq)
}

// clear shows nothing up to a sequence any more.
func (b *box) clear(upTo uint64) {
	b.ClearedSeq = max(b.ClearedSeq, upTo)
	if b.LastSeq <= b.ClearedSeq {
		b.LastSeq, b.LastTime, b.Last = 0, 0, nil
	}
}

// Drop forgets a conversation that is no longer this user's.
func (x *Inbox) Drop(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.boxes, id)
}

// Message takes a message in, and reports the conversation when it is new here.
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

// Of names the conversation of a message, as the user sees it.
func Of(me, from, to, group string) string {
	switch {
	case group != "":
		return im.GroupConversation(group)
	case from == me:
		return im.C2C(to)
	}
	return im.C2C(from)
}

// Signaling takes an invitation's action in, where it stands in a conversation, and reports the conversation when the
// server may know more of it: it is new here, this user has answered, or the invite stands in a history that sessions
// do not receive.
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
	case mine && m.GroupID == "" && m.Inviter != me: // one of several invitees: in their conversation with the inviter
		id = im.C2C(m.Inviter)
	case m.GroupID != "" && m.Inviter != me && m.ActionType != protocol.ActionTimeout && !answersOthers(m, me):
		return im.GroupConversation(m.GroupID) // on the topic of the invitation's participants
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
		return id // it no longer counts as unread
	}
	return fresh
}

// answersOthers reports whether a message has answers, and none of them is of this user.
func answersOthers(m *protocol.Signaling, me string) bool {
	return len(m.Answers) > 0 && !slices.ContainsFunc(m.Answers, func(a protocol.Answer) bool { return a.Invitee == me })
}

// Conversation takes in what another device of this user did, and reports the conversation when it is new here.
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

// Changed takes in what became of a message, and reports the conversation when its unread count may be lower.
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
		b.Last, _ = json.Marshal(m) // our own type of strings and numbers always encodes
	})
	return id
}
