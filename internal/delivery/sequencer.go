package delivery

import (
	"sync"

	"github.com/beckon-im/beckon/internal/txn"
)

// maxWaiting limits the records a feed buffers while a gap before them is fetched. Records over the limit are fetched
// too.
const maxWaiting = 256

// feed delivers one topic strictly in order. mu is held during delivery to preserve the order.
type feed struct {
	mu      sync.Mutex
	next    uint64 // next sequence to deliver; 0 = the position is not known yet
	head    uint64 // last sequence known to be in the log
	waiting map[uint64]txn.Record
}

// begin sets the position of the feed and delivers the buffered records after it. It reports whether a gap remains.
func (f *feed) begin(head uint64, deliver func(txn.Record)) (gap bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = head + 1
	for seq := range f.waiting {
		if seq < f.next {
			delete(f.waiting, seq)
		}
	}
	f.drain(deliver)
	return f.next <= f.head
}

// offer accepts a record and delivers all records that are now in order. It reports whether a gap remains.
func (f *feed) offer(r txn.Record, deliver func(txn.Record)) (gap bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = max(f.head, r.Seq)
	switch {
	case r.Seq == 0:
		deliver(r)
		return false
	case f.next == 0 || r.Seq > f.next:
		if f.waiting == nil {
			f.waiting = map[uint64]txn.Record{}
		}
		if len(f.waiting) < maxWaiting {
			f.waiting[r.Seq] = r
		}
		return f.next != 0
	case r.Seq < f.next:
		return false
	}
	deliver(r)
	f.next++
	f.drain(deliver)
	return f.next <= f.head
}

func (f *feed) drain(deliver func(txn.Record)) {
	for len(f.waiting) > 0 {
		r, ok := f.waiting[f.next]
		if !ok {
			return
		}
		delete(f.waiting, f.next)
		deliver(r)
		f.next++
	}
	f.waiting = nil
}

// expect raises the head and reports whether the feed is behind it.
func (f *feed) expect(head uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = max(f.head, head)
	return f.next != 0 && f.next <= f.head
}

// behind returns the last delivered sequence, and whether the log has more records.
func (f *feed) behind() (seq uint64, behind bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == 0 {
		return 0, false
	}
	return f.next - 1, f.next <= f.head
}
