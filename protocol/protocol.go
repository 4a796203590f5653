package protocol

import (
	"encoding/json"

	"github.com/beckon-im/beckon/invite"
)

// MaxRequest limits a request, in bytes: enough to invite ten thousand users by name.
const MaxRequest = 1 << 20

// BusinessID marks a message as signaling, as in Tencent Chat.
const BusinessID = 1

// ActionType is the action of a signaling message. 1 to 5 are Tencent's values.
type ActionType int

// The action types.
const (
	ActionInvite  ActionType = 1
	ActionCancel  ActionType = 2
	ActionAccept  ActionType = 3
	ActionReject  ActionType = 4
	ActionTimeout ActionType = 5
	ActionModify  ActionType = 6
	ActionAdd     ActionType = 7
	ActionRinging ActionType = 8
	ActionDigest  ActionType = 9 // in a large group: the current counts of answers
)

// Event types: the field "type" of every event on a timeline.
const (
	TypeSignaling    = "signaling"
	TypeGroup        = "group"
	TypeMessage      = "message"
	TypeRevoked      = "messageRevoked"
	TypeModified     = "messageModified"
	TypeDeleted      = "messageDeleted"
	TypeRead         = "conversationRead"
	TypeReceipt      = "readReceipt"
	TypeReactions    = "messageReactions"
	TypeTyping       = "typing"
	TypeConversation = "conversationChanged"
	TypePerson       = "userChanged"
	TypeStatus       = "userStatus"
	TypeRoom         = "roomRole"
	TypeParticipant  = "participant"
)

// Signaling is an invitation action as a message in its conversation.
type Signaling struct {
	Type       string     `json:"type"`
	BusinessID int        `json:"businessID"`
	ActionType ActionType `json:"actionType"`
	From       string     `json:"from,omitempty"` // the acting user; empty for the server
	To         string     `json:"to,omitempty"`   // one-to-one: the other user
	GroupID    string     `json:"groupID,omitempty"`
	Time       int64      `json:"time"` // server time of the decision, Unix milliseconds

	InviteID     string   `json:"inviteID"`
	Inviter      string   `json:"inviter"`
	InviteeList  []string `json:"inviteeList,omitempty"`  // invite: all invitees; else the invitees concerned
	Everyone     bool     `json:"everyone,omitempty"`     // invite: all members except the inviter, instead of inviteeList
	InviteeCount int      `json:"inviteeCount,omitempty"` // with everyone: number of invitees
	Answers      []Answer `json:"answers,omitempty"`      // accept and reject: one or more, in the order of decision
	Data         string   `json:"data,omitempty"`
	Reason       string   `json:"reason,omitempty"` // cancel: "answered", "left", or empty for a cancel by the inviter
	RoomID       string   `json:"roomID,omitempty"`
	Timeout      int64    `json:"timeout,omitempty"`   // seconds
	Deadline     int64    `json:"deadline,omitempty"`  // server time, Unix milliseconds; 0 = never
	Remaining    int64    `json:"remaining,omitempty"` // milliseconds left at Time
	MinRing      int64    `json:"minRing,omitempty"`
	AcceptLimit  int      `json:"acceptLimit,omitempty"`
	Merged       string   `json:"merged,omitempty"` // accept by glare: the inviteID of the invite that became this accept
	OnlineOnly   bool     `json:"onlineUserOnly,omitempty"`
	Notice       bool     `json:"notice,omitempty"` // invite: informs, and takes no answer

	// invite, added: "participants" if the actions follow on invitation:<inviteID>
	Notify invite.Notify `json:"notify,omitempty"`

	Digest  *Digest `json:"digest,omitempty"` // in a large group: the current counts, instead of each answer
	Version int64   `json:"version"`          // of the invitation after this action
	Over    bool    `json:"over,omitempty"`
}

// ParticipantEvent is sent on the timelines of the participants of a group invitation with actions on
// invitation:<inviteID>.
type ParticipantEvent struct {
	Type     string `json:"type"`
	InviteID string `json:"inviteID"`
	Time     int64  `json:"time"`
}

// Digest summarizes the answers for uninvited members of a large group, at most five times a second.
type Digest struct {
	Counts   invite.Counts `json:"counts"`
	Accepted []string      `json:"accepted,omitempty"` // some of the invitees who accepted since the last digest
	Rejected []string      `json:"rejected,omitempty"`
}

