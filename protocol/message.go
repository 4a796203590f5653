package protocol

import (
	"encoding/json"

	"github.com/beckon-im/beckon/invite"
)

// MessageType is the type of a message body.
type MessageType string

// The message types. Group tips and signaling have event types of their own.
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
	CallType MessageType = "call" // a call record; written by the server only
)

// Priority orders the dropping of messages under load: the lowest first.
type Priority string

// The priorities.
const (
	PriorityHigh   Priority = "high"
	PriorityNormal Priority = "normal"
	PriorityLow    Priority = "low"
	PriorityLowest Priority = "lowest"
)

// Body is the content of a message: the field of its type. At most 12 KiB as JSON.
type Body struct {
	Text     string        `json:"text,omitempty" limit:"12277 bytes" doc:"Text."`
	Custom   *CustomElem   `json:"custom,omitempty" doc:"Content defined by the application."`
	Image    *FileElem     `json:"image,omitempty" doc:"An uploaded image."`
	Sound    *FileElem     `json:"sound,omitempty" doc:"An uploaded recording."`
	Video    *FileElem     `json:"video,omitempty" doc:"An uploaded video."`
	File     *FileElem     `json:"file,omitempty" doc:"An uploaded file."`
	Location *LocationElem `json:"location,omitempty" doc:"A place."`
	Face     *FaceElem     `json:"face,omitempty" doc:"A sticker defined by the application."`
	Merged   *MergedElem   `json:"merged,omitempty" doc:"Messages forwarded together."`
	Call     *CallElem     `json:"call,omitempty" doc:"A call record; written by the server only."`
}

// Kinds returns the types of the fields that are set.
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

// CustomElem is content defined by the application.
type CustomElem struct {
	Data        string `json:"data" doc:"Opaque text."`
	Description string `json:"description,omitempty" doc:"Shown in lists and pushes."`
	Extension   string `json:"extension,omitempty" doc:"More opaque text."`
}

// FileElem refers to an uploaded file. The server adds known properties.
type FileElem struct {
	FileID   string `json:"fileID" doc:"The fileID of the upload response."`
	Name     string `json:"name,omitempty" limit:"255 bytes"`
	Type     string `json:"type,omitempty" doc:"Media type; filled in by the server."`
	Size     int64  `json:"size,omitempty" doc:"Bytes; filled in by the server."`
	Width    int    `json:"width,omitempty" limit:"0.." doc:"Pixels; of images filled in by the server, of videos by the sender."`
	Height   int    `json:"height,omitempty" limit:"0.." doc:"As width."`
	Duration int64  `json:"duration,omitempty" limit:"0.." doc:"Milliseconds; of sounds and videos, by the sender."`
	ThumbID  string `json:"thumbID,omitempty" doc:"The file ID of the thumbnail; of images filled in by the server, of videos by the sender."`
}

// LocationElem is a place.
type LocationElem struct {
	Description string  `json:"description,omitempty" doc:"The name of the place."`
	Latitude    float64 `json:"latitude" limit:"-90..90" doc:"Degrees."`
	Longitude   float64 `json:"longitude" limit:"-180..180" doc:"Degrees."`
}

// FaceElem is a sticker.
type FaceElem struct {
	Index int    `json:"index" limit:"0.." doc:"Index of the sticker."`
	Data  string `json:"data,omitempty" doc:"Opaque text."`
}

// MergedElem is several messages forwarded as one.
type MergedElem struct {
	Title     string   `json:"title" limit:"1.. bytes" doc:"The title."`
	Abstracts []string `json:"abstracts,omitempty" doc:"A few lines of preview."`
	Messages  []Quoted `json:"messages" limit:"1..300 items" doc:"The messages."`
}

// Quoted is one message of a merged message.
type Quoted struct {
	From string      `json:"from"`
	Time int64       `json:"time"`
	Type MessageType `json:"messageType"`
	Text string      `json:"text"`
}

