package delivery

import (
	"sync"

	"github.com/beckon-im/beckon/internal/txn"
)

// maxWaiting bounds the records that one feed keeps while a gap before them is fetched. The rest is fetched too.
const maxWaiting = 256

// feed delivers one topic strictly in order. Its lock is held while a record is handed on, because order is the point.
type feed struct {
	mu      sync.Mutex
	next    uint64 // 0 = it is not yet known where the topic stands
	head    uint64 // the last sequence that is known to be in the log
	waiting map[uint64]txn.Record
}

// begin says where the topic stands; what was offered meanwhile follows. It reports whether something before that is
// missing.
func (f *feed) begin(head uint64, hand func(txn.Record)) (gap bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = head + 1
	for seq := range f.waiting {
		if seq < f.next {
			delete(f.waiting, seq)
		}
	}
	f.drain(hand)
	return f.next <= f.head
}

// offer takes a record and hands on what is now in order. It reports whether a gap is left before the record.
func (f *feed) offer(r txn.Record, hand func(txn.Record)) (gap bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = max(f.head, r.Seq)
	switch {
	case r.Seq == 0:
		hand(r)
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
	hand(r)
	f.next++
	f.drain(hand)
	return f.next <= f.head
}

func (f *feed) drain(hand func(txn.Record)) {
	for len(f.waiting) > 0 {
		r, ok := f.waiting[f.next]
		if !ok {
			return
		}
		delete(f.waiting, f.next)
		hand(r)
		f.next++
	}
	f.waiting = nil
}

// expect notes where the log has come to, and reports whether the feed is behind it.
func (f *feed) expect(head uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = max(f.head, head)
	return f.next != 0 && f.next <= f.head
}

// behind returns the last sequence that was handed on, and whether the log has more.
func (f *feed) behind() (seq uint64, behind bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == 0 {
		return 0, false
	}
	return f.next - 1, f.next <= f.head
}
