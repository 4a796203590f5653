// Package txn owns the rows that a batch of units decides on: what they declared is loaded, what they put is written, both in
// few statements. It also owns the words of the log: records, drafts, listen orders.
//
// It never decides, commits or announces: that is the engine's and the store's.
package txn

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/invite"
)

// InviteeKey names one invitee.
type InviteeKey struct{ InviteID, UserID string }

// MemberKey names one member.
type MemberKey struct{ GroupID, UserID string }

// GlareKey asks for an open invitation with mergeGlare from one person to another.
type GlareKey struct{ From, To string }

// Mark remembers an inviteID that never became an invitation.
type Mark struct {
	InviteID, UserID string
	Target           string // the invitation it was merged into; empty = cancelled before it came
	ExpiresAt        int64  // milliseconds
}

// Need is what a unit of work declares before it runs: the topics it locks and the rows it reads.
type Need struct {
	Topics       []string
	Invitations  []string
	Invitees     []InviteeKey
	OpenInvitees []string // every open invitee of these invitations
	Marks        []InviteeKey
	Glare        []GlareKey
	Groups       []string
	Members      []MemberKey
	AllMembers   []string    // every present member of these groups
	OpenInGroup  []string    // every open invitation of these groups
	OpenOfMember []MemberKey // the open invitees that this person is in invitations of this group
	Admins       []string    // the owner and administrators of these groups
	OpenBy       []string    // the ids of the open invitations that these users made
	OpenFor      []string    // the ids of the invitations that wait for the answer of these users

	Messages     []MessageKey
	Contacts     []ContactKey
	Receipts     []Receipt
	Applications []MemberKey
	Extras       []string // attributes and counters of these groups
	People       []string
	Follows      []ContactKey

	Rooms  []string
	Seats  []SeatKey
	CallIn []string  // the open call of these rooms
	InCall []SeatKey // somebody's part in the open call of a room
	AllIn  []string  // everybody's part in the open call of these rooms

	Links      []SeatKey // the latest signaling connection of somebody to a room
	OpenedBy   []string  // the living rooms that these users opened by entering
	OpenInRoom []string  // every open invitation into these rooms

	Outgoing []OutgoingKey
}

// Add asks for what more asks for as well.
func (n *Need) Add(more Need) {
	mine, others := reflect.ValueOf(n).Elem(), reflect.ValueOf(more)
	for i := range mine.NumField() {
		list := mine.Field(i)
		list.Set(reflect.AppendSlice(list.Slice3(0, list.Len(), list.Len()), others.Field(i)))
	}
}

// More is returned by Decide when the unit turns out to need more than it declared. It is run again with that loaded.
type More struct{ Need Need }

func (*More) Error() string { return "store: the unit needs more rows" }

// World is what a batch of units has declared, as the units before this one left it.
//
// A unit reads copies and puts whole rows; what it puts takes effect when it returns nil, so that a refusal changes nothing.
type World struct {
	Now int64 // milliseconds, the store's clock; the same for all units of a batch

	heads       map[string]uint64
	topics      int            // that were asked for
	locked      int            // that have a row, and so are locked
	timed       bool           // the engine's clock was read
	appended    map[string]int // index of the last draft of a topic
	drafts      []draft
	invitations table[string, invite.Invitation]
	invitees    table[InviteeKey, invite.Invitee]
	open        map[string][]InviteeKey // open invitees by invitation; a key may have been decided since
	marks       table[InviteeKey, Mark]
	glare       map[GlareKey][]string // invitations; one may have been decided since
	groups      table[string, im.Group]
	members     table[MemberKey, im.Member]
	roster      map[string][]MemberKey // members by group; a key may be gone since
	openIn      map[string][]string    // invitations by group
	openOf      map[MemberKey][]string // invitations by group and invitee
	openBy      map[string][]string    // invitations by inviter; one may be over since
	openFor     map[string][]OpenFor   // invitations by invitee; one may be decided since
	loaded      map[any]struct{}       // what was asked of the database already
	phrases     []sqldb.Phrase
	staged      []func()
	said        map[MessageKey]bool // messages that the unit appends
	weight      int                 // bytes of what records and messages say
	outgoing    table[OutgoingKey, Outgoing]
	also        []also
	chat
	rooms
}

// table holds rows of one kind and remembers which were put.
type table[K comparable, V any] struct {
	rows  map[K]*V
	dirty map[K]bool // true = the row is new
	order []K
}

