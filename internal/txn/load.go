package txn

import (
	"context"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/invite"
)

// Load reads the rows that read sets declare and locks their topics: each kind of row in one statement for the whole
// batch.
func (tx *Tx) Load(ctx context.Context, s *sqldb.Session, needs []ReadSet) error {
	l := loader{tx: tx, s: s, ctx: ctx}
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
	byKey(&l, outbox, &tx.outbox, l.outboxKeys)
	if l.err != nil {
		return l.err
	}
	return s.Sync(ctx)
}

// clock reads the engine's time once, after the topics are locked, so that records of a topic are in the order of time.
func (l *loader) clock() {
	if l.err != nil || l.s.Clock == "" || l.tx.timed {
		return
	}
	l.tx.timed = true
	l.err = l.s.Query(l.ctx, l.s.Clock, nil, func(row sqldb.Row) error {
		var now int64
		err := row.Scan(&now)
		l.tx.EngineNow = now
		l.tx.Now = max(l.tx.Now, now)
		return err
	})
}

// loader gathers the keys of a batch, each once, and loads the rows table by table.
type loader struct {
	tx  *Tx
	s   *sqldb.Session
	ctx context.Context
	err error

	missing *bool // gather only sets it

	topicKeys, invitationKeys, inviteeKeys, openKeys, tombstoneKeys, glareKeys []any
	groupKeys, memberKeys, rosterKeys, openInKeys, openOfKeys                  []any
	messageKeys, contactKeys, receiptKeys, applicationKeys, extraKeys          []any
	reactionKeys                                                               []any
	userKeys, followKeys, adminKeys, openByKeys, openForKeys                   []any
	roomKeys, seatKeys, callKeys, partKeys, allInKeys, outboxKeys              []any
	linkKeys, openedKeys, openInRoomKeys                                       []any
}

// The kinds of keys in Tx.loaded. The database is asked for a key once per batch; then the transaction has the latest
// state.
type (
	invitationKey  string
	openKey        string
	tombstoneKey   InviteeKey
	groupKey       string
	rosterKey      string
	listedKey      MemberKey
	openInKey      string
	openOfKey      MemberKey
	openByKey      string
	openForKey     string
	contactKey     ContactKey
	applicationKey MemberKey
	extraKey       string
	userKey        string
	followKey      ContactKey
	adminsKey      string
	roomKey        string
	callInKey      string
	partKey        SeatKey
	allInKey       string
	linkKey        SeatKey
	openedKey      string
	openInRoomKey  string
	outboxRowKey   OutboxKey
)

func (l *loader) first(k any) bool {
	if _, ok := l.tx.loaded[k]; ok {
		return false
	}
	if l.missing != nil {
		*l.missing = true
		return false
	}
	l.tx.loaded[k] = struct{}{}
	return true
}

// RequireReads is Require for a read set.
func (tx *Tx) RequireReads(n ReadSet) error {
	missing := len(tx.Missing(n.Topics)) > 0
	if (&loader{tx: tx, missing: &missing}).gather(&n); missing {
		return &NeedReads{n}
	}
	return nil
}

// compound is a key of several columns.
type compound interface{ values(list []any) []any }

func (k InviteeKey) values(list []any) []any { return append(list, k.InviteID, k.UserID) }
func (k MemberKey) values(list []any) []any  { return append(list, k.GroupID, k.UserID) }
func (k GlareKey) values(list []any) []any   { return append(list, k.From, k.To) }
func (k MessageKey) values(list []any) []any { return append(list, k.Topic, k.ID) }
func (k ContactKey) values(list []any) []any { return append(list, k.UserID, k.Peer) }
func (k Receipt) values(list []any) []any    { return append(list, k.Topic, k.ID, k.UserID) }
func (k ReactionKey) values(list []any) []any {
	return append(list, k.Topic, k.ID, k.UserID, k.Reaction)
}
func (k SeatKey) values(list []any) []any   { return append(list, k.RoomID, k.UserID) }
func (k OutboxKey) values(list []any) []any { return append(list, k.Queue, k.OrderingKey, k.Seq) }

// gatherIDs adds the ids that the batch has not loaded as a kind of key.
func gatherIDs[Kind ~string](l *loader, to *[]any, ids []string) {
	for _, id := range ids {
		if l.first(Kind(id)) {
			*to = append(*to, id)
		}
	}
}

// gatherKeys adds the keys that the batch has not loaded as a kind of key.
func gatherKeys[K compound](l *loader, to *[]any, keys []K, kind func(K) any) {
	for _, k := range keys {
		if l.first(kind(k)) {
			*to = k.values(*to)
		}
	}
}

