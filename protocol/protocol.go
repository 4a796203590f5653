// Package protocol owns the words on the wire: requests, responses, events, errors and close codes. PROTOCOL.md is its
// manual.
//
// It says what is sent, never when or to whom.
package protocol

import (
	"encoding/json"

	"github.com/beckon-im/beckon/invite"
)

// MaxRequest bounds a request, in bytes: enough for an invitation of ten thousand people by name.
const MaxRequest = 1 << 20

// BusinessID marks a message as signaling, as in the original.
const BusinessID = 1

// ActionType says what a signaling message does. 1 to 5 are the original's numbers.
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
	ActionDigest  ActionType = 9 // in a large group: how the answers stand
)

// Event types: the field "type" of everything a device receives on a timeline.
const (
	TypeSignaling    = "signaling"
	TypeGroup        = "group"
	TypeMessage      = "message"
	TypeRevoked      = "messageRevoked"
	TypeModified     = "messageModified"
	TypeDeleted      = "messageDeleted"
	TypeRead         = "conversationRead"
	TypeReceipt      = "readReceipt"
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
	From       string     `json:"from,omitempty"` // who acted; empty when the server did
	To         string     `json:"to,omitempty"`   // one-to-one: the other person
	GroupID    string     `json:"groupID,omitempty"`
	Time       int64      `json:"time"` // server time of the decision, milliseconds

	InviteID     string   `json:"inviteID"`
	Inviter      string   `json:"inviter"`
	InviteeList  []string `json:"inviteeList,omitempty"`  // invite: all; else the invitees this is about
	Everyone     bool     `json:"everyone,omitempty"`     // invite: every member but the inviter, instead of inviteeList
	InviteeCount int      `json:"inviteeCount,omitempty"` // with everyone: how many that are
	Answers      []Answer `json:"answers,omitempty"`      // accept and reject: one or more, in the order they were decided
	Data         string   `json:"data,omitempty"`
	Reason       string   `json:"reason,omitempty"` // cancel: "answered", "left", or none for the inviter's own
	RoomID       string   `json:"roomID,omitempty"`
	Timeout      int64    `json:"timeout,omitempty"`   // seconds
	Deadline     int64    `json:"deadline,omitempty"`  // server time, milliseconds; 0 = never
	Remaining    int64    `json:"remaining,omitempty"` // milliseconds left at Time
	MinRing      int64    `json:"minRing,omitempty"`
	AcceptLimit  int      `json:"acceptLimit,omitempty"`
	Merged       string   `json:"merged,omitempty"` // accept by glare: the inviteID that became this accept
	OnlineOnly   bool     `json:"onlineUserOnly,omitempty"`
	Notice       bool     `json:"notice,omitempty"` // invite: it informs and takes no answer

	// invite, added: "participants" when the actions follow on invitation:<inviteID>
	Notify invite.Notify `json:"notify,omitempty"`

	Digest  *Digest `json:"digest,omitempty"` // in a large group: how the answers stand, instead of each of them
	Version int64   `json:"version"`          // of the invitation after this action
	Over    bool    `json:"over,omitempty"`
}

// ParticipantEvent is on the timelines of the participants of an invitation in a group: its actions are on
// invitation:<inviteID>.
type ParticipantEvent struct {
	Type     string `json:"type"`
	InviteID string `json:"inviteID"`
	Time     int64  `json:"time"`
}

// Digest is what onlookers in a large group hear of answers, at most five times a second.
type Digest struct {
	Counts   invite.Counts `json:"counts"`
	Accepted []string      `json:"accepted,omitempty"` // some of those who accepted since the digest before
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

// Invitation is an invitation as it stands at ServerTime.
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
	InviteeList    []string      `json:"inviteeList,omitempty"`  // the first 100 invitees, in a list of invitations
	InviteeCount   int           `json:"inviteeCount,omitempty"` // all invitees
	CreatedAt      int64         `json:"createdAt"`
	Deadline       int64         `json:"deadline"`
	Remaining      int64         `json:"remaining"` // milliseconds; 0 when there is no deadline, or it has passed
	Version        int64         `json:"version"`
	Over           bool          `json:"over"`
	Counts         invite.Counts `json:"counts"`
	Invitees       []Invitee     `json:"invitees,omitempty"` // those that the answer is about, or a page
	ServerTime     int64         `json:"serverTime"`
}

