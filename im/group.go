package im

import "fmt"

// GroupType is one of the five group types. Rules has their permissions.
type GroupType string

// The group types (reference: Tencent Chat, "Group system").
const (
	Work       GroupType = "Work"
	Public     GroupType = "Public"
	Meeting    GroupType = "Meeting"
	AVChatRoom GroupType = "AVChatRoom"
	Community  GroupType = "Community"
)

// Way is the mode of joining a group: by oneself (joinOption), or added by a member (inviteOption).
type Way string

// The ways. For inviteOption, WayApproval creates an application to the administrators, and WayForbidden limits adding
// to the owner and administrators.
const (
	WayFree      Way = "free"
	WayApproval  Way = "approval"
	WayForbidden Way = "forbidden"
)

// Role of a member; the values are Tencent's.
type Role int

// The roles.
const (
	RoleMember Role = 200
	RoleAdmin  Role = 300
	RoleOwner  Role = 400
	RoleServer Role = 500 // an app server acting for no user: an owner's permissions, without membership
)

// GroupRules are the permissions and limits of one group type.
type GroupRules struct {
	Join          Way  // default joinOption
	Invite        Way  // default inviteOption
	MayChoose     bool // joinOption and inviteOption may differ from the defaults
	MaxMembers    int  // 0 = no limit
	Admins        bool // administrators are supported
	History       bool // new members may read earlier messages
	Unread        bool // messages count as unread
	MembersEdit   bool // any member may change the group's info
	Mute          bool // members, or all, may be muted
	Transfer      bool // the owner may transfer the group
	Targeted      bool // messages may be addressed to some members
	Receipts      bool // messages may request read receipts
	Marks         bool // members may have marks
	OwnerMayQuit  bool
	OwnerDismiss  bool // the owner may dismiss the group; else only an app server
	AnnounceMoves bool // joining and leaving is announced to members
}

// Rules returns the rules of a group type, and false for an unknown type. The table follows reference/tencent.md 5.2;
// limits are those of Tencent's paid plans. Joining and leaving is not announced only where membership is unlimited.
func Rules(t GroupType) (GroupRules, bool) {
	switch t {
	case Work:
		return GroupRules{Join: WayForbidden, Invite: WayFree, MaxMembers: 6000, Unread: true, MembersEdit: true,
			Transfer: true,
			Targeted: true, Receipts: true, OwnerMayQuit: true, AnnounceMoves: true}, true
	case Public:
		return GroupRules{Join: WayApproval, Invite: WayForbidden, MayChoose: true, MaxMembers: 6000, Admins: true,
			Unread: true, Mute: true,
			Transfer: true, Targeted: true, Receipts: true, OwnerDismiss: true, AnnounceMoves: true}, true
	case Meeting:
		return GroupRules{Join: WayFree, Invite: WayForbidden, MayChoose: true, MaxMembers: 10000, Admins: true,
			History: true, Mute: true,
			Transfer: true, Targeted: true, Receipts: true, OwnerDismiss: true, AnnounceMoves: true}, true
	case AVChatRoom:
		return GroupRules{Join: WayFree, Invite: WayForbidden, Mute: true, OwnerDismiss: true, AnnounceMoves: true}, true
	case Community:
		return GroupRules{Join: WayFree, Invite: WayFree, MayChoose: true, MaxMembers: 100000, Admins: true, History: true,
			Unread: true, Mute: true,
			Transfer: true, Receipts: true, Marks: true, OwnerDismiss: true, AnnounceMoves: true}, true
	}
	return GroupRules{}, false
}

// Group is the shared state of a group.
type Group struct {
	ID         string
	Type       GroupType
	Owner      string
	Info       GroupInfo
	Members    int
	MaxMembers int // 0 = the limit of the type
	Muted      bool
	CreatedAt  int64 // Unix milliseconds
	Dismissed  bool
	Revoked    Skips // running counts of revoked messages that counted as unread
}

