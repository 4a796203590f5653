package protocol

// Tip is the kind of a change to a group.
type Tip string

// The tips. Tencent's callback is "on" and the tip, unless it is named here.
const (
	TipCreated     Tip = "groupCreated"         // on the creator's own timeline: onGroupCreated
	TipJoined      Tip = "groupJoined"          // on a new member's own timeline
	TipQuit        Tip = "quitFromGroup"        // on a former member's own timeline
	TipApplication Tip = "joinApplication"      // on the administrators' own timelines: onReceiveJoinApplication
	TipProcessed   Tip = "applicationProcessed" // on the applicant's own timeline: onApplicationProcessed
	TipEnter       Tip = "memberEnter"
	TipInvited     Tip = "memberInvited"
	TipLeave       Tip = "memberLeave"
	TipKicked      Tip = "memberKicked"
	TipMemberInfo  Tip = "memberInfoChanged"
	TipMarks       Tip = "memberMarkChanged"
	TipGranted     Tip = "administratorGranted" // onGrantAdministrator
	TipWithdrawn   Tip = "administratorRevoked" // onRevokeAdministrator
	TipInfo        Tip = "groupInfoChanged"
	TipOwner       Tip = "ownerChanged"      // onGroupInfoChanged
	TipAllMuted    Tip = "allMembersMuted"   // onAllGroupMembersMuted
	TipAttributes  Tip = "attributesChanged" // onGroupAttributeChanged
	TipCounter     Tip = "counterChanged"    // onGroupCounterChanged
	TipCustom      Tip = "customData"        // onReceiveRESTCustomData
	TipDismissed   Tip = "groupDismissed"
)

// Shown reports whether the change is a message in the group's conversation. Other changes are delivered, but not in
// its history.
func (t Tip) Shown() bool {
	switch t {
	case TipEnter, TipInvited, TipLeave, TipKicked, TipGranted, TipWithdrawn, TipInfo, TipOwner, TipAllMuted:
		return true
	}
	return false
}

// GroupEvent is a change to a group. See Tip.Shown for those in its conversation.
type GroupEvent struct {
	Type    string   `json:"type"`
	Tip     Tip      `json:"tip"`
	GroupID string   `json:"groupID"`
	From    string   `json:"from,omitempty"` // the acting user
	Members []string `json:"members,omitempty"`
	// groupJoined: the group's sequence before this user joined
	Seq         uint64            `json:"seq,omitempty"`
	Info        *GroupInfo        `json:"info,omitempty"`        // groupInfoChanged: the complete current info
	Owner       string            `json:"owner,omitempty"`       // ownerChanged
	MutedUntil  int64             `json:"mutedUntil,omitempty"`  // memberInfoChanged: of Members, Unix milliseconds
	NameCard    string            `json:"nameCard,omitempty"`    // memberInfoChanged
	CustomInfo  string            `json:"customInfo,omitempty"`  // memberInfoChanged
	Mark        int               `json:"mark,omitempty"`        // memberMarkChanged
	On          bool              `json:"on,omitempty"`          // memberMarkChanged, allMembersMuted
	Attributes  map[string]string `json:"attributes,omitempty"`  // attributesChanged: all current attributes
	AttrVersion int64             `json:"attrVersion,omitempty"` // attributesChanged
	Key         string            `json:"key,omitempty"`         // counterChanged
	Value       int64             `json:"value,omitempty"`       // counterChanged
	Reason      string            `json:"reason,omitempty"`      // joinApplication, applicationProcessed
	Agreed      bool              `json:"agreed,omitempty"`      // applicationProcessed
	Data        string            `json:"data,omitempty"`        // customData
	Time        int64             `json:"time"`
}

