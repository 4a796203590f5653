package outbox

import (
	"encoding/json"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// The kinds of pushes.
const (
	KindInvitation   = "invitation"   // ring
	KindEnded        = "ended"        // stop ringing
	KindMessage      = "message"      // to one user
	KindGroupMessage = "groupMessage" // to the members of a group; it is expanded to a message for each
	KindRead         = "read"         // take away the notifications of messages that were read
	KindRevoked      = "revoked"      // take away the notification of a revoked message; without a user it is expanded
	KindTest         = "test"         // to tokens that the user tests
)

// Order is the job of one push. State that can change is read when the push is sent.
type Order struct {
	Kind     string   `json:"kind"`
	UserID   string   `json:"userID,omitempty"`
	InviteID string   `json:"inviteID,omitempty"`
	Message  *Message `json:"message,omitempty"`
	Read     *Read    `json:"read,omitempty"`
	Except   string   `json:"except,omitempty"` // a device that does not need it
	TestID   string   `json:"testID,omitempty"`
	Only     []string `json:"only,omitempty"`  // keys of the tokens of a test
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

// Read is a part of a conversation that a user has read.
type Read struct {
	Peer    string `json:"peer,omitempty"` // one-to-one
	GroupID string `json:"groupID,omitempty"`
	After   uint64 `json:"after"`
	UpTo    uint64 `json:"upTo"`
}

// MessageTo returns the push of a message to one user, which is due at a time.
func MessageTo(user string, m Message, now, due int64) txn.OutboxEvent {
	o := post(messageKey(m.MessageID, user), Order{Kind: KindMessage, UserID: user, Message: &m}, 1, now)
	o.Due = due
	return o
}

// IsPushOf reports whether an event is the push of a message to a user.
func IsPushOf(o *txn.OutboxEvent, messageID, user string) bool {
	return o.OrderingKey == messageKey(messageID, user)
}

// WasRead returns the push that takes the notifications of messages away that a user has read on the device except.
func WasRead(user string, r Read, except string, now int64) txn.OutboxEvent {
	conversation := im.C2C(r.Peer)
	if r.GroupID != "" {
		conversation = im.GroupConversation(r.GroupID)
	}
	return post(readKey(conversation, user), Order{Kind: KindRead, UserID: user, Read: &r, Except: except}, int64(r.UpTo),
		now)
}

// Revoked returns the push that takes the notification of a revoked message away: of one user, or of the members of its
// group.
func Revoked(user string, m Message, now int64) txn.OutboxEvent {
	return post(withdrawnKey(m.MessageID, user), Order{Kind: KindRevoked, UserID: user, Message: &m}, 1, now)
}

// MessageToGroup returns the push of a message to the members of a group.
func MessageToGroup(m Message, now int64) txn.OutboxEvent {
	return post(messageKey(m.MessageID, ""), Order{Kind: KindGroupMessage, Message: &m}, 1, now)
}

// Ring returns the push that rings an invitation.
func Ring(inviteID, user string, now int64) txn.OutboxEvent {
	o := post(ringKey(inviteID, user), Order{Kind: KindInvitation, UserID: user, InviteID: inviteID}, 1, now)
	o.Due = 0 // before all deferred events
	return o
}

// RingAgain returns a further push that rings an invitation, on devices that disconnected since the push before.
func RingAgain(inviteID, user string, seq, now int64) txn.OutboxEvent {
	o := Ring(inviteID, user, now)
	o.Seq = seq
	return o
}

// Taken returns the keys of the tokens that accepted one of some pushes.
func Taken(pushes []txn.OutboxEvent) (tokens []string, err error) {
	for i := range pushes {
		var o Order
		if err := json.Unmarshal([]byte(pushes[i].Body), &o); err != nil {
			return nil, err
		}
		tokens = append(tokens, o.Taken...)
	}
	return tokens, nil
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
