package txn

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/invite"
)

// InvitationColumns are those that ScanInvitation reads.
const InvitationColumns = `id, inviter, peer, group_id, room_id, timeout, notify, accept_limit, min_ring, flags, push, print,
	created_at, deadline, by_device, by_request, data, party, due, last, version,
	open, accepted, rejected, cancelled, timed_out, recent, digested, names, counted`

// The bits of invitation.flags.
const (
	flagGlare = 1 << iota
	flagOnline
	flagEveryone
	flagDropped
	flagLarge
	flagNotice
)

// The bits of invitation.party, which changes.
const ownTopic, ownTopicLeft = 1, 2

// InviteeColumns are those that ScanInvitee reads.
const InviteeColumns = `invite_id, user_id, ord, state, reason, data, by_device, by_request, ringing_at, deadline, decided_at, deaf, counted, seq`

// The bits of an invitee's column deaf. Those with flagFollows are indexed by user.
const flagInviteeDropped, flagPushed, flagFollows = 1, 2, 4

// GroupColumns are those that ScanGroup reads.
const GroupColumns = `g.id, g.type, g.name, g.owner, g.join_option, g.members, g.created_at, g.dismissed,
	g.intro, g.notice, g.face, g.custom, g.invite_option, g.muted, g.max_members, g.revoked`

// MemberColumns are those that ScanMember reads.
const MemberColumns = `group_id, user_id, role, joined_at, joined_seq, gone, name_card, custom, muted_until, banned_until, marks, own, own_read, extra,
	` + readingColumns

// ScanInvitation reads InvitationColumns.
func ScanInvitation(rows sqldb.Row) (*invite.Invitation, error) {
	var s scannedInvitation
	if err := rows.Scan(s.fields()...); err != nil {
		return nil, err
	}
	return s.invitation()
}

// scannedInvitation is a row of invitation as it is stored.
type scannedInvitation struct {
	v               invite.Invitation
	flags, ownTopic int64
	push, recent    string
}

func (s *scannedInvitation) fields() []any {
	v := &s.v
	return []any{&v.ID, &v.Inviter, &v.Peer, &v.GroupID, &v.RoomID, &v.Timeout, &v.Notify, &v.AcceptLimit, &v.MinRing, &s.flags, &s.push, &v.Fingerprint,
		&v.CreatedAt, &v.Deadline, &v.By.Device, &v.By.RequestID, &v.Data, &s.ownTopic, &v.Due, &v.Last, &v.Version,
		&v.Counts.Open, &v.Counts.Accepted, &v.Counts.Rejected, &v.Counts.Cancelled, &v.Counts.TimedOut, &s.recent, &v.Digested, &v.Names, &v.Counted}
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
	unpackRecent(s.recent, &v)
	return &v, nil
}

// packRecent keeps the last modify, cancel and addInvitees in one column; most invitations have none.
func packRecent(v *invite.Invitation) string {
	none := invite.Recent{}
	if v.Modified == none && v.Cancelled == none && v.Added == none {
		return ""
	}
	var parts []string
	for _, r := range []*invite.Recent{&v.Modified, &v.Cancelled, &v.Added} {
		parts = append(append(parts, r.Device), r.Requests[:]...)
	}
	return strings.Join(parts, "\n")
}

func unpackRecent(s string, v *invite.Invitation) {
	if s == "" {
		return
	}
	parts := strings.Split(s, "\n")
	for _, r := range []*invite.Recent{&v.Modified, &v.Cancelled, &v.Added} {
		r.Device = parts[0]
		parts = parts[1+copy(r.Requests[:], parts[1:]):]
	}
}

// ScanInvitee reads InviteeColumns.
func ScanInvitee(rows sqldb.Row) (*invite.Invitee, error) {
	var s scannedInvitee
	err := rows.Scan(s.fields()...)
	return s.invitee(), err
}

// scannedInvitee is a row of invitee as it is stored.
type scannedInvitee struct {
	w     invite.Invitee
	flags int64
}

func (s *scannedInvitee) fields() []any {
	w := &s.w
	return []any{&w.InviteID, &w.UserID, &w.Ord, &w.State, &w.Reason, &w.Data, &w.By.Device, &w.By.RequestID, &w.RingingAt, &w.Deadline,
		&w.DecidedAt, &s.flags, &w.Counted, &w.Seq}
}

func (s *scannedInvitee) invitee() *invite.Invitee {
	w, flags := &s.w, s.flags
	w.Dropped, w.Pushed, w.Follows = flags&flagInviteeDropped != 0, flags&flagPushed != 0, flags&flagFollows != 0
	return w
}

