// Package txn holds the transaction of a batch of units: it loads the rows that they declare and writes the rows that
// they put, in few statements. It also defines records and drafts, and the schema of each table.
//
// It does not decide, commit or announce.
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

// GlareKey names an open invitation with mergeGlare from one user to another.
type GlareKey struct{ From, To string }

// Tombstone remembers an inviteID that never became an invitation.
type Tombstone struct {
	InviteID, UserID string
	Target           string // the invitation it was merged into; empty = cancelled before the invite
	ExpiresAt        int64  // milliseconds
}

// ReadSet declares the topics that a unit locks and the rows that it reads.
type ReadSet struct {
	Topics       []string
	Invitations  []string
	Invitees     []InviteeKey
	OpenInvitees []string // every open invitee of these invitations
	Tombstones   []InviteeKey
	Glare        []GlareKey
	Groups       []string
	Members      []MemberKey
	AllMembers   []string    // every present member of these groups
	OpenInGroup  []string    // every open invitation of these groups
	OpenOfMember []MemberKey // the open invitations of this group to this user
	Admins       []string    // the owner and administrators of these groups
	OpenBy       []string    // the ids of the open invitations of these inviters
	OpenFor      []string    // the ids of the invitations that these users have not answered

	Messages     []MessageKey
	Contacts     []ContactKey
	Receipts     []Receipt
	Reactions    []ReactionKey
	Applications []MemberKey
	Extras       []string // attributes and counters of these groups
	Users        []string
	Follows      []ContactKey

	Rooms  []string
	Seats  []SeatKey
	CallIn []string  // the open call of these rooms
	InCall []SeatKey // the participant in the open call of a room
	AllIn  []string  // all participants in the open call of these rooms

	Links      []SeatKey // the latest signaling connection of a user to a room
	OpenedBy   []string  // the open rooms that these users opened by entering
	OpenInRoom []string  // every open invitation into these rooms

	Outbox []OutboxKey
}

// Add adds the declarations of more.
func (n *ReadSet) Add(more ReadSet) {
	mine, others := reflect.ValueOf(n).Elem(), reflect.ValueOf(more)
	for i := range mine.NumField() {
		list := mine.Field(i)
		list.Set(reflect.AppendSlice(list.Slice3(0, list.Len(), list.Len()), others.Field(i)))
	}
}

// NeedReads is returned by Decide when a unit needs more than it declared. The unit runs again with that loaded.
type NeedReads struct{ Reads ReadSet }

func (*NeedReads) Error() string { return "store: the unit needs more rows" }

// Tx holds the declared rows of a batch of units, each in its state after the units before.
//
// A unit reads copies and puts whole rows; they take effect when it returns nil, so that a refusal changes nothing. The
// writer's goroutine owns all fields.
type Tx struct {
	Now       int64 // milliseconds, the store's clock; the same for all units of a batch
	EngineNow int64 // the last reading of the engine's clock; 0 = none

	heads            map[string]uint64
	empty            map[string]bool // topics without a record
	topics           int             // declared
	locked           int             // topics with a row, which are locked
	timed            bool            // the engine's clock was read
	appended         map[string]int  // index of the last draft of a topic
	drafts           []draft
	invitations      table[string, invite.Invitation]
	invitees         table[InviteeKey, invite.Invitee]
	open             map[string][]InviteeKey // invitees by invitation; they may be decided
	tombstones       table[InviteeKey, Tombstone]
	glare            map[GlareKey][]string // invitations; they may be decided
	groups           table[string, im.Group]
	members          table[MemberKey, im.Member]
	roster           map[string][]MemberKey // members by group; they may be gone
	openIn           map[string][]string    // invitations by group
	openOf           map[MemberKey][]string // invitations by group and invitee
	openBy           map[string][]string    // invitations by inviter; they may be over
	openFor          map[string][]OpenFor   // invitations by invitee; they may be decided
	loaded           map[any]struct{}       // keys that were read from the database
	phrases          []sqldb.Phrase
	staged           []func()
	appendedMessages map[MessageKey]bool // by this unit
	weight           int                 // bytes of the bodies of records and messages
	outbox           table[OutboxKey, OutboxEvent]
	execs            []execRow
	chat
	rooms
}

// table holds rows of one kind and the keys of those that were put.
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

// clearDirty clears the keys of written rows. The rows stay.
func (t *table[K, V]) clearDirty() {
	for _, k := range t.order {
		delete(t.dirty, k)
	}
	t.order = t.order[:0]
}