// Invitee is one invited person and what became of it.
type Invitee struct {
	UserID    string       `json:"userID"`
	State     invite.State `json:"state"`
	Reason    string       `json:"reason,omitempty"`
	Data      string       `json:"data,omitempty"`
	Device    string       `json:"device,omitempty"` // which device answered; told to that person and the inviter
	RingingAt int64        `json:"ringingAt,omitempty"`
	DecidedAt int64        `json:"decidedAt,omitempty"`
	Deadline  int64        `json:"deadline,omitempty"` // when it differs from the invitation's
	Remaining int64        `json:"remaining,omitempty"`
}

// ViewInvitation makes an invitation what the rule says it is at now.
func ViewInvitation(v *invite.Invitation, invitees []invite.Invitee, now int64) *Invitation {
	out := &Invitation{
		InviteID: v.ID, Inviter: v.Inviter, GroupID: v.GroupID, RoomID: v.RoomID, Data: v.Data, Timeout: v.Timeout,
		Notify:      v.Notify,
		AcceptLimit: v.AcceptLimit, MinRing: v.MinRing, MergeGlare: v.MergeGlare, OnlineUserOnly: v.OnlineUserOnly,
		Everyone:  v.Everyone,
		CreatedAt: v.CreatedAt, Deadline: v.Deadline, Remaining: remaining(v.Deadline, now), Version: v.Version,
		Over:   v.Over(),
		Counts: v.Counts, ServerTime: now, Notice: v.Notice, InviteeCount: v.Counts.Total(),
	}
	for i := range invitees {
		out.Invitees = append(out.Invitees, ViewInvitee(v, &invitees[i], now))
	}
	return out
}

// ViewInvitee makes an invitee what the rule says it is at now.
func ViewInvitee(v *invite.Invitation, w *invite.Invitee, now int64) Invitee {
	p := Invitee{UserID: w.UserID, State: w.StateAt(now), Reason: w.Reason, Data: w.Data, Device: w.By.Device,
		RingingAt: w.RingingAt, DecidedAt: w.DecidedAt}
	if w.Deadline != v.Deadline {
		p.Deadline, p.Remaining = w.Deadline, remaining(w.Deadline, now)
	}
	return p
}

func remaining(deadline, now int64) int64 {
	if deadline == 0 {
		return 0
	}
	return max(0, deadline-now)
}

// Error is the error object of both doors.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	// the users that the refusal is about, when it is about several: the first 100
	UserIDList []string    `json:"userIDList,omitempty"`
	RetryAfter int         `json:"retryAfter,omitempty"` // milliseconds
	Invitation *Invitation `json:"invitation,omitempty"` // 8010, 8012: as it now stands
	Won        *Won        `json:"won,omitempty"`        // 8010: who decided before
}

func (e *Error) Error() string { return e.Message }

// Won names the action that took effect instead of the refused one.
type Won struct {
	Action string `json:"action"` // accept, reject, cancel, timeout
	UserID string `json:"userID,omitempty"`
	Device string `json:"device,omitempty"` // told to the same person and the inviter
	Reason string `json:"reason,omitempty"`
	Time   int64  `json:"time"`
}

// Hello is what a device says when it connects, as the data of the connect command.
type Hello struct {
	// which device of the user this is; else the token's, else one per connection
	DeviceID string   `json:"deviceID,omitempty"`
	Platform string   `json:"platform,omitempty"` // web, ios, android, …
	Epoch    string   `json:"epoch,omitempty"`    // of Positions
	Held     []string `json:"held,omitempty"`     // invitations that the device holds as open
	// the last sequence processed by timeline, when the program restarted and kept them
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
	Ended       []Invitation      `json:"ended,omitempty"` // those of Hello.Held that are over
	More        bool              `json:"more,omitempty"`  // there are more open invitations: see listInvitations
	// timelines whose position was too old or of another database
	Reload   []string     `json:"reload,omitempty"`
	Statuses []UserStatus `json:"statuses,omitempty"` // of the people whose presence this user has subscribed to
}

// Decode reads an event by its type: *Signaling, *GroupEvent, *Message, *MessageEvent, *ConversationEvent,
// *PersonEvent, *RoomEvent, or nil for a type that this version does not know.
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
