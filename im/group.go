package im

import "fmt"

// GroupType is one of the five known types of group. What each allows is data: see Rules.
type GroupType string

// The five types (reference: Tencent Chat, "Group system").
const (
	Work       GroupType = "Work"
	Public     GroupType = "Public"
	Meeting    GroupType = "Meeting"
	AVChatRoom GroupType = "AVChatRoom"
	Community  GroupType = "Community"
)

// Way says how people come in: by themselves (joinOption), or brought by a member (inviteOption).
type Way string

// The ways. Brought by a member, "approval" leaves an application to the administrators, and "forbidden" means that
// only they bring people in.
const (
	WayFree      Way = "free"
	WayApproval  Way = "approval"
	WayForbidden Way = "forbidden"
)

// Role of a member; the numbers are the original's.
type Role int

// The roles.
const (
	RoleMember Role = 200
	RoleAdmin  Role = 300
	RoleOwner  Role = 400
	RoleServer Role = 500 // an app server that acts for nobody: it may do what an owner may, and is no member
)

// GroupRules is one line of the table of group types.
type GroupRules struct {
	Join          Way  // the default joinOption
	Invite        Way  // the default inviteOption
	MayChoose     bool // joinOption and inviteOption may be other than the defaults
	MaxMembers    int  // 0 = no limit
	Admins        bool // there are administrators beside the owner
	History       bool // new members may read what was said before they came
	Unread        bool // messages count as unread
	MembersEdit   bool // every member may change the group's info
	Mute          bool // members, or all, may be silenced
	Transfer      bool // the owner may hand the group over
	Targeted      bool // messages may be for some members only
	Receipts      bool // messages may ask for read receipts
	Marks         bool // members may be marked
	OwnerMayQuit  bool
	OwnerDismiss  bool // the owner may dismiss; else only an app server
	AnnounceMoves bool // members hear who comes and goes
}

// Rules is the table of group types: reference/tencent.md 5.2 of the original as data, and nowhere else. The limits are
// defaults of the original's paid plans; announcing who comes and goes is off only where there is no limit to their
// number.
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

// Group is a group as its members share it.
type Group struct {
	ID         string
	Type       GroupType
	Owner      string
	Info       GroupInfo
	Members    int
	MaxMembers int // 0 = as the type allows
	Muted      bool
	CreatedAt  int64 // milliseconds
	Dismissed  bool
	Revoked    Skips // the counts of messages that counted as unread and were revoked
}

// GroupInfo is what setGroupInfo changes.
type GroupInfo struct {
	Name         string
	Introduction string
	Notification string
	FaceURL      string
	Custom       string // opaque text for the application
	Join         Way
	Invite       Way
}

// Member is one person in one group, with their side of its conversation.
type Member struct {
	GroupID     string
	UserID      string
	Role        Role
	JoinedAt    int64  // milliseconds
	JoinedSeq   uint64 // the group's sequence just before this member could hear it
	Gone        bool   // no longer a member
	NameCard    string
	Custom      string
	MutedUntil  int64 // milliseconds
	BannedUntil int64 // milliseconds; who was removed for a time
	Marks       int64 // bits
	Own         int64 // messages of theirs that count as unread for others
	OwnRead     int64 // those of them up to ReadSeq
	Extra       Skips // sequences of what counts as unread for this member alone: invitations of participants
	Reading
}

// Present says that m is a member now.
func (m *Member) Present() bool { return m != nil && !m.Gone }

// Unread is how many messages of others the member has not read, when the group's timeline counts that many.
func (m *Member) Unread(g *Group, counted int64) int64 {
	gone := m.Skipped.Union(g.Revoked).Count(m.ReadOrd)
	return max(0, counted-m.ReadOrd-(m.Own-m.OwnRead)-gone+m.Extra.Count(int64(m.ReadSeq)))
}

// Sees is the sequence after which the member may read the group's history.
func (m *Member) Sees(g *Group) uint64 {
	if rules, _ := Rules(g.Type); rules.History {
		return m.ClearedSeq
	}
	return max(m.JoinedSeq, m.ClearedSeq)
}

// Limits of a group, in bytes unless said otherwise (reference: Tencent Chat).
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

// NewGroup checks what a group is created with.
func NewGroup(id string, t GroupType, owner string, info GroupInfo, now int64) (Group, error) {
	rules, ok := Rules(t)
	if !ok {
		return Group{}, &Error{Code: CodeGroupParameter, Field: "type",
			Message: fmt.Sprintf("type %q is not one of Work, Public, Meeting, AVChatRoom, Community", t)}
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
				Message: fmt.Sprintf("%s %q is not one of free, approval, forbidden", w.field, w.way)}
		}
		if w.way != w.only && !rules.MayChoose {
			return &Error{Code: CodeGroupParameter, Field: w.field,
				Message: fmt.Sprintf("%s of a %s group is always %s", w.field, t, w.only)}
		}
	}
	return nil
}