// GroupInfo is the editable description of a group.
type GroupInfo struct {
	Name         string `json:"name,omitempty" limit:"100 bytes"`
	Introduction string `json:"introduction,omitempty" limit:"400 bytes"`
	Notification string `json:"notification,omitempty" limit:"400 bytes"`
	FaceURL      string `json:"faceURL,omitempty" limit:"500 bytes"`
	CustomInfo   string `json:"customInfo,omitempty" limit:"4096 bytes" doc:"Opaque text for the application."`
	JoinOption   string `json:"joinOption,omitempty" enum:"free,approval,forbidden" doc:"Whether users may join: freely, with an administrator's approval, or not. Default: by type."`
	InviteOption string `json:"inviteOption,omitempty" enum:"free,approval,forbidden" doc:"Whether members may add users: freely, with an administrator's approval, or not. Default: by type."`
}

// Group is the public view of a group.
type Group struct {
	GroupID string `json:"groupID"`
	Type    string `json:"type"`
	GroupInfo
	Owner      string `json:"owner"`
	Members    int    `json:"members"`
	MaxMembers int    `json:"maxMembers,omitempty"`
	AllMuted   bool   `json:"allMuted,omitempty"`
	CreatedAt  int64  `json:"createdAt"`
}

// Member is one member of a group.
type Member struct {
	UserID     string `json:"userID"`
	Role       int    `json:"role"` // 200 member, 300 admin, 400 owner
	JoinedAt   int64  `json:"joinedAt"`
	NameCard   string `json:"nameCard,omitempty"`
	CustomInfo string `json:"customInfo,omitempty"`
	MutedUntil int64  `json:"mutedUntil,omitempty"` // Unix milliseconds
	Marks      []int  `json:"marks,omitempty"`
}

// CreateGroupRequest creates a group with the caller as owner.
type CreateGroupRequest struct {
	GroupID    string   `json:"groupID,omitempty" doc:"1–48 letters, digits and _.:-@+=; else the server mints it."`
	Type       string   `json:"type" enum:"Work,Public,Meeting,AVChatRoom,Community" doc:"Determines permissions and limits."`
	MemberList []string `json:"memberList,omitempty" limit:"500 items" doc:"The first members besides the owner."`
	MaxMembers int      `json:"maxMembers,omitempty" limit:"0.." doc:"Limit of members. Default: the limit of the type."`
	GroupInfo
}

// GroupRequest names a group.
type GroupRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
}

// JoinGroupRequest joins a group, or applies to it.
type JoinGroupRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	Reason  string `json:"reason,omitempty" limit:"256 bytes" doc:"Shown to administrators if joining needs approval."`
}

// GroupMembersRequest names users in a group.
type GroupMembersRequest struct {
	GroupID    string   `json:"groupID" doc:"The group."`
	MemberList []string `json:"memberList" limit:"1..500 items" doc:"The users."`
}

// KickRequest removes members from a group.
type KickRequest struct {
	GroupMembersRequest
	Reason   string `json:"reason,omitempty" limit:"256 bytes"`
	Duration int64  `json:"duration,omitempty" limit:"0.." doc:"Seconds for which they may not rejoin by themselves. Default: 0."`
}

// GroupResponse is a group after the change.
type GroupResponse struct {
	Group      Group    `json:"group"`
	MemberList []string `json:"memberList,omitempty"` // the users added or removed
	Applied    bool     `json:"applied,omitempty"`    // an administrator must approve first
	Repeat     bool     `json:"repeat,omitempty"`
	ServerTime int64    `json:"serverTime"`
}

// GroupsRequest names groups.
type GroupsRequest struct {
	GroupIDList []string `json:"groupIDList" limit:"1..100 items" doc:"The groups."`
}

// GroupsResponse is a list of groups. Groups that do not exist are omitted.
type GroupsResponse struct {
	Groups []Group `json:"groups"`
}

// SetGroupInfoRequest changes fields of a group; omitted ones stay.
type SetGroupInfoRequest struct {
	GroupID      string  `json:"groupID" doc:"The group."`
	Name         *string `json:"name,omitempty" limit:"100 bytes"`
	Introduction *string `json:"introduction,omitempty" limit:"400 bytes"`
	Notification *string `json:"notification,omitempty" limit:"400 bytes"`
	FaceURL      *string `json:"faceURL,omitempty" limit:"500 bytes"`
	CustomInfo   *string `json:"customInfo,omitempty" limit:"4096 bytes" doc:"Opaque text."`
	JoinOption   *string `json:"joinOption,omitempty" doc:"free, approval or forbidden."`
	InviteOption *string `json:"inviteOption,omitempty" doc:"free, approval or forbidden."`
}