// GroupInfo are the fields that setGroupInfo changes.
type GroupInfo struct {
	Name         string
	Introduction string
	Notification string
	FaceURL      string
	Custom       string // opaque text for the application
	Join         Way
	Invite       Way
}

// Member is one user in one group, with the state of its conversation for that user.
type Member struct {
	GroupID     string
	UserID      string
	Role        Role
	JoinedAt    int64  // Unix milliseconds
	JoinedSeq   uint64 // the group's sequence just before the member's first event
	Gone        bool   // no longer a member
	NameCard    string
	Custom      string
	MutedUntil  int64 // Unix milliseconds
	BannedUntil int64 // Unix milliseconds; end of a ban after a removal
	Marks       int64 // bit set
	Own         int64 // the member's own messages that count as unread for others
	OwnRead     int64 // those of them up to ReadSeq
	Extra       Skips // sequences that count as unread for this member only: invitations with notify "participants"
	Reading
}

// Present reports whether m is currently a member. m may be nil.
func (m *Member) Present() bool { return m != nil && !m.Gone }

// Unread returns the number of unread messages of other members; counted is the running count of the group's timeline.
func (m *Member) Unread(g *Group, counted int64) int64 {
	gone := m.Skipped.Union(g.Revoked).Count(m.ReadOrd)
	return max(0, counted-m.ReadOrd-(m.Own-m.OwnRead)-gone+m.Extra.Count(int64(m.ReadSeq)))
}

// Sees returns the sequence after which the member may read the group's history.
func (m *Member) Sees(g *Group) uint64 {
	if rules, _ := Rules(g.Type); rules.History {
		return m.ClearedSeq
	}
	return max(m.JoinedSeq, m.ClearedSeq)
}

// Limits of a group, in bytes unless noted (reference: Tencent Chat).
const (
	MaxGroupName      = 100
	MaxGroupText      = 400 // introduction, notification
	MaxFaceURL        = 500
	MaxNameCard       = 100
	MaxGroupCustom    = 4096
	MaxAttributes     = 16 // keys
	MaxAttributeKey   = 32
	MaxAttributeValue = 4 << 10
	MaxAttributeTotal = 16 << 10
	MaxCounters       = 20 // keys
	MaxMembersPerCall = 500
	MaxAdmins         = 100 // beside the owner
	MaxMuteSeconds    = 365 * 24 * 3600
)

// Limits of the open invitations to more than 100 members in a group: of one inviter, and of all. Administrators and
// concurrent calls may exceed the second one.
const maxLargeOwn, maxLarge = 10, 200

// TooManyLarge refuses another large invitation of a member in a group with that many open ones.
func (m *Member) TooManyLarge(own, all int) error {
	message := ""
	switch {
	case own >= maxLargeOwn:
		message = fmt.Sprintf("%d of your invitations to more than 100 members are open in this group; the limit is %d: "+
			"cancel some, or wait until some end", own, maxLargeOwn)
	case all >= maxLarge && (m == nil || m.Role < RoleAdmin):
		message = fmt.Sprintf("%d invitations to more than 100 members are open in this group; the limit is %d", all,
			maxLarge)
	default:
		return nil
	}
	return &Error{Code: CodeTooOften, Message: message, RetryAfter: 5000}
}

// MaxLeavingInvitees limits the open invitations in a group to the members removed from it by one call, together.
const MaxLeavingInvitees = 2000

// TooManyLeave is the error above MaxLeavingInvitees.
func TooManyLeave() error {
	return &Error{Code: CodeTooMany, Field: "memberList", Message: fmt.Sprintf(
		"more than %d invitations to these members are open in this group; remove fewer members at once", MaxLeavingInvitees)}
}

