package delivery

import (
	"encoding/binary"
	"errors"

	"github.com/beckon-im/beckon/internal/txn"
)

// Messages between nodes have a compact binary form, because one event is encoded once and decoded by many nodes:
//
//	version (1 byte), kind (1 byte), counter (8 bytes), sender (length, text), contents
//
// The counter is that of the sender and the shard; messages outside shards have 0. Texts have their length before them,
// and numbers are varints. Records are their topic (empty: that of the record before), numbers, texts and body.
const (
	codecVersion = 2
	counterAt    = 2 // offset of the counter
	headerSize   = 10
)

// Kinds of messages.
const (
	kindRecords  = 'r'
	kindMessage  = 'm'
	kindCounters = 'c'
)

var errMalformed = errors.New("delivery: malformed message")

// envelope returns the beginning of a message, with space for its contents.
func envelope(kind byte, sender string, size int) []byte {
	b := make([]byte, headerSize, headerSize+1+len(sender)+size)
	b[0], b[1] = codecVersion, kind
	return appendText(b, sender)
}

// open splits a message into its header and contents.
func open(b []byte) (kind byte, counter uint64, sender, contents []byte, err error) {
	if len(b) < headerSize || b[0] != codecVersion {
		return 0, 0, nil, nil, errMalformed // of another version
	}
	r := reader{b: b[headerSize:]}
	sender = r.text()
	if r.failed || len(sender) == 0 {
		return 0, 0, nil, nil, errMalformed
	}
	return b[1], binary.BigEndian.Uint64(b[counterAt:]), sender, r.b, nil
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// recordSize is the space that a record needs at most, beside its texts.
const recordSize = 48

func sizeOf(r *txn.Record) int {
	return recordSize + len(r.Topic) + len(r.Device) + len(r.Listen) + len(r.Audience) + len(r.Body)
}

// appendRecord appends a record; last is the topic of the record before.
func appendRecord(b []byte, r *txn.Record, last string) []byte {
	topic := r.Topic
	if topic == last {
		topic = ""
	}
	b = binary.AppendUvarint(appendText(b, topic), r.Seq)
	b = binary.AppendVarint(b, r.At)
	b = appendText(appendText(appendText(b, r.Device), r.Listen), r.Audience)
	return append(binary.AppendUvarint(b, uint64(len(r.Body))), r.Body...)
}

// decode returns the records of topics that this node reads.
func decode(b []byte, reads func(topic []byte) bool) ([]txn.Record, error) {
	var list []txn.Record
	var topic string // of the last record, if it is read
	read := false
	for r := (reader{b: b}); len(r.b) > 0; {
		if name := r.text(); len(name) > 0 {
			if read = reads(name); read {
				topic = string(name)
			}
		}
		seq, at := r.number(), r.signed()
		device, listen, audience, body := r.text(), r.text(), r.text(), r.text()
		if r.failed {
			return nil, errMalformed
		}
		if read {
			list = append(list, txn.Record{Topic: topic, Seq: seq, At: at, Device: string(device), Listen: string(listen),
				Audience: string(audience), Body: body})
		}
	}
	return list, nil
}

// reader reads numbers and texts. After the first malformed one it has failed, and returns zero values.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	return v * r.skip(n)
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.b)
	return v * int64(r.skip(n))
}

// skip advances by n bytes; 0 or less is malformed. It returns 1, or 0 after a failure.
func (r *reader) skip(n int) uint64 {
	if n <= 0 || r.failed {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return 1
}

func (r *reader) text() []byte {
	size := r.number()
	if size > uint64(len(r.b)) {
		r.fail()
	}
	if r.failed {
		return nil
	}
	text := r.b[:size:size]
	r.b = r.b[size:]
	return text
}

func (r *reader) fail() { r.failed, r.b = true, nil }