// AttributesRequest changes attributes of a group.
type AttributesRequest struct {
	GroupID    string            `json:"groupID" doc:"The group."`
	Attributes map[string]string `json:"attributes" limit:"16 keys of 32 bytes, values of 4096 bytes" doc:"16 KiB in all at most; setGroupAttributes needs one."`
	Version    *int64            `json:"version,omitempty" doc:"The expected version; any other current version is refused with 10056. Default: not checked."`
}

// DeleteAttributesRequest removes attributes of a group.
type DeleteAttributesRequest struct {
	GroupID string   `json:"groupID" doc:"The group."`
	Keys    []string `json:"keys,omitempty" doc:"The keys. Default: all."`
	Version *int64   `json:"version,omitempty" doc:"As in setGroupAttributes."`
}

// KeysRequest reads attributes or counters of a group.
type KeysRequest struct {
	GroupID string   `json:"groupID" doc:"The group."`
	Keys    []string `json:"keys,omitempty" limit:"20 items" doc:"The keys. Default: all."`
}

// AttributesResponse is a group's attributes.
type AttributesResponse struct {
	Attributes map[string]string `json:"attributes"`
	Version    int64             `json:"version"`
}

// SetCountersRequest sets counters of a group.
type SetCountersRequest struct {
	GroupID  string           `json:"groupID" doc:"The group."`
	Counters map[string]int64 `json:"counters" limit:"1..20 keys of 32 bytes"`
}

// CountRequest increases or decreases a counter of a group.
type CountRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	Key     string `json:"key" limit:"1..32 bytes" doc:"The counter; it begins at 0."`
	Value   int64  `json:"value" limit:"1.." doc:"The amount."`

	RequestID string `json:"requestID,omitempty" doc:"Identifies this call: retries with the same ID count once. At most 64 bytes."`
}

// CountersResponse is a group's counters.
type CountersResponse struct {
	Counters map[string]int64 `json:"counters"`
	Repeat   bool             `json:"repeat,omitempty"` // a repeat of an earlier call
}

// SetMemberInfoRequest changes fields of a member; omitted ones stay.
type SetMemberInfoRequest struct {
	GroupID    string  `json:"groupID" doc:"The group."`
	UserID     string  `json:"userID,omitempty" doc:"The member. Default: the caller."`
	NameCard   *string `json:"nameCard,omitempty" limit:"100 bytes"`
	CustomInfo *string `json:"customInfo,omitempty" limit:"4096 bytes" doc:"Opaque text."`
}

// MuteMemberRequest mutes a member for a time.
type MuteMemberRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	UserID  string `json:"userID" doc:"The member."`
	Seconds int64  `json:"seconds" limit:"0..31536000" doc:"Duration in seconds; 0 unmutes."`
}

// MuteAllRequest mutes all members except the owner and administrators.
type MuteAllRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	Mute    bool   `json:"mute" doc:"True mutes, false unmutes."`
}

// SetRoleRequest grants or revokes the administrator role.
type SetRoleRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	UserID  string `json:"userID" doc:"The member."`
	Role    int    `json:"role" doc:"200 member or 300 administrator."`
}

// TransferRequest transfers a group to a new owner.
type TransferRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	UserID  string `json:"userID" doc:"The new owner, a member."`
}

// MarkMembersRequest marks members of a Community.
type MarkMembersRequest struct {
	GroupMembersRequest
	Mark int  `json:"mark" limit:"1..32" doc:"The mark."`
	On   bool `json:"on" doc:"True sets, false removes the mark."`
}

// CustomDataRequest sends opaque data to the connected members of a group.
type CustomDataRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	Data    string `json:"data" limit:"12288 bytes" doc:"Opaque text."`
}

