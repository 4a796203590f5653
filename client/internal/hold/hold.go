// Package hold delays events until the calls in flight that concern them have returned: the response of a call
// precedes the events on the connection, and this keeps the order for the caller.
package hold

import "sync"

// Keys counts the calls in flight by key: an invitation, or a user. The zero Keys is ready. It is safe for concurrent
// use.
type Keys struct {
	mu    sync.Mutex
	calls map[string]*calls // mu guards it
}

type calls struct {
	n    int
	done chan struct{}
}

// Hold delays the events of some keys between Acquire and Release. A nil Hold delays nothing.
type Hold struct {
	keys *Keys
	ids  []string
}

// Acquire delays the events of keys until Release is called.
func (k *Keys) Acquire(ids ...string) *Hold {
	h := &Hold{k, ids}
	h.Acquire()
	return h
}

// Acquire delays the events again.
func (h *Hold) Acquire() {
	if h == nil {
		return
	}
	k := h.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.calls == nil {
		k.calls = map[string]*calls{}
	}
	for _, id := range h.ids {
		if k.calls[id] == nil {
			k.calls[id] = &calls{done: make(chan struct{})}
		}
		k.calls[id].n++
	}
}

// Release lets the events through.
func (h *Hold) Release() {
	if h == nil {
		return
	}
	k := h.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range h.ids {
		if c := k.calls[id]; c.n > 1 {
			c.n--
		} else {
			delete(k.calls, id)
			close(c.done)
		}
	}
}

// Wait waits until no call holds the events of a key.
func (k *Keys) Wait(id string) {
	k.mu.Lock()
	c := k.calls[id]
	k.mu.Unlock()
	if c != nil {
		<-c.done
	}
}
