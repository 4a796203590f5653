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

// JoinOption says how a person may come in by themselves.
type JoinOption string

// The join options.
const (
	JoinFree      JoinOption = "free"
	JoinApproval  JoinOption = "approval"
	JoinForbidden JoinOption = "forbidden"
)

// Role of a member; the numbers are the original's.
type Role int

// The roles.
const (
	RoleMember Role = 200
	RoleAdmin  Role = 300
	RoleOwner  Role = 400
)

// GroupRules is one line of the table of group types.
type GroupRules struct {
	Join          JoinOption // the default way in
	MaxMembers    int        // 0 = no limit
	MemberInvites bool       // any member may bring in others; else owner and admins only
	OwnerMayQuit  bool
	OwnerDismiss  bool // the owner may dismiss; else only an app server
}

// Rules is the table of group types. The limits are defaults of the original's paid plans.
func Rules(t GroupType) (GroupRules, bool) {
	switch t {
	case Work:
		return GroupRules{Join: JoinForbidden, MaxMembers: 6000, MemberInvites: true, OwnerMayQuit: true}, true
	case Public:
		return GroupRules{Join: JoinApproval, MaxMembers: 6000, OwnerDismiss: true}, true
	case Meeting:
		return GroupRules{Join: JoinFree, MaxMembers: 10000, OwnerDismiss: true}, true
	case AVChatRoom:
		return GroupRules{Join: JoinFree, OwnerDismiss: true}, true
	case Community:
		return GroupRules{Join: JoinFree, MaxMembers: 100000, MemberInvites: true, OwnerDismiss: true}, true
	}
	return GroupRules{}, false
}

// Group is a group as far as membership goes.
type Group struct {
	ID        string
	Type      GroupType
	Name      string
	Owner     string
	Join      JoinOption
	Members   int
	CreatedAt int64 // milliseconds
	Dismissed bool
}

// Member is one person in one group.
type Member struct {
	GroupID   string
	UserID    string
	Role      Role
	JoinedAt  int64  // milliseconds
	JoinedSeq uint64 // the group's sequence just before this member could hear it
	Gone      bool   // no longer a member
}

// Present says that m is a member now.
func (m *Member) Present() bool { return m != nil && !m.Gone }

// MaxGroupName is the limit of a group's name, in bytes.
const MaxGroupName = 100

// MaxMembersPerCall bounds how many people one call may bring in or remove.
const MaxMembersPerCall = 500

// NewGroup checks what a group is created with.
func NewGroup(id string, t GroupType, name, owner string, join JoinOption, now int64) (Group, error) {
	rules, ok := Rules(t)
	if !ok {
		return Group{}, &Error{Code: CodeGroupParameter, Field: "type", Message: fmt.Sprintf("type %q is not one of Work, Public, Meeting, AVChatRoom, Community", t)}
	}
	if len(name) > MaxGroupName {
		return Group{}, &Error{Code: CodeTooLong, Field: "name", Message: fmt.Sprintf("name is %d bytes long; the limit is %d", len(name), MaxGroupName)}
	}
	switch join {
	case "":
		join = rules.Join
	case JoinFree, JoinApproval, JoinForbidden:
	default:
		return Group{}, &Error{Code: CodeGroupParameter, Field: "joinOption", Message: fmt.Sprintf("joinOption %q is not one of free, approval, forbidden", join)}
	}
	return Group{ID: id, Type: t, Name: name, Owner: owner, Join: join, CreatedAt: now}, nil
}

// Exists refuses what is asked of a group that is not there.
func (g *Group) Exists() error {
	if g == nil || g.Dismissed {
		return &Error{Code: CodeNoGroup, Field: "groupID", Message: "there is no group with this groupID"}
	}
	return nil
}

// MayJoin decides whether a person may come in by themselves.
func (g *Group) MayJoin(m *Member) error {
	if err := g.Exists(); err != nil {
		return err
	}
	if m.Present() {
		return Refuse(CodeAlreadyMember, "you are already a member of this group")
	}
	switch g.Join {
	case JoinForbidden:
		return Refuse(CodeGroupDenied, "nobody can join this group by themselves; a member has to bring you in")
	case JoinApproval:
		return Refuse(CodeGroupDenied, "this group admits people by approval; ask its owner to bring you in")
	}
	return g.room(1)
}

// MayAdd decides whether by may bring n people in.
func (g *Group) MayAdd(by *Member, n int) error {
	if err := g.Exists(); err != nil {
		return err
	}
	rules, _ := Rules(g.Type)
	if !by.Present() {
		return notMember()
	}
	if !rules.MemberInvites && by.Role < RoleAdmin {
		return Refuse(CodeGroupDenied, "in a group of this type only the owner and administrators bring people in")
	}
	return g.room(n)
}

// MayQuit decides whether m may leave.
func (g *Group) MayQuit(m *Member) error {
	if err := g.Exists(); err != nil {
		return err
	}
	if !m.Present() {
		return notMember()
	}
	if rules, _ := Rules(g.Type); m.Role == RoleOwner && !rules.OwnerMayQuit {
		return Refuse(CodeOwnerMayNot, "the owner of this group may not quit; dismiss it instead")
	}
	return nil
}

// MayKick decides whether by may remove target.
func (g *Group) MayKick(by, target *Member) error {
	if err := g.Exists(); err != nil {
		return err
	}
	switch {
	case !by.Present():
		return notMember()
	case by.Role < RoleAdmin:
		return Refuse(CodeGroupDenied, "only the owner and administrators remove members")
	case target.Present() && target.Role >= by.Role:
		return Refuse(CodeGroupDenied, fmt.Sprintf("%s has a role as high as yours", target.UserID))
	}
	return nil
}

// MayDismiss decides whether by may end the group. App servers always may.
func (g *Group) MayDismiss(by *Member) error {
	if err := g.Exists(); err != nil {
		return err
	}
	if rules, _ := Rules(g.Type); !by.Present() || by.Role != RoleOwner || !rules.OwnerDismiss {
		return Refuse(CodeGroupDenied, "only the owner may dismiss this group, and a Work group only an app server")
	}
	return nil
}

// MayRead decides whether m may list the group's people or invite in it.
func (g *Group) MayRead(m *Member) error {
	if err := g.Exists(); err != nil {
		return err
	}
	if !m.Present() {
		return notMember()
	}
	return nil
}

func (g *Group) room(n int) error {
	if rules, _ := Rules(g.Type); rules.MaxMembers > 0 && g.Members+n > rules.MaxMembers {
		return Refuse(CodeGroupFull, fmt.Sprintf("the group has %d of at most %d members", g.Members, rules.MaxMembers))
	}
	return nil
}

func notMember() error { return Refuse(CodeGroupDenied, "you are not a member of this group") }
