// Package mailbox queues the callbacks of a client.
package mailbox

import "sync"

// Mailbox is the queue between the connection and the callbacks. It is unbounded, because no event may be dropped; the
// server limits the backlog of a slow reader. mu guards the fields.
type Mailbox struct {
	mu     sync.Mutex
	ready  *sync.Cond
	queue  []func()
	closed bool
}

// New returns an open mailbox.
func New() *Mailbox {
	m := &Mailbox{}
	m.ready = sync.NewCond(&m.mu)
	return m
}

// Put queues a function, unless the mailbox is closed.
func (m *Mailbox) Put(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.queue = append(m.queue, f)
		m.ready.Signal()
	}
}

// Take waits for and returns all queued functions; nil = closed and empty.
func (m *Mailbox) Take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) == 0 && !m.closed {
		m.ready.Wait()
	}
	q := m.queue
	m.queue = nil
	return q
}

// Close lets Take return nil when all functions are taken.
func (m *Mailbox) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.ready.Broadcast()
}
