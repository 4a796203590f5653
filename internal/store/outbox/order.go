package outbox

import (
	"encoding/json"

	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// The kinds of pushes.
const (
	KindInvitation   = "invitation"   // ring
	KindEnded        = "ended"        // stop ringing
	KindMessage      = "message"      // to one user
	KindGroupMessage = "groupMessage" // to the offline members of a group; it is expanded to a message for each
)

// Order is the job of one push. State that can change is read when the push is sent.
type Order struct {
	Kind     string   `json:"kind"`
	UserID   string   `json:"userID,omitempty"`
	InviteID string   `json:"inviteID,omitempty"`
	Message  *Message `json:"message,omitempty"`
	Taken    []string `json:"taken,omitempty"` // keys of the tokens that accepted it
}

// Message is the content of a push for a message.
type Message struct {
	MessageID  string       `json:"messageID"`
	From       string       `json:"from"`
	GroupID    string       `json:"groupID,omitempty"`
	Text       string       `json:"text,omitempty"` // the beginning
	Kind       string       `json:"messageType"`
	At         int64        `json:"at"`                  // time of sending, milliseconds
	Receivers  []string     `json:"receivers,omitempty"` // the only receivers; empty = all members
	Mentioned  []string     `json:"mentioned,omitempty"`
	MentionAll bool         `json:"mentionAll,omitempty"`
	Push       *invite.Push `json:"offlinePush,omitempty"`
	After      string       `json:"after,omitempty"` // the last member of the group that was processed
}

// MessageTo returns the push of a message to one user.
func MessageTo(user string, m Message, now int64) txn.OutboxEvent {
	return post(messageKey(m.MessageID, user), Order{Kind: KindMessage, UserID: user, Message: &m}, 1, now)
}

// MessageToGroup returns the push of a message to the offline members of a group.
func MessageToGroup(m Message, now int64) txn.OutboxEvent {
	return post(messageKey(m.MessageID, ""), Order{Kind: KindGroupMessage, Message: &m}, 1, now)
}

// Ring returns the push that rings an invitation.
func Ring(inviteID, user string, now int64) txn.OutboxEvent {
	o := post(ringKey(inviteID, user), Order{Kind: KindInvitation, UserID: user, InviteID: inviteID}, 1, now)
	o.Due = 0 // before all deferred events
	return o
}

// Ended returns the push that stops the ringing. It has a key of its own: a provider may have deferred the ring for
// long.
func Ended(inviteID, user string, now int64) txn.OutboxEvent {
	o := post(endedKey(inviteID, user), Order{Kind: KindEnded, UserID: user, InviteID: inviteID}, 1, now)
	o.Due = 0
	return o
}

func post(key string, o Order, num, now int64) txn.OutboxEvent {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // our own type of strings and numbers always encodes
	}
	return txn.OutboxEvent{OutboxKey: txn.OutboxKey{Queue: txn.QueuePush, OrderingKey: key, Seq: num}, At: now, Due: now,
		Kind: o.Kind, Body: string(b), Owner: o.UserID}
}