// ApplicationsRequest requests applications to the caller's groups, as an administrator.
type ApplicationsRequest struct {
	AfterGroup string `json:"afterGroup,omitempty" doc:"groupID of the last application of the previous page."`
	AfterUser  string `json:"afterUser,omitempty" doc:"userID of the last application of the previous page."`
	Limit      int    `json:"limit,omitempty"`
}

// Application is a request to join a group.
type Application struct {
	GroupID   string `json:"groupID"`
	UserID    string `json:"userID"`
	Inviter   string `json:"inviter,omitempty"` // the member who proposed the user
	Reason    string `json:"reason,omitempty"`
	State     string `json:"state"` // waiting, agreed, refused
	AppliedAt int64  `json:"appliedAt"`
	Handler   string `json:"handler,omitempty"`
	Answer    string `json:"answer,omitempty"`
	HandledAt int64  `json:"handledAt,omitempty"`
}

// ApplicationsResponse is a page of applications.
type ApplicationsResponse struct {
	Applications []Application `json:"applications"`
	More         bool          `json:"more,omitempty"`
}

// HandleApplicationRequest approves or refuses an application.
type HandleApplicationRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	UserID  string `json:"userID" doc:"The applicant."`
	Reason  string `json:"reason,omitempty" limit:"256 bytes" doc:"Sent to the applicant."`
}

// PageRequest requests a page of a group's members.
type PageRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	After   string `json:"after,omitempty" doc:"next of the previous page."`
	Limit   int    `json:"limit,omitempty"`
}

// MembersResponse is a list or page of members, ordered by userID.
type MembersResponse struct {
	Members []Member `json:"members"`
	Next    string   `json:"next,omitempty"` // after of the next page; empty = no more
}

// OnlineCountResponse is the number of connected members.
type OnlineCountResponse struct {
	Online int `json:"online"`
}

// SearchGroupsRequest searches the caller's groups.
type SearchGroupsRequest struct {
	Text  string `json:"text" limit:"1..256 bytes" doc:"Part of the name or ID, at least one character."`
	After string `json:"after,omitempty" doc:"next of the previous page."`
	Limit int    `json:"limit,omitempty"`
}

// SearchMembersRequest searches members of a group.
type SearchMembersRequest struct {
	GroupID string `json:"groupID" doc:"The group."`
	Text    string `json:"text" limit:"1..256 bytes" doc:"Part of the name card or ID, at least one character."`
	After   string `json:"after,omitempty" doc:"next of the previous page."`
	Limit   int    `json:"limit,omitempty"`
}

// JoinedRequest requests a page of the caller's groups.
type JoinedRequest struct {
	After string `json:"after,omitempty" doc:"next of the previous page."`
	Limit int    `json:"limit,omitempty"`
}

// JoinedResponse is a page of groups, ordered by groupID.
type JoinedResponse struct {
	Groups []Group `json:"groups"`
	Next   string  `json:"next,omitempty"`
}

// ImportGroupsRequest creates groups; existing ones are unchanged.
type ImportGroupsRequest struct {
	Groups []ImportGroup `json:"groups" limit:"1..100 items" doc:"At most 100, with at most 10000 members together."`
}

// ImportGroup is one imported group.
type ImportGroup struct {
	GroupID    string         `json:"groupID"`
	Type       string         `json:"type"`
	Owner      string         `json:"owner"`
	MaxMembers int            `json:"maxMembers,omitempty" limit:"0.."`
	CreatedAt  int64          `json:"createdAt,omitempty" limit:"0.."` // Unix milliseconds; default: now
	Members    []ImportMember `json:"members,omitempty"`
	GroupInfo
}

// ImportMember is one member of an imported group.
type ImportMember struct {
	UserID   string `json:"userID"`
	Role     int    `json:"role,omitempty"` // 200 (the default) or 300; of the owner also 400
	NameCard string `json:"nameCard,omitempty" limit:"100 bytes"`
}

// ImportResponse is the result of an import.
type ImportResponse struct {
	Imported int      `json:"imported"`
	Existing []string `json:"existing,omitempty"` // IDs of existing groups, which are unchanged
}