func (l *loader) gather(n *ReadSet) {
	for _, t := range n.Topics {
		if _, ok := l.tx.heads[t]; !ok && l.missing == nil {
			l.tx.heads[t] = im.FirstSequence(t, l.tx.Now)
			l.tx.empty[t] = true // unless it has a row
			l.tx.topics++
			l.topicKeys = append(l.topicKeys, t)
		}
	}
	gatherIDs[invitationKey](l, &l.invitationKeys, n.Invitations)
	gatherKeys(l, &l.inviteeKeys, n.Invitees, func(k InviteeKey) any { return k })
	gatherIDs[openKey](l, &l.openKeys, n.OpenInvitees)
	gatherIDs[openByKey](l, &l.openByKeys, n.OpenBy)
	gatherIDs[openForKey](l, &l.openForKeys, n.OpenFor)
	gatherKeys(l, &l.tombstoneKeys, n.Tombstones, func(k InviteeKey) any { return tombstoneKey(k) })
	gatherKeys(l, &l.glareKeys, n.Glare, func(k GlareKey) any { return k })

	gatherIDs[groupKey](l, &l.groupKeys, n.Groups)
	gatherKeys(l, &l.memberKeys, n.Members, func(k MemberKey) any { return k })
	gatherIDs[rosterKey](l, &l.rosterKeys, n.AllMembers)
	gatherIDs[openInKey](l, &l.openInKeys, n.OpenInGroup)
	gatherKeys(l, &l.openOfKeys, n.OpenOfMember, func(k MemberKey) any { return openOfKey(k) })
	gatherIDs[adminsKey](l, &l.adminKeys, n.Admins)
	gatherKeys(l, &l.applicationKeys, n.Applications, func(k MemberKey) any { return applicationKey(k) })
	gatherIDs[extraKey](l, &l.extraKeys, n.Extras)

	gatherKeys(l, &l.messageKeys, n.Messages, func(k MessageKey) any { return k })
	gatherKeys(l, &l.contactKeys, n.Contacts, func(k ContactKey) any { return contactKey(k) })
	gatherKeys(l, &l.receiptKeys, n.Receipts, func(k Receipt) any { return k })
	gatherKeys(l, &l.reactionKeys, n.Reactions, func(k ReactionKey) any { return k })
	gatherIDs[userKey](l, &l.userKeys, n.Users)
	gatherKeys(l, &l.followKeys, n.Follows, func(k ContactKey) any { return followKey(k) })

	gatherIDs[roomKey](l, &l.roomKeys, n.Rooms)
	gatherKeys(l, &l.seatKeys, n.Seats, func(k SeatKey) any { return k })
	gatherIDs[callInKey](l, &l.callKeys, n.CallIn)
	gatherKeys(l, &l.partKeys, n.InCall, func(k SeatKey) any { return partKey(k) })
	gatherIDs[allInKey](l, &l.allInKeys, n.AllIn)
	gatherKeys(l, &l.linkKeys, n.Links, func(k SeatKey) any { return linkKey(k) })
	gatherIDs[openedKey](l, &l.openedKeys, n.OpenedBy)
	gatherIDs[openInRoomKey](l, &l.openInRoomKeys, n.OpenInRoom)

	gatherKeys(l, &l.outboxKeys, n.Outbox, func(k OutboxKey) any { return outboxRowKey(k) })
}

func (l *loader) in(template string, width int, keys []any, scan func(sqldb.Row) error) {
	if l.err == nil && len(keys) > 0 {
		l.err = l.s.SelectIn(l.ctx, template, width, keys, scan)
	}
}

// byKey loads rows of a table by their keys.
func byKey[K comparable, V any](l *loader, d *schema[K, V], t *table[K, V], keys []any) {
	if len(keys) > 0 {
		l.in(d.Select, len(d.Key), keys, keep(t, d.key, d.decode, nil))
	}
}

// keep puts the rows of a result into a table, except those that the batch has in a later state, and passes all to f.
func keep[K comparable, V any](
	t *table[K, V], key func(*V) K, decode func(sqldb.Row) (*V, error), f func(K, *V),
) func(sqldb.Row) error {
	return func(row sqldb.Row) error {
		v, err := decode(row)
		if err != nil {
			return err
		}
		k := key(v)
		if f != nil {
			f(k, v)
		}
		if t.rows[k] == nil {
			t.rows[k] = v
		}
		return nil
	}
}

// listing adds keys that the database has to lists, without those that were in the lists before.
type listing[L, K comparable] struct {
	into   map[L][]K
	before map[L]map[K]struct{} // each list before
}

func (l *listing[L, K]) add(list L, k K) {
	before, ok := l.before[list]
	if !ok {
		if l.before == nil {
			l.before = map[L]map[K]struct{}{}
		}
		before = make(map[K]struct{}, len(l.into[list]))
		for _, k := range l.into[list] {
			before[k] = struct{}{}
		}
		l.before[list] = before
	}
	if _, there := before[k]; !there {
		l.into[list] = append(l.into[list], k)
	}
}

// listed loads the rows of a query of one column, and lists their keys by that column.
func listed[K comparable, V any](
	l *loader, query string, keys []any, d *schema[K, V], t *table[K, V], into map[string][]K, by func(*V) string,
) {
	if len(keys) > 0 {
		lists := listing[string, K]{into: into}
		l.in(query, 1, keys, keep(t, d.key, d.decode, func(k K, v *V) { lists.add(by(v), k) }))
	}
}

