package protocol

import "encoding/json"

// Conversation is a conversation in one user's view.
type Conversation struct {
	ConversationID string          `json:"conversationID"`
	Type           string          `json:"type"` // c2c or group
	UserID         string          `json:"userID,omitempty"`
	GroupID        string          `json:"groupID,omitempty"`
	GroupType      string          `json:"groupType,omitempty"`
	Name           string          `json:"name,omitempty"` // of the group
	Unread         int64           `json:"unread"`
	Head           uint64          `json:"head"` // sequence of the timeline at which Unread was computed
	ReadSeq        uint64          `json:"readSeq,omitempty"`
	PeerReadSeq    uint64          `json:"peerReadSeq,omitempty"` // one-to-one: the last sequence read by the peer
	LastSeq        uint64          `json:"lastSeq,omitempty"`
	LastTime       int64           `json:"lastTime,omitempty"`
	Last           json.RawMessage `json:"last,omitempty" doc:"The last message or event."`
	Pinned         bool            `json:"pinned,omitempty"`
	ReceiveOption  string          `json:"receiveOption,omitempty"` // nothing, quiet, mentions; absent = notify
	ClearedSeq     uint64          `json:"clearedSeq,omitempty"`    // events up to here are not shown
	// after deleteConversation: not listed without a newer event
	HiddenSeq uint64 `json:"hiddenSeq,omitempty"`
}

// The receive options of a conversation.
const (
	ReceiveNotify   = "notify"
	ReceiveNothing  = "nothing"
	ReceiveQuiet    = "quiet"
	ReceiveMentions = "mentions"
)

// ConversationsRequest requests a page of the caller's conversations.
type ConversationsRequest struct {
	Offset int `json:"offset,omitempty" limit:"0.." doc:"next of the previous page."`
	Limit  int `json:"limit,omitempty"`
}

// ConversationsResponse is a page: pinned first, then by the latest event.
type ConversationsResponse struct {
	Conversations []Conversation `json:"conversations"`
	Next          int            `json:"next,omitempty"` // offset of the next page; 0 = no more
	TotalUnread   int64          `json:"totalUnread"`    // of all conversations except those with the option nothing
	// of the caller's timeline; includes the caller's actions
	Seq        uint64 `json:"seq"`
	ServerTime int64  `json:"serverTime"`
}

// ConversationRequest names a conversation.
type ConversationRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
}

// ReadRequest marks a conversation as read.
type ReadRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	Seq            uint64 `json:"seq,omitempty" doc:"The last sequence read. Default: the latest."`
}

// PinRequest pins a conversation to the top of the list, or unpins it.
type PinRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	Pin            bool   `json:"pin" doc:"True pins, false unpins."`
}

// ReceiveOptionRequest sets the notification option of a conversation.
type ReceiveOptionRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	ReceiveOption  string `json:"receiveOption" enum:"notify,nothing,quiet,mentions" doc:"notify: messages are delivered and pushed; quiet: delivered only; mentions: delivered, only mentions pushed; nothing: never pushed, and not counted in totalUnread."`
}

// ConversationResponse is a conversation after the change.
type ConversationResponse struct {
	Conversation Conversation `json:"conversation"`
	Repeat       bool         `json:"repeat,omitempty"` // no change: a repeat
	// of the caller's timeline; includes the caller's actions
	Seq        uint64 `json:"seq"`
	ServerTime int64  `json:"serverTime"`
}

// ConversationEvent is a change of a conversation, for the user's other devices.
type ConversationEvent struct {
	Type           string `json:"type"` // conversationRead, conversationChanged
	ConversationID string `json:"conversationID"`
	ReadSeq        uint64 `json:"readSeq,omitempty"`
	Unread         int64  `json:"unread"`         // conversationRead: unread at Head
	Head           uint64 `json:"head,omitempty"` // conversationRead
	Pinned         bool   `json:"pinned,omitempty"`
	ReceiveOption  string `json:"receiveOption,omitempty"`
	// after deleteConversation: not listed without a newer event
	HiddenSeq  uint64 `json:"hiddenSeq,omitempty"`
	ClearedSeq uint64 `json:"clearedSeq,omitempty"` // events up to here are not shown
	Time       int64  `json:"time"`
}
