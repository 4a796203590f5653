// Package world owns the rows that a batch of units decides on: what they declared is loaded, what they put is written, both in
// few statements. It also owns the words of the log: records, drafts, listen orders.
//
// It never decides, commits or announces: that is the engine's and the store's.
package world

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/invite"
)

// Record is one entry of a timeline. Seq 0 means that it was never stored: an event for whoever is connected now.
type Record struct {
	Topic  string
	Seq    uint64
	At     int64  // milliseconds
	Device string // the acting device, which has its answer already and is not told; empty = tell everybody
	Listen string // on a user topic: what this person's devices shall listen to from now on; see Listen
	Body   []byte // JSON

	Audience string // empty, or the names of those who may read it, each between spaces
}

// Body is what a record says. The world may fold a body into the one before it on the same topic.
type Body interface {
	// Absorb takes next into the receiver and reports whether it could: answers of one invitation decided
	// together become one record.
	Absorb(next Body) bool
	// JSON encodes the body, once, after the last Absorb.
	JSON() []byte
}

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
}

// Add asks for what more asks for as well.
func (n *Need) Add(more Need) {
	n.Topics = append(slices.Clip(n.Topics), more.Topics...)
	n.Invitations = append(slices.Clip(n.Invitations), more.Invitations...)
	n.Invitees = append(slices.Clip(n.Invitees), more.Invitees...)
	n.OpenInvitees = append(slices.Clip(n.OpenInvitees), more.OpenInvitees...)
	n.Marks = append(slices.Clip(n.Marks), more.Marks...)
	n.Glare = append(slices.Clip(n.Glare), more.Glare...)
	n.Groups = append(slices.Clip(n.Groups), more.Groups...)
	n.Members = append(slices.Clip(n.Members), more.Members...)
	n.AllMembers = append(slices.Clip(n.AllMembers), more.AllMembers...)
	n.OpenInGroup = append(slices.Clip(n.OpenInGroup), more.OpenInGroup...)
	n.OpenOfMember = append(slices.Clip(n.OpenOfMember), more.OpenOfMember...)
	n.Admins = append(slices.Clip(n.Admins), more.Admins...)
	n.Messages = append(slices.Clip(n.Messages), more.Messages...)
	n.Contacts = append(slices.Clip(n.Contacts), more.Contacts...)
	n.Receipts = append(slices.Clip(n.Receipts), more.Receipts...)
	n.Applications = append(slices.Clip(n.Applications), more.Applications...)
	n.Extras = append(slices.Clip(n.Extras), more.Extras...)
	n.People = append(slices.Clip(n.People), more.People...)
	n.Follows = append(slices.Clip(n.Follows), more.Follows...)
	n.Rooms = append(slices.Clip(n.Rooms), more.Rooms...)
	n.Seats = append(slices.Clip(n.Seats), more.Seats...)
	n.CallIn = append(slices.Clip(n.CallIn), more.CallIn...)
	n.InCall = append(slices.Clip(n.InCall), more.InCall...)
	n.AllIn = append(slices.Clip(n.AllIn), more.AllIn...)
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
	glare       map[GlareKey]string
	groups      table[string, im.Group]
	members     table[MemberKey, im.Member]
	roster      map[string][]MemberKey // members by group; a key may be gone since
	openIn      map[string][]string    // invitations by group
	openOf      map[MemberKey][]string // invitations by group and invitee
	loaded      map[any]struct{}       // what was asked of the database already
	phrases     []Phrase
	staged      []func()
	chat
	rooms
}

