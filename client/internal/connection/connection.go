// Package connection has the state of a connection as calls see it.
package connection

import (
	"context"
	"errors"
	"sync"

	"github.com/beckon-im/beckon/client/internal/failure"
)

// State is the state of a connection. mu guards the fields below it.
type State struct {
	life context.Context // ends with the client

	mu       sync.Mutex
	begun    bool          // Begin was called
	up       chan struct{} // closed while connected, or after a permanent disconnect
	down     chan struct{} // closed when the current connection is lost
	terminal error         // of a permanent disconnect
	last     error         // of the last attempt to connect
}

// New returns the state of a client that was never connected, and that is closed when life ends.
func New(life context.Context) *State {
	return &State{life: life, up: make(chan struct{}), down: make(chan struct{})}
}

// Begin lets calls wait for the connection. Before it, and after a permanent disconnect, they fail at once.
func (s *State) Begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun = true; s.terminal != nil {
		s.terminal, s.up = nil, make(chan struct{})
	}
}

// Up records a connect.
func (s *State) Up() { s.set(true, nil) }

// Down records the loss of the connection. terminal is nil if a reconnect follows.
func (s *State) Down(terminal error) { s.set(false, terminal) }

func (s *State) set(up bool, terminal error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terminal = terminal
	if up {
		s.last, s.down = nil, make(chan struct{})
	} else if !closed(s.down) {
		close(s.down)
	}
	switch wake := up || terminal != nil; {
	case wake && !closed(s.up):
		close(s.up)
	case !wake && closed(s.up):
		s.up = make(chan struct{})
	}
}

// Failed records the error of an attempt to connect.
func (s *State) Failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = err
}

// errNever is the error of a call before Connect.
var errNever = failure.Causes(failure.ErrNotConnected, errors.New("call Connect first"))

// Wait waits for a connection, and returns a channel that is closed on its loss.
func (s *State) Wait(ctx context.Context) (lost <-chan struct{}, err error) {
	s.mu.Lock()
	up, begun := s.up, s.begun
	s.mu.Unlock()
	switch {
	case s.life.Err() != nil:
		return nil, failure.ErrClosed
	case !begun:
		return nil, errNever
	}
	select {
	case <-up:
	case <-s.life.Done():
		return nil, failure.ErrClosed
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		return nil, failure.Causes(failure.ErrNotConnected, failure.Ended(ctx), s.last)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return nil, failure.ErrClosed
	}
	return s.down, s.terminal
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
