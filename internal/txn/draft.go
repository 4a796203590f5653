package txn

import (
	"fmt"
	"strings"

	"github.com/beckon-im/beckon/internal/sqldb"
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

	Peer   string // the conversation it stands in, as in Draft
	Paired bool   // the other person's timeline has it too
}

// Body is what a record says. The world may fold a body into the one before it on the same topic.
type Body interface {
	// Absorb takes next into the receiver and reports whether it could: answers of one invitation decided
	// together become one record.
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

// historyOnly begins the Audience of a record that is read from the history and never sent to sessions.
const historyOnly = "="

// HistoryOf is the Audience of a record of the history for the participants of an invitation.
func HistoryOf(inviteID string) string { return historyOnly + inviteID }

// AudienceInvitation returns the invitation of an Audience made by HistoryOf; ok is false for any other.
func AudienceInvitation(audience string) (inviteID string, ok bool) {
	return strings.CutPrefix(audience, historyOnly)
}

// Append adds a record to a locked topic, or folds it into the last one of this batch.
func (w *World) Append(topic string, d Draft) {
	w.mustHold(topic)
	w.mustBeNew(topic, &d)
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
	w.mustBeNew(a, &da)
	w.mustBeNew(b, &db)
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

// mustBeNew makes sure that a topic has each message once.
func (w *World) mustBeNew(topic string, d *Draft) {
	if d.Message == "" || d.Online {
		return
	}
	k := MessageKey{topic, d.Message}
	if w.messages.rows[k] != nil || w.said[k] {
		panic(fmt.Sprintf("store: the topic %s has the message %s already", topic, d.Message))
	}
	w.said[k] = true
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
				Flags: d.Flags, Body: d.Body.JSON(), Audience: d.Audience, Ord: nd.Ord}
		}
		if d.Words != "" {
			w.phrases = append(w.phrases, sqldb.Phrase{Topic: topic, Message: d.Message, Words: d.Words, Finders: d.Finders})
		}
	}
	w.appended[topic] = len(w.drafts)
	w.drafts = append(w.drafts, nd)
	return len(w.drafts) - 1
}

// Find makes a message be found by other words, or by none.
func (w *World) Find(p sqldb.Phrase) { w.stage(func() { w.phrases = append(w.phrases, p) }) }

// Records turns the drafts into records.
func (w *World) Records() []Record {
	list := make([]Record, len(w.drafts)) // they outlive the batch
	for i := range w.drafts {
		d := &w.drafts[i]
		list[i] = Record{Topic: d.topic, Seq: d.seq, At: w.Now, Device: d.Device, Listen: d.Listen, Audience: d.Audience, Peer: d.Peer, Paired: d.pair != 0}
		if i > 0 && w.drafts[i-1].Body == d.Body { // one message told on several topics is encoded once
			list[i].Body = list[i-1].Body
		} else {
			list[i].Body = d.Body.JSON()
			w.weight += len(list[i].Body)
		}
	}
	return list
}
