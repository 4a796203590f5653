package protocol

import "github.com/beckon-im/beckon/im"

// EnterRoomRequest asks for the way into a media room.
type EnterRoomRequest struct {
	RoomID string      `json:"roomID" doc:"The room of an invitation, or group_<groupID> for the standing room of a group. One that does not exist is opened, with you as its host."`
	Role   im.RoomRole `json:"role,omitempty" enum:"anchor,audience" doc:"anchor speaks, audience listens. Default: anchor for who may."`
}

// EnterRoomResponse is the way into a media room.
type EnterRoomResponse struct {
	RoomID     string      `json:"roomID"`
	URL        string      `json:"url"`   // of LiveKit; empty: the address of this server
	Token      string      `json:"token"` // for LiveKit
	Role       im.RoomRole `json:"role"`
	Granted    im.RoomRole `json:"granted"`        // what switchRole may ask for
	Host       bool        `json:"host,omitempty"` // decides who speaks
	ExpireAt   int64       `json:"expireAt"`       // unix seconds; who is in stays in
	ServerTime int64       `json:"serverTime"`
}

// RoomRequest names a media room.
type RoomRequest struct {
	RoomID string `json:"roomID" doc:"The room."`
}

// SwitchRoleRequest changes one's own role while in a room.
type SwitchRoleRequest struct {
	RoomID string      `json:"roomID" doc:"The room."`
	Role   im.RoomRole `json:"role" enum:"anchor,audience" doc:"anchor speaks, audience listens."`
}

// SetRoomRoleRequest grants or takes back what somebody may do in a room.
type SetRoomRoleRequest struct {
	RoomID string      `json:"roomID" doc:"The room."`
	UserID string      `json:"userID" doc:"Whom it is about."`
	Role   im.RoomRole `json:"role" enum:"anchor,audience,none" doc:"anchor speaks, audience listens, none is sent out until invited again."`
}

// RoomResponse acknowledges a change of a room.
type RoomResponse struct {
	RoomID     string      `json:"roomID"`
	Role       im.RoomRole `json:"role,omitempty"` // as it is now
	ServerTime int64       `json:"serverTime"`
}

// RoomView is a media room as its people may see it.
type RoomView struct {
	RoomID  string      `json:"roomID"`
	GroupID string      `json:"groupID,omitempty"` // of a standing room
	Owner   string      `json:"owner,omitempty"`
	Granted im.RoomRole `json:"granted"` // to the caller
	Host    bool        `json:"host,omitempty"`
	Seats   []RoomSeat  `json:"seats"`          // what people were granted, oldest first; at most 1000
	Call    *Call       `json:"call,omitempty"` // the call that goes on, with who is in it
	Time    int64       `json:"serverTime"`
}

// RoomSeat is what somebody was granted in a room.
type RoomSeat struct {
	UserID string      `json:"userID"`
	Role   im.RoomRole `json:"role"`
	Time   int64       `json:"time"`
}

// RoomEvent says that somebody's role in a room was changed: on a group's timeline for its standing room, else on
// theirs.
type RoomEvent struct {
	Type    string      `json:"type"` // "roomRole"
	RoomID  string      `json:"roomID"`
	GroupID string      `json:"groupID,omitempty"`
	UserID  string      `json:"userID"`
	Role    im.RoomRole `json:"role"`
	By      string      `json:"by,omitempty"` // who did it; empty: an app server
	Time    int64       `json:"time"`
}

// Call is the record of a call. Times are the server's, in milliseconds.
type Call struct {
	CallID   string       `json:"callID"`
	RoomID   string       `json:"roomID"`
	InviteID string       `json:"inviteID,omitempty"`
	GroupID  string       `json:"groupID,omitempty"`
	Inviter  string       `json:"inviter,omitempty"`
	Invitee  string       `json:"invitee,omitempty"` // one-to-one: the other person
	Media    string       `json:"media"`             // audio, or video: somebody showed a camera or a screen
	Opened   int64        `json:"opened"`            // the first came in
	Began    int64        `json:"began,omitempty"`   // two were in for the first time; absent: not yet
	Ended    int64        `json:"ended,omitempty"`   // two were in for the last time; absent: it goes on
	Duration int64        `json:"duration"`          // milliseconds during which at least two were in; 0 while it goes on
	Reason   string       `json:"reason,omitempty"`  // hangup, left, removed, dismissed, mediaLost
	EndedBy  string       `json:"endedBy,omitempty"`
	Count    int          `json:"count"`            // how many different people took part
	People   []CallPerson `json:"people,omitempty"` // listCalls: who is in a call that goes on
}