func newTable[K comparable, V any]() table[K, V] {
	return table[K, V]{rows: map[K]*V{}, dirty: map[K]bool{}}
}

func (t *table[K, V]) get(k K) *V {
	if v := t.rows[k]; v != nil {
		c := *v
		return &c
	}
	return nil
}

func (t *table[K, V]) put(k K, v V) {
	if _, ok := t.dirty[k]; !ok {
		t.dirty[k] = t.rows[k] == nil
		t.order = append(t.order, k)
	}
	t.rows[k] = &v
}

// settled forgets what was put, which is written. The rows stay.
func (t *table[K, V]) settled() {
	for _, k := range t.order {
		delete(t.dirty, k)
	}
	t.order = t.order[:0]
}

// New makes an empty world at a time.
func New(now int64) *World {
	return &World{
		Now: now, heads: map[string]uint64{}, appended: map[string]int{}, loaded: map[any]struct{}{}, said: map[MessageKey]bool{},
		invitations: newTable[string, invite.Invitation](), invitees: newTable[InviteeKey, invite.Invitee](),
		marks: newTable[InviteeKey, Mark](), groups: newTable[string, im.Group](), members: newTable[MemberKey, im.Member](),
		open: map[string][]InviteeKey{}, glare: map[GlareKey][]string{}, roster: map[string][]MemberKey{}, openIn: map[string][]string{}, openOf: map[MemberKey][]string{},
		openBy: map[string][]string{}, openFor: map[string][]OpenFor{},
		outgoing: newTable[OutgoingKey, Outgoing](), chat: newChat(), rooms: newRooms(),
	}
}

// Invitation returns a declared invitation, or nil.
func (w *World) Invitation(id string) *invite.Invitation { return w.invitations.get(id) }

// Invitee returns a declared invitee, or nil.
func (w *World) Invitee(id, user string) *invite.Invitee { return w.invitees.get(InviteeKey{id, user}) }

// OpenInvitees returns the open invitees of a declared invitation, in the order of the inviteeList.
func (w *World) OpenInvitees(id string) []*invite.Invitee {
	list := make([]*invite.Invitee, 0, len(w.open[id]))
	for _, k := range w.open[id] {
		if v := w.invitees.rows[k]; v.State == invite.Open {
			c := *v
			list = append(list, &c)
		}
	}
	byOrd := func(a, b *invite.Invitee) int { return cmp.Compare(a.Ord, b.Ord) }
	if !slices.IsSortedFunc(list, byOrd) { // some were put before the others were loaded
		slices.SortFunc(list, byOrd)
	}
	return list
}

// HasOpen reports whether the open invitees of an invitation were declared.
func (w *World) HasOpen(id string) bool { return w.has(openKey(id)) }

// HasOpenOfMember reports whether OpenOfMember was declared for k.
func (w *World) HasOpenOfMember(k MemberKey) bool { return w.has(openOfKey(k)) }

// HasInvitation reports whether an invitation was declared, so that its absence means that there is none.
func (w *World) HasInvitation(id string) bool { return w.has(invitationKey(id)) }

// HasOpenInGroup reports whether the open invitations of a group were declared.
func (w *World) HasOpenInGroup(group string) bool { return w.has(openInKey(group)) }

// HasRoster reports whether all members of a group were declared.
func (w *World) HasRoster(group string) bool { return w.has(rosterKey(group)) }

// Mark returns the mark of an inviteID by a person, or nil when there is none that still counts.
func (w *World) Mark(id, user string) *Mark {
	m := w.marks.get(InviteeKey{id, user})
	if m == nil || m.ExpiresAt <= w.Now {
		return nil
	}
	return m
}

// Glare returns the id of the open invitation with mergeGlare between two people, or "".
func (w *World) Glare(k GlareKey) string {
	for _, id := range slices.Backward(w.glare[k]) {
		if v := w.invitees.rows[InviteeKey{id, k.To}]; v == nil || v.State == invite.Open {
			return id
		}
	}
	return ""
}

// Group returns a declared group, or nil.
func (w *World) Group(id string) *im.Group { return w.groups.get(id) }

// Member returns a declared member, or nil. It may be Gone.
func (w *World) Member(group, user string) *im.Member {
	return w.members.get(MemberKey{group, user})
}