// ScanInvited reads InviteeColumns, then InvitationColumns.
func ScanInvited(rows sqldb.Row) (*invite.Invitation, *invite.Invitee, error) {
	var head scannedInvitation
	var part scannedInvitee
	if err := rows.Scan(append(part.fields(), head.fields()...)...); err != nil {
		return nil, nil, err
	}
	v, err := head.invitation()
	return v, part.invitee(), err
}

// ScanMember reads MemberColumns, and more.
func ScanMember(rows sqldb.Row, more ...any) (*im.Member, error) {
	var m im.Member
	var gone int64
	into := append([]any{&m.GroupID, &m.UserID, &m.Role, &m.JoinedAt, &m.JoinedSeq, &gone, &m.NameCard, &m.Custom, &m.MutedUntil, &m.BannedUntil,
		&m.Marks, &m.Own, &m.OwnRead, &m.Extra}, reading(&m.Reading)...)
	err := rows.Scan(append(into, more...)...)
	m.Gone = gone != 0
	return &m, err
}

// ScanGroup reads GroupColumns, and more.
func ScanGroup(rows sqldb.Row, more ...any) (*im.Group, error) {
	var g im.Group
	var dismissed, muted int64
	err := rows.Scan(append([]any{&g.ID, &g.Type, &g.Info.Name, &g.Owner, &g.Info.Join, &g.Members, &g.CreatedAt, &dismissed,
		&g.Info.Introduction, &g.Info.Notification, &g.Info.FaceURL, &g.Info.Custom, &g.Info.Invite, &muted, &g.MaxMembers, &g.Revoked}, more...)...)
	g.Dismissed, g.Muted = dismissed != 0, muted != 0
	return &g, err
}

// Load brings what needs declare into the world, each kind of row in one statement for the whole batch.
func (tx *Tx) Load(ctx context.Context, s *sqldb.Session, needs []ReadSet) error {
	l := loader{w: tx, s: s, ctx: ctx}
	for i := range needs {
		l.gather(&needs[i])
	}
	l.topics()
	l.clock()
	l.groups()
	l.invitations()
	l.invitees()
	l.chat()
	l.rooms()
	l.outbox()
	if l.err != nil {
		return l.err
	}
	return s.Sync(ctx)
}

// clock reads the engine's time once, after the topics are locked, so that records of a topic are in the order of time.
func (l *loader) clock() {
	if l.err != nil || l.s.Clock == "" || l.w.timed {
		return
	}
	l.w.timed = true
	l.err = l.s.Query(l.ctx, l.s.Clock, nil, func(row sqldb.Row) error {
		var now int64
		err := row.Scan(&now)
		l.w.Now = max(l.w.Now, now)
		return err
	})
}

// loader gathers the keys of a batch, each once, and loads them kind by kind.
type loader struct {
	w   *Tx
	s   *sqldb.Session
	ctx context.Context
	err error

	topicKeys, invitationKeys, inviteeKeys, openKeys, tombstoneKeys, glareKeys []any
	groupKeys, memberKeys, rosterKeys, openInKeys, openOfKeys                  []any
	messageKeys, contactKeys, receiptKeys, applicationKeys, extraKeys          []any
	userKeys, followKeys, adminKeys, openByKeys, openForKeys                   []any
	roomKeys, seatKeys, callKeys, partKeys, allInKeys, outgoingKeys            []any
	linkKeys, openedKeys, openInRoomKeys                                       []any
}

// The kinds of key in World.loaded. A key is asked of the database once per batch; after that the world knows better.
type (
	invitationKey string
	openKey       string
	tombstoneKey  InviteeKey
	groupKey      string
	rosterKey     string
	openInKey     string
	openOfKey     MemberKey
	openByKey     string
	openForKey    string
)

func (l *loader) first(k any) bool {
	if _, ok := l.w.loaded[k]; ok {
		return false
	}
	l.w.loaded[k] = struct{}{}
	return true
}

