package client

import (
	"context"
	"errors"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"github.com/beckon-im/beckon/client/internal/token"
	"github.com/beckon-im/beckon/im"
)

// codeUnauthorized is the transport's code for an expired token.
const codeUnauthorized = 1

// newTokens returns the tokens of the options, which report to the listener.
func (c *Client) newTokens() *token.Tokens {
	l := &c.opt.Listener
	return token.New(token.Options{Token: c.opt.Token, Get: c.opt.GetToken,
		WillExpire: func(at time.Time) { c.events.Put(func() { call1(l.OnTokenWillExpire, at) }) },
		Expired: func() {
			c.events.Put(func() { call2(l.OnTokenExpired, token.ErrExpired.Code, token.ErrExpired.Message) })
		},
		Failed: func(err error) {
			c.opt.Log.Warn("token source failed", "error", err)
			c.events.Put(func() { call1(l.OnTokenError, err) })
		}})
}

// nextToken returns a token to the transport.
func (c *Client) nextToken(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.CallTimeout)
	defer cancel()
	text, err := c.tokens.Next(ctx, c.conn.State() == centrifuge.StateConnected)
	if errors.Is(err, token.ErrOver) {
		err = centrifuge.ErrUnauthorized
	}
	return text, err
}

// Renew replaces the token of the session; a refused one changes nothing. It reopens a session that its token ended.
func (c *Client) Renew(ctx context.Context, newToken string) error {
	if user, me := im.UserOfToken(newToken), c.me(); user != "" && me != "" && user != me {
		return &Error{Code: im.CodeTokenUser, Field: "token", Message: "the new token is for another user"}
	}
	state := c.conn.State()
	session, connects := c.tokens.Offer(newToken, state == centrifuge.StateConnecting,
		state == centrifuge.StateDisconnected)
	switch {
	case connects:
		c.conn.SetToken(newToken)
		return c.Connect(ctx)
	case !session:
		c.conn.SetToken(newToken)
		return nil
	}
	var res struct {
		ExpireAt int64 `json:"expireAt"`
	}
	if err := c.Call(ctx, "renewToken", map[string]string{"token": newToken}, &res); err != nil {
		if e := (*Error)(nil); errors.As(err, &e) && e.Cause == nil { // refused by the server
			c.tokens.Withdraw(newToken)
		}
		return err
	}
	c.tokens.Accept(newToken)
	c.conn.SetToken(newToken)
	c.tokens.Watch(res.ExpireAt, c.Now())
	return nil
}
