package gateway

import (
	"testing"
	"unsafe"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// TestReaderSize: a reader exists for each group of each device.
func TestReaderSize(t *testing.T) {
	if size := unsafe.Sizeof(reader{}); size > 40 {
		t.Errorf("a reader has %d bytes; the limit is 40", size)
	}
}

// TestUnreadPage: a page without records is complete only after a read up to the head.
func TestUnreadPage(t *testing.T) {
	c := &client{}
	c.budget.Store(1 << 20)
	own := store.After{Topic: "invitation:i", Limit: maxRecover}
	for _, test := range []struct {
		after     store.After
		page      store.Page
		recovered bool
	}{
		{own, store.Page{}, false},                       // not read
		{own, store.Page{Head: 1001}, false},             // too large
		{own, store.Page{Head: 1001, Floor: 1001}, true}, // all trimmed
		{store.After{Topic: "group:g", Seq: 1000, Limit: 1}, store.Page{}, false},
		{store.After{Topic: "group:g", Seq: 1000, Limit: 1}, store.Page{Head: 1002,
			Records: []txn.Record{{Seq: 1001}}}, true}, // the later record is delivered
	} {
		if m := c.complete(test.after, 1001, test.page); m.recovered != test.recovered {
			t.Errorf("%+v after %+v: %v", test.page, test.after, m.recovered)
		}
	}
}
