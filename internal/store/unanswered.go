package store

import (
	"slices"
	"sync"

	"github.com/beckon-im/beckon/internal/txn"
)

// unanswered holds the records of batches that are committed, or being committed, with callers that have no response
// yet. Readers do not get them: on one connection the response to an action precedes any event about it, also after a
// reconnect.
type unanswered struct {
	mu      sync.RWMutex
	batches uint64
	first   map[string][]firstOf // by topic, one for each batch, in the order of their commits
}

// firstOf is the first sequence of a topic in a batch.
type firstOf struct{ batch, seq uint64 }

// batchMark names the records of one batch.
type batchMark struct {
	batch  uint64
	topics []string
}

// begin adds the records of a batch before its commit.
func (u *unanswered) begin(records []txn.Record) batchMark {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.first == nil {
		u.first = map[string][]firstOf{}
	}
	u.batches++
	m := batchMark{batch: u.batches}
	for i := range records {
		r := &records[i]
		list := u.first[r.Topic]
		if r.Seq > 0 && (len(list) == 0 || list[len(list)-1].batch != m.batch) {
			u.first[r.Topic] = append(list, firstOf{m.batch, r.Seq})
			m.topics = append(m.topics, r.Topic)
		}
	}
	return m
}

// end removes a batch after the responses to its callers, or one that was not committed.
func (u *unanswered) end(m batchMark) {
	if len(m.topics) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, t := range m.topics {
		list := slices.DeleteFunc(u.first[t], func(f firstOf) bool { return f.batch == m.batch })
		if len(list) == 0 {
			delete(u.first, t)
		} else {
			u.first[t] = list
		}
	}
}

// readable returns the last sequence of a topic that may be read; head must have been read before the call.
func (u *unanswered) readable(topic string, head uint64) uint64 {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for _, f := range u.first[topic] {
		head = min(head, f.seq-1)
	}
	return head
}

// Readable returns the last sequence of a topic that may be read, of a head that was read before.
func (s *Store) Readable(topic string, head uint64) uint64 { return s.unanswered.readable(topic, head) }

// AllReadable reports whether all committed records of a topic may be read.
func (s *Store) AllReadable(topic string) bool {
	s.unanswered.mu.RLock()
	defer s.unanswered.mu.RUnlock()
	return len(s.unanswered.first[topic]) == 0
}

// cut removes the records from a page that may not be read yet.
func (u *unanswered) cut(topic string, p *Page) {
	p.Head = u.readable(topic, p.Head)
	for n := len(p.Records); n > 0 && p.Records[n-1].Seq > p.Head; n-- {
		p.Records = p.Records[:n-1]
	}
}
