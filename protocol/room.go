package protocol

import "github.com/beckon-im/beckon/im"

// EnterRoomRequest requests a token for a room.
type EnterRoomRequest struct {
	RoomID string      `json:"roomID" doc:"The room of an invitation, or group_<groupID> for the standing room of a group. A room that does not exist is opened, with the caller as its host."`
	Role   im.RoomRole `json:"role,omitempty" enum:"anchor,audience" doc:"anchor speaks, audience listens. Default: anchor if permitted."`
	Rejoin bool        `json:"rejoin,omitempty" doc:"Return to a call: an ended room is refused, not opened again."`
}

// EnterRoomResponse has the address and token for a room.
type EnterRoomResponse struct {
	RoomID     string      `json:"roomID"`
	URL        string      `json:"url"`   // of LiveKit; empty = the address of this server
	Token      string      `json:"token"` // for LiveKit
	Role       im.RoomRole `json:"role"`
	Granted    im.RoomRole `json:"granted"`           // the highest role available to switchRole
	Host       bool        `json:"host,omitempty"`    // may grant roles
	ExpireAt   int64       `json:"expireAt"`          // Unix seconds; does not end a stay in the room
	UDPPort    int         `json:"udpPort,omitempty"` // of audio and video
	TCPPort    int         `json:"tcpPort,omitempty"`
	ServerTime int64       `json:"serverTime"`
}

// RoomRequest names a room.
type RoomRequest struct {
	RoomID string `json:"roomID" doc:"The room."`
}

// ExitRoomRequest leaves a room.
type ExitRoomRequest struct {
	RoomID string `json:"roomID" doc:"The room."`
	Reason string `json:"reason,omitempty" enum:"hangup,mediaLost" doc:"Default: hangup."`
}

// SwitchRoleRequest changes the caller's role.
type SwitchRoleRequest struct {
	RoomID string      `json:"roomID" doc:"The room."`
	Role   im.RoomRole `json:"role" enum:"anchor,audience" doc:"anchor speaks, audience listens."`
}

// SetRoomRoleRequest sets a user's role in a room.
type SetRoomRoleRequest struct {
	RoomID string      `json:"roomID" doc:"The room."`
	UserID string      `json:"userID" doc:"The user."`
	Role   im.RoomRole `json:"role" enum:"anchor,audience,none" doc:"anchor speaks, audience listens, none is removed until the next invitation."`
}

// RoomResponse acknowledges a change.
type RoomResponse struct {
	RoomID     string      `json:"roomID"`
	Role       im.RoomRole `json:"role,omitempty"` // the current role
	ServerTime int64       `json:"serverTime"`
}

// RoomView is a room in the view of a user.
type RoomView struct {
	RoomID  string      `json:"roomID"`
	GroupID string      `json:"groupID,omitempty"` // of a standing room
	Owner   string      `json:"owner,omitempty"`
	Granted im.RoomRole `json:"granted"` // to the caller
	Host    bool        `json:"host,omitempty"`
	Seats   []RoomSeat  `json:"seats"`          // grants, oldest first; at most 1000
	Call    *Call       `json:"call,omitempty"` // the current call with its participants
	Time    int64       `json:"serverTime"`
}

// RoomSeat is a user's grant.
type RoomSeat struct {
	UserID string      `json:"userID"`
	Role   im.RoomRole `json:"role"`
	Time   int64       `json:"time"`
}

// RoomEvent is a change of a user's role in a room: on the group's timeline for a standing room, else on the user's.
type RoomEvent struct {
	Type    string      `json:"type"` // "roomRole"
	RoomID  string      `json:"roomID"`
	GroupID string      `json:"groupID,omitempty"`
	UserID  string      `json:"userID"`
	Role    im.RoomRole `json:"role"`
	By      string      `json:"by,omitempty"` // the acting user; empty = an app server
	Time    int64       `json:"time"`
}

