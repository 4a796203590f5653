package txn

import (
	"encoding/json"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
)

// The columns of the tables of messages and people, in the order in which the scans read them.
const (
	ContactColumns     = `user_id, peer, counted, peer_read, blocked_at, ` + readingColumns
	ApplicationColumns = `group_id, user_id, inviter, reason, state, applied_at, handler, answer, handled_at`
	FileColumns        = `id, owner, kind, name, type, size, hash, width, height, thumb, at`
	UserColumns        = `user_id, profile, status, dnd, revoked, pushes`
	ExtraColumns       = `group_id, attributes, version, counters`
	MessageColumns     = `topic, msg, seq, pair, at, sender, flags, version, readers, body, audience, ord`

	readingColumns = `read_seq, read_ord, pinned_at, opt, hidden_seq, cleared_seq, skipped`
)

func reading(r *im.Reading) []any {
	return []any{&r.ReadSeq, &r.ReadOrd, &r.PinnedAt, &r.Opt, &r.HiddenSeq, &r.ClearedSeq, &r.Skipped}
}

func readingValues(r *im.Reading) []any {
	return []any{r.ReadSeq, r.ReadOrd, r.PinnedAt, int64(r.Opt), r.HiddenSeq, r.ClearedSeq, string(r.Skipped)}
}

// ScanContact reads ContactColumns, and more.
func ScanContact(rows sqldb.Row, more ...any) (*im.Contact, error) {
	var c im.Contact
	into := append([]any{&c.UserID, &c.Peer, &c.Counted, &c.PeerRead, &c.BlockedAt}, reading(&c.Reading)...)
	err := rows.Scan(append(into, more...)...)
	return &c, err
}

// ScanApplication reads ApplicationColumns.
func ScanApplication(rows sqldb.Row) (*Application, error) {
	var a Application
	err := rows.Scan(&a.GroupID, &a.UserID, &a.Inviter, &a.Reason, &a.State, &a.AppliedAt, &a.Handler, &a.Answer, &a.HandledAt)
	return &a, err
}

// ScanFile reads FileColumns.
func ScanFile(rows sqldb.Row) (*File, error) {
	var f File
	err := rows.Scan(&f.ID, &f.Owner, &f.Kind, &f.Name, &f.Type, &f.Size, &f.Hash, &f.Width, &f.Height, &f.Thumb, &f.At)
	return &f, err
}

// ScanUser reads PersonColumns.
func ScanUser(rows sqldb.Row) (*User, error) {
	var p User
	err := rows.Scan(&p.UserID, &p.Profile, &p.Status, &p.DND, &p.Revoked, &p.Pushes)
	return &p, err
}

// ScanExtra reads ExtraColumns.
func ScanExtra(rows sqldb.Row) (*Extra, error) {
	var x Extra
	var attributes, counters string
	if err := rows.Scan(&x.GroupID, &attributes, &x.Version, &counters); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(attributes), &x.Attributes); err != nil {
		return nil, err
	}
	stored := storedCounters{&x.Counters, &x.Recent}
	return &x, json.Unmarshal([]byte(counters), &stored)
}

// storedCounters is how counters and the requests that moved them are stored.
type storedCounters struct {
	Counters *map[string]int64 `json:"counters"`
	Recent   *[]string         `json:"recent"`
}

// ScanMessage reads MessageColumns.
func ScanMessage(rows sqldb.Row) (*Message, error) {
	var m Message
	err := rows.Scan(&m.Topic, &m.ID, &m.Seq, &m.Pair, &m.At, &m.Sender, &m.Flags, &m.Version, &m.Readers, &m.Body, &m.Audience, &m.Ord)
	return &m, err
}

type (
	contactKey     ContactKey
	applicationKey MemberKey
	extraKey       string
	userKey        string
	followKey      ContactKey
	adminsKey      string
)

