package txn

import (
	"slices"

	"github.com/beckon-im/beckon/im"
)

// Message is a stored message as one timeline has it.
type Message struct {
	Topic   string
	ID      string
	Seq     uint64
	Pair    uint64 // of a one-to-one message: its sequence on the other user's timeline
	At      int64  // milliseconds
	Sender  string
	Flags   Flags
	Version int64 // grows with each change
	Readers int64 // the number of read receipts
	Body    []byte

	Audience string // empty, or its readers, each between spaces
	Ord      int64  // the running count of unread messages of its conversation; 0 = it does not count
}

// Flags of a message.
type Flags int64

// The flags.
const (
	FlagRevoked Flags = 1 << iota
	FlagNotLast       // never the last message in a conversation list
	FlagReceipt       // the sender requests read receipts
)

// MessageKey names a message on one timeline.
type MessageKey struct{ Topic, ID string }

// ContactKey names one user's side of a one-to-one conversation.
type ContactKey struct{ UserID, Peer string }

// Receipt is one user's read receipt for a group's message.
type Receipt struct {
	Topic, ID, UserID string
	At                int64 // milliseconds
}

// Reaction is one user's reaction to a message, as one timeline has it.
type Reaction struct {
	ReactionKey
	At   int64 // milliseconds
	Gone bool
}

// ReactionKey names a reaction.
type ReactionKey struct{ Topic, ID, UserID, Reaction string }

// Application is a request to join a group, by the user or by a member.
type Application struct {
	GroupID, UserID string
	Inviter         string // empty when the user applied
	Reason          string
	State           Handling
	AppliedAt       int64 // milliseconds
	Handler         string
	Answer          string
	HandledAt       int64
}

// Handling is the state of an application.
type Handling int

// The states of an application.
const (
	Waiting Handling = iota
	Agreed
	Refused
)

// Extra holds the attributes and counters of a group.
type Extra struct {
	GroupID    string
	Attributes map[string]string
	Version    int64 // of the attributes
	Counters   map[string]int64
	Recent     []string // the last requests that changed a counter, to recognise a retry
}

// User holds the settings of a user. Profile and DND are JSON of the protocol.
type User struct {
	UserID  string
	Profile string
	Status  string // the custom status, plain text
	DND     string // do-not-disturb
	Revoked int64  // tokens issued before are revoked, milliseconds
	Pushes  int64  // time of the latest push token, milliseconds; 0 = none
}

// Follow is a subscription to the presence of a user.
type Follow struct {
	UserID, Target string
	Gone           bool
}

// File is an uploaded file. It never changes.
type File struct {
	ID, Owner, Kind, Name, Type string
	Size                        int64
	Hash                        string // SHA-256, hexadecimal
	Width, Height               int    // of images
	Thumb                       string // the file id of the thumbnail
	At, UsedAt                  int64  // milliseconds
}

// chat is the part of Tx for messages and users.
type chat struct {
	counted      map[string]int64 // messages that count as unread, by group topic
	messages     table[MessageKey, Message]
	contacts     table[ContactKey, im.Contact]
	receipts     table[Receipt, Receipt]
	reactions    table[ReactionKey, Reaction]
	applications table[MemberKey, Application]
	extras       table[string, Extra]
	users        table[string, User]
	follows      table[ContactKey, Follow]
	admins       map[string][]MemberKey
	files        []File
}

func newChat() chat {
	return chat{
		counted: map[string]int64{}, admins: map[string][]MemberKey{},
		messages: newTable[MessageKey, Message](), contacts: newTable[ContactKey, im.Contact](),
		receipts: newTable[Receipt, Receipt](), reactions: newTable[ReactionKey, Reaction](),
		applications: newTable[MemberKey, Application](), extras: newTable[string, Extra](), users: newTable[string, User](),
		follows: newTable[ContactKey, Follow](),
	}
}

// Message returns a declared message, or nil.
func (tx *Tx) Message(topic, id string) *Message { return tx.messages.get(MessageKey{topic, id}) }

// Contact returns a declared side of a conversation; one that does not exist yet is empty.
func (tx *Tx) Contact(user, peer string) *im.Contact {
	if c := tx.contacts.get(ContactKey{user, peer}); c != nil {
		return c
	}
	return &im.Contact{UserID: user, Peer: peer}
}