func (l *loader) gather(n *ReadSet) {
	for _, t := range n.Topics {
		if _, ok := l.w.heads[t]; !ok {
			l.w.heads[t] = 0
			l.w.topics++
			l.topicKeys = append(l.topicKeys, t)
		}
	}
	for _, id := range n.Invitations {
		if l.first(invitationKey(id)) {
			l.invitationKeys = append(l.invitationKeys, id)
		}
	}
	for _, k := range n.Invitees {
		if l.first(k) {
			l.inviteeKeys = append(l.inviteeKeys, k.InviteID, k.UserID)
		}
	}
	for _, id := range n.OpenInvitees {
		if l.first(openKey(id)) {
			l.openKeys = append(l.openKeys, id)
		}
	}
	for _, u := range n.OpenBy {
		if l.first(openByKey(u)) {
			l.openByKeys = append(l.openByKeys, u)
		}
	}
	for _, u := range n.OpenFor {
		if l.first(openForKey(u)) {
			l.openForKeys = append(l.openForKeys, u)
		}
	}
	for _, k := range n.Tombstones {
		if l.first(tombstoneKey(k)) {
			l.tombstoneKeys = append(l.tombstoneKeys, k.InviteID, k.UserID)
		}
	}
	for _, k := range n.Glare {
		if l.first(k) {
			l.glareKeys = append(l.glareKeys, k.From, k.To)
		}
	}
	l.gatherGroups(n)
	l.gatherChat(n)
	l.gatherRooms(n)
	l.gatherOutbox(n)
}

func (l *loader) gatherGroups(n *ReadSet) {
	for _, id := range n.Groups {
		if l.first(groupKey(id)) {
			l.groupKeys = append(l.groupKeys, id)
		}
	}
	for _, k := range n.Members {
		if l.first(k) {
			l.memberKeys = append(l.memberKeys, k.GroupID, k.UserID)
		}
	}
	for _, id := range n.AllMembers {
		if l.first(rosterKey(id)) {
			l.rosterKeys = append(l.rosterKeys, id)
		}
	}
	for _, id := range n.OpenInGroup {
		if l.first(openInKey(id)) {
			l.openInKeys = append(l.openInKeys, id)
		}
	}
	for _, k := range n.OpenOfMember {
		if l.first(openOfKey(k)) {
			l.openOfKeys = append(l.openOfKeys, k.GroupID, k.UserID)
		}
	}
}

// listing adds what the database has to lists of keys, and doubles none that was put there before.
type listing[L, K comparable] struct {
	into   map[L][]K
	before map[L]int // how long each list was
}

func (l *listing[L, K]) add(list L, k K) {
	n, ok := l.before[list]
	if !ok {
		if l.before == nil {
			l.before = map[L]int{}
		}
		n = len(l.into[list])
		l.before[list] = n
	}
	if !slices.Contains(l.into[list][:n], k) {
		l.into[list] = append(l.into[list], k)
	}
}

func (l *loader) in(template string, width int, keys []any, scan func(sqldb.Row) error) {
	if l.err == nil && len(keys) > 0 {
		l.err = l.s.SelectIn(l.ctx, template, width, keys, scan)
	}
}

func (l *loader) topics() {
	slices.SortFunc(l.topicKeys, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) // the order of locking
	l.in("SELECT name, head, counted FROM topic WHERE name IN (?*) ORDER BY name"+l.s.ForUpdate, 1, l.topicKeys, func(rows sqldb.Row) error {
		var name string
		var head uint64
		var counted int64
		err := rows.Scan(&name, &head, &counted)
		l.w.heads[name], l.w.counted[name] = head, counted
		l.w.locked++
		return err
	})
}

func (l *loader) groups() {
	tx := l.w
	l.in("SELECT "+GroupColumns+" FROM grp g WHERE g.id IN (?*)", 1, l.groupKeys, func(rows sqldb.Row) error {
		g, err := ScanGroup(rows)
		if tx.groups.rows[g.ID] == nil {
			tx.groups.rows[g.ID] = g
		}
		return err
	})
	member := func(rows sqldb.Row) error {
		m, err := ScanMember(rows)
		if k := (MemberKey{m.GroupID, m.UserID}); tx.members.rows[k] == nil {
			tx.members.rows[k] = m
		}
		return err
	}
	const columns = "SELECT " + MemberColumns + " FROM member "
	l.in(columns+"WHERE (group_id, user_id) IN (VALUES ?*)", 2, l.memberKeys, member)
	roster := listing[string, MemberKey]{into: tx.roster}
	l.in(columns+"WHERE group_id IN (?*) AND gone = 0", 1, l.rosterKeys, func(rows sqldb.Row) error {
		m, err := ScanMember(rows)
		k := MemberKey{m.GroupID, m.UserID}
		if tx.members.rows[k] == nil {
			tx.members.rows[k] = m
		}
		roster.add(m.GroupID, k)
		return err
	})
}