// MessageOptions are the delivery options of a message.
type MessageOptions struct {
	ReplyTo            string       `json:"replyTo,omitempty" doc:"The messageID of the message of this conversation that this one replies to."`
	Mentions           []string     `json:"mentions,omitempty" limit:"30 items" doc:"Groups: the mentioned users."`
	MentionAll         bool         `json:"mentionAll,omitempty" doc:"Groups: mentions all members; for the owner and administrators only."`
	Priority           Priority     `json:"priority,omitempty" enum:"high,normal,low,lowest" doc:"Default: normal."`
	ReceiverList       []string     `json:"receiverList,omitempty" limit:"50 items" doc:"Groups: delivers to these members only."`
	CustomData         string       `json:"customData,omitempty" limit:"4096 bytes" doc:"Opaque text beside the body."`
	OnlineUserOnly     bool         `json:"onlineUserOnly,omitempty" doc:"Delivers to connected devices only; never stored."`
	ExcludeUnread      bool         `json:"excludeFromUnread,omitempty" doc:"The message does not count as unread."`
	ExcludeLastMessage bool         `json:"excludeFromLastMessage,omitempty" doc:"The message is not shown as the last one of its conversation."`
	NeedReadReceipt    bool         `json:"needReadReceipt,omitempty" doc:"Groups: readers may send a read receipt."`
	ExcludeFromSearch  bool         `json:"excludeFromSearch,omitempty" doc:"The message is not indexed for search."`
	OfflinePush        *invite.Push `json:"offlinePush,omitempty" doc:"The push to recipients without a connected device."`
}

// SendMessageRequest sends a message to a user or a group.
type SendMessageRequest struct {
	UserID    string `json:"userID,omitempty" doc:"The recipient; this or groupID is required."`
	GroupID   string `json:"groupID,omitempty" doc:"The group; this or userID is required."`
	MessageID string `json:"messageID,omitempty" doc:"1–64 letters, digits and _.:-@+=. Set one (a UUIDv7) to make retries idempotent. Default: derived from requestID, else minted by the server."`
	RequestID string `json:"requestID,omitempty" doc:"Identifies this call: retries with the same ID take effect once. At most 64 bytes."`
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
	Time        int64       `json:"time"` // server time, Unix milliseconds
	Body
	MessageOptions
	Version      int64  `json:"version,omitempty"` // number of modifications
	ModifiedBy   string `json:"modifiedBy,omitempty"`
	Revoked      bool   `json:"revoked,omitempty"` // without a body
	RevokedBy    string `json:"revokedBy,omitempty"`
	RevokeReason string `json:"revokeReason,omitempty"`
	// in the order of their first use
	Reactions       []ReactionCount `json:"reactions,omitempty"`
	ReactionVersion int64           `json:"reactionVersion,omitempty"` // number of changes of Reactions
}

// SendMessageResponse acknowledges a message.
type SendMessageResponse struct {
	MessageID      string `json:"messageID"`
	ConversationID string `json:"conversationID"`
	Seq            uint64 `json:"seq,omitempty"` // on the caller's timeline of the conversation; absent if not stored
	Time           int64  `json:"time"`
	Devices        int    `json:"devices,omitempty"` // onlineUserOnly to a user: number of connected devices
	Repeat         bool   `json:"repeat,omitempty"`
}

// MessageEvent is a change to a message.
type MessageEvent struct {
	// messageRevoked, messageModified, messageDeleted, readReceipt
	Type           string   `json:"type"`
	ConversationID string   `json:"conversationID,omitempty"` // messageDeleted; a one-to-one readReceipt
	MessageID      string   `json:"messageID,omitempty"`
	From           string   `json:"from,omitempty"` // of the message
	To             string   `json:"to,omitempty"`
	GroupID        string   `json:"groupID,omitempty"`
	By             string   `json:"by,omitempty"` // the acting user
	Reason         string   `json:"reason,omitempty"`
	Message        *Message `json:"message,omitempty"`     // messageModified: the current message
	SeqList        []uint64 `json:"seqList,omitempty"`     // messageDeleted: on this user's timeline
	PeerReadSeq    uint64   `json:"peerReadSeq,omitempty"` // readReceipt, one-to-one: the last sequence read by the peer
	Receipts       []Count  `json:"receipts,omitempty"`    // readReceipt in a group
	Time           int64    `json:"time"`
}

// Count is the number of members who have, and have not, read a message.
type Count struct {
	MessageID string `json:"messageID"`
	Read      int64  `json:"read"`
	Unread    int64  `json:"unread"`
}

// HistoryRequest reads a page of a conversation.
type HistoryRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	Seq            uint64 `json:"seq,omitempty" doc:"Start of the page, exclusive. Default: the latest for older, the first for newer."`
	Direction      string `json:"direction,omitempty" enum:"older,newer" doc:"older (default): before seq, newest first; newer: after seq, oldest first."`
	Limit          int    `json:"limit,omitempty"`
}

// Entry is one entry of a conversation's history.
type Entry struct {
	Seq   uint64          `json:"seq"` // on this user's timeline; for a group on the group's
	Event json.RawMessage `json:"event" doc:"The event as delivered to devices: a message, signaling, or a change of the group."`
	Read  int64           `json:"read,omitempty"` // read receipts of a group message
	Mine  []string        `json:"mine,omitempty"` // the caller's reactions to the message
}