// Call is the record of a call. Times are server times in Unix milliseconds.
type Call struct {
	CallID   string       `json:"callID"`
	RoomID   string       `json:"roomID"`
	InviteID string       `json:"inviteID,omitempty"`
	GroupID  string       `json:"groupID,omitempty"`
	Inviter  string       `json:"inviter,omitempty"`
	Invitee  string       `json:"invitee,omitempty"` // one-to-one: the other user
	Media    string       `json:"media"`             // audio, or video: a participant published a camera or a screen
	Opened   int64        `json:"opened"`            // entry of the first participant
	Began    int64        `json:"began,omitempty"`   // first time with two participants; absent = not yet
	Ended    int64        `json:"ended,omitempty"`   // last time with two participants; absent = the call continues
	Duration int64        `json:"duration"`          // milliseconds with at least two participants; 0 during the call
	Reason   string       `json:"reason,omitempty"`  // hangup, left, removed, dismissed, mediaLost
	EndedBy  string       `json:"endedBy,omitempty"`
	Count    int          `json:"count"`            // number of different participants
	People   []CallPerson `json:"people,omitempty"` // listCalls: the participants of a current call
}

// CallPerson is a participant.
type CallPerson struct {
	UserID   string `json:"userID"`
	Joined   int64  `json:"joined"`           // first entry
	Left     int64  `json:"left,omitempty"`   // last exit; absent = still in the room
	Duration int64  `json:"duration"`         // milliseconds of all stays
	Reason   string `json:"reason,omitempty"` // as in Call, or replaced
}

// CallMessagePrefix begins the messageID of a record.
const CallMessagePrefix = "call-"

// CallElem is a call record as a message in its conversation.
type CallElem struct {
	CallID   string   `json:"callID" doc:"See getCall."`
	RoomID   string   `json:"roomID" doc:"The room."`
	InviteID string   `json:"inviteID,omitempty" doc:"The first invitation into the room."`
	Media    string   `json:"media" doc:"audio, or video: a participant published a camera or a screen."`
	Began    int64    `json:"began" doc:"First time with two participants, Unix milliseconds."`
	Ended    int64    `json:"ended" doc:"Last time with two participants, Unix milliseconds."`
	Duration int64    `json:"duration" doc:"Milliseconds with at least two participants."`
	Reason   string   `json:"reason" doc:"hangup, left, removed, dismissed, mediaLost."`
	EndedBy  string   `json:"endedBy,omitempty" doc:"The user who ended it."`
	Count    int      `json:"count" doc:"Number of different participants."`
	People   []string `json:"people,omitempty" doc:"The participants, at most 100."`
}

// ListCallsRequest requests call records, latest first.
type ListCallsRequest struct {
	UserID  string `json:"userID,omitempty" doc:"App servers: only calls of this participant. For users: always the caller."`
	GroupID string `json:"groupID,omitempty" doc:"Only calls of this group."`
	RoomID  string `json:"roomID,omitempty" doc:"Only calls in this room."`
	From    int64  `json:"from,omitempty" limit:"0.." doc:"Only calls opened at or after this time, milliseconds."`
	Until   int64  `json:"until,omitempty" limit:"0.." doc:"Only calls opened before this time, milliseconds."`
	Open    bool   `json:"open,omitempty" doc:"Only current calls, including those with one participant."`
	Before  string `json:"before,omitempty" doc:"next of the previous page."`
	Limit   int    `json:"limit,omitempty"`
}

// ListCallsResponse is a page of records.
type ListCallsResponse struct {
	Calls []Call `json:"calls"`
	Next  string `json:"next,omitempty"` // before of the next page; empty = no more
}

// GetCallRequest names a call.
type GetCallRequest struct {
	CallID string `json:"callID" limit:"1..64 bytes" doc:"The call."`
}

// GetCallResponse is a call record with its participants.
type GetCallResponse struct {
	Call *Call `json:"call"`
}