func (l *loader) gatherChat(n *ReadSet) {
	for _, k := range n.Messages {
		if l.first(k) {
			l.messageKeys = append(l.messageKeys, k.Topic, k.ID)
		}
	}
	for _, k := range n.Contacts {
		if l.first(contactKey(k)) {
			l.contactKeys = append(l.contactKeys, k.UserID, k.Peer)
		}
	}
	for _, k := range n.Receipts {
		if l.first(k) {
			l.receiptKeys = append(l.receiptKeys, k.Topic, k.ID, k.UserID)
		}
	}
	for _, k := range n.Applications {
		if l.first(applicationKey(k)) {
			l.applicationKeys = append(l.applicationKeys, k.GroupID, k.UserID)
		}
	}
	for _, id := range n.Extras {
		if l.first(extraKey(id)) {
			l.extraKeys = append(l.extraKeys, id)
		}
	}
	for _, id := range n.Users {
		if l.first(userKey(id)) {
			l.userKeys = append(l.userKeys, id)
		}
	}
	for _, k := range n.Follows {
		if l.first(followKey(k)) {
			l.followKeys = append(l.followKeys, k.UserID, k.Peer)
		}
	}
	for _, id := range n.Admins {
		if l.first(adminsKey(id)) {
			l.adminKeys = append(l.adminKeys, id)
		}
	}
}

// keep fills a table with what is found, unless the batch knows better.
func keep[K comparable, V any](t *table[K, V], key func(*V) K, scan func(sqldb.Row) (*V, error)) func(sqldb.Row) error {
	return func(rows sqldb.Row) error {
		v, err := scan(rows)
		if err != nil {
			return err
		}
		if k := key(v); t.rows[k] == nil {
			t.rows[k] = v
		}
		return nil
	}
}

func (l *loader) chat() {
	tx := l.w
	l.in("SELECT "+MessageColumns+" FROM record WHERE (topic, msg) IN (VALUES ?*) AND msg <> ''", 2, l.messageKeys,
		keep(&tx.messages, func(m *Message) MessageKey { return MessageKey{m.Topic, m.ID} }, ScanMessage))
	l.in("SELECT "+ContactColumns+" FROM contact WHERE (user_id, peer) IN (VALUES ?*)", 2, l.contactKeys,
		keep(&tx.contacts, func(c *im.Contact) ContactKey { return ContactKey{c.UserID, c.Peer} },
			func(rows sqldb.Row) (*im.Contact, error) { return ScanContact(rows) }))
	l.in("SELECT topic, msg, user_id FROM receipt WHERE (topic, msg, user_id) IN (VALUES ?*)", 3, l.receiptKeys,
		keep(&tx.receipts, func(r *Receipt) Receipt { return *r }, func(rows sqldb.Row) (*Receipt, error) {
			var r Receipt
			return &r, rows.Scan(&r.Topic, &r.ID, &r.UserID)
		}))
	l.in("SELECT "+ApplicationColumns+" FROM application WHERE (group_id, user_id) IN (VALUES ?*)", 2, l.applicationKeys,
		keep(&tx.applications, func(a *Application) MemberKey { return MemberKey{a.GroupID, a.UserID} }, ScanApplication))
	l.in("SELECT "+ExtraColumns+" FROM extra WHERE group_id IN (?*)", 1, l.extraKeys,
		keep(&tx.extras, func(x *Extra) string { return x.GroupID }, ScanExtra))
	l.in("SELECT "+UserColumns+" FROM person WHERE user_id IN (?*)", 1, l.userKeys,
		keep(&tx.users, func(p *User) string { return p.UserID }, ScanUser))
	l.in("SELECT user_id, target FROM follow WHERE (user_id, target) IN (VALUES ?*)", 2, l.followKeys,
		keep(&tx.follows, func(f *Follow) ContactKey { return ContactKey{f.UserID, f.Target} }, func(rows sqldb.Row) (*Follow, error) {
			var f Follow
			return &f, rows.Scan(&f.UserID, &f.Target)
		}))
	l.in("SELECT "+MemberColumns+" FROM member WHERE group_id IN (?*) AND gone = 0 AND role > 200", 1, l.adminKeys, func(rows sqldb.Row) error {
		m, err := ScanMember(rows)
		k := MemberKey{m.GroupID, m.UserID}
		if tx.members.rows[k] == nil {
			tx.members.rows[k] = m
		}
		if !slices.Contains(tx.admins[m.GroupID], k) {
			tx.admins[m.GroupID] = append(tx.admins[m.GroupID], k)
		}
		return err
	})
}
