package txn

import (
	"fmt"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// Record is one entry of a timeline. Seq 0 means that it is not stored: an event for connected sessions only.
type Record struct {
	Topic  string
	Seq    uint64
	At     int64  // milliseconds
	Device string // the acting device, which has the response and is skipped; empty = none is skipped
	Listen string // on a user topic: a subscription change for the user's devices; see listen.Change
	Body   []byte // JSON

	Audience string // empty, or its readers, each between spaces

	Peer   string // its conversation, as in Draft
	Paired bool   // the other user's timeline has it too
}

// Body is the content of a record. A body may be merged into the one before it on the same topic.
type Body interface {
	// Absorb merges next into the receiver and reports whether it could: answers of one invitation in one batch become one
	// record.
	Absorb(next Body) bool
	// JSON encodes the body, once, after the last Absorb.
	JSON() []byte
}

type draft struct {
	Draft
	topic string
	seq   uint64
	pair  uint64
}

// Draft is a record before its commit, which assigns the sequence.
type Draft struct {
	Device string
	Listen string
	Online bool // for connected sessions only; it is not stored
	Body   Body

	Peer     string // its conversation: the other user, or GroupPeer; empty = none
	Ord      int64  // on a user's timeline: the running count of the conversation, when this record counts as unread
	Counts   bool   // on a group's timeline: it counts as unread
	Message  string // its id, when it is a message
	Sender   string // of a message
	Flags    Flags
	Audience string // empty, or its readers, each between spaces
	Words    string // for the search
	Finders  []string
}

// GroupPeer is the Peer of records of a group's conversation.
const GroupPeer = "*"

// Append adds a record to a locked topic, or merges it into the last one of this batch.
func (tx *Tx) Append(topic string, d Draft) {
	tx.mustHold(topic)
	tx.mustBeNew(topic, &d)
	tx.stage(func() {
		if i, ok := tx.appended[topic]; ok && d.Listen == "" {
			if last := &tx.drafts[i]; last.Listen == "" && last.Online == d.Online && last.Body.Absorb(d.Body) {
				if last.Device != d.Device {
					last.Device = ""
				}
				return
			}
		}
		tx.add(topic, d)
	})
}

// AppendPair adds the same record to the timelines of two users; each copy has the sequence of the other.
func (tx *Tx) AppendPair(a string, da Draft, b string, db Draft) {
	tx.mustHold(a)
	tx.mustHold(b)
	tx.mustBeNew(a, &da)
	tx.mustBeNew(b, &db)
	tx.stage(func() {
		i := tx.add(a, da)
		j := tx.add(b, db)
		tx.drafts[i].pair, tx.drafts[j].pair = tx.drafts[j].seq, tx.drafts[i].seq
		for _, k := range []int{i, j} {
			if d := &tx.drafts[k]; d.Message != "" {
				tx.messages.rows[MessageKey{d.topic, d.Message}].Pair = d.pair
			}
		}
	})
}

// mustBeNew panics when a topic has a message already.
func (tx *Tx) mustBeNew(topic string, d *Draft) {
	if d.Message == "" || d.Online {
		return
	}
	k := MessageKey{topic, d.Message}
	if tx.messages.rows[k] != nil || tx.appendedMessages[k] {
		panic(fmt.Sprintf("store: the topic %s has the message %s already", topic, d.Message))
	}
	tx.appendedMessages[k] = true
}

// add adds a draft and returns its index.
func (tx *Tx) add(topic string, d Draft) int {
	nd := draft{Draft: d, topic: topic}
	if !d.Online {
		tx.heads[topic]++
		nd.seq = tx.heads[topic]
		if d.Counts {
			tx.counted[topic]++
			nd.Ord = tx.counted[topic]
		}
		if d.Message != "" {
			tx.messages.rows[MessageKey{topic, d.Message}] = &Message{Topic: topic, ID: d.Message, Seq: nd.seq, At: tx.Now,
				Sender: d.Sender,
				Flags:  d.Flags, Body: d.Body.JSON(), Audience: d.Audience, Ord: nd.Ord}
		}
		if d.Words != "" {
			tx.phrases = append(tx.phrases, sqldb.Phrase{Topic: topic, Message: d.Message, Words: d.Words, Finders: d.Finders})
		}
	}
	tx.appended[topic] = len(tx.drafts)
	tx.drafts = append(tx.drafts, nd)
	return len(tx.drafts) - 1
}

// Find replaces the words by which a search finds a message.
func (tx *Tx) Find(p sqldb.Phrase) { tx.stage(func() { tx.phrases = append(tx.phrases, p) }) }

// Records turns the drafts into records.
func (tx *Tx) Records() []Record {
	list := make([]Record, len(tx.drafts)) // they outlive the batch
	for i := range tx.drafts {
		d := &tx.drafts[i]
		list[i] = Record{Topic: d.topic, Seq: d.seq, At: tx.Now, Device: d.Device, Listen: d.Listen, Audience: d.Audience,
			Peer: d.Peer, Paired: d.pair != 0}
		if i > 0 && tx.drafts[i-1].Body == d.Body { // a body on several topics is encoded once
			list[i].Body = list[i-1].Body
		} else {
			list[i].Body = d.Body.JSON()
			tx.weight += len(list[i].Body)
		}
	}
	return list
}