// HasContact reports whether a declared side of a conversation exists.
func (tx *Tx) HasContact(user, peer string) bool {
	return tx.contacts.rows[ContactKey{user, peer}] != nil
}

// HasContacts reports whether sides of conversations were declared.
func (tx *Tx) HasContacts(list []ContactKey) bool {
	return !slices.ContainsFunc(list, func(k ContactKey) bool { return !tx.has(contactKey(k)) })
}

// Receipt reports whether a declared receipt exists.
func (tx *Tx) Receipt(topic, id, user string) bool {
	return tx.receipts.rows[Receipt{Topic: topic, ID: id, UserID: user}] != nil
}

// Reaction reports whether a declared reaction exists.
func (tx *Tx) Reaction(k ReactionKey) bool {
	r := tx.reactions.rows[k]
	return r != nil && !r.Gone
}

// Application returns a declared application, or nil.
func (tx *Tx) Application(group, user string) *Application {
	return tx.applications.get(MemberKey{group, user})
}

// Extra returns the declared attributes and counters of a group.
func (tx *Tx) Extra(group string) Extra {
	if x := tx.extras.get(group); x != nil {
		return *x
	}
	return Extra{GroupID: group}
}

// User returns the settings of a declared user, or nil.
func (tx *Tx) User(user string) *User { return tx.users.get(user) }

// Follow reports whether a declared subscription exists.
func (tx *Tx) Follow(user, target string) bool {
	f := tx.follows.rows[ContactKey{user, target}]
	return f != nil && !f.Gone
}

// Admins returns the owner and administrators of a group declared with Admins.
func (tx *Tx) Admins(group string) []im.Member {
	var list []im.Member
	for _, k := range tx.admins[group] {
		if m := tx.members.rows[k]; m.Present() && m.Role >= im.RoleAdmin {
			list = append(list, *m)
		}
	}
	return list
}

// HasAdmins reports whether the administrators of a group were declared.
func (tx *Tx) HasAdmins(group string) bool { return tx.has(adminsKey(group)) }

// UnreadCount returns the number of counted messages of a locked group topic before this unit.
func (tx *Tx) UnreadCount(topic string) int64 {
	tx.mustHold(topic)
	return tx.counted[topic]
}

// PutMessage changes a stored message.
func (tx *Tx) PutMessage(m Message) {
	tx.stage(func() { tx.messages.put(MessageKey{m.Topic, m.ID}, m) })
}

// PutContact writes one side of a conversation.
func (tx *Tx) PutContact(c im.Contact) {
	tx.mustKnow(contactKey{c.UserID, c.Peer})
	tx.stage(func() { tx.contacts.put(ContactKey{c.UserID, c.Peer}, c) })
}

// PutReceipt writes a read receipt.
func (tx *Tx) PutReceipt(r Receipt) {
	tx.stage(func() { tx.receipts.put(Receipt{Topic: r.Topic, ID: r.ID, UserID: r.UserID}, r) })
}

// PutReaction writes or removes a reaction.
func (tx *Tx) PutReaction(r Reaction) {
	tx.stage(func() { tx.reactions.put(r.ReactionKey, r) })
}

// PutApplication writes an application.
func (tx *Tx) PutApplication(a Application) {
	tx.mustKnow(applicationKey{a.GroupID, a.UserID})
	tx.stage(func() { tx.applications.put(MemberKey{a.GroupID, a.UserID}, a) })
}

// PutExtra writes the attributes and counters of a group.
func (tx *Tx) PutExtra(x Extra) {
	tx.mustKnow(extraKey(x.GroupID))
	tx.stage(func() { tx.extras.put(x.GroupID, x) })
}

// HasUser reports whether a user was declared, so that its absence means that there are no settings.
func (tx *Tx) HasUser(user string) bool { return tx.has(userKey(user)) }

// PutUser writes the settings of a user.
func (tx *Tx) PutUser(p User) {
	tx.mustKnow(userKey(p.UserID))
	tx.stage(func() { tx.users.put(p.UserID, p) })
}

// PutFollow writes or ends a subscription.
func (tx *Tx) PutFollow(f Follow) {
	tx.stage(func() { tx.follows.put(ContactKey{f.UserID, f.Target}, f) })
}

// PutFile writes an uploaded file.
func (tx *Tx) PutFile(f File) { tx.stage(func() { tx.files = append(tx.files, f) }) }
