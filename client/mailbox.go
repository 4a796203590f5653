package client

import "sync"

// mailbox is the queue between the connection and the callbacks. It has no bound, because nothing may be left out; the
// server bounds what it sends to a reader that falls behind.
type mailbox struct {
	mu     sync.Mutex
	some   *sync.Cond
	queue  []func()
	closed bool
}

func newMailbox() *mailbox {
	m := &mailbox{}
	m.some = sync.NewCond(&m.mu)
	return m
}

func (m *mailbox) put(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.queue = append(m.queue, f)
		m.some.Signal()
	}
}

// take waits for what is queued; nil says that the mailbox is closed and empty.
func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) == 0 && !m.closed {
		m.some.Wait()
	}
	q := m.queue
	m.queue = nil
	return q
}

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.some.Broadcast()
}
