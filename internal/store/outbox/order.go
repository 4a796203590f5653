package outbox

import (
	"encoding/json"

	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// The kinds of pushes.
const (
	KindInvitation   = "invitation"   // ring
	KindEnded        = "ended"        // ring no longer
	KindMessage      = "message"      // to a person
	KindGroupMessage = "groupMessage" // to whoever of a group is away, of whom each is posted a message
)

// Order says who is to be told what by a push. What can change is read when it is sent.
type Order struct {
	Kind     string   `json:"kind"`
	UserID   string   `json:"userID,omitempty"`
	InviteID string   `json:"inviteID,omitempty"`
	Message  *Message `json:"message,omitempty"`
	Taken    []string `json:"taken,omitempty"` // keys of the tokens at which it was taken
}

// Message is what a push says of a message.
type Message struct {
	MessageID  string       `json:"messageID"`
	From       string       `json:"from"`
	GroupID    string       `json:"groupID,omitempty"`
	Text       string       `json:"text,omitempty"` // the beginning
	Kind       string       `json:"messageType"`
	At         int64        `json:"at"`                  // when it was sent, milliseconds
	Receivers  []string     `json:"receivers,omitempty"` // of those alone who it is for; empty = all
	Mentioned  []string     `json:"mentioned,omitempty"`
	MentionAll bool         `json:"mentionAll,omitempty"`
	Push       *invite.Push `json:"offlinePush,omitempty"`
	After      string       `json:"after,omitempty"` // the last member of the group who was looked at
}

// MessageTo is the push of a message to a person.
func MessageTo(user string, m Message, now int64) txn.OutboxEvent {
	return post(messageKey(m.MessageID, user), Order{Kind: KindMessage, UserID: user, Message: &m}, 1, now)
}

// MessageToGroup is the push of a message to whoever of a group is away.
func MessageToGroup(m Message, now int64) txn.OutboxEvent {
	return post(messageKey(m.MessageID, ""), Order{Kind: KindGroupMessage, Message: &m}, 1, now)
}

// Ring is the push by which an invitation rings.
func Ring(inviteID, user string, now int64) txn.OutboxEvent {
	o := post(ringKey(inviteID, user), Order{Kind: KindInvitation, UserID: user, InviteID: inviteID}, 1, now)
	o.Due = 0 // before everything that waits for its turn
	return o
}

// Ended is the push by which it rings no longer. It does not wait for the other, which a provider may have put off for long.
func Ended(inviteID, user string, now int64) txn.OutboxEvent {
	o := post(endedKey(inviteID, user), Order{Kind: KindEnded, UserID: user, InviteID: inviteID}, 1, now)
	o.Due = 0
	return o
}

func post(line string, o Order, num, now int64) txn.OutboxEvent {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // our own type of strings and numbers always encodes
	}
	return txn.OutboxEvent{OutboxKey: txn.OutboxKey{Queue: txn.QueuePush, OrderingKey: line, Seq: num}, At: now, Due: now, Kind: o.Kind, Body: string(b), Owner: o.UserID}
}