// New returns an empty transaction at a time.
func New(now int64) *Tx {
	return &Tx{
		Now: now, heads: map[string]uint64{}, empty: map[string]bool{}, appended: map[string]int{},
		loaded:           map[any]struct{}{},
		appendedMessages: map[MessageKey]bool{},
		invitations:      newTable[string, invite.Invitation](), invitees: newTable[InviteeKey, invite.Invitee](),
		tombstones: newTable[InviteeKey, Tombstone](), groups: newTable[string, im.Group](),
		members: newTable[MemberKey, im.Member](),
		open:    map[string][]InviteeKey{}, glare: map[GlareKey][]string{}, roster: map[string][]MemberKey{},
		openIn: map[string][]string{}, openOf: map[MemberKey][]string{},
		openBy: map[string][]string{}, openFor: map[string][]OpenFor{},
		outbox: newTable[OutboxKey, OutboxEvent](), chat: newChat(), rooms: newRooms(),
	}
}

// Invitation returns a declared invitation, or nil.
func (tx *Tx) Invitation(id string) *invite.Invitation { return tx.invitations.get(id) }

// Invitee returns a declared invitee, or nil.
func (tx *Tx) Invitee(id, user string) *invite.Invitee { return tx.invitees.get(InviteeKey{id, user}) }

// OpenInvitees returns the open invitees of a declared invitation, in the order of the inviteeList.
func (tx *Tx) OpenInvitees(id string) []*invite.Invitee {
	list := make([]*invite.Invitee, 0, len(tx.open[id]))
	for _, k := range tx.open[id] {
		if v := tx.invitees.rows[k]; v.State == invite.Open {
			c := *v
			list = append(list, &c)
		}
	}
	byOrd := func(a, b *invite.Invitee) int { return cmp.Compare(a.Ord, b.Ord) }
	if !slices.IsSortedFunc(list, byOrd) { // some were put before others were loaded
		slices.SortFunc(list, byOrd)
	}
	return list
}

// HasOpen reports whether the open invitees of an invitation were declared.
func (tx *Tx) HasOpen(id string) bool { return tx.has(openKey(id)) }

// HasOpenOfMember reports whether OpenOfMember was declared for k.
func (tx *Tx) HasOpenOfMember(k MemberKey) bool { return tx.has(openOfKey(k)) }

// HasInvitation reports whether an invitation was declared, so that its absence means that there is none.
func (tx *Tx) HasInvitation(id string) bool { return tx.has(invitationKey(id)) }

// HasOpenInGroup reports whether the open invitations of a group were declared.
func (tx *Tx) HasOpenInGroup(group string) bool { return tx.has(openInKey(group)) }

// HasRoster reports whether all members of a group were declared.
func (tx *Tx) HasRoster(group string) bool { return tx.has(rosterKey(group)) }

// Tombstone returns the unexpired tombstone of an inviteID by a user, or nil.
func (tx *Tx) Tombstone(id, user string) *Tombstone {
	m := tx.tombstones.get(InviteeKey{id, user})
	if m == nil || m.ExpiresAt <= tx.Now {
		return nil
	}
	return m
}

// Glare returns the id of the open invitation with mergeGlare between two users, or "".
func (tx *Tx) Glare(k GlareKey) string {
	for _, id := range slices.Backward(tx.glare[k]) {
		if v := tx.invitees.rows[InviteeKey{id, k.To}]; v == nil || v.State == invite.Open {
			return id
		}
	}
	return ""
}

// Group returns a declared group, or nil.
func (tx *Tx) Group(id string) *im.Group { return tx.groups.get(id) }

// Member returns a declared member, or nil. It may be Gone.
func (tx *Tx) Member(group, user string) *im.Member {
	return tx.members.get(MemberKey{group, user})
}

// HasMember reports whether a member was declared, alone or with all of the group, so that its absence means that there
// is none.
func (tx *Tx) HasMember(k MemberKey) bool {
	return tx.has(k) || tx.members.rows[k] != nil || tx.HasRoster(k.GroupID)
}

// Roster returns the present members of a group declared with AllMembers.
func (tx *Tx) Roster(group string) []im.Member {
	list := make([]im.Member, 0, len(tx.roster[group]))
	for _, k := range tx.roster[group] {
		if m := tx.members.rows[k]; m.Present() {
			list = append(list, *m)
		}
	}
	slices.SortFunc(list, func(a, b im.Member) int { return cmp.Compare(a.UserID, b.UserID) })
	return slices.CompactFunc(list, func(a, b im.Member) bool { return a.UserID == b.UserID })
}