// NewGroup validates the type and info of a new group and fills in defaults. Errors are CodeGroupParameter, or those of
// CheckText.
func NewGroup(id string, t GroupType, owner string, info GroupInfo, now int64) (Group, error) {
	rules, ok := Rules(t)
	if !ok {
		return Group{}, &Error{Code: CodeGroupParameter, Field: "type",
			Message: fmt.Sprintf("type %q must be one of: Work, Public, Meeting, AVChatRoom, Community", t)}
	}
	if info.Join == "" {
		info.Join = rules.Join
	}
	if info.Invite == "" {
		info.Invite = rules.Invite
	}
	if err := info.check(rules, t); err != nil {
		return Group{}, err
	}
	return Group{ID: id, Type: t, Owner: owner, Info: info, CreatedAt: now}, nil
}

func (i *GroupInfo) check(rules GroupRules, t GroupType) error {
	for _, f := range []struct {
		field, text string
		limit       int
	}{{"name", i.Name, MaxGroupName}, {"introduction", i.Introduction, MaxGroupText},
		{"notification", i.Notification, MaxGroupText}, {"faceURL", i.FaceURL, MaxFaceURL},
		{"customInfo", i.Custom, MaxGroupCustom}} {
		if err := CheckText(f.field, f.text, f.limit); err != nil {
			return err
		}
	}
	for _, w := range []struct {
		field     string
		way, only Way
	}{{"joinOption", i.Join, rules.Join}, {"inviteOption", i.Invite, rules.Invite}} {
		switch w.way {
		case WayFree, WayApproval, WayForbidden:
		default:
			return &Error{Code: CodeGroupParameter, Field: w.field,
				Message: fmt.Sprintf("%s %q must be one of: free, approval, forbidden", w.field, w.way)}
		}
		if w.way != w.only && !rules.MayChoose {
			return &Error{Code: CodeGroupParameter, Field: w.field,
				Message: fmt.Sprintf("%s of a %s group is always %s", w.field, t, w.only)}
		}
	}
	return nil
}

// Exists returns CodeNoGroup for a group that does not exist or was dismissed. g may be nil.
func (g *Group) Exists() error {
	if g == nil || g.Dismissed {
		return &Error{Code: CodeNoGroup, Field: "groupID", Message: "no group has this groupID"}
	}
	return nil
}

// KnownTo is Exists, except that a Work group does not exist for non-members, so that they learn nothing about it.
func (g *Group) KnownTo(m *Member) error {
	if err := g.Exists(); err != nil || g.Type != Work || m.Present() {
		return err
	}
	return (*Group)(nil).Exists()
}

// MayJoin decides whether a user may join without an invitation; WayApproval means by an application. m is nil if the
// user was never a member. now is in Unix milliseconds.
func (g *Group) MayJoin(m *Member, now int64) (Way, error) {
	if err := g.KnownTo(m); err != nil {
		return "", err
	}
	switch {
	case m.Present():
		return "", Refuse(CodeAlreadyMember, "you are already a member of this group")
	case m != nil && m.BannedUntil > now:
		return "", &Error{Code: CodeGroupDenied, Message: "you were removed from this group and may not return yet",
			RetryAfter: int(m.BannedUntil - now)}
	case g.Info.Join == WayForbidden:
		return "", Refuse(CodeGroupDenied, "this group cannot be joined; ask a member to add you")
	}
	return g.Info.Join, g.Room(1)
}

// MayAdd decides whether by may add n users; WayApproval means that an administrator must approve.
func (g *Group) MayAdd(by *Member, n int) (Way, error) {
	if err := g.MayRead(by); err != nil {
		return "", err
	}
	way := g.Info.Invite
	if by.Role >= RoleAdmin {
		way = WayFree
	}
	if way == WayForbidden {
		return "", Refuse(CodeGroupDenied, "only the owner and administrators may add members to this group")
	}
	return way, g.Room(n)
}

// MayQuit decides whether m may leave.
func (g *Group) MayQuit(m *Member) error {
	if err := g.MayRead(m); err != nil {
		return err
	}
	if rules, _ := Rules(g.Type); m.Role == RoleOwner && !rules.OwnerMayQuit {
		return Refuse(CodeOwnerMayNot, "the owner of this group may not quit; transfer or dismiss the group instead")
	}
	return nil
}

