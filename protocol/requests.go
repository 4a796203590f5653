package protocol

import "github.com/beckon-im/beckon/invite"

// InviteOptions are the fields common to all invites.
type InviteOptions struct {
	InviteID       string       `json:"inviteID,omitempty" doc:"1–64 of A-Za-z0-9_.:-. Set one (a UUIDv7) to make retries idempotent. Default: minted by the server."`
	Data           string       `json:"data,omitempty" limit:"12288 bytes" doc:"Opaque text for the application."`
	Timeout        int64        `json:"timeout,omitempty" limit:"0..86400" doc:"Whole seconds until the timeout; 0 = never."`
	RoomID         string       `json:"roomID,omitempty" doc:"The media room that accepting grants access to."`
	AcceptLimit    int          `json:"acceptLimit,omitempty" limit:"0..10000" doc:"The N-th accept cancels the invitees still open. 0 = no limit; 1 = the first accept wins."`
	MinRing        int64        `json:"minRing,omitempty" limit:"0..300" doc:"Minimum seconds for an invitee from the first ring, even past the timeout."`
	OnlineUserOnly bool         `json:"onlineUserOnly,omitempty" doc:"Delivers to connected devices only; never stored in history."`
	SkipInvalid    bool         `json:"skipInvalid,omitempty" doc:"Omit invalid invitees (duplicates, the inviter, non-members, users who block the inviter) instead of refusing the call; the response lists them in skipped."`
	Notice         bool         `json:"notice,omitempty" doc:"The invitation only informs: it takes no answer, is over from the start and never rings."`
	OfflinePush    *invite.Push `json:"offlinePush,omitempty" doc:"The push to invitees without a connected device."`
	RequestID      string       `json:"requestID,omitempty" doc:"Identifies this call: retries with the same ID take effect once. At most 64 bytes."`
}

// InviteRequest invites one user, or up to 100 without a group.
type InviteRequest struct {
	Invitee     string   `json:"invitee,omitempty" doc:"The invitee of a one-to-one invitation."`
	InviteeList []string `json:"inviteeList,omitempty" limit:"1..100 items" doc:"Or several invitees, at most 100, each in a one-to-one conversation with the inviter."`
	MergeGlare  bool     `json:"mergeGlare,omitempty" doc:"One-to-one: if the invitee has an open invitation to the caller with this flag, this invite accepts that one."`
	InviteOptions
}

// InviteInGroupRequest invites members of a group.
type InviteInGroupRequest struct {
	GroupID     string        `json:"groupID" doc:"The group; the inviter and all invitees must be members."`
	InviteeList []string      `json:"inviteeList,omitempty" limit:"1..10000 items" doc:"Distinct members except the inviter."`
	Everyone    bool          `json:"everyone,omitempty" doc:"All current members except the inviter, instead of inviteeList."`
	Notify      invite.Notify `json:"notify,omitempty" enum:"members,participants" doc:"The audience of the events. Default: members."`
	InviteOptions
}

// Reach is the reachability of an invitee.
type Reach struct {
	UserID  string `json:"userID"`
	Devices int    `json:"devices"`        // currently connected
	Status  string `json:"status"`         // see below
	Push    bool   `json:"push,omitempty"` // to registered devices that are not connected
}

// Values of Reach.Status.
const (
	ReachConnected   = "connected"
	ReachUnreachable = "unreachable"
	ReachPush        = "push" // no device is connected

	ReachDoNotDisturb = "doNotDisturb" // in effect, and shown to inviters
	ReachAcknowledged = "acknowledged" // of an Invitee: it rang, or was answered
)

