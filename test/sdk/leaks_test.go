package sdk

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// silent is an address that accepts connections and never answers.
func silent(t *testing.T) (address string, accepted <-chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	some := make(chan struct{}, 100)
	var serving sync.WaitGroup
	serving.Go(func() {
		var open []net.Conn
		for {
			c, err := ln.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
			some <- struct{}{}
		}
		for _, c := range open {
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	return ln.Addr().String(), some
}

// warmed returns a server whose own goroutines have all started.
func warmed(t *testing.T) *beckontest.Cluster {
	t.Helper()
	cluster := beckontest.StartWith(t, beckon.Config{})
	first := cluster.Device("zoe", "zoe", client.Listener{})
	defer first.Close()
	if _, err := first.SendMessage(t.Context(), protocol.SendMessageRequest{UserID: "ann",
		Body: protocol.Body{Text: "hello"}}); err != nil {
		t.Fatal(err)
	}
	return cluster
}

// TestGoroutinesEndWithClose: Close leaves no goroutine of a client, whatever it was doing, except the reply timeouts
// of the transport (beckontest.Durable), which end by themselves.
func TestGoroutinesEndWithClose(t *testing.T) {
	cluster := warmed(t)
	hanging, accepted := silent(t)
	token := cluster.Token("ann")
	connect := func(t *testing.T, c *client.Client, ctx context.Context, want error) {
		t.Helper()
		if err := c.Connect(ctx); !errors.Is(err, want) {
			t.Errorf("connect: %v, want %v", err, want)
		}
	}
	short := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	for name, c := range map[string]struct {
		opt client.Options
		run func(t *testing.T, c *client.Client)
	}{
		"never connected": {client.Options{Server: cluster.URL}, func(*testing.T, *client.Client) {}},
		"connected": {client.Options{Server: cluster.URL}, func(t *testing.T, c *client.Client) {
			connect(t, c, t.Context(), nil)
		}},
		"a refused connection": {client.Options{Server: "http://127.0.0.1:9"}, func(t *testing.T, c *client.Client) {
			connect(t, c, short(t), client.ErrTimeout)
		}},
		"a server that does not answer": {client.Options{Server: "http://" + hanging},
			func(t *testing.T, c *client.Client) { connect(t, c, short(t), client.ErrTimeout) }},
		"a refused token": {client.Options{Server: cluster.URL, Token: "no token"},
			func(t *testing.T, c *client.Client) { connect(t, c, t.Context(), client.ErrNotConnected) }},
		"a token source that hangs": {client.Options{Server: cluster.URL,
			GetToken: func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "", ctx.Err()
			}}, func(t *testing.T, c *client.Client) { connect(t, c, short(t), client.ErrTimeout) }},
		"a cancelled connect": {client.Options{Server: "http://" + hanging}, func(t *testing.T, c *client.Client) {
			ctx, cancel := context.WithCancel(t.Context())
			for len(accepted) > 0 {
				<-accepted
			}
			go func() {
				<-accepted
				cancel()
			}()
			connect(t, c, ctx, context.Canceled)
		}},
		"a close while connecting": {client.Options{Server: "http://" + hanging}, func(t *testing.T, c *client.Client) {
			for len(accepted) > 0 {
				<-accepted
			}
			done := make(chan error, 1)
			go func() { done <- c.Connect(context.WithoutCancel(t.Context())) }()
			<-accepted
			c.Close()
			if err := <-done; !errors.Is(err, client.ErrClosed) {
				t.Errorf("connect: %v", err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			if c.opt.Token == "" && c.opt.GetToken == nil {
				c.opt.Token = token
			}
			one, err := client.New(c.opt)
			if err != nil {
				t.Fatal(err)
			}
			c.run(t, one)
			one.Close()
			if err := goleak.Find(append(beckontest.Durable(), before)...); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestGoroutinesOfReconnects: Close while a client reconnects to a server that accepts connections and does not answer.
func TestGoroutinesOfReconnects(t *testing.T) {
	cluster := warmed(t)
	hanging, accepted := silent(t)
	before := goleak.IgnoreCurrent()
	var target sync.Map // of Dial
	target.Store("address", cluster.Nodes[0].URL[len("http://"):])
	conns := make(chan net.Conn, 10)
	c, err := client.New(client.Options{Server: cluster.URL, Token: cluster.Token("ann"),
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			address, _ := target.Load("address")
			conn, err := new(net.Dialer).DialContext(ctx, network, address.(string))
			if err == nil {
				conns <- conn
			}
			return conn, err
		}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	target.Store("address", hanging)
	_ = (<-conns).Close()
	<-accepted
	call := make(chan error, 1)
	go func() {
		_, err := c.GetDeviceList(t.Context())
		call <- err
	}()
	c.Close()
	if err := <-call; !errors.Is(err, client.ErrClosed) {
		t.Errorf("a call during the reconnect: %v", err)
	}
	if err := goleak.Find(append(beckontest.Durable(), before)...); err != nil {
		t.Error(err)
	}
}