// HistoryResponse is a page of a conversation.
type HistoryResponse struct {
	Messages    []Entry `json:"messages"`
	Complete    bool    `json:"complete"`              // no more entries in this direction
	PeerReadSeq uint64  `json:"peerReadSeq,omitempty"` // one-to-one: the last sequence read by the peer
	// seq of the next page, if events for other users were skipped
	Next uint64 `json:"next,omitempty"`
}

// MessageRequest names a message.
type MessageRequest struct {
	ConversationID string `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	MessageID      string `json:"messageID" doc:"The message."`
}

// RevokeRequest revokes a message.
type RevokeRequest struct {
	MessageRequest
	Reason string `json:"reason,omitempty" limit:"256 bytes"`
}

// ModifyMessageRequest replaces the content of a message.
type ModifyMessageRequest struct {
	MessageRequest
	Version    *int64  `json:"version,omitempty" doc:"The expected version (0 = never modified); any other current version is refused with 8006. Default: not checked."`
	CustomData *string `json:"customData,omitempty" limit:"4096 bytes" doc:"Opaque text beside the body. Default: unchanged."`
	Body
}

// MessageResponse is a message after the change.
type MessageResponse struct {
	Message    Message  `json:"message"`
	Seq        uint64   `json:"seq,omitempty"`  // getMessage: the sequence of the message
	Mine       []string `json:"mine,omitempty"` // getMessage: the caller's reactions to the message
	Repeat     bool     `json:"repeat,omitempty"`
	ServerTime int64    `json:"serverTime"`
}

// DeleteMessagesRequest hides messages from the caller only.
type DeleteMessagesRequest struct {
	ConversationID string   `json:"conversationID" doc:"c2c_<userID> or group_<groupID>."`
	SeqList        []uint64 `json:"seqList" limit:"1..50 items" doc:"The sequences of the messages."`
}

// Done acknowledges an action without a result.
type Done struct {
	ServerTime int64 `json:"serverTime"`
}

// ReceiptsRequest names messages of a group.
type ReceiptsRequest struct {
	GroupID       string   `json:"groupID" doc:"The group."`
	MessageIDList []string `json:"messageIDList" limit:"1..30 items" doc:"The messages."`
}

// ReceiptsResponse is the read counts of messages.
type ReceiptsResponse struct {
	Receipts []Count `json:"receipts"`
}

// ReadersRequest requests the readers of a message, or the others.
type ReadersRequest struct {
	GroupID   string `json:"groupID" doc:"The group."`
	MessageID string `json:"messageID" doc:"The message; the caller must be its sender."`
	Unread    bool   `json:"unread,omitempty" doc:"List members who have not read it."`
	After     string `json:"after,omitempty" doc:"next of the previous page."`
	Limit     int    `json:"limit,omitempty"`
}

// ReadersResponse is a page of members.
type ReadersResponse struct {
	Readers []Reader `json:"readers"`
	Next    string   `json:"next,omitempty"`
}

// Reader is a member and the time of the read receipt, Unix milliseconds.
type Reader struct {
	UserID string `json:"userID"`
	Time   int64  `json:"time,omitempty"`
}

// SearchRequest searches messages in the caller's conversations.
type SearchRequest struct {
	Text           string `json:"text" limit:"1..256 bytes" doc:"Words or word prefixes, all of which must match."`
	ConversationID string `json:"conversationID,omitempty" doc:"Only this conversation. Default: all."`
	From           string `json:"from,omitempty" doc:"Only messages of this sender."`
	Before         int64  `json:"before,omitempty" limit:"0.." doc:"next of the previous page."`
	Limit          int    `json:"limit,omitempty" limit:"0..100" doc:"Results per page. Default: 20."`
}

// SearchResponse is a page of results, newest first.
type SearchResponse struct {
	Found []Finding `json:"found"`
	Next  int64     `json:"next,omitempty"` // before of the next page; absent = no more
}

// Finding is a search result.
type Finding struct {
	ConversationID string  `json:"conversationID"`
	Seq            uint64  `json:"seq"`
	Message        Message `json:"message"`
}

// UploadResponse is the response to an upload to POST /v1/files.
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

// FileResponse is a link, valid for its holder until it expires.
type FileResponse struct {
	URL      string `json:"url"`      // relative to the server's address
	ExpireAt int64  `json:"expireAt"` // server time, Unix milliseconds
	UploadResponse
}
