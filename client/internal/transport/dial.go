package transport

import (
	"context"
	"net"
	"net/http"
)

// current returns the context of the attempts to connect.
func (t *Transport) current() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.attempts
}

// stopAttempts ends the attempts to connect that are under way, with their connections.
func (t *Transport) stopAttempts() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop(); t.life.Err() == nil {
		t.attempts, t.stop = context.WithCancel(context.WithoutCancel(t.life))
	}
}

// dial opens a connection that ends with the attempts.
func (t *Transport) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	attempts := t.current()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(attempts, cancel)()
	open := t.opt.Dial
	if open == nil {
		open = new(net.Dialer).DialContext
	}
	c, err := open(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &conn{c, context.AfterFunc(attempts, func() { _ = c.Close() })}, nil
}

// conn is a connection that its attempt closes.
type conn struct {
	net.Conn
	release func() bool
}

func (c *conn) Close() error {
	c.release()
	return c.Conn.Close()
}

// HTTP returns a client for files with the connections of opt.
func HTTP(opt Options) *http.Client {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		t = standard.Clone()
	}
	if opt.TLS != nil {
		t.TLSClientConfig = opt.TLS.Clone()
	}
	if opt.Proxy != nil {
		t.Proxy = opt.Proxy
	}
	if opt.Dial != nil {
		t.DialContext = opt.Dial
	}
	return &http.Client{Transport: t}
}
