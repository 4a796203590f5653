package client

import "sync"

// mailbox is the queue between the connection and the callbacks. It is unbounded, because no event may be dropped; the
// server limits the backlog of a slow reader. mu guards the fields.
type mailbox struct {
	mu     sync.Mutex
	ready  *sync.Cond
	queue  []func()
	closed bool
}

func newMailbox() *mailbox {
	m := &mailbox{}
	m.ready = sync.NewCond(&m.mu)
	return m
}

func (m *mailbox) put(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.queue = append(m.queue, f)
		m.ready.Signal()
	}
}

// take waits for and returns all queued functions; nil = closed and empty.
func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) == 0 && !m.closed {
		m.ready.Wait()
	}
	q := m.queue
	m.queue = nil
	return q
}

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.ready.Broadcast()
}