type draft struct {
	Draft
	topic string
	seq   uint64
	pair  uint64
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

func New(now int64) *World {
	return &World{
		Now: now, heads: map[string]uint64{}, appended: map[string]int{}, loaded: map[any]struct{}{},
		invitations: newTable[string, invite.Invitation](), invitees: newTable[InviteeKey, invite.Invitee](),
		marks: newTable[InviteeKey, Mark](), groups: newTable[string, im.Group](), members: newTable[MemberKey, im.Member](),
		open: map[string][]InviteeKey{}, glare: map[GlareKey]string{}, roster: map[string][]MemberKey{}, openIn: map[string][]string{}, openOf: map[MemberKey][]string{},
		chat: newChat(), rooms: newRooms(),
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
	return list
}

// HasOpen reports whether the open invitees of an invitation were declared.
func (w *World) HasOpen(id string) bool {
	_, ok := w.loaded[openKey(id)]
	return ok
}

// HasOpenOfMember reports whether OpenOfMember was declared for k.
func (w *World) HasOpenOfMember(k MemberKey) bool {
	_, ok := w.loaded[openOfKey(k)]
	return ok
}

// HasInvitation reports whether an invitation was declared, so that its absence means that there is none.
func (w *World) HasInvitation(id string) bool {
	_, ok := w.loaded[invitationKey(id)]
	return ok
}

// HasOpenInGroup reports whether the open invitations of a group were declared.
func (w *World) HasOpenInGroup(group string) bool {
	_, ok := w.loaded[openInKey(group)]
	return ok
}

// HasRoster reports whether all members of a group were declared.
func (w *World) HasRoster(group string) bool {
	_, ok := w.loaded[rosterKey(group)]
	return ok
}

// Mark returns the mark of an inviteID by a person, or nil when there is none that still counts.
func (w *World) Mark(id, user string) *Mark {
	m := w.marks.get(InviteeKey{id, user})
	if m == nil || m.ExpiresAt <= w.Now {
		return nil
	}
	return m
}

// Glare returns the id of the open invitation with mergeGlare between two people, or "".
func (w *World) Glare(k GlareKey) string { return w.glare[k] }

// Group returns a declared group, or nil.
func (w *World) Group(id string) *im.Group { return w.groups.get(id) }

// Member returns a declared member, or nil. It may be Gone.
func (w *World) Member(group, user string) *im.Member {
	return w.members.get(MemberKey{group, user})
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
	w.stage(func() {
		fresh := w.invitations.rows[v.ID] == nil
		w.invitations.put(v.ID, v)
		if fresh && v.GroupID != "" {
			w.openIn[v.GroupID] = append(w.openIn[v.GroupID], v.ID)
		}
	})
}

// PutInvitee writes an invitee.
func (w *World) PutInvitee(v invite.Invitee) {
	w.stage(func() {
		k := InviteeKey{v.InviteID, v.UserID}
		head := w.invitations.rows[v.InviteID]
		if w.invitees.rows[k] == nil {
			w.open[v.InviteID] = append(w.open[v.InviteID], k)
			if head != nil && head.GroupID != "" {
				g := MemberKey{head.GroupID, v.UserID}
				w.openOf[g] = append(w.openOf[g], v.InviteID)
			}
		}
		w.invitees.put(k, v)
		if head != nil && head.MergeGlare {
			g := GlareKey{head.Inviter, v.UserID}
			if v.State == invite.Open {
				w.glare[g] = v.InviteID
			} else if w.glare[g] == v.InviteID {
				delete(w.glare, g)
			}
		}
	})
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

// Draft is a record to be: the sequence comes with the commit.
type Draft struct {
	Device string
	Listen string
	Online bool // reaches who is connected now and is never stored
	Body   Body

	Peer     string // the conversation it stands in: the other person, or GroupPeer; empty = in none
	Ord      int64  // on a user's timeline: the count of the conversation, when this record counts as unread
	Counts   bool   // on a group's timeline: it counts as unread
	Message  string // its id, when it is a message
	Sender   string // of a message
	Flags    Flags
	Audience string // empty, or the names of those who may read it, each between spaces
	Words    string // what a search finds it by
	Finders  []string
}

// GroupPeer is the Peer of what stands in a group's conversation.
const GroupPeer = "*"

// Phrase is text to be found, or, without Words, no longer.
type Phrase struct {
	Topic, Message string
	Words          string
	Finders        []string // the topics whose people may find it
	At             int64    // when it was sent, in milliseconds; 0 = now
}

// Append adds a record to a locked topic, or folds it into the last one of this batch.
func (w *World) Append(topic string, d Draft) {
	w.mustHold(topic)
	w.stage(func() {
		if i, ok := w.appended[topic]; ok && d.Listen == "" {
			if last := &w.drafts[i]; last.Listen == "" && last.Online == d.Online && last.Body.Absorb(d.Body) {
				if last.Device != d.Device {
					last.Device = ""
				}
				return
			}
		}
		w.add(topic, d)
	})
}

// AppendPair adds the same record to the timelines of two people, so that each copy knows the other.
func (w *World) AppendPair(a string, da Draft, b string, db Draft) {
	w.mustHold(a)
	w.mustHold(b)
	w.stage(func() {
		i := w.add(a, da)
		j := w.add(b, db)
		w.drafts[i].pair, w.drafts[j].pair = w.drafts[j].seq, w.drafts[i].seq
		for _, k := range []int{i, j} {
			if d := &w.drafts[k]; d.Message != "" {
				w.messages.rows[MessageKey{d.topic, d.Message}].Pair = d.pair
			}
		}
	})
}

// add puts a draft in its place, and returns the place.
func (w *World) add(topic string, d Draft) int {
	nd := draft{Draft: d, topic: topic}
	if !d.Online {
		w.heads[topic]++
		nd.seq = w.heads[topic]
		if d.Counts {
			w.counted[topic]++
			nd.Ord = w.counted[topic]
		}
		if d.Message != "" {
			w.messages.rows[MessageKey{topic, d.Message}] = &Message{Topic: topic, ID: d.Message, Seq: nd.seq, At: w.Now, Sender: d.Sender,
				Flags: d.Flags, Body: d.Body.JSON(), Audience: d.Audience}
		}
		if d.Words != "" {
			w.phrases = append(w.phrases, Phrase{Topic: topic, Message: d.Message, Words: d.Words, Finders: d.Finders})
		}
	}
	w.appended[topic] = len(w.drafts)
	w.drafts = append(w.drafts, nd)
	return len(w.drafts) - 1
}

// Find makes a message be found by other words, or by none.
func (w *World) Find(p Phrase) { w.stage(func() { w.phrases = append(w.phrases, p) }) }

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

func (w *World) stage(f func()) { w.staged = append(w.staged, f) }

// settle applies or drops what a unit has put.
func (w *World) Settle(keep bool) {
	if keep {
		for _, f := range w.staged {
			f()
		}
	}
	w.staged = w.staged[:0]
}

// Records turns the drafts into records.
func (w *World) Records() []Record {
	list := make([]Record, len(w.drafts))
	for i := range w.drafts {
		d := &w.drafts[i]
		list[i] = Record{Topic: d.topic, Seq: d.seq, At: w.Now, Device: d.Device, Listen: d.Listen, Audience: d.Audience}
		if i > 0 && w.drafts[i-1].Body == d.Body { // one message told on several topics is encoded once
			list[i].Body = list[i-1].Body
		} else {
			list[i].Body = d.Body.JSON()
		}
	}
	return list
}
