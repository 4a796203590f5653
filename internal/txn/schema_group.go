package txn

import (
	"encoding/json"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
)

var groups = &schema[string, im.Group]{
	Schema: Schema{
		Name: "grp", Key: columns("id"),
		Columns: columns(`id type name owner join_option members created_at dismissed
			intro notice face custom invite_option muted max_members revoked`),
		Fixed: columns("created_at"),
		Personal: personal{
			Export: []string{"membership"}, Erase: "kept: it belongs to all members",
			Private: columns(`id owner join_option members created_at dismissed intro notice face custom invite_option muted
				max_members revoked`),
		},
	}.Build(),
	key: func(g *im.Group) string { return g.ID },
	encode: func(row []any, g *im.Group) []any {
		i := &g.Info
		return append(row, g.ID, string(g.Type), i.Name, g.Owner, string(i.Join), g.Members, g.CreatedAt,
			flag(g.Dismissed, 1),
			i.Introduction, i.Notification, i.FaceURL, i.Custom, string(i.Invite), flag(g.Muted, 1), g.MaxMembers,
			string(g.Revoked))
	},
	decode: ScanGroup,
}

// scannedGroup is a row of grp as it is stored.
type scannedGroup struct {
	g                im.Group
	dismissed, muted int64
}

func (s *scannedGroup) fields() []any {
	g := &s.g
	return []any{&g.ID, &g.Type, &g.Info.Name, &g.Owner, &g.Info.Join, &g.Members, &g.CreatedAt, &s.dismissed,
		&g.Info.Introduction, &g.Info.Notification, &g.Info.FaceURL, &g.Info.Custom, &g.Info.Invite, &s.muted,
		&g.MaxMembers, &g.Revoked}
}

func (s *scannedGroup) group() *im.Group {
	s.g.Dismissed, s.g.Muted = s.dismissed != 0, s.muted != 0
	return &s.g
}

// ScanGroup reads the columns of a group.
func ScanGroup(row sqldb.Row) (*im.Group, error) {
	var s scannedGroup
	err := row.Scan(s.fields()...)
	return s.group(), err
}

var members = &schema[MemberKey, im.Member]{
	Schema: Schema{
		Name: "member", Key: columns("group_id user_id"),
		Columns: columns(`group_id user_id role joined_at joined_seq gone name_card custom muted_until banned_until
			marks own own_read extra ` + readingColumns),
		Personal: personal{
			Export:  []string{"membership", "groupEvent"},
			Private: columns("user_id marks own own_read extra read_ord skipped"),
			Erase:   "the name card and the custom fields are emptied; that the user was a member stays",
		},
	}.Build(),
	key: func(m *im.Member) MemberKey { return MemberKey{m.GroupID, m.UserID} },
	encode: func(row []any, m *im.Member) []any {
		row = append(row, m.GroupID, m.UserID, int64(m.Role), m.JoinedAt, m.JoinedSeq, flag(m.Gone, 1), m.NameCard, m.Custom,
			m.MutedUntil, m.BannedUntil, m.Marks, m.Own, m.OwnRead, string(m.Extra))
		return appendReading(row, &m.Reading)
	},
	decode: ScanMember,
}

// Queries of members by other columns than the key.
var (
	presentMembers = members.Where("group_id IN (?*) AND gone = 0")
	adminMembers   = members.Where("group_id IN (?*) AND gone = 0 AND role > 200")
)

// scannedMember is a row of member as it is stored.
type scannedMember struct {
	m    im.Member
	gone int64
}

func (s *scannedMember) fields() []any {
	m := &s.m
	return append([]any{&m.GroupID, &m.UserID, &m.Role, &m.JoinedAt, &m.JoinedSeq, &s.gone, &m.NameCard, &m.Custom,
		&m.MutedUntil, &m.BannedUntil, &m.Marks, &m.Own, &m.OwnRead, &m.Extra}, readingFields(&m.Reading)...)
}

func (s *scannedMember) member() *im.Member {
	s.m.Gone = s.gone != 0
	return &s.m
}

// ScanMember reads the columns of a member.
func ScanMember(row sqldb.Row) (*im.Member, error) {
	var s scannedMember
	err := row.Scan(s.fields()...)
	return s.member(), err
}

// ScanMembership reads the columns of a member, those of the group, and more.
func ScanMembership(row sqldb.Row, more ...any) (*im.Member, *im.Group, error) {
	var m scannedMember
	var g scannedGroup
	err := row.Scan(append(append(m.fields(), g.fields()...), more...)...)
	return m.member(), g.group(), err
}

// readingColumns are the columns of im.Reading, of contacts and of members.
const readingColumns = "read_seq read_ord pinned_at opt hidden_seq cleared_seq skipped"

func readingFields(r *im.Reading) []any {
	return []any{&r.ReadSeq, &r.ReadOrd, &r.PinnedAt, &r.Opt, &r.HiddenSeq, &r.ClearedSeq, &r.Skipped}
}

func appendReading(row []any, r *im.Reading) []any {
	return append(row, r.ReadSeq, r.ReadOrd, r.PinnedAt, int64(r.Opt), r.HiddenSeq, r.ClearedSeq, string(r.Skipped))
}

var extras = &schema[string, Extra]{
	Schema: Schema{
		Name: "extra", Key: columns("group_id"), Columns: columns("group_id attributes version counters"),
		Personal: personal{None: "attributes and counters belong to the group"},
	}.Build(),
	key: func(x *Extra) string { return x.GroupID },
	encode: func(row []any, x *Extra) []any {
		attributes, _ := json.Marshal(x.Attributes) // strings and numbers always encode
		counters, _ := json.Marshal(storedCounters{&x.Counters, &x.Recent})
		return append(row, x.GroupID, string(attributes), x.Version, string(counters))
	},
	decode: ScanExtra,
}

// ScanExtra reads the columns of the attributes and counters of a group.
func ScanExtra(row sqldb.Row) (*Extra, error) {
	var x Extra
	var attributes, counters string
	if err := row.Scan(&x.GroupID, &attributes, &x.Version, &counters); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(attributes), &x.Attributes); err != nil {
		return nil, err
	}
	stored := storedCounters{&x.Counters, &x.Recent}
	return &x, json.Unmarshal([]byte(counters), &stored)
}

// storedCounters is the stored form of counters and of the latest requests that changed them.
type storedCounters struct {
	Counters *map[string]int64 `json:"counters"`
	Recent   *[]string         `json:"recent"`
}

var applications = &schema[MemberKey, Application]{
	Schema: Schema{
		Name: "application", Key: columns("group_id user_id"),
		Columns:  columns("group_id user_id inviter reason state applied_at handler answer handled_at"),
		Personal: personal{Export: []string{"application"}, Erase: "the rows of the applicant are removed"},
	}.Build(),
	key: func(a *Application) MemberKey { return MemberKey{a.GroupID, a.UserID} },
	encode: func(row []any, a *Application) []any {
		return append(row, a.GroupID, a.UserID, a.Inviter, a.Reason, int64(a.State), a.AppliedAt, a.Handler, a.Answer,
			a.HandledAt)
	},
	decode: ScanApplication,
}

// ScanApplication reads the columns of an application.
func ScanApplication(row sqldb.Row) (*Application, error) {
	var a Application
	return &a, row.Scan(&a.GroupID, &a.UserID, &a.Inviter, &a.Reason, &a.State, &a.AppliedAt, &a.Handler, &a.Answer,
		&a.HandledAt)
}