// Skipped is an invitee omitted because of skipInvalid.
type Skipped struct {
	UserID  string `json:"userID" limit:"any"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// InviteResponse acknowledges an invite.
type InviteResponse struct {
	InviteID   string      `json:"inviteID"`
	Invitation *Invitation `json:"invitation"`
	Reach      []Reach     `json:"reach,omitempty"`
	Skipped    []Skipped   `json:"skipped,omitempty"` // with skipInvalid: omitted invitees and reasons
	Repeat     bool        `json:"repeat,omitempty"`  // a repeat of an earlier call; no effect
	Merged     bool        `json:"merged,omitempty"`  // glare: inviteID is the other user's invitation, now accepted
	ServerTime int64       `json:"serverTime"`

	Room *EnterRoomResponse `json:"room,omitempty"` // as of enterRoom
}

// AnswerRequest accepts or rejects an invitation.
type AnswerRequest struct {
	InviteID  string `json:"inviteID" doc:"The invitation."`
	Data      string `json:"data,omitempty" limit:"12288 bytes" doc:"Opaque text for the application."`
	RequestID string `json:"requestID,omitempty" doc:"Identifies this call: retries with the same ID take effect once."`
}

// RejectRequest rejects with a reason.
type RejectRequest struct {
	AnswerRequest
	Reason string `json:"reason,omitempty" limit:"256 bytes" doc:"declined (the default), busy, or other text of at most 256 bytes."`
}

// CancelRequest cancels invitees that are still open.
type CancelRequest struct {
	InviteID    string   `json:"inviteID" doc:"The invitation."`
	InviteeList []string `json:"inviteeList,omitempty" limit:"100 items" doc:"The invitees to cancel. Default: all that are still open."`
	Data        string   `json:"data,omitempty" limit:"12288 bytes" doc:"Opaque text for the application."`
	RequestID   string   `json:"requestID,omitempty" doc:"Identifies this call: retries with the same ID take effect once."`
}

// ModifyRequest replaces the data of an open invitation.
type ModifyRequest struct {
	InviteID  string `json:"inviteID" doc:"The invitation."`
	Data      string `json:"data" limit:"12288 bytes" doc:"The new data."`
	RequestID string `json:"requestID,omitempty" doc:"Identifies this call: retries with the same ID take effect once."`
}

// AddInviteesRequest adds invitees to an open invitation.
type AddInviteesRequest struct {
	InviteID    string   `json:"inviteID" doc:"The invitation."`
	InviteeList []string `json:"inviteeList" limit:"1..10000 items" doc:"The additional invitees."`
	Timeout     int64    `json:"timeout,omitempty" limit:"0..86400" doc:"Time to answer of the new invitees in seconds. Default: the invitation's deadline."`
	RequestID   string   `json:"requestID,omitempty" doc:"Identifies this call: retries with the same ID take effect once."`
}

// RingRequest reports that the device is ringing.
type RingRequest struct {
	InviteID  string `json:"inviteID" doc:"The invitation."`
	RequestID string `json:"requestID,omitempty" doc:"Identifies this call. Repeats have no effect, with or without it."`
}

// ActionResponse acknowledges an action.
type ActionResponse struct {
	InviteID    string   `json:"inviteID"`
	Version     int64    `json:"version"`
	InviteeList []string `json:"inviteeList,omitempty"` // cancel: the cancelled invitees
	Reach       []Reach  `json:"reach,omitempty"`       // addInvitees
	Deadline    int64    `json:"deadline,omitempty"`    // ring: the invitee's current deadline
	Over        bool     `json:"over,omitempty"`        // no invitee is open any more
	Repeat      bool     `json:"repeat,omitempty"`
	ServerTime  int64    `json:"serverTime"`

	Room *EnterRoomResponse `json:"room,omitempty"` // accept: as of enterRoom
}

// GetInvitationRequest requests the state of an invitation.
type GetInvitationRequest struct {
	InviteID string `json:"inviteID" doc:"The invitation."`
	Offset   int    `json:"offset,omitempty" limit:"0.." doc:"Index of the first invitee of the page."`
	Limit    int    `json:"limit,omitempty" doc:"Invitees per page, 1–1000. Default: 100."`
}

// GetInvitationResponse is an invitation with a page of its invitees.
type GetInvitationResponse struct {
	Invitation *Invitation `json:"invitation"`
	Mine       *Invitee    `json:"mine,omitempty"` // the caller's own state, if invited
	Next       int         `json:"next,omitempty"` // offset of the next page; 0 = no more
}

// ListInvitationsRequest requests the open invitations of the caller.
type ListInvitationsRequest struct {
	InviteIDs []string `json:"inviteIDs,omitempty" limit:"200 items" doc:"Instead: these invitations, open or over. Unknown IDs are omitted."`
	Limit     int      `json:"limit,omitempty" doc:"1–1000. Default: 200."`
}

// ListInvitationsResponse lists open invitations: received ones without an answer, sent ones, and answered ones that
// are still open for others.
type ListInvitationsResponse struct {
	Invitations []Invitation `json:"invitations"`
	More        bool         `json:"more,omitempty"` // the response is limited to 64 KiB: request the others by ID
	ServerTime  int64        `json:"serverTime"`
}

// CreateTokenRequest requests a token for a device.
type CreateTokenRequest struct {
	UserID   string `json:"userID" doc:"The user."`
	DeviceID string `json:"deviceID,omitempty" doc:"Binds the token to this device."`
	TTL      int64  `json:"ttl,omitempty" limit:"0..31536000" doc:"Seconds until it expires. Default: 86400 (a day)."`
}

// CreateTokenResponse is a device's token.
type CreateTokenResponse struct {
	Token    string `json:"token"`
	ExpireAt int64  `json:"expireAt"` // Unix seconds
}

// RevokeTokensRequest revokes all tokens of a user.
type RevokeTokensRequest struct {
	UserID string `json:"userID" doc:"The user."`
}

// RevokeTokensResponse has the time; tokens of that second are refused too.
type RevokeTokensResponse struct {
	RevokedAt int64 `json:"revokedAt"` // Unix milliseconds
}
