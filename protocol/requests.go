package protocol

import "github.com/beckon-im/beckon/invite"

// InviteOptions are the fields that every kind of invite has.
type InviteOptions struct {
	InviteID       string       `json:"inviteID,omitempty" doc:"1–64 of A-Za-z0-9_.:-. Propose one (a UUIDv7) so that a retry is the same invitation; else the server mints it."`
	Data           string       `json:"data,omitempty" doc:"Opaque text for your application, up to 12 KiB, never parsed."`
	Timeout        int64        `json:"timeout,omitempty" doc:"Whole seconds until it times out, 0–86400. 0 never times out."`
	RoomID         string       `json:"roomID,omitempty" doc:"The media room that this invitation opens to those who accept."`
	AcceptLimit    int          `json:"acceptLimit,omitempty" doc:"The N-th accept cancels the invitees still open. 0 means no limit; 1 is: first to pick up wins."`
	MinRing        int64        `json:"minRing,omitempty" doc:"Seconds that an invitee gets from the first alert, 0–300, also past the timeout."`
	OnlineUserOnly bool         `json:"onlineUserOnly,omitempty" doc:"Reach only devices that are connected now; never stored in history."`
	SkipInvalid    bool         `json:"skipInvalid,omitempty" doc:"Leave out invitees who are not members, named twice, the inviter, or who refuse invitations from the inviter, instead of refusing the call; the response lists them in skipped."`
	Notice         bool         `json:"notice,omitempty" doc:"The invitation informs and takes no answer: it is over from the start and never rings."`
	OfflinePush    *invite.Push `json:"offlinePush,omitempty" doc:"What a push says to invitees without a connected device."`
	RequestID      string       `json:"requestID,omitempty" doc:"Names this call, so that sending it again does nothing twice. At most 64 bytes."`
}

// InviteRequest invites one person, or up to 100 without a group.
type InviteRequest struct {
	Invitee     string   `json:"invitee,omitempty" doc:"The one invited person."`
	InviteeList []string `json:"inviteeList,omitempty" doc:"Or several, at most 100, each told in their own conversation."`
	MergeGlare  bool     `json:"mergeGlare,omitempty" doc:"One-to-one: if the invitee has an open invitation to you with this flag, this one is the accept of that one."`
	InviteOptions
}

// InviteInGroupRequest invites members of a group.
type InviteInGroupRequest struct {
	GroupID     string        `json:"groupID" doc:"The group, of which the inviter and all invitees are members."`
	InviteeList []string      `json:"inviteeList,omitempty" doc:"Distinct members, at most 10000, without the inviter."`
	Everyone    bool          `json:"everyone,omitempty" doc:"All members at this moment but the inviter, instead of inviteeList."`
	Notify      invite.Notify `json:"notify,omitempty" enum:"members,participants" doc:"Who hears the events. Default: members."`
	InviteOptions
}

// Reach says whether an invitee can be told now.
type Reach struct {
	UserID  string `json:"userID"`
	Devices int    `json:"devices"` // connected now
	Status  string `json:"status"`  // ReachConnected, ReachUnreachable or ReachDoNotDisturb
}

// What the ack of an invite says of each invitee.
const (
	ReachConnected   = "connected"
	ReachUnreachable = "unreachable"
	ReachPush        = "push" // no device is connected, and a push is on its way

	ReachDoNotDisturb = "doNotDisturb" // and wants inviters to know
)

