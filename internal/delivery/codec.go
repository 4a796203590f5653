package delivery

import (
	"encoding/binary"
	"errors"

	"github.com/beckon-im/beckon/internal/txn"
)

// codecVersion is the first byte of encoded records. Records are sent between nodes in a compact binary form, because
// one event is encoded once and decoded by many nodes. After the version follow, for each record, its numbers as
// varints and its texts with length prefixes. The topic is in the subject.
const codecVersion = 1

var errMalformed = errors.New("delivery: malformed records")

func encode(records []txn.Record) []byte {
	size := 1
	for i := range records {
		r := &records[i]
		size += 40 + len(r.Device) + len(r.Listen) + len(r.Audience) + len(r.Body)
	}
	b := append(make([]byte, 0, size), codecVersion)
	for i := range records {
		r := &records[i]
		b = binary.AppendUvarint(b, r.Seq)
		b = binary.AppendVarint(b, r.At)
		for _, text := range []string{r.Device, r.Listen, r.Audience} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
		b = append(binary.AppendUvarint(b, uint64(len(r.Body))), r.Body...)
	}
	return b
}

func decode(topic string, b []byte) ([]txn.Record, error) {
	if len(b) == 0 || b[0] != codecVersion {
		return nil, errMalformed // of another version; the sweep fetches the records
	}
	b = b[1:]
	var list []txn.Record
	for len(b) > 0 {
		r := txn.Record{Topic: topic}
		var n int
		if r.Seq, n = binary.Uvarint(b); n <= 0 {
			return nil, errMalformed
		}
		b = b[n:]
		if r.At, n = binary.Varint(b); n <= 0 {
			return nil, errMalformed
		}
		b = b[n:]
		var texts [4][]byte
		for i := range texts {
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return nil, errMalformed
			}
			texts[i], b = b[n:n+int(size)], b[n+int(size):]
		}
		r.Device, r.Listen, r.Audience, r.Body = string(texts[0]), string(texts[1]), string(texts[2]), texts[3]
		list = append(list, r)
	}
	return list, nil
}