func (l *loader) invitations() {
	tx := l.w
	keep := func(rows sqldb.Row) error {
		v, err := ScanInvitation(rows)
		if err == nil && tx.invitations.rows[v.ID] == nil {
			tx.invitations.rows[v.ID] = v
		}
		return err
	}
	l.in("SELECT "+InvitationColumns+" FROM invitation WHERE id IN (?*)", 1, l.invitationKeys, keep)
	openIn := listing[string, string]{into: tx.openIn}
	l.in("SELECT "+InvitationColumns+" FROM invitation WHERE group_id IN (?*) AND open > 0 AND group_id <> ''", 1, l.openInKeys, func(rows sqldb.Row) error {
		v, err := ScanInvitation(rows)
		if err != nil {
			return err
		}
		if tx.invitations.rows[v.ID] == nil {
			tx.invitations.rows[v.ID] = v
		}
		openIn.add(v.GroupID, v.ID)
		return nil
	})
	glare := listing[GlareKey, string]{into: tx.glare}
	l.in(`SELECT i.id, i.inviter, w.user_id FROM invitee w JOIN invitation i ON i.id = w.invite_id
		WHERE (i.inviter, w.user_id) IN (VALUES ?*) AND w.state = 0 AND i.open > 0 AND i.flags % 2 = 1`, 2, l.glareKeys, func(rows sqldb.Row) error {
		var id string
		var k GlareKey
		err := rows.Scan(&id, &k.From, &k.To)
		glare.add(k, id)
		return err
	})
	l.in("SELECT invite_id, user_id, target, expires_at FROM mark WHERE (invite_id, user_id) IN (VALUES ?*)", 2, l.tombstoneKeys, func(rows sqldb.Row) error {
		var m Tombstone
		err := rows.Scan(&m.InviteID, &m.UserID, &m.Target, &m.ExpiresAt)
		if k := (InviteeKey{m.InviteID, m.UserID}); tx.tombstones.rows[k] == nil {
			tx.tombstones.rows[k] = &m
		}
		return err
	})
}

func (l *loader) invitees() {
	tx := l.w
	keep := func(rows sqldb.Row) error {
		v, err := ScanInvitee(rows)
		if k := (InviteeKey{v.InviteID, v.UserID}); err == nil && tx.invitees.rows[k] == nil {
			tx.invitees.rows[k] = v
		}
		return err
	}
	l.in("SELECT "+InviteeColumns+" FROM invitee WHERE (invite_id, user_id) IN (VALUES ?*)", 2, l.inviteeKeys, keep)
	open := listing[string, InviteeKey]{into: tx.open}
	l.in("SELECT "+InviteeColumns+" FROM invitee WHERE invite_id IN (?*) AND state = 0 ORDER BY invite_id, ord", 1, l.openKeys, func(rows sqldb.Row) error {
		v, err := ScanInvitee(rows)
		if err != nil {
			return err
		}
		k := InviteeKey{v.InviteID, v.UserID}
		if tx.invitees.rows[k] == nil {
			tx.invitees.rows[k] = v
		}
		open.add(v.InviteID, k)
		return nil
	})
	openBy := listing[string, string]{into: tx.openBy}
	l.in("SELECT inviter, id FROM invitation WHERE inviter IN (?*) AND open > 0", 1, l.openByKeys, func(rows sqldb.Row) error {
		var user, id string
		err := rows.Scan(&user, &id)
		openBy.add(user, id)
		return err
	})
	openFor := listing[string, OpenFor]{into: tx.openFor}
	l.in(`SELECT w.user_id, i.id, i.inviter FROM invitee w JOIN invitation i ON i.id = w.invite_id WHERE w.user_id IN (?*) AND w.state = 0`, 1, l.openForKeys, func(rows sqldb.Row) error {
		var user string
		var o OpenFor
		err := rows.Scan(&user, &o.InviteID, &o.Inviter)
		openFor.add(user, o)
		return err
	})
	openOf := listing[MemberKey, string]{into: tx.openOf}
	l.in(`SELECT i.group_id, w.user_id, i.id FROM invitee w JOIN invitation i ON i.id = w.invite_id
		WHERE (i.group_id, w.user_id) IN (VALUES ?*) AND w.state = 0`, 2, l.openOfKeys, func(rows sqldb.Row) error {
		var k MemberKey
		var id string
		err := rows.Scan(&k.GroupID, &k.UserID, &id)
		openOf.add(k, id)
		return err
	})
}
