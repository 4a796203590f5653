package transport

import (
	"context"
	"errors"

	"github.com/centrifugal/centrifuge-go"

	"github.com/beckon-im/beckon/client/internal/failure"
)

// OnConnecting sets the callback of the loss of the connection, and of the begin of Connect.
func (t *Transport) OnConnecting(f func(centrifuge.ConnectingEvent)) {
	t.Client.OnConnecting(func(e centrifuge.ConnectingEvent) {
		t.state.Down(nil)
		t.reportBegun()
		f(e)
	})
}

// OnConnected sets the callback of a connect. f returns false for a server that is none of Beckon: calls wait.
func (t *Transport) OnConnected(f func(centrifuge.ConnectedEvent) bool) {
	t.Client.OnConnected(func(e centrifuge.ConnectedEvent) {
		if f(e) {
			t.state.Up()
		}
	})
}

// OnError sets the callback of failed attempts to connect.
func (t *Transport) OnError(f func(error)) {
	t.Client.OnError(func(e centrifuge.ErrorEvent) {
		t.state.Failed(e.Error)
		f(e.Error)
	})
}

// OnDisconnected sets the callback of a permanent disconnect. f returns its cause.
func (t *Transport) OnDisconnected(f func(centrifuge.DisconnectedEvent) error) {
	t.Client.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		t.state.Down(failure.Causes(failure.ErrNotConnected, f(e)))
	})
}

// Connect connects, and waits for the connect reply or the end of ctx. If ctx ends before, the transport is
// disconnected, unless it was connected or reconnecting at the call.
func (t *Transport) Connect(ctx context.Context) error {
	select { // an earlier attempt may still be ending
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return failure.Ended(ctx)
	case <-t.life.Done():
		return failure.ErrClosed
	}
	begins, attempted, err := t.attempt(ctx)
	if err != nil {
		return err
	}
	select {
	case <-attempted: // an error concerns the first attempt only, which is retried
	case <-ctx.Done():
	case <-t.life.Done():
	}
	_, err = t.state.Wait(ctx)
	if err != nil && begins && ctx.Err() != nil {
		_ = t.Disconnect() // it fails after Close only
		t.stopAttempts()
	}
	return err
}

// attempt begins to connect, and returns a channel that is closed after the first attempt. begins is false if the
// transport was connected or reconnecting. It waits until the attempt has begun: the library ignores a disconnect
// before.
func (t *Transport) attempt(ctx context.Context) (begins bool, attempted <-chan struct{}, err error) {
	t.starting.Lock()
	defer t.starting.Unlock()
	if err = failure.Ended(ctx); t.life.Err() != nil {
		err = failure.ErrClosed
	}
	if err != nil {
		<-t.turn
		return false, nil, err
	}
	begins = t.State() == centrifuge.StateDisconnected
	begun, done := make(chan struct{}), make(chan struct{})
	t.mu.Lock()
	t.begun = begun
	t.mu.Unlock()
	t.state.Begin()
	go func() {
		_ = t.Client.Connect() // the state has its outcome
		close(done)
		<-t.turn
	}()
	select {
	case <-begun:
	case <-done:
	}
	return begins, done, nil
}

// reportBegun reports to attempt that it has begun.
func (t *Transport) reportBegun() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begun != nil {
		close(t.begun)
		t.begun = nil
	}
}

// Close disconnects permanently, and ends the attempts to connect: their goroutines would outlive it by the timeout of
// the handshake. They must not fail before the library is closed: in version 0.10.11 reporting an error to a queue that
// closes meanwhile blocks for ever.
func (t *Transport) Close() {
	t.starting.Lock()
	t.end()
	t.Client.Close()
	t.starting.Unlock()
	t.stopAttempts()
	t.turn <- struct{}{} // the first attempt of a Connect has ended
	<-t.turn
}

// Life returns the context that ends with Close.
func (t *Transport) Life() context.Context { return t.life }

// Send sends a request until it has a response.
func (t *Transport) Send(ctx context.Context, method string, body []byte) ([]byte, error) {
	for {
		lost, err := t.state.Wait(ctx)
		if err != nil {
			return nil, err
		}
		reply, err := t.send(ctx, lost, method, body)
		switch {
		case err == nil:
			return reply, nil
		case ctx.Err() != nil:
			return nil, failure.Ended(ctx)
		case !transient(err):
			return nil, err
		}
	}
}

// errLost reports a connection lost before the response.
var errLost = errors.New("the connection was lost")

// send sends a request once. It watches for the loss of the connection itself: in version 0.10.11 of the library an RPC
// whose write fails blocks until its context ends.
func (t *Transport) send(ctx context.Context, lost <-chan struct{}, method string, body []byte) ([]byte, error) {
	type outcome struct {
		data []byte
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan outcome, 1)
	go func() {
		res, err := t.RPC(ctx, method, body)
		done <- outcome{res.Data, err}
	}()
	select {
	case o := <-done:
		return o.data, o.err
	case <-lost:
		return nil, errLost
	}
}

// transient reports whether a reconnect can fix an error of the library.
func transient(err error) bool {
	var e *centrifuge.Error
	return !errors.As(err, &e) || e.Temporary
}