// Exists refuses what is asked of a group that is not there.
func (g *Group) Exists() error {
	if g == nil || g.Dismissed {
		return &Error{Code: CodeNoGroup, Field: "groupID", Message: "there is no group with this groupID"}
	}
	return nil
}

// KnownTo refuses what is asked of a group of which m may not know, as if it were not there: who is no member learns
// nothing of a Work group.
func (g *Group) KnownTo(m *Member) error {
	if err := g.Exists(); err != nil || g.Type != Work || m.Present() {
		return err
	}
	return (*Group)(nil).Exists()
}

// MayJoin decides whether a person may come in by themselves; WayApproval means that they may apply.
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
		return "", Refuse(CodeGroupDenied, "nobody can join this group by themselves; a member has to bring you in")
	}
	return g.Info.Join, g.Room(1)
}

// MayAdd decides whether by may bring n people in; WayApproval means that the administrators have to agree.
func (g *Group) MayAdd(by *Member, n int) (Way, error) {
	if err := g.MayRead(by); err != nil {
		return "", err
	}
	way := g.Info.Invite
	if by.Role >= RoleAdmin {
		way = WayFree
	}
	if way == WayForbidden {
		return "", Refuse(CodeGroupDenied, "in this group only the owner and administrators bring people in")
	}
	return way, g.Room(n)
}

// MayQuit decides whether m may leave.
func (g *Group) MayQuit(m *Member) error {
	if err := g.MayRead(m); err != nil {
		return err
	}
	if rules, _ := Rules(g.Type); m.Role == RoleOwner && !rules.OwnerMayQuit {
		return Refuse(CodeOwnerMayNot, "the owner of this group may not quit; hand it over first, or dismiss it")
	}
	return nil
}

// MayRule decides whether by may act on target: remove, silence, rename.
func (g *Group) MayRule(by, target *Member) error {
	if err := g.MayAdminister(by); err != nil {
		return err
	}
	if target.Present() && target.Role >= by.Role {
		return Refuse(CodeGroupDenied, fmt.Sprintf("%s has a role as high as yours", target.UserID))
	}
	return nil
}

// MayAdminister decides whether by may do what owner and administrators do.
func (g *Group) MayAdminister(by *Member) error {
	if err := g.MayRead(by); err != nil {
		return err
	}
	if by.Role < RoleAdmin {
		return Refuse(CodeGroupDenied, "only the owner and administrators may do this")
	}
	return nil
}

// MayOwn decides whether by may do what only the owner does.
func (g *Group) MayOwn(by *Member) error {
	if err := g.MayRead(by); err != nil {
		return err
	}
	if by.Role < RoleOwner {
		return Refuse(CodeGroupDenied, "only the owner may do this")
	}
	return nil
}

// MayDismiss decides whether by may end the group. App servers always may.
func (g *Group) MayDismiss(by *Member) error {
	if err := g.KnownTo(by); err != nil {
		return err
	}
	if rules, _ := Rules(g.Type); !by.Present() || by.Role < RoleOwner || by.Role == RoleOwner && !rules.OwnerDismiss {
		return Refuse(CodeGroupDenied, "only the owner may dismiss this group, and a Work group only an app server")
	}
	return nil
}

// MayEdit decides whether by may change the group's info to what info says.
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

// MayRead decides whether m may list the group's people, read its messages, or invite in it.
func (g *Group) MayRead(m *Member) error {
	if err := g.KnownTo(m); err != nil {
		return err
	}
	if !m.Present() {
		return Refuse(CodeGroupDenied, "you are not a member of this group")
	}
	return nil
}

// MayMentionAll decides whether m may call all members at once, by a mention or an invitation.
func (g *Group) MayMentionAll(m *Member, field string) error {
	if rules, _ := Rules(g.Type); rules.Admins && m.Role < RoleAdmin {
		return &Error{Code: CodeGroupDenied, Field: field,
			Message: "only the owner and administrators of this group may call all its members"}
	}
	return nil
}

// MaySpeak decides whether m may send a message now.
func (g *Group) MaySpeak(m *Member, now int64) error {
	if err := g.MayRead(m); err != nil {
		return err
	}
	switch {
	case m.MutedUntil > now:
		return &Error{Code: CodeMuted, Message: "you are muted in this group", RetryAfter: int(m.MutedUntil - now)}
	case g.Muted && m.Role < RoleAdmin:
		return Refuse(CodeMuted, "everyone but the owner and administrators is muted in this group")
	}
	return nil
}

// Has refuses what groups of this type do not have.
func (g *Group) Has(ok bool, what string) error {
	if ok {
		return nil
	}
	return Refuse(CodeGroupDenied, fmt.Sprintf("%s groups have no %s", g.Type, what))
}

// Room refuses n more members when the group is full.
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
