package protocol

import (
	"encoding/json"

	"github.com/beckon-im/beckon/invite"
)

// MessageType says what a message is.
type MessageType string

// The message types. Group tips and signaling are events of their own.
const (
	Text     MessageType = "text"
	Custom   MessageType = "custom"
	Image    MessageType = "image"
	Sound    MessageType = "sound"
	Video    MessageType = "video"
	File     MessageType = "file"
	Location MessageType = "location"
	Face     MessageType = "face"
	Merged   MessageType = "merged"
	CallType MessageType = "call" // a call record; only the server writes it
)

// Priority says what is dropped last when there is too much.
type Priority string

// The priorities.
const (
	PriorityHigh   Priority = "high"
	PriorityNormal Priority = "normal"
	PriorityLow    Priority = "low"
	PriorityLowest Priority = "lowest"
)

// Body is what a message says: exactly one of the fields, the one of its type. At most 12 KiB as JSON.
type Body struct {
	Text     string        `json:"text,omitempty" doc:"Text."`
	Custom   *CustomElem   `json:"custom,omitempty" doc:"Anything of your application's."`
	Image    *FileElem     `json:"image,omitempty" doc:"An uploaded image."`
	Sound    *FileElem     `json:"sound,omitempty" doc:"An uploaded recording."`
	Video    *FileElem     `json:"video,omitempty" doc:"An uploaded video."`
	File     *FileElem     `json:"file,omitempty" doc:"An uploaded file."`
	Location *LocationElem `json:"location,omitempty" doc:"A place."`
	Face     *FaceElem     `json:"face,omitempty" doc:"A sticker of your application's."`
	Merged   *MergedElem   `json:"merged,omitempty" doc:"Messages forwarded together."`
	Call     *CallElem     `json:"call,omitempty" doc:"A call that took place; only the server writes it."`
}