// OpenInGroup returns the ids of the open invitations of a group declared with OpenInGroup.
func (tx *Tx) OpenInGroup(group string) []string {
	list := make([]string, 0, len(tx.openIn[group]))
	for _, id := range tx.openIn[group] {
		if v := tx.invitations.rows[id]; v != nil && !v.Over() {
			list = append(list, id)
		}
	}
	return list
}

// OpenOfMember returns the ids of the invitations of a group in which a user may still be open.
func (tx *Tx) OpenOfMember(k MemberKey) []string { return tx.openOf[k] }

// OpenFor is an invitation without the answer of a user.
type OpenFor struct{ InviteID, Inviter string }

// OpenBy returns the ids of the open invitations of an inviter declared with OpenBy.
func (tx *Tx) OpenBy(user string) []string {
	list := slices.DeleteFunc(tx.openBy[user], func(id string) bool {
		v := tx.invitations.rows[id]
		return v != nil && v.Over() // a row that was not loaded is in the state of the database
	})
	tx.openBy[user] = list
	return list
}

// OpenFor returns the invitations that a user declared with OpenFor has not answered.
func (tx *Tx) OpenFor(user string) []OpenFor {
	list := slices.DeleteFunc(tx.openFor[user], func(o OpenFor) bool {
		p := tx.invitees.rows[InviteeKey{o.InviteID, user}]
		return p != nil && p.State != invite.Open
	})
	tx.openFor[user] = list
	return list
}

// HasOpenBy reports whether the open invitations of an inviter were declared.
func (tx *Tx) HasOpenBy(user string) bool { return tx.has(openByKey(user)) }

// Unlocked reports whether a declared topic has no row, and so is not locked where a lock needs one.
func (tx *Tx) Unlocked() bool { return tx.locked < tx.topics }

// Topics returns the topics of the batch, in order.
func (tx *Tx) Topics() []string { return slices.Sorted(maps.Keys(tx.heads)) }

// Head returns the sequence of the last record of a locked topic.
func (tx *Tx) Head(topic string) uint64 {
	tx.mustHold(topic)
	return tx.heads[topic]
}

// Create writes the row of a locked topic, so that readers know where it begins.
func (tx *Tx) Create(topic string) {
	if head := tx.Head(topic); tx.empty[topic] {
		tx.Exec(SetFloors, 4, topic, head, head, tx.Now)
	}
}

// Emptied records that a locked topic lost all its records, so that the next one counts as its first.
func (tx *Tx) Emptied(topic string) { tx.empty[topic] = true }

// PutInvitation writes an invitation.
func (tx *Tx) PutInvitation(v invite.Invitation) {
	if tx.invitations.rows[v.ID] == nil {
		tx.mustKnow(invitationKey(v.ID))
	}
	tx.stage(func() {
		fresh := tx.invitations.rows[v.ID] == nil
		if tx.invitations.put(v.ID, v); fresh {
			tx.loaded[openKey(v.ID)] = struct{}{} // all its invitees will be put
		}
		if fresh && !v.Over() {
			tx.openBy[v.Inviter] = append(tx.openBy[v.Inviter], v.ID)
		}
		if fresh && v.GroupID != "" {
			tx.openIn[v.GroupID] = append(tx.openIn[v.GroupID], v.ID)
		}
		if fresh && v.RoomID != "" {
			tx.openInRoom[v.RoomID] = append(tx.openInRoom[v.RoomID], v.ID)
		}
	})
}

// PutInvitee writes an invitee.
func (tx *Tx) PutInvitee(v invite.Invitee) {
	tx.stage(func() {
		k := InviteeKey{v.InviteID, v.UserID}
		head := tx.invitations.rows[v.InviteID]
		old := tx.invitees.rows[k]
		tx.invitees.put(k, v)
		if old != nil && (v.State != invite.Open || old.State == invite.Open) {
			return
		}
		if old == nil {
			tx.loaded[k] = struct{}{}
		}
		enlist(tx.open, v.InviteID, k, old != nil)
		if head == nil {
			return
		}
		if v.State == invite.Open {
			enlist(tx.openFor, v.UserID, OpenFor{v.InviteID, head.Inviter}, old != nil)
		}
		if head.GroupID != "" {
			enlist(tx.openOf, MemberKey{head.GroupID, v.UserID}, v.InviteID, old != nil)
		}
		if head.MergeGlare {
			enlist(tx.glare, GlareKey{head.Inviter, v.UserID}, v.InviteID, old != nil)
		}
	})
}

