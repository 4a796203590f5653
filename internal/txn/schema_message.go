package txn

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
)

// Topics holds the timelines, each with its lock. A batch writes the head and the count of those to which it appended.
var Topics = Schema{
	Name: "topic", Key: columns("name"), Columns: columns("name head floor counted oldest"),
	Fixed: columns("floor oldest"), Added: []any{0}, Personal: personal{None: "numbers of records"},
}.Build()

const (
	// lockTopics reads topics in the order of locking; the dialect appends its lock.
	lockTopics = "SELECT name, head, counted, oldest FROM topic WHERE name IN (?*) ORDER BY name"
	// SetFloors writes the floors of topics, and the times of their oldest records. Topics.Change writes the heads, in any
	// order.
	SetFloors = "INSERT INTO topic (name, head, floor, oldest) VALUES ?* ON CONFLICT (name) DO UPDATE SET " +
		"floor = excluded.floor, oldest = excluded.oldest"
)

// Records holds the entries of timelines. Most have no message; they are written without the columns of one.
var Records = Schema{
	Name: "record", Key: columns("topic seq"),
	Columns: columns("topic seq at device listen body peer ord pair msg sender flags version readers audience"),
	Personal: personal{
		Export:  []string{"event", "inviteEvent", "groupEvent"},
		Private: columns("topic device listen peer ord pair msg flags version readers"),
		Erase:   "bodies lose the content of the user; messages of the user are revoked",
	},
}.Build()

var (
	plainColumns   = columns("topic seq at device listen body peer ord pair sender")
	writtenColumns = columns("topic seq at device listen body peer ord pair sender msg flags audience")
	insertPlain    = Records.InsertOf(plainColumns)
	insertMessages = Records.InsertOf(writtenColumns)

	// messageColumns are those of a Message.
	messageColumns = columns("topic msg seq pair at sender flags version readers body audience ord")
	messagesByID   = "SELECT " + sqldb.List("", messageColumns) +
		" FROM record WHERE (topic, msg) IN (VALUES ?*) AND msg <> ''"
)

// updateMessage begins as SQLite's applier expects of a change of a record: it comes after the rows of its batch.
const updateMessage = "UPDATE record SET body = $1, flags = $2, version = $3, readers = $4 WHERE topic = $5 AND " +
	"seq = $6"

// ScanMessage reads the columns of a message.
func ScanMessage(row sqldb.Row) (*Message, error) {
	var m Message
	return &m, row.Scan(&m.Topic, &m.ID, &m.Seq, &m.Pair, &m.At, &m.Sender, &m.Flags, &m.Version, &m.Readers, &m.Body,
		&m.Audience, &m.Ord)
}

var contacts = &schema[ContactKey, im.Contact]{
	Schema: Schema{
		Name: "contact", Key: columns("user_id peer"),
		Columns: columns("user_id peer counted peer_read blocked_at " + readingColumns),
		Personal: personal{
			Export: []string{"contact"}, Private: columns("user_id counted peer_read read_ord skipped"),
			Erase: "the rows of the user's side are removed",
		},
	}.Build(),
	key: func(c *im.Contact) ContactKey { return ContactKey{c.UserID, c.Peer} },
	encode: func(row []any, c *im.Contact) []any {
		return appendReading(append(row, c.UserID, c.Peer, c.Counted, c.PeerRead, c.BlockedAt), &c.Reading)
	},
	decode: func(row sqldb.Row) (*im.Contact, error) { return ScanContact(row) },
}

// ScanContact reads the columns of a contact, and more.
func ScanContact(row sqldb.Row, more ...any) (*im.Contact, error) {
	var c im.Contact
	into := append([]any{&c.UserID, &c.Peer, &c.Counted, &c.PeerRead, &c.BlockedAt}, readingFields(&c.Reading)...)
	return &c, row.Scan(append(into, more...)...)
}

