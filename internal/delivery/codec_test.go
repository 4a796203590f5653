package delivery

import (
	"reflect"
	"testing"

	"github.com/beckon-im/beckon/internal/txn"
)

func everything([]byte) bool { return true }

// encode returns the contents of a message of records.
func encode(list []txn.Record) (b []byte) {
	last := ""
	for i := range list {
		b, last = appendRecord(b, &list[i], last), list[i].Topic
	}
	return b
}

func TestRecordsTravel(t *testing.T) {
	list := []txn.Record{
		{Topic: "user:a", Seq: 1, At: 1795000000000, Device: "d", Listen: "+group:g@7", Body: []byte(`{"x":1}`)},
		{Topic: "user:a", Seq: 1<<63 + 5, At: -1, Audience: " a b ", Body: []byte{}},
		{Topic: "user:b", Seq: 0, Body: []byte("online")},
		{Topic: "user:a", Seq: 2, Body: []byte("again")},
	}
	got, err := decode(encode(list), everything)
	if err != nil || !reflect.DeepEqual(got, list) {
		t.Errorf("%+v, %v", got, err)
	}
	some, err := decode(encode(list), func(topic []byte) bool { return string(topic) == "user:b" })
	if err != nil || !reflect.DeepEqual(some, list[2:3]) {
		t.Errorf("of one topic: %+v, %v", some, err)
	}
	whole := encode(list)
	for cut := range whole {
		if list, err := decode(whole[:cut], everything); err == nil && len(list) == 4 {
			t.Errorf("%d of %d bytes make four records", cut, len(whole))
		}
	}
}

func TestEnvelope(t *testing.T) {
	m := append(envelope(kindMessage, "node", 8), "contents"...)
	kind, counter, sender, contents, err := open(m)
	if err != nil || kind != kindMessage || counter != 0 || string(sender) != "node" || string(contents) != "contents" {
		t.Errorf("%c %d %s %s, %v", kind, counter, sender, contents, err)
	}
	for cut := range len(m) - len("contents") {
		if _, _, _, _, err := open(m[:cut]); err == nil {
			t.Errorf("%d bytes are a message", cut)
		}
	}
	m[0]++
	if _, _, _, _, err := open(m); err == nil {
		t.Error("another version is read")
	}
}

// FuzzDecode: decoding arbitrary data neither panics nor allocates more than the data.
func FuzzDecode(f *testing.F) {
	f.Add(append(envelope(kindRecords, "n", 0), encode([]txn.Record{{Topic: "t", Seq: 1, At: 2, Device: "d",
		Body: []byte("{}")}})...))
	f.Add(append([]byte{codecVersion, kindRecords, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'n'},
		255, 255, 255, 255, 255, 255, 255, 255, 255, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _, contents, err := open(b)
		if err != nil {
			return
		}
		list, err := decode(contents, everything)
		if err == nil && len(list) > len(contents) {
			t.Errorf("%d records of %d bytes", len(list), len(contents))
		}
	})
}