// Answer is one invitee's accept or reject.
type Answer struct {
	Invitee    string     `json:"invitee"`
	ActionType ActionType `json:"actionType"`
	Data       string     `json:"data,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Time       int64      `json:"time"`
}

// Invitation is an invitation in its state at ServerTime. Times are server times in Unix milliseconds; Timeout and
// MinRing are seconds.
type Invitation struct {
	InviteID       string        `json:"inviteID"`
	Inviter        string        `json:"inviter"`
	GroupID        string        `json:"groupID,omitempty"`
	RoomID         string        `json:"roomID,omitempty"`
	Data           string        `json:"data"`
	Timeout        int64         `json:"timeout"`
	Notify         invite.Notify `json:"notify,omitempty"`
	AcceptLimit    int           `json:"acceptLimit,omitempty"`
	MinRing        int64         `json:"minRing,omitempty"`
	MergeGlare     bool          `json:"mergeGlare,omitempty"`
	OnlineUserOnly bool          `json:"onlineUserOnly,omitempty"`
	Everyone       bool          `json:"everyone,omitempty"`
	Notice         bool          `json:"notice,omitempty"`
	InviteeList    []string      `json:"inviteeList,omitempty"`  // in a list of invitations: the first 100 invitees
	InviteeCount   int           `json:"inviteeCount,omitempty"` // all invitees
	CreatedAt      int64         `json:"createdAt"`
	Deadline       int64         `json:"deadline"`
	Remaining      int64         `json:"remaining"` // milliseconds; 0 without a deadline, or after it
	Version        int64         `json:"version"`
	Over           bool          `json:"over"`
	Counts         invite.Counts `json:"counts"`
	Invitees       []Invitee     `json:"invitees,omitempty"` // the invitees concerned, or a page
	ServerTime     int64         `json:"serverTime"`
}

// Invitee is the state of one invitee.
type Invitee struct {
	UserID    string       `json:"userID"`
	State     invite.State `json:"state"`
	Reason    string       `json:"reason,omitempty"`
	Data      string       `json:"data,omitempty"`
	Device    string       `json:"device,omitempty"` // the answering device; sent to this user and the inviter only
	Reach     string       `json:"reach,omitempty"`
	RingingAt int64        `json:"ringingAt,omitempty"`
	DecidedAt int64        `json:"decidedAt,omitempty"`
	Deadline  int64        `json:"deadline,omitempty"` // if it differs from the invitation's
	Remaining int64        `json:"remaining,omitempty"`
}

// Error is the error object of all transports.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	// the users concerned, if several: the first 100
	UserIDList []string    `json:"userIDList,omitempty"`
	RetryAfter int         `json:"retryAfter,omitempty"` // milliseconds
	Invitation *Invitation `json:"invitation,omitempty"` // 8010, 8012: the current invitation
	Won        *Won        `json:"won,omitempty"`        // 8010: the decision that took effect
	// Cause is the error that failed a call on the side of the client, for errors.Is and errors.As; its text is part of
	// Message. Refusals of the server have none.
	Cause error `json:"-"`
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Cause }

// ErrorCode returns the code, for im.CodeOf.
func (e *Error) ErrorCode() int { return e.Code }

// Won is the action that took effect instead.
type Won struct {
	Action string `json:"action"` // accept, reject, cancel, timeout
	UserID string `json:"userID,omitempty"`
	Device string `json:"device,omitempty"` // sent to the same user and the inviter only
	Reason string `json:"reason,omitempty"`
	Time   int64  `json:"time"`
}

// Hello is the data of the connect command.
type Hello struct {
	// default: the token's, else one minted per connection
	DeviceID string   `json:"deviceID,omitempty"`
	Platform string   `json:"platform,omitempty"` // web, ios, android, …
	Epoch    string   `json:"epoch,omitempty"`    // of Positions
	Held     []string `json:"held,omitempty"`     // invitations that are open on the device
	// the last processed sequences by timeline, after a restart of the client
	Positions map[string]uint64 `json:"positions,omitempty"`
}

// Welcome is the data of the connect reply.
type Welcome struct {
	UserID      string            `json:"userID"`
	DeviceID    string            `json:"deviceID"`
	ServerTime  int64             `json:"serverTime"`
	Epoch       string            `json:"epoch"`
	Positions   map[string]uint64 `json:"positions"` // of the timelines when Invitations was read
	Invitations []Invitation      `json:"invitations"`
	Ended       []Invitation      `json:"ended,omitempty"` // the invitations of Hello.Held that are over
	More        bool              `json:"more,omitempty"`  // more invitations are open: see listInvitations
	// timelines with a position that was too old or of another database
	Reload   []string     `json:"reload,omitempty"`
	Statuses []UserStatus `json:"statuses,omitempty"` // of the users whose presence this user has subscribed to
	ExpireAt int64        `json:"expireAt,omitempty"` // of the token, Unix seconds
}

// ParseSignaling decodes signaling of any source: an event, an entry of a history, the payload of a push. It returns
// nil for anything else.
func ParseSignaling(text []byte) *Signaling {
	var m struct {
		Signaling
		Event json.RawMessage `json:"event"` // in an entry
	}
	if json.Unmarshal(text, &m) == nil && m.InviteID == "" && len(m.Event) > 0 {
		return ParseSignaling(m.Event)
	}
	if m.BusinessID != BusinessID || m.InviteID == "" || m.ActionType < ActionInvite || m.ActionType > ActionRinging {
		return nil
	}
	return &m.Signaling
}

// Decode decodes an event by its type: *Signaling, *GroupEvent, *Message, *MessageEvent, *ReactionEvent, *TypingEvent,
// *ConversationEvent, *PersonEvent, *RoomEvent. It returns nil for a type unknown to this version, and an error for
// malformed JSON.
func Decode(b []byte) (any, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, err
	}
	var v any
	switch head.Type {
	case TypeSignaling:
		v = new(Signaling)
	case TypeGroup:
		v = new(GroupEvent)
	case TypeMessage:
		v = new(Message)
	case TypeRevoked, TypeModified, TypeDeleted, TypeReceipt:
		v = new(MessageEvent)
	case TypeReactions:
		v = new(ReactionEvent)
	case TypeTyping:
		v = new(TypingEvent)
	case TypeRead, TypeConversation:
		v = new(ConversationEvent)
	case TypePerson, TypeStatus:
		v = new(PersonEvent)
	case TypeRoom:
		v = new(RoomEvent)
	default:
		return nil, nil
	}
	return v, json.Unmarshal(b, v)
}
