package protocol

// ReactionCount is the number of users with a reaction to a message.
type ReactionCount struct {
	Reaction string `json:"reaction"`
	Count    int64  `json:"count"`
}

// ReactionRequest adds a reaction of the caller to a message, or removes it.
type ReactionRequest struct {
	MessageRequest
	Reaction string `json:"reaction" limit:"1..64 bytes" doc:"An emoji, or a name that the application defines: at most 64 bytes of printable UTF-8 without spaces."`
}

// ReactionChange is one added or removed reaction, with the state after it.
type ReactionChange struct {
	MessageID string `json:"messageID"`
	UserID    string `json:"userID"`
	Reaction  string `json:"reaction"`
	Removed   bool   `json:"removed,omitempty"`
	Count     int64  `json:"count"`   // users with this reaction
	Version   int64  `json:"version"` // reactionVersion of the message
}

// ReactionResponse is the change that a call made. With Repeat nothing changed.
type ReactionResponse struct {
	ReactionChange
	Repeat     bool  `json:"repeat,omitempty"`
	ServerTime int64 `json:"serverTime"`
}

// ReactionEvent reports reactions to messages of one conversation.
type ReactionEvent struct {
	Type    string           `json:"type"` // "messageReactions"
	From    string           `json:"from,omitempty"`
	To      string           `json:"to,omitempty"`      // one-to-one: the users of the conversation
	GroupID string           `json:"groupID,omitempty"` // or the group
	Changes []ReactionChange `json:"changes"`
	Time    int64            `json:"time"`
}

// ReactionUsersRequest reads a page of the reactions to a message, ordered by user.
type ReactionUsersRequest struct {
	MessageRequest
	After string `json:"after,omitempty" doc:"next of the previous page."`
	Limit int    `json:"limit,omitempty"`
}

// ReactionUsersResponse is a page of the reactions to a message.
type ReactionUsersResponse struct {
	Users []ReactionUser `json:"users"`
	Next  string         `json:"next,omitempty"`
}

// ReactionUser is a user with their reactions to a message.
type ReactionUser struct {
	UserID    string   `json:"userID"`
	Reactions []string `json:"reactions"`
	Time      int64    `json:"time"` // of the latest one, Unix milliseconds
}

// TypingRequest reports that the caller is typing in a conversation, or has stopped.
type TypingRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	Stopped        bool   `json:"stopped,omitempty" doc:"The caller has stopped typing without sending a message."`
}

// TypingResponse reports whether the event was sent.
type TypingResponse struct {
	Sent       bool  `json:"sent"` // false: too soon after the last one, or the group has too many members
	ServerTime int64 `json:"serverTime"`
}

// TypingEvent reports that a user is typing. It holds for TypingTime, until a message of the user, or until an event
// with Stopped.
type TypingEvent struct {
	Type    string `json:"type"` // "typing"
	From    string `json:"from"`
	To      string `json:"to,omitempty"` // one-to-one: the receiver
	GroupID string `json:"groupID,omitempty"`
	Stopped bool   `json:"stopped,omitempty"`
	Time    int64  `json:"time"`
}

// TypingTime is the time for which a TypingEvent holds, and TypingEvery the interval at which a device repeats it while
// its user types, in milliseconds.
const (
	TypingTime  = 6000
	TypingEvery = 4000
)
