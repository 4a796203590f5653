// Package env connects the examples to a server: BECKON_URL is its address, BECKON_API_KEY a key for app servers. "make
// dev" starts a server and prints both.
//
// In production only your app server has the API key. It requests a token for each device that signs in, as Token does.
package env

import (
	"cmp"
	"context"
	"os"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/client/appserver"
	"github.com/beckon-im/beckon/protocol"
)

// URL returns the address of the server.
func URL() string { return cmp.Or(os.Getenv("BECKON_URL"), "http://127.0.0.1:8787") }

// Server returns the client of an app server.
func Server() (*appserver.Client, error) {
	return appserver.New(appserver.Options{URL: URL(), APIKey: os.Getenv("BECKON_API_KEY")})
}

// Token requests a token for a device of a user.
func Token(ctx context.Context, user string) (string, error) {
	server, err := Server()
	if err != nil {
		return "", err
	}
	res, err := server.CreateToken(ctx, protocol.CreateTokenRequest{UserID: user, TTL: 3600})
	return res.Token, err
}

// Connect connects a device of a user. Close it after use.
func Connect(ctx context.Context, user string, l client.Listener) (*client.Client, error) {
	token, err := Token(ctx, user)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{
		Server: URL(), Token: token, DeviceID: user + "-example", Listener: l, Inbox: true,
	})
	if err != nil {
		return nil, err
	}
	return c, c.Connect(ctx)
}

// Receive returns the next value of a channel, or an error when ctx ends first.
func Receive[T any](ctx context.Context, from <-chan T) (v T, err error) {
	select {
	case v = <-from:
		return v, nil
	case <-ctx.Done():
		return v, ctx.Err()
	}
}
