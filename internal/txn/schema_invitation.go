package txn

import (
	"encoding/json"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/invite"
)

var invitations = &schema[string, invite.Invitation]{
	Schema: Schema{
		Name: "invitation", Key: columns("id"),
		Columns: columns(`id inviter peer group_id room_id timeout notify accept_limit min_ring flags push print
			created_at deadline by_device by_request data party due last version
			open accepted rejected cancelled timed_out recent digested names counted ended_at`),
		Added: []any{0},
		Fixed: columns(`inviter peer group_id room_id timeout notify accept_limit min_ring push print
			created_at deadline by_device by_request`),
		Personal: personal{
			Export: []string{"invited"}, Erase: "its data and push are emptied; that there was an invitation stays",
			Private: columns(`notify accept_limit min_ring flags print by_request party due last version
				open accepted rejected cancelled timed_out recent digested names counted ended_at`),
		},
	}.Build(),
	key: func(v *invite.Invitation) string { return v.ID },
	encode: func(row []any, v *invite.Invitation) []any {
		row = append(row, v.ID, v.Inviter, v.Peer, v.GroupID, v.RoomID, v.Timeout, string(v.Notify), v.AcceptLimit, v.MinRing,
			flagsOf(v), packPush(v), v.Fingerprint, v.CreatedAt, v.Deadline, v.By.Device, v.By.RequestID)
		return appendState(row, v)
	},
	decode: ScanInvitation,
}

// encodeChange appends the values of the columns that are not fixed.
func encodeChange(row []any, v *invite.Invitation) []any {
	return appendState(append(row, v.ID, flagsOf(v)), v)
}

// appendState appends the values from data to ended_at.
func appendState(row []any, v *invite.Invitation) []any {
	return append(row, v.Data, flag(v.OwnTopic, ownTopic)|flag(v.Left, ownTopicLeft), v.Due, v.Last, v.Version,
		v.Counts.Open, v.Counts.Accepted, v.Counts.Rejected, v.Counts.Cancelled, v.Counts.TimedOut, v.RecentText(),
		v.Digested, v.Names, v.Counted, v.EndedAt)
}

// Queries of invitations by other columns than the key.
var (
	openInGroups   = invitations.Where("group_id IN (?*) AND open > 0 AND group_id <> ''")
	openInvitersOf = "SELECT inviter, id FROM invitation WHERE inviter IN (?*) AND open > 0"
	openIntoRooms  = invitations.Where("room_id IN (?*) AND open > 0 AND room_id <> ''")
)

const (
	joinInvitation = " FROM invitee w JOIN invitation i ON i.id = w.invite_id WHERE "
	openGlare      = "SELECT i.id, i.inviter, w.user_id" + joinInvitation +
		"(i.inviter, w.user_id) IN (VALUES ?*) AND w.state = 0 AND i.open > 0 AND i.flags & 1 = 1"
	openInviteesOf = "SELECT w.user_id, i.id, i.inviter" + joinInvitation + "w.user_id IN (?*) AND w.state = 0"
	openOfMembers  = "SELECT i.group_id, w.user_id, i.id" + joinInvitation +
		"(i.group_id, w.user_id) IN (VALUES ?*) AND w.state = 0"
)

// The bits of invitation.flags.
const (
	flagGlare = 1 << iota
	flagOnline
	flagEveryone
	flagDropped
	flagLarge
	flagNotice
)

// The bits of invitation.party.
const ownTopic, ownTopicLeft = 1, 2

func flagsOf(v *invite.Invitation) int64 {
	return flag(v.MergeGlare, flagGlare) | flag(v.OnlineUserOnly, flagOnline) | flag(v.Everyone, flagEveryone) |
		flag(v.Dropped, flagDropped) | flag(v.Large, flagLarge) | flag(v.Notice, flagNotice)
}

func flag(on bool, bit int64) int64 {
	if on {
		return bit
	}
	return 0
}

func packPush(v *invite.Invitation) string {
	if v.Push == nil {
		return ""
	}
	b, _ := json.Marshal(v.Push) // strings, numbers and booleans always encode
	return string(b)
}

// scannedInvitation is a row of invitation as it is stored.
type scannedInvitation struct {
	v               invite.Invitation
	flags, ownTopic int64
	push, recent    string
}

func (s *scannedInvitation) fields() []any {
	v := &s.v
	return []any{&v.ID, &v.Inviter, &v.Peer, &v.GroupID, &v.RoomID, &v.Timeout, &v.Notify, &v.AcceptLimit, &v.MinRing,
		&s.flags, &s.push, &v.Fingerprint,
		&v.CreatedAt, &v.Deadline, &v.By.Device, &v.By.RequestID, &v.Data, &s.ownTopic, &v.Due, &v.Last, &v.Version,
		&v.Counts.Open, &v.Counts.Accepted, &v.Counts.Rejected, &v.Counts.Cancelled, &v.Counts.TimedOut, &s.recent,
		&v.Digested, &v.Names, &v.Counted, &v.EndedAt}
}