// HasMember reports whether a member was declared, alone or with all of the group, so that its absence means that there is none.
func (w *World) HasMember(k MemberKey) bool {
	return w.has(k) || w.members.rows[k] != nil || w.HasRoster(k.GroupID)
}

// Roster returns the present members of a group declared with AllMembers.
func (w *World) Roster(group string) []im.Member {
	list := make([]im.Member, 0, len(w.roster[group]))
	for _, k := range w.roster[group] {
		if m := w.members.rows[k]; m.Present() {
			list = append(list, *m)
		}
	}
	slices.SortFunc(list, func(a, b im.Member) int { return cmp.Compare(a.UserID, b.UserID) })
	return slices.CompactFunc(list, func(a, b im.Member) bool { return a.UserID == b.UserID })
}

// OpenInGroup returns the ids of the open invitations of a group declared with OpenInGroup.
func (w *World) OpenInGroup(group string) []string {
	list := make([]string, 0, len(w.openIn[group]))
	for _, id := range w.openIn[group] {
		if v := w.invitations.rows[id]; v != nil && !v.Over() {
			list = append(list, id)
		}
	}
	return list
}

// OpenOfMember returns the ids of the invitations of a group in which a person may still be open.
func (w *World) OpenOfMember(k MemberKey) []string { return w.openOf[k] }

// OpenFor is an invitation that waits for a user's answer.
type OpenFor struct{ InviteID, Inviter string }

// OpenBy returns the ids of the open invitations that a user made, declared with OpenBy.
func (w *World) OpenBy(user string) []string {
	list := slices.DeleteFunc(w.openBy[user], func(id string) bool {
		v := w.invitations.rows[id]
		return v != nil && v.Over() // what was not loaded is as the database has it
	})
	w.openBy[user] = list
	return list
}

// OpenFor returns the invitations that wait for a user's answer, declared with OpenFor.
func (w *World) OpenFor(user string) []OpenFor {
	list := slices.DeleteFunc(w.openFor[user], func(o OpenFor) bool {
		p := w.invitees.rows[InviteeKey{o.InviteID, user}]
		return p != nil && p.State != invite.Open
	})
	w.openFor[user] = list
	return list
}

// HasOpenBy reports whether the open invitations that a user made were declared.
func (w *World) HasOpenBy(user string) bool { return w.has(openByKey(user)) }

// HasOpenFor reports whether the invitations that wait for a user were declared.
func (w *World) HasOpenFor(user string) bool { return w.has(openForKey(user)) }

// Unlocked reports whether a topic that was asked for has no row, and so is not locked where that needs one.
func (w *World) Unlocked() bool { return w.locked < w.topics }

// Topics returns the topics that the batch holds, in order.
func (w *World) Topics() []string { return slices.Sorted(maps.Keys(w.heads)) }

// Head returns the sequence of the last record of a locked topic.
func (w *World) Head(topic string) uint64 {
	w.mustHold(topic)
	return w.heads[topic]
}

// PutInvitation writes an invitation.
func (w *World) PutInvitation(v invite.Invitation) {
	if w.invitations.rows[v.ID] == nil {
		w.mustKnow(invitationKey(v.ID))
	}
	w.stage(func() {
		fresh := w.invitations.rows[v.ID] == nil
		if w.invitations.put(v.ID, v); fresh {
			w.loaded[openKey(v.ID)] = struct{}{} // all its invitees will be put
		}
		if fresh && !v.Over() {
			w.openBy[v.Inviter] = append(w.openBy[v.Inviter], v.ID)
		}
		if fresh && v.GroupID != "" {
			w.openIn[v.GroupID] = append(w.openIn[v.GroupID], v.ID)
		}
		if fresh && v.RoomID != "" {
			w.openInRoom[v.RoomID] = append(w.openInRoom[v.RoomID], v.ID)
		}
	})
}

// PutInvitee writes an invitee.
func (w *World) PutInvitee(v invite.Invitee) {
	w.stage(func() {
		k := InviteeKey{v.InviteID, v.UserID}
		head := w.invitations.rows[v.InviteID]
		old := w.invitees.rows[k]
		w.invitees.put(k, v)
		if old != nil && (v.State != invite.Open || old.State == invite.Open) {
			return
		}
		if old == nil {
			w.loaded[k] = struct{}{}
		}
		enlist(w.open, v.InviteID, k, old != nil)
		if head == nil {
			return
		}
		if v.State == invite.Open {
			enlist(w.openFor, v.UserID, OpenFor{v.InviteID, head.Inviter}, old != nil)
		}
		if head.GroupID != "" {
			enlist(w.openOf, MemberKey{head.GroupID, v.UserID}, v.InviteID, old != nil)
		}
		if head.MergeGlare {
			enlist(w.glare, GlareKey{head.Inviter, v.UserID}, v.InviteID, old != nil)
		}
	})
}

