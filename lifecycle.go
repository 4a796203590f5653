package beckon

import (
	"context"
	"errors"
	"sync"
)

// The errors of a server in the wrong state for a call.
var (
	// ErrNotReady means that the server does not accept calls yet: Run has not been called, or Ready is not closed.
	ErrNotReady = errors.New("beckon: the server is not ready; call Run and wait for Ready")
	// ErrRunning means that Run has been called already. To stop the server, cancel the context of Run.
	ErrRunning = errors.New("beckon: the server is running; cancel the context of Run to stop it")
	// ErrClosed means that the server has stopped, or was closed: create another one with New.
	ErrClosed = errors.New("beckon: the server has stopped; create another one with New")
)

// phase is where a server is in its life.
//
//	from               event                       to
//	created            Run                         running
//	created            Close                       closed
//	running            Run has stopped its parts   stopping
//	running, stopping  Run returns                 closed
type phase int

const (
	created phase = iota
	running
	stopping // in-process calls and requests are refused
	closed
)

// lifecycle is the phase of a server and its in-process calls.
type lifecycle struct {
	closing sync.Mutex // held while resources are released, so that Close returns after that; locked before mu

	mu    sync.Mutex // guards phase, and orders calls.Add before calls.Wait
	phase phase
	calls sync.WaitGroup
	ended chan struct{} // closed when the phase is after running
}

// start begins Run.
func (l *lifecycle) start() error {
	switch l.leave(created, running) {
	case created:
		return nil
	case closed:
		return ErrClosed
	default:
		return ErrRunning
	}
}

// enter begins an in-process call; calls.Done ends it.
func (l *lifecycle) enter(ready <-chan struct{}) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase > running {
		return ErrClosed
	}
	select {
	case <-ready:
		l.calls.Add(1)
		return nil
	default:
		return ErrNotReady
	}
}

// wait waits until the server is ready. It reports false if the server has stopped or the context ends.
func (l *lifecycle) wait(ctx context.Context, ready <-chan struct{}) bool {
	select {
	case <-l.ended:
		return false
	default:
	}
	select {
	case <-ready:
		return true
	case <-l.ended:
	case <-ctx.Done():
	}
	return false
}

// stop refuses in-process calls from now on.
func (l *lifecycle) stop() { l.leave(running, stopping) }

// end closes the server after Run.
func (l *lifecycle) end(release func() error) error {
	l.closing.Lock()
	defer l.closing.Unlock()
	l.leave(running, closed)
	l.leave(stopping, closed)
	return release()
}

// close closes a server that was not run, once.
func (l *lifecycle) close(release func() error) error {
	l.closing.Lock()
	defer l.closing.Unlock()
	switch l.leave(created, closed) {
	case created:
		return release()
	case closed:
		return nil
	default:
		return ErrRunning
	}
}

// leave changes the phase if it is the given one, and returns the phase before.
func (l *lifecycle) leave(from, to phase) phase {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.phase
	if was == from {
		if l.phase = to; was <= running && to > running {
			close(l.ended)
		}
	}
	return was
}