// Skipped is an invitee who was left out.
type Skipped struct {
	UserID  string `json:"userID"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// InviteResponse acknowledges an invite.
type InviteResponse struct {
	InviteID   string      `json:"inviteID"`
	Invitation *Invitation `json:"invitation"`
	Reach      []Reach     `json:"reach,omitempty"`
	Skipped    []Skipped   `json:"skipped,omitempty"` // with skipInvalid: who was left out, and why
	Repeat     bool        `json:"repeat,omitempty"`  // this was done before; nothing happened again
	Merged     bool        `json:"merged,omitempty"`  // glare: inviteID is the other person's invitation, now accepted
	ServerTime int64       `json:"serverTime"`
}

// AnswerRequest accepts or rejects.
type AnswerRequest struct {
	InviteID  string `json:"inviteID" doc:"The invitation."`
	Data      string `json:"data,omitempty" doc:"Opaque text for your application, up to 12 KiB."`
	RequestID string `json:"requestID,omitempty" doc:"Names this call, so that sending it again does nothing twice."`
}

// RejectRequest rejects with a reason.
type RejectRequest struct {
	AnswerRequest
	Reason string `json:"reason,omitempty" doc:"declined (the default), busy, or other text of at most 256 bytes."`
}

// CancelRequest ends invitees that are still open.
type CancelRequest struct {
	InviteID    string   `json:"inviteID" doc:"The invitation."`
	InviteeList []string `json:"inviteeList,omitempty" doc:"Only these; default: all that are still open."`
	Data        string   `json:"data,omitempty" doc:"Opaque text for your application, up to 12 KiB."`
	RequestID   string   `json:"requestID,omitempty" doc:"Names this call, so that sending it again does nothing twice."`
}

// ModifyRequest replaces the data of an open invitation.
type ModifyRequest struct {
	InviteID  string `json:"inviteID" doc:"The invitation."`
	Data      string `json:"data" doc:"The new data, up to 12 KiB."`
	RequestID string `json:"requestID,omitempty" doc:"Names this call, so that sending it again does nothing twice."`
}

// AddInviteesRequest invites more people to an open invitation.
type AddInviteesRequest struct {
	InviteID    string   `json:"inviteID" doc:"The invitation."`
	InviteeList []string `json:"inviteeList" doc:"Who is invited as well."`
	Timeout     int64    `json:"timeout,omitempty" doc:"Their own time to answer in seconds; default: the invitation's deadline."`
	RequestID   string   `json:"requestID,omitempty" doc:"Names this call, so that sending it again does nothing twice."`
}

// RingRequest says that a device alerts its person.
type RingRequest struct {
	InviteID  string `json:"inviteID" doc:"The invitation."`
	RequestID string `json:"requestID,omitempty" doc:"Names this call. Ringing twice is harmless with or without it."`
}

// ActionResponse acknowledges an action.
type ActionResponse struct {
	InviteID    string   `json:"inviteID"`
	Version     int64    `json:"version"`
	InviteeList []string `json:"inviteeList,omitempty"` // cancel: who was cancelled
	Reach       []Reach  `json:"reach,omitempty"`       // addInvitees
	Deadline    int64    `json:"deadline,omitempty"`    // ring: the invitee's deadline now
	Over        bool     `json:"over,omitempty"`        // nobody is open any more
	Repeat      bool     `json:"repeat,omitempty"`
	ServerTime  int64    `json:"serverTime"`
}

// GetInvitationRequest asks how an invitation stands.
type GetInvitationRequest struct {
	InviteID string `json:"inviteID" doc:"The invitation."`
	Offset   int    `json:"offset,omitempty" doc:"The first invitee of the page."`
	Limit    int    `json:"limit,omitempty" doc:"Invitees per page, 1–1000. Default: 100."`
}

// GetInvitationResponse is an invitation with a page of its invitees.
type GetInvitationResponse struct {
	Invitation *Invitation `json:"invitation"`
	Mine       *Invitee    `json:"mine,omitempty"` // the caller's own part, when the caller was invited
	Next       int         `json:"next,omitempty"` // offset of the next page; 0 = no more
}

// ListInvitationsRequest asks for the open invitations of the caller.
type ListInvitationsRequest struct {
	InviteIDs []string `json:"inviteIDs,omitempty" doc:"Instead: these invitations as they stand, open or over, at most 200. Unknown ones are left out."`
	Limit     int      `json:"limit,omitempty" doc:"At most this many, 1–1000. Default: 200."`
}

// ListInvitationsResponse lists open invitations: those waiting for the caller's answer, those the caller made, and
// those that the caller has answered and others have not.
type ListInvitationsResponse struct {
	Invitations []Invitation `json:"invitations"`
	More        bool         `json:"more,omitempty"` // the answer is bounded to 64 KiB: ask for the others by their ids
	ServerTime  int64        `json:"serverTime"`
}

// CreateTokenRequest asks for a device's token.
type CreateTokenRequest struct {
	UserID   string `json:"userID" doc:"Whose device."`
	DeviceID string `json:"deviceID,omitempty" doc:"Binds the token to this device."`
	TTL      int64  `json:"ttl,omitempty" doc:"Seconds until it expires, at most a year. Default: 86400, a day."`
}

// CreateTokenResponse is a device's token.
type CreateTokenResponse struct {
	Token    string `json:"token"`
	ExpireAt int64  `json:"expireAt"` // unix seconds
}

// RevokeTokensRequest makes the tokens of a user useless.
type RevokeTokensRequest struct {
	UserID string `json:"userID" doc:"Whose tokens."`
}

// RevokeTokensResponse says since when. Tokens issued in this second are refused too.
type RevokeTokensResponse struct {
	RevokedAt int64 `json:"revokedAt"` // milliseconds
}