// enlist adds a key to a list, unless one that was known before stands there already.
func enlist[L, K comparable](lists map[L][]K, list L, k K, known bool) {
	if !known || !slices.Contains(lists[list], k) {
		lists[list] = append(lists[list], k)
	}
}

// PutMark writes a mark.
func (w *World) PutMark(m Mark) {
	w.stage(func() { w.marks.put(InviteeKey{m.InviteID, m.UserID}, m) })
}

// PutGroup writes a group.
func (w *World) PutGroup(g im.Group) { w.stage(func() { w.groups.put(g.ID, g) }) }

// PutMember writes a member.
func (w *World) PutMember(m im.Member) {
	w.stage(func() {
		k := MemberKey{m.GroupID, m.UserID}
		if old := w.members.rows[k]; old == nil || old.Gone && !slices.Contains(w.roster[m.GroupID], k) {
			w.roster[m.GroupID] = append(w.roster[m.GroupID], k)
		}
		if m.Role >= im.RoleAdmin && !slices.Contains(w.admins[m.GroupID], k) {
			w.admins[m.GroupID] = append(w.admins[m.GroupID], k)
		}
		w.members.put(k, m)
	})
}

// Missing returns those topics that the unit does not hold yet; ask for them with More.
func (w *World) Missing(topics []string) []string {
	var list []string
	for _, t := range topics {
		if _, ok := w.heads[t]; !ok {
			list = append(list, t)
		}
	}
	return list
}

func (w *World) mustHold(topic string) {
	if _, ok := w.heads[topic]; !ok {
		panic(fmt.Sprintf("store: the unit did not declare the topic %s", topic))
	}
}

// mustKnow makes sure that a row that is put was looked for: otherwise it would replace one that nobody has seen.
func (w *World) mustKnow(key any) {
	if !w.has(key) {
		panic(fmt.Sprintf("store: the unit did not declare the %T %v, which it puts", key, key))
	}
}

func (w *World) has(key any) bool {
	_, ok := w.loaded[key]
	return ok
}

func (w *World) stage(f func()) { w.staged = append(w.staged, f) }

// settle applies or drops what a unit has put.
func (w *World) Settle(keep bool) {
	if keep {
		for _, f := range w.staged {
			f()
		}
	}
	w.staged = w.staged[:0]
	clear(w.said)
}

// Next makes a lasting world ready for another batch: what was put is written, and what is known stays.
func (w *World) Next(now int64) {
	w.Now = now
	clear(w.appended)
	clear(w.drafts)
	w.drafts, w.phrases, w.deletions, w.files, w.also, w.voidCalls = w.drafts[:0], nil, nil, nil, nil, nil
	for _, t := range []interface{ settled() }{
		&w.invitations, &w.invitees, &w.marks, &w.groups, &w.members, &w.messages, &w.contacts, &w.receipts, &w.applications, &w.extras, &w.people, &w.follows,
		&w.rooms.rooms, &w.seats, &w.calls, &w.participants, &w.links, &w.outgoing,
	} {
		t.settled()
	}
}

// Outcomes goes through the invitees that the units of this batch put, with their invitations; fresh are those who were invited.
func (w *World) Outcomes(f func(v *invite.Invitation, p *invite.Invitee, fresh bool)) {
	for _, k := range w.invitees.order {
		if v := w.invitations.rows[k.InviteID]; v != nil {
			f(v, w.invitees.rows[k], w.invitees.dirty[k])
		}
	}
}

// HasInvitees reports whether invitees were declared.
func (w *World) HasInvitees(list []InviteeKey) bool {
	return !slices.ContainsFunc(list, func(k InviteeKey) bool { return !w.has(k) })
}

// Full reports whether a lasting world knows so much that it should begin anew: so many rows, or so long texts.
func (w *World) Full(rows int) bool {
	known := len(w.loaded) + len(w.heads) + len(w.invitees.rows) + len(w.members.rows) + len(w.participants.rows) + len(w.outgoing.rows)
	return known > 2*rows || w.weight > maxWeight
}

const maxWeight = 64 << 20