// MayRule decides whether by may remove, mute or rename target: administrators and the owner may, unless the role of
// target is as high as theirs.
func (g *Group) MayRule(by, target *Member) error {
	if err := g.MayAdminister(by); err != nil {
		return err
	}
	if target.Present() && target.Role >= by.Role {
		return Refuse(CodeGroupDenied, fmt.Sprintf("the role of %s is not below yours", target.UserID))
	}
	return nil
}

// MayAdminister decides whether by has the permissions of an administrator.
func (g *Group) MayAdminister(by *Member) error {
	if err := g.MayRead(by); err != nil {
		return err
	}
	if by.Role < RoleAdmin {
		return Refuse(CodeGroupDenied, "only the owner and administrators may do this")
	}
	return nil
}

// MayOwn decides whether by has the permissions of the owner.
func (g *Group) MayOwn(by *Member) error {
	if err := g.MayRead(by); err != nil {
		return err
	}
	if by.Role < RoleOwner {
		return Refuse(CodeGroupDenied, "only the owner may do this")
	}
	return nil
}

// MayDismiss decides whether by may dismiss the group. App servers always may.
func (g *Group) MayDismiss(by *Member) error {
	if err := g.KnownTo(by); err != nil {
		return err
	}
	if rules, _ := Rules(g.Type); !by.Present() || by.Role < RoleOwner || by.Role == RoleOwner && !rules.OwnerDismiss {
		return Refuse(CodeGroupDenied, "only the owner may dismiss a group, and only an app server a Work group")
	}
	return nil
}

// MayEdit decides whether by may set the group's info to info, and validates info.
func (g *Group) MayEdit(by *Member, info GroupInfo) error {
	rules, _ := Rules(g.Type)
	may := g.MayAdminister
	if rules.MembersEdit {
		may = g.MayRead
	}
	if err := may(by); err != nil {
		return err
	}
	return info.check(rules, g.Type)
}

// MayRead decides whether m may list members, read messages or invite in the group.
func (g *Group) MayRead(m *Member) error {
	if err := g.KnownTo(m); err != nil {
		return err
	}
	if !m.Present() {
		return Refuse(CodeGroupDenied, "you are not a member of this group")
	}
	return nil
}

// MayMentionAll decides whether m may address all members, by a mention or an invitation.
func (g *Group) MayMentionAll(m *Member, field string) error {
	if rules, _ := Rules(g.Type); rules.Admins && m.Role < RoleAdmin {
		return &Error{Code: CodeGroupDenied, Field: field,
			Message: "only the owner and administrators of this group may mention or invite all members"}
	}
	return nil
}

// MaySpeak decides whether m may send a message at now, in Unix milliseconds.
func (g *Group) MaySpeak(m *Member, now int64) error {
	if err := g.MayRead(m); err != nil {
		return err
	}
	switch {
	case m.MutedUntil > now:
		return &Error{Code: CodeMuted, Message: "you are muted in this group", RetryAfter: int(m.MutedUntil - now)}
	case g.Muted && m.Role < RoleAdmin:
		return Refuse(CodeMuted, "all members except the owner and administrators are muted in this group")
	}
	return nil
}

// Has returns an error unless groups of this type have a feature.
func (g *Group) Has(ok bool, feature string) error {
	if ok {
		return nil
	}
	return Refuse(CodeGroupDenied, fmt.Sprintf("%s groups have no %s", g.Type, feature))
}

// Room returns CodeGroupFull if n more members exceed the group's limit.
func (g *Group) Room(n int) error {
	rules, _ := Rules(g.Type)
	limit := rules.MaxMembers
	if g.MaxMembers > 0 {
		limit = g.MaxMembers
	}
	if limit > 0 && g.Members+n > limit {
		return Refuse(CodeGroupFull, fmt.Sprintf("the group has %d of at most %d members", g.Members, limit))
	}
	return nil
}
