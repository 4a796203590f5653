package protocol

import "encoding/json"

// Conversation is a conversation as one person has it.
type Conversation struct {
	ConversationID string          `json:"conversationID"`
	Type           string          `json:"type"` // c2c or group
	UserID         string          `json:"userID,omitempty"`
	GroupID        string          `json:"groupID,omitempty"`
	GroupType      string          `json:"groupType,omitempty"`
	Name           string          `json:"name,omitempty"` // of the group
	Unread         int64           `json:"unread"`
	Head           uint64          `json:"head"` // the sequence up to which Unread is counted
	ReadSeq        uint64          `json:"readSeq,omitempty"`
	PeerReadSeq    uint64          `json:"peerReadSeq,omitempty"` // one-to-one: the other person has read up to here
	LastSeq        uint64          `json:"lastSeq,omitempty"`
	LastTime       int64           `json:"lastTime,omitempty"`
	Last           json.RawMessage `json:"last,omitempty" doc:"The last message or event."`
	Pinned         bool            `json:"pinned,omitempty"`
	ReceiveOption  string          `json:"receiveOption,omitempty"` // nothing, quiet, mentions; absent = notify
	ClearedSeq     uint64          `json:"clearedSeq,omitempty"`    // nothing up to here is shown
	// it was deleted then: it is not in the list while nothing is newer
	HiddenSeq uint64 `json:"hiddenSeq,omitempty"`
}

// The receive options of a conversation.
const (
	ReceiveNotify   = "notify"
	ReceiveNothing  = "nothing"
	ReceiveQuiet    = "quiet"
	ReceiveMentions = "mentions"
)

// ConversationsRequest asks for a page of the caller's conversations.
type ConversationsRequest struct {
	Offset int `json:"offset,omitempty" doc:"How many to leave out: next of the page before."`
	Limit  int `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// ConversationsResponse is a page of conversations: the pinned first, then the latest.
type ConversationsResponse struct {
	Conversations []Conversation `json:"conversations"`
	Next          int            `json:"next,omitempty"` // offset of the next page; 0 = no more
	TotalUnread   int64          `json:"totalUnread"`    // of all conversations but those whose option is nothing
	// of your own timeline: what your devices did up to there is in it
	Seq        uint64 `json:"seq"`
	ServerTime int64  `json:"serverTime"`
}

// ConversationRequest names a conversation.
type ConversationRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
}

// ReadRequest marks a conversation read.
type ReadRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	Seq            uint64 `json:"seq,omitempty" doc:"Up to where. Default: all that there is."`
}

// PinRequest pins a conversation to the top of the list.
type PinRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	Pin            bool   `json:"pin" doc:"True pins, false lets go."`
}

// ReceiveOptionRequest says what one wants to be told of a conversation.
type ReceiveOptionRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	ReceiveOption  string `json:"receiveOption" enum:"notify,nothing,quiet,mentions" doc:"notify: messages arrive and push; quiet: they arrive; mentions: they arrive, mentions push; nothing: they do not count in totalUnread and never push."`
}

// ConversationResponse is a conversation as it is now.
type ConversationResponse struct {
	Conversation Conversation `json:"conversation"`
	Repeat       bool         `json:"repeat,omitempty"` // it was so before
	Seq          uint64       `json:"seq"`              // of your own timeline: what your devices did up to there is in it
	ServerTime   int64        `json:"serverTime"`
}

// ConversationEvent tells the other devices of a person what one of them did.
type ConversationEvent struct {
	Type           string `json:"type"` // conversationRead, conversationChanged
	ConversationID string `json:"conversationID"`
	ReadSeq        uint64 `json:"readSeq,omitempty"`
	Unread         int64  `json:"unread"`         // conversationRead: of what stands up to Head
	Head           uint64 `json:"head,omitempty"` // conversationRead
	Pinned         bool   `json:"pinned,omitempty"`
	ReceiveOption  string `json:"receiveOption,omitempty"`
	// it was deleted then: it is not in the list while nothing is newer
	HiddenSeq  uint64 `json:"hiddenSeq,omitempty"`
	ClearedSeq uint64 `json:"clearedSeq,omitempty"` // nothing up to here is shown
	Time       int64  `json:"time"`
}