func (s *scannedInvitation) invitation() (*invite.Invitation, error) {
	v, flags, party := s.v, s.flags, s.ownTopic
	v.Dropped, v.Large, v.Notice = flags&flagDropped != 0, flags&flagLarge != 0, flags&flagNotice != 0
	v.MergeGlare, v.OnlineUserOnly, v.Everyone = flags&flagGlare != 0, flags&flagOnline != 0, flags&flagEveryone != 0
	v.OwnTopic, v.Left = party&ownTopic != 0, party&ownTopicLeft != 0
	if s.push != "" {
		v.Push = new(invite.Push)
		if err := json.Unmarshal([]byte(s.push), v.Push); err != nil {
			return nil, err
		}
	}
	v.SetRecentText(s.recent)
	return &v, nil
}

// ScanInvitation reads the columns of an invitation.
func ScanInvitation(row sqldb.Row) (*invite.Invitation, error) {
	var s scannedInvitation
	if err := row.Scan(s.fields()...); err != nil {
		return nil, err
	}
	return s.invitation()
}

var invitees = &schema[InviteeKey, invite.Invitee]{
	Schema: Schema{
		Name: "invitee", Key: columns("invite_id user_id"),
		Columns: columns(`invite_id user_id ord state reason data by_device by_request ringing_at deadline decided_at
			deaf counted seq`),
		Fixed: columns("ord counted seq"),
		Personal: personal{
			Export: []string{"wasInvited"}, Private: columns("ord by_request deaf counted seq"),
			Erase: "its data is emptied; that the user was invited stays",
		},
	}.Build(),
	key: func(v *invite.Invitee) InviteeKey { return InviteeKey{v.InviteID, v.UserID} },
	encode: func(row []any, v *invite.Invitee) []any {
		return append(row, v.InviteID, v.UserID, v.Ord, int64(v.State), v.Reason, v.Data, v.By.Device, v.By.RequestID,
			v.RingingAt, v.Deadline, v.DecidedAt,
			flag(v.Dropped, flagInviteeDropped)|flag(v.Pushed, flagPushed)|flag(v.Follows, flagFollows), v.Counted, v.Seq)
	},
	decode: ScanInvitee,
}

// openInvitees reads the open invitees of invitations in the order of their lists.
var openInvitees = invitees.Where("invite_id IN (?*) AND state = 0 ORDER BY invite_id, ord")

// The bits of an invitee's column deaf. Rows with flagFollows are indexed by user.
const flagInviteeDropped, flagPushed, flagFollows = 1, 2, 4

// scannedInvitee is a row of invitee as it is stored.
type scannedInvitee struct {
	w     invite.Invitee
	flags int64
}

func (s *scannedInvitee) fields() []any {
	w := &s.w
	return []any{&w.InviteID, &w.UserID, &w.Ord, &w.State, &w.Reason, &w.Data, &w.By.Device, &w.By.RequestID,
		&w.RingingAt, &w.Deadline, &w.DecidedAt, &s.flags, &w.Counted, &w.Seq}
}

func (s *scannedInvitee) invitee() *invite.Invitee {
	w, flags := &s.w, s.flags
	w.Dropped, w.Pushed, w.Follows = flags&flagInviteeDropped != 0, flags&flagPushed != 0, flags&flagFollows != 0
	return w
}

// ScanInvitee reads the columns of an invitee.
func ScanInvitee(row sqldb.Row) (*invite.Invitee, error) {
	var s scannedInvitee
	err := row.Scan(s.fields()...)
	return s.invitee(), err
}

// ScanInvited reads the columns of an invitee, then those of the invitation.
func ScanInvited(row sqldb.Row) (*invite.Invitation, *invite.Invitee, error) {
	var head scannedInvitation
	var part scannedInvitee
	if err := row.Scan(append(part.fields(), head.fields()...)...); err != nil {
		return nil, nil, err
	}
	v, err := head.invitation()
	return v, part.invitee(), err
}

var tombstones = &schema[InviteeKey, Tombstone]{
	Schema: Schema{
		Name: "mark", Key: columns("invite_id user_id"), Columns: columns("invite_id user_id target expires_at"),
		Personal: personal{Erase: "its rows are removed; an export leaves out rows of minutes"},
	}.Build(),
	key:    func(m *Tombstone) InviteeKey { return InviteeKey{m.InviteID, m.UserID} },
	encode: func(row []any, m *Tombstone) []any { return append(row, m.InviteID, m.UserID, m.Target, m.ExpiresAt) },
	decode: func(row sqldb.Row) (*Tombstone, error) {
		var m Tombstone
		return &m, row.Scan(&m.InviteID, &m.UserID, &m.Target, &m.ExpiresAt)
	},
}