func (l *loader) topics() {
	// the order of locking
	slices.SortFunc(l.topicKeys, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	l.in(lockTopics+l.s.ForUpdate, 1, l.topicKeys, func(row sqldb.Row) error {
		var name string
		var head uint64
		var counted, oldest int64
		err := row.Scan(&name, &head, &counted, &oldest)
		l.tx.heads[name], l.tx.counted[name] = head, counted
		if oldest >= 0 {
			delete(l.tx.empty, name)
		}
		l.tx.locked++
		return err
	})
}

func (l *loader) groups() {
	tx := l.tx
	byKey(l, groups, &tx.groups, l.groupKeys)
	byKey(l, members, &tx.members, l.memberKeys)
	group := func(m *im.Member) string { return m.GroupID }
	listed(l, presentMembers, l.rosterKeys, members, &tx.members, tx.roster, group)
	listed(l, adminMembers, l.adminKeys, members, &tx.members, tx.admins, group)
	byKey(l, applications, &tx.applications, l.applicationKeys)
	byKey(l, extras, &tx.extras, l.extraKeys)
}

func (l *loader) invitations() {
	tx := l.tx
	byKey(l, invitations, &tx.invitations, l.invitationKeys)
	listed(l, openInGroups, l.openInKeys, invitations, &tx.invitations, tx.openIn,
		func(v *invite.Invitation) string { return v.GroupID })
	listed(l, openIntoRooms, l.openInRoomKeys, invitations, &tx.invitations, tx.openInRoom,
		func(v *invite.Invitation) string { return v.RoomID })
	glare := listing[GlareKey, string]{into: tx.glare}
	l.in(openGlare, 2, l.glareKeys, func(row sqldb.Row) error {
		var id string
		var k GlareKey
		err := row.Scan(&id, &k.From, &k.To)
		glare.add(k, id)
		return err
	})
	byKey(l, tombstones, &tx.tombstones, l.tombstoneKeys)
	openBy := listing[string, string]{into: tx.openBy}
	l.in(openInvitersOf, 1, l.openByKeys, func(row sqldb.Row) error {
		var user, id string
		err := row.Scan(&user, &id)
		openBy.add(user, id)
		return err
	})
}

func (l *loader) invitees() {
	tx := l.tx
	byKey(l, invitees, &tx.invitees, l.inviteeKeys)
	listed(l, openInvitees, l.openKeys, invitees, &tx.invitees, tx.open,
		func(v *invite.Invitee) string { return v.InviteID })
	openFor := listing[string, OpenFor]{into: tx.openFor}
	l.in(openInviteesOf, 1, l.openForKeys, func(row sqldb.Row) error {
		var user string
		var o OpenFor
		err := row.Scan(&user, &o.InviteID, &o.Inviter)
		openFor.add(user, o)
		return err
	})
	openOf := listing[MemberKey, string]{into: tx.openOf}
	l.in(openOfMembers, 2, l.openOfKeys, func(row sqldb.Row) error {
		var k MemberKey
		var id string
		err := row.Scan(&k.GroupID, &k.UserID, &id)
		openOf.add(k, id)
		return err
	})
}

func (l *loader) chat() {
	tx := l.tx
	l.in(messagesByID, 2, l.messageKeys,
		keep(&tx.messages, func(m *Message) MessageKey { return MessageKey{m.Topic, m.ID} }, ScanMessage, nil))
	byKey(l, contacts, &tx.contacts, l.contactKeys)
	byKey(l, receipts, &tx.receipts, l.receiptKeys)
	byKey(l, reactions, &tx.reactions, l.reactionKeys)
	byKey(l, users, &tx.users, l.userKeys)
	byKey(l, follows, &tx.follows, l.followKeys)
}

func (l *loader) rooms() {
	tx := l.tx
	byKey(l, roomTable, &tx.rooms.rooms, l.roomKeys)
	byKey(l, seats, &tx.seats, l.seatKeys)
	l.in(openCallsIn, 1, l.callKeys, func(row sqldb.Row) error {
		c, err := ScanCall(row)
		if err == nil && tx.callIn[c.RoomID] == "" {
			tx.calls.rows[c.ID], tx.callIn[c.RoomID] = c, c.ID
		}
		return err
	})
	participant := keep(&tx.participants, participants.key, ScanParticipant, func(k SeatKey, p *im.Participant) {
		if tx.participants.rows[k] == nil {
			tx.parts[p.CallID] = append(tx.parts[p.CallID], k)
		}
	})
	l.in(participantsIn, 2, l.partKeys, participant)
	l.in(allParticipantsIn, 1, l.allInKeys, participant)
	byKey(l, links, &tx.links, l.linkKeys)
	listed(l, openedRooms, l.openedKeys, roomTable, &tx.rooms.rooms, tx.opened, func(r *im.Room) string { return r.Owner })
}