// Kinds are the types of what a body says: one, in a message that is well formed.
func (b *Body) Kinds() []MessageType {
	var kinds []MessageType
	for _, k := range []struct {
		there bool
		kind  MessageType
	}{{b.Text != "", Text}, {b.Custom != nil, Custom}, {b.Image != nil, Image}, {b.Sound != nil, Sound},
		{b.Video != nil, Video},
		{b.File != nil, File}, {b.Location != nil, Location}, {b.Face != nil, Face}, {b.Merged != nil, Merged},
		{b.Call != nil, CallType}} {
		if k.there {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds
}

// CustomElem is a message of the application's own kind.
type CustomElem struct {
	Data        string `json:"data" doc:"Opaque text."`
	Description string `json:"description,omitempty" doc:"What a list or a push shows."`
	Extension   string `json:"extension,omitempty" doc:"More opaque text."`
}

// FileElem refers to an uploaded file. What the server knows of the file it fills in.
type FileElem struct {
	FileID   string `json:"fileID" doc:"The answer to the upload."`
	Name     string `json:"name,omitempty" doc:"At most 255 bytes."`
	Type     string `json:"type,omitempty" doc:"Media type; filled in by the server."`
	Size     int64  `json:"size,omitempty" doc:"Bytes; filled in by the server."`
	Width    int    `json:"width,omitempty" doc:"Of images: filled in by the server. Of videos: yours."`
	Height   int    `json:"height,omitempty" doc:"As width."`
	Duration int64  `json:"duration,omitempty" doc:"Of sounds and videos: milliseconds."`
	ThumbID  string `json:"thumbID,omitempty" doc:"The file id of the thumbnail: of images filled in by the server, of videos yours."`
}

// LocationElem is a place.
type LocationElem struct {
	Description string  `json:"description,omitempty" doc:"Its name."`
	Latitude    float64 `json:"latitude" doc:"Degrees, -90 to 90."`
	Longitude   float64 `json:"longitude" doc:"Degrees, -180 to 180."`
}

// FaceElem is a sticker.
type FaceElem struct {
	Index int    `json:"index" doc:"Which."`
	Data  string `json:"data,omitempty" doc:"Opaque text."`
}

// MergedElem is several messages forwarded as one.
type MergedElem struct {
	Title     string   `json:"title" doc:"What the recipient sees first."`
	Abstracts []string `json:"abstracts,omitempty" doc:"A few lines of what is in it."`
	Messages  []Quoted `json:"messages" doc:"The messages, at most 300."`
}

// Quoted is one message within a merged one.
type Quoted struct {
	From string      `json:"from"`
	Time int64       `json:"time"`
	Type MessageType `json:"messageType"`
	Text string      `json:"text"`
}

// MessageOptions are how a message travels.
type MessageOptions struct {
	Mentions           []string     `json:"mentions,omitempty" doc:"Groups: who is meant, at most 30."`
	MentionAll         bool         `json:"mentionAll,omitempty" doc:"Groups: everybody is meant; for owner and administrators."`
	Priority           Priority     `json:"priority,omitempty" enum:"high,normal,low,lowest" doc:"Default: normal."`
	ReceiverList       []string     `json:"receiverList,omitempty" doc:"Groups: only these members get it, at most 50."`
	CustomData         string       `json:"customData,omitempty" doc:"Opaque text beside the body, at most 4096 bytes."`
	OnlineUserOnly     bool         `json:"onlineUserOnly,omitempty" doc:"Reaches only devices that are connected now; never stored."`
	ExcludeUnread      bool         `json:"excludeFromUnread,omitempty" doc:"It does not count as unread."`
	ExcludeLastMessage bool         `json:"excludeFromLastMessage,omitempty" doc:"It is not the last message of a conversation list."`
	NeedReadReceipt    bool         `json:"needReadReceipt,omitempty" doc:"Groups: readers may send a read receipt."`
	ExcludeFromSearch  bool         `json:"excludeFromSearch,omitempty" doc:"No search finds it."`
	OfflinePush        *invite.Push `json:"offlinePush,omitempty" doc:"What a push says."`
}

// SendMessageRequest sends a message to a person or a group.
type SendMessageRequest struct {
	UserID    string `json:"userID,omitempty" doc:"To whom: this, or groupID."`
	GroupID   string `json:"groupID,omitempty" doc:"To which group: this, or userID."`
	MessageID string `json:"messageID,omitempty" doc:"1–64 letters, digits and _.:-@+=. Propose one (a UUIDv7) so that a retry is the same message; else requestID names it, else the server mints it."`
	RequestID string `json:"requestID,omitempty" doc:"Names this call, so that sending it again does nothing twice. At most 64 bytes."`
	Body
	MessageOptions
}

// Message is a message in a conversation.
type Message struct {
	Type        string      `json:"type"` // "message"
	MessageID   string      `json:"messageID"`
	MessageType MessageType `json:"messageType"`
	From        string      `json:"from"`
	To          string      `json:"to,omitempty"`
	GroupID     string      `json:"groupID,omitempty"`
	Time        int64       `json:"time"` // server time, milliseconds
	Body
	MessageOptions
	Version      int64  `json:"version,omitempty"` // how often it was modified
	ModifiedBy   string `json:"modifiedBy,omitempty"`
	Revoked      bool   `json:"revoked,omitempty"` // then it has no body
	RevokedBy    string `json:"revokedBy,omitempty"`
	RevokeReason string `json:"revokeReason,omitempty"`
}

// SendMessageResponse acknowledges a message.
type SendMessageResponse struct {
	MessageID      string `json:"messageID"`
	ConversationID string `json:"conversationID"`
	Seq            uint64 `json:"seq,omitempty"` // on your timeline of that conversation; absent when it is not stored
	Time           int64  `json:"time"`
	Devices        int    `json:"devices,omitempty"` // onlineUserOnly to a person: how many devices were connected
	Repeat         bool   `json:"repeat,omitempty"`
}

// MessageEvent says what became of a message.
type MessageEvent struct {
	// messageRevoked, messageModified, messageDeleted, readReceipt
	Type           string   `json:"type"`
	ConversationID string   `json:"conversationID,omitempty"` // messageDeleted; a one-to-one readReceipt
	MessageID      string   `json:"messageID,omitempty"`
	From           string   `json:"from,omitempty"` // of the message
	To             string   `json:"to,omitempty"`
	GroupID        string   `json:"groupID,omitempty"`
	By             string   `json:"by,omitempty"` // who did it
	Reason         string   `json:"reason,omitempty"`
	Message        *Message `json:"message,omitempty"`     // messageModified: as it is now
	SeqList        []uint64 `json:"seqList,omitempty"`     // messageDeleted: on this user's timeline
	PeerReadSeq    uint64   `json:"peerReadSeq,omitempty"` // readReceipt, one-to-one: the other person has read up to here
	Receipts       []Count  `json:"receipts,omitempty"`    // readReceipt in a group
	Time           int64    `json:"time"`
}

// Count says how many have read a message of a group.
type Count struct {
	MessageID string `json:"messageID"`
	Read      int64  `json:"read"`
	Unread    int64  `json:"unread"`
}

// HistoryRequest reads a conversation.
type HistoryRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	Seq            uint64 `json:"seq,omitempty" doc:"Where to begin, exclusive. Default: the end that direction comes from."`
	Direction      string `json:"direction,omitempty" enum:"older,newer" doc:"older, the default: before seq, the newest first; newer: after seq, the oldest first."`
	Limit          int    `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// Entry is one entry of a conversation's history.
type Entry struct {
	Seq   uint64          `json:"seq"` // on this user's timeline, for a group on the group's
	Event json.RawMessage `json:"event" doc:"What a device was told: a message, signaling, or a change of the group."`
	Read  int64           `json:"read,omitempty"` // read receipts of a group's message
}

// HistoryResponse is a page of a conversation.
type HistoryResponse struct {
	Messages    []Entry `json:"messages"`
	Complete    bool    `json:"complete"`              // there is no more in this direction
	PeerReadSeq uint64  `json:"peerReadSeq,omitempty"` // one-to-one: the other person has read up to here
	// when much of what is for others lies between: seq of the next page, though this one is short
	Next uint64 `json:"next,omitempty"`
}

// MessageRequest names a message.
type MessageRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	MessageID      string `json:"messageID" doc:"The message."`
}

// RevokeRequest takes a message back.
type RevokeRequest struct {
	MessageRequest
	Reason string `json:"reason,omitempty" doc:"At most 256 bytes."`
}

// ModifyMessageRequest replaces what a message says.
type ModifyMessageRequest struct {
	MessageRequest
	Version    *int64  `json:"version,omitempty" doc:"The version that you have seen: when it is any other now (0: never modified), the call is refused with 8006. Default: not checked."`
	CustomData *string `json:"customData,omitempty" doc:"Opaque text beside the body. Default: as it is."`
	Body
}

// MessageResponse is a message as it is now.
type MessageResponse struct {
	Message    Message `json:"message"`
	Repeat     bool    `json:"repeat,omitempty"`
	ServerTime int64   `json:"serverTime"`
}

// DeleteMessagesRequest hides messages from the caller alone.
type DeleteMessagesRequest struct {
	ConversationID string   `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	SeqList        []uint64 `json:"seqList" doc:"Which, by seq, at most 50."`
}

// Done acknowledges an action that has nothing more to say.
type Done struct {
	ServerTime int64 `json:"serverTime"`
}

// ReceiptsRequest names messages of a group.
type ReceiptsRequest struct {
	GroupID       string   `json:"groupID" doc:"The group."`
	MessageIDList []string `json:"messageIDList" doc:"The messages, at most 30."`
}

// ReceiptsResponse says how many have read messages.
type ReceiptsResponse struct {
	Receipts []Count `json:"receipts"`
}

// ReadersRequest asks who has, or has not, read a message.
type ReadersRequest struct {
	GroupID   string `json:"groupID" doc:"The group."`
	MessageID string `json:"messageID" doc:"The message, your own."`
	Unread    bool   `json:"unread,omitempty" doc:"Ask for those who have not read it."`
	After     string `json:"after,omitempty" doc:"The last userID of the page before."`
	Limit     int    `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// ReadersResponse is a page of people.
type ReadersResponse struct {
	Readers []Reader `json:"readers"`
	Next    string   `json:"next,omitempty"`
}

// Reader is who has read a message, and when.
type Reader struct {
	UserID string `json:"userID"`
	Time   int64  `json:"time,omitempty"`
}

// SearchRequest looks for messages in the caller's conversations.
type SearchRequest struct {
	Text           string `json:"text" doc:"Words that all stand in the message; the beginning of a word is enough. At most 256 bytes."`
	ConversationID string `json:"conversationID,omitempty" doc:"Only there. Default: everywhere."`
	From           string `json:"from,omitempty" doc:"Only messages of this person."`
	Before         int64  `json:"before,omitempty" doc:"next of the page before."`
	Limit          int    `json:"limit,omitempty" doc:"1–100. Default: 20."`
}

// SearchResponse is what was found, the newest first.
type SearchResponse struct {
	Found []Finding `json:"found"`
	Next  int64     `json:"next,omitempty"` // before of the next page; absent = no more
}

// Finding is a message that was found.
type Finding struct {
	ConversationID string  `json:"conversationID"`
	Seq            uint64  `json:"seq"`
	Message        Message `json:"message"`
}

// UploadResponse answers an upload to POST /v1/files.
type UploadResponse struct {
	FileID  string `json:"fileID"`
	Kind    string `json:"kind"`
	Name    string `json:"name,omitempty"`
	Type    string `json:"type"`
	Size    int64  `json:"size"`
	Hash    string `json:"hash"` // SHA-256, hexadecimal
	Width   int    `json:"width,omitempty"`
	Height  int    `json:"height,omitempty"`
	ThumbID string `json:"thumbID,omitempty"`
}

// FileRequest names a file.
type FileRequest struct {
	FileID string `json:"fileID" doc:"The file."`
}

// FileResponse is a link to a file, for whoever has it, until it expires.
type FileResponse struct {
	URL      string `json:"url"`      // relative to the server's address
	ExpireAt int64  `json:"expireAt"` // server time, milliseconds
	UploadResponse
}
