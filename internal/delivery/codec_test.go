package delivery

import (
	"reflect"
	"testing"

	"github.com/beckon-im/beckon/internal/txn"
)

func TestRecordsTravel(t *testing.T) {
	list := []txn.Record{
		{Topic: "user:a", Seq: 1, At: 1795000000000, Device: "d", Listen: "+group:g@7", Body: []byte(`{"x":1}`)},
		{Topic: "user:a", Seq: 1<<63 + 5, At: -1, Audience: " a b ", Body: []byte{}},
		{Topic: "user:a", Seq: 0, Body: []byte("online")},
	}
	got, err := decode("user:a", encode(list))
	if err != nil || !reflect.DeepEqual(got, list) {
		t.Errorf("%+v, %v", got, err)
	}
	whole := encode(list)
	for cut := range whole {
		if list, err := decode("user:a", whole[:cut]); err == nil && len(list) == 3 {
			t.Errorf("%d of %d bytes make three records", cut, len(whole))
		}
	}
	if _, err := decode("user:a", append([]byte{codecVersion + 1}, whole[1:]...)); err == nil {
		t.Error("another version is read")
	}
}

// FuzzDecode: decoding arbitrary data neither panics nor allocates more than the data.
func FuzzDecode(f *testing.F) {
	f.Add(encode([]txn.Record{{Seq: 1, At: 2, Device: "d", Body: []byte("{}")}}))
	f.Add([]byte{codecVersion, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := decode("t", b)
		if err == nil && len(list) > len(b) {
			t.Errorf("%d records of %d bytes", len(list), len(b))
		}
	})
}