// CallPerson is somebody's part in a call.
type CallPerson struct {
	UserID   string `json:"userID"`
	Joined   int64  `json:"joined"`           // first
	Left     int64  `json:"left,omitempty"`   // last; absent: still in
	Duration int64  `json:"duration"`         // milliseconds, all stays together
	Reason   string `json:"reason,omitempty"` // hangup, left, removed, replaced, dismissed, mediaLost
}

// CallMessagePrefix begins the messageID of a call record.
const CallMessagePrefix = "call-"

// CallElem is a call record as a message in its conversation.
type CallElem struct {
	CallID   string   `json:"callID" doc:"See getCall."`
	RoomID   string   `json:"roomID" doc:"The room."`
	InviteID string   `json:"inviteID,omitempty" doc:"The first invitation into the room."`
	Media    string   `json:"media" doc:"audio, or video: somebody showed a camera or a screen."`
	Began    int64    `json:"began" doc:"Server time, milliseconds: two people were in for the first time."`
	Ended    int64    `json:"ended" doc:"Server time, milliseconds: two people were in for the last time."`
	Duration int64    `json:"duration" doc:"Milliseconds during which at least two people were in."`
	Reason   string   `json:"reason" doc:"hangup, left, removed, dismissed, mediaLost."`
	EndedBy  string   `json:"endedBy,omitempty" doc:"Who ended it."`
	Count    int      `json:"count" doc:"How many different people took part."`
	People   []string `json:"people,omitempty" doc:"Who took part, at most 100."`
}

// ListCallsRequest asks for call records, the latest first.
type ListCallsRequest struct {
	UserID  string `json:"userID,omitempty" doc:"App servers: only calls in which this person took part. For a user: always that user."`
	GroupID string `json:"groupID,omitempty" doc:"Only calls of this group."`
	RoomID  string `json:"roomID,omitempty" doc:"Only calls in this room."`
	From    int64  `json:"from,omitempty" doc:"Only calls opened at or after this time, milliseconds."`
	Until   int64  `json:"until,omitempty" doc:"Only calls opened before this time, milliseconds."`
	Open    bool   `json:"open,omitempty" doc:"Only calls that go on, also those in which one person waits for others."`
	Before  string `json:"before,omitempty" doc:"next of the page before."`
	Limit   int    `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// ListCallsResponse is a page of call records.
type ListCallsResponse struct {
	Calls []Call `json:"calls"`
	Next  string `json:"next,omitempty"` // before of the next page; empty = no more
}

// GetCallRequest asks for one call record.
type GetCallRequest struct {
	CallID string `json:"callID" doc:"The call."`
}

// GetCallResponse is a call record with who took part.
type GetCallResponse struct {
	Call *Call `json:"call"`
}

// ViewCall makes a call what people see.
func ViewCall(c *im.Call, people []im.Participant) *Call {
	out := &Call{CallID: c.ID, RoomID: c.RoomID, InviteID: c.InviteID, GroupID: c.GroupID, Inviter: c.Owner,
		Invitee: c.Peer, Media: c.Media(), Opened: c.OpenedAt, Began: c.BeganAt,
		Ended: c.EndedAt, Duration: c.MS, Count: c.Total}
	if c.EndedAt != 0 {
		out.Reason, out.EndedBy = c.Reason, c.EndedBy
	}
	for _, p := range people {
		v := CallPerson{UserID: p.UserID, Joined: p.FirstAt, Left: p.LeftAt, Duration: p.MS, Reason: p.Reason}
		if p.JoinedAt != 0 {
			v.Left, v.Reason = 0, ""
		}
		out.People = append(out.People, v)
	}
	return out
}