var receipts = &schema[Receipt, Receipt]{
	Schema: Schema{
		Name: "receipt", Key: columns("topic msg user_id"), Columns: columns("topic msg user_id at"), Fixed: columns("at"),
		Personal: personal{Export: []string{"read"}, Erase: "its rows are removed"},
	}.Build(),
	key:    func(r *Receipt) Receipt { return Receipt{Topic: r.Topic, ID: r.ID, UserID: r.UserID} },
	encode: func(row []any, r *Receipt) []any { return append(row, r.Topic, r.ID, r.UserID, r.At) },
	decode: func(row sqldb.Row) (*Receipt, error) {
		var r Receipt
		return &r, row.Scan(&r.Topic, &r.ID, &r.UserID, &r.At)
	},
}

var reactions = &schema[ReactionKey, Reaction]{
	Schema: Schema{
		Name: "reaction", Key: columns("topic msg user_id reaction"), Columns: columns("topic msg user_id reaction at"),
		Fixed: columns("at"),
		Personal: personal{Export: []string{"reaction"}, Private: columns("user_id"),
			Erase: "its rows are removed, and are not counted any more"},
	}.Build(),
	key: func(r *Reaction) ReactionKey { return r.ReactionKey },
	encode: func(row []any, r *Reaction) []any {
		return append(row, r.Topic, r.ID, r.UserID, r.Reaction, r.At)
	},
	decode: func(row sqldb.Row) (*Reaction, error) {
		var r Reaction
		return &r, row.Scan(&r.Topic, &r.ID, &r.UserID, &r.Reaction, &r.At)
	},
}

var users = &schema[string, User]{
	Schema: Schema{
		Name: "person", Key: columns("user_id"), Columns: columns("user_id profile status dnd revoked pushes"),
		Personal: personal{
			Export: []string{"person"}, Erase: "emptied except for revoked: revoked tokens would be valid again",
		},
	}.Build(),
	key: func(u *User) string { return u.UserID },
	encode: func(row []any, u *User) []any {
		return append(row, u.UserID, u.Profile, u.Status, u.DND, u.Revoked, u.Pushes)
	},
	decode: ScanUser,
}

// ScanUser reads the columns of a user.
func ScanUser(row sqldb.Row) (*User, error) {
	var u User
	return &u, row.Scan(&u.UserID, &u.Profile, &u.Status, &u.DND, &u.Revoked, &u.Pushes)
}

var follows = &schema[ContactKey, Follow]{
	Schema: Schema{
		Name: "follow", Key: columns("user_id target"), Columns: columns("user_id target"),
		Personal: personal{
			Export: []string{"follows"}, Private: columns("user_id"), Erase: "its rows are removed, also of followers",
		},
	}.Build(),
	key:    func(f *Follow) ContactKey { return ContactKey{f.UserID, f.Target} },
	encode: func(row []any, f *Follow) []any { return append(row, f.UserID, f.Target) },
	decode: func(row sqldb.Row) (*Follow, error) {
		var f Follow
		return &f, row.Scan(&f.UserID, &f.Target)
	},
}

// Files holds the uploaded files. Only retention changes their rows.
var Files = Schema{
	Name: "file", Key: columns("id"), Columns: columns("id owner kind name type size hash width height thumb at used_at"),
	Added: []any{0},
	Personal: personal{Export: []string{"file"}, Private: columns("hash thumb used_at"),
		Erase: "the files and their rows are removed"},
}.Build()

func encodeFile(row []any, f *File) []any {
	return append(row, f.ID, f.Owner, f.Kind, f.Name, f.Type, f.Size, f.Hash, f.Width, f.Height, f.Thumb, f.At,
		max(f.At, f.UsedAt))
}

// ScanFile reads the columns of a file.
func ScanFile(row sqldb.Row) (*File, error) {
	var f File
	return &f, row.Scan(&f.ID, &f.Owner, &f.Kind, &f.Name, &f.Type, &f.Size, &f.Hash, &f.Width, &f.Height, &f.Thumb,
		&f.At, &f.UsedAt)
}