// enlist adds a key to a list; a known row may be in the list already.
func enlist[L, K comparable](lists map[L][]K, list L, k K, known bool) {
	if !known || !slices.Contains(lists[list], k) {
		lists[list] = append(lists[list], k)
	}
}

// PutTombstone writes a tombstone.
func (tx *Tx) PutTombstone(m Tombstone) {
	tx.stage(func() { tx.tombstones.put(InviteeKey{m.InviteID, m.UserID}, m) })
}

// PutGroup writes a group.
func (tx *Tx) PutGroup(g im.Group) { tx.stage(func() { tx.groups.put(g.ID, g) }) }

// PutMember writes a member.
func (tx *Tx) PutMember(m im.Member) {
	tx.stage(func() {
		k := MemberKey{m.GroupID, m.UserID}
		if old := tx.members.rows[k]; old == nil || old.Gone {
			if _, ok := tx.loaded[listedKey(k)]; !ok { // at most twice; see Roster
				tx.loaded[listedKey(k)] = struct{}{}
				tx.roster[m.GroupID] = append(tx.roster[m.GroupID], k)
			}
		}
		if m.Role >= im.RoleAdmin && !slices.Contains(tx.admins[m.GroupID], k) {
			tx.admins[m.GroupID] = append(tx.admins[m.GroupID], k)
		}
		tx.members.put(k, m)
	})
}

// Require returns nil when the batch has locked all these topics, and a NeedReads for the others otherwise.
func (tx *Tx) Require(topics ...string) error {
	if missing := tx.Missing(topics); len(missing) > 0 {
		return &NeedReads{Reads: ReadSet{Topics: missing}}
	}
	return nil
}

// Missing returns the topics that the batch has not locked; declare them with NeedReads.
func (tx *Tx) Missing(topics []string) []string {
	var list []string
	for _, t := range topics {
		if _, ok := tx.heads[t]; !ok {
			list = append(list, t)
		}
	}
	return list
}

func (tx *Tx) mustHold(topic string) {
	if _, ok := tx.heads[topic]; !ok {
		panic(fmt.Sprintf("store: the unit did not declare the topic %s", topic))
	}
}

// mustKnow panics when a row that is put was not declared: it could replace a row that the unit has not read.
func (tx *Tx) mustKnow(key any) {
	if !tx.has(key) {
		panic(fmt.Sprintf("store: the unit did not declare the %T %v, which it puts", key, key))
	}
}

func (tx *Tx) has(key any) bool {
	_, ok := tx.loaded[key]
	return ok
}

func (tx *Tx) stage(f func()) { tx.staged = append(tx.staged, f) }

// Apply makes the rows that the unit put visible to the units after it.
func (tx *Tx) Apply() {
	for _, f := range tx.staged {
		f()
	}
	tx.Discard()
}

// Discard drops the rows that the unit put.
func (tx *Tx) Discard() {
	tx.staged = tx.staged[:0]
	clear(tx.appendedMessages)
}

// NextBatch prepares a cached transaction for another batch: its rows stay, the marks of written rows are cleared.
func (tx *Tx) NextBatch(now int64) {
	tx.Now = now
	clear(tx.appended)
	clear(tx.drafts)
	tx.drafts, tx.phrases, tx.files, tx.execs, tx.voidCalls = tx.drafts[:0], nil, nil, nil, nil
	for _, t := range []interface{ clearDirty() }{
		&tx.invitations, &tx.invitees, &tx.tombstones, &tx.groups, &tx.members, &tx.messages, &tx.contacts, &tx.receipts,
		&tx.reactions,
		&tx.applications, &tx.extras, &tx.users, &tx.follows,
		&tx.rooms.rooms, &tx.seats, &tx.calls, &tx.participants, &tx.links, &tx.outbox,
	} {
		t.clearDirty()
	}
}

// Outcomes calls f for the invitees that the units of this batch put, with their invitations; fresh ones are new.
func (tx *Tx) Outcomes(f func(v *invite.Invitation, p *invite.Invitee, fresh bool)) {
	for _, k := range tx.invitees.order {
		if v := tx.invitations.rows[k.InviteID]; v != nil {
			f(v, tx.invitees.rows[k], tx.invitees.dirty[k])
		}
	}
}

// Full reports whether a cached transaction holds too many rows or bytes to be kept.
func (tx *Tx) Full(rows int) bool {
	known := len(tx.loaded) + len(tx.heads) + len(tx.invitees.rows) + len(tx.members.rows) + len(tx.participants.rows) +
		len(tx.outbox.rows)
	return known > 2*rows || tx.weight > maxWeight
}

const maxWeight = 64 << 20
