// Package appserver is the client of an app server: it calls methods with an API key, for itself or for a user,
// receives webhooks, and answers before-hooks. It holds no connection; package client does, for devices.
//
//	server, err := appserver.New(appserver.Options{URL: "https://beckon.example.com", APIKey: key})
//	token, err := server.CreateToken(ctx, protocol.CreateTokenRequest{UserID: "alice"})
//	_, err = server.As("doorbell").Invite(ctx, protocol.InviteRequest{Invitee: "bob"})
//
// Errors of the server are *protocol.Error.
package appserver

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/client/internal/repeat"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Options configures a Client.
type Options struct {
	// URL is the address of the server for app servers: https://beckon.example.com.
	URL string
	// APIKey is an API key of the server.
	APIKey string
	// HTTP makes the requests. Set it for a proxy or certificates of your own. Default: http.DefaultClient.
	HTTP *http.Client
	// Timeout limits a call with its repeats, if its context has no deadline. Default: 20 s.
	Timeout time.Duration
	// NoRepeat turns repeats off: calls that are refused for a moment, or whose connection fails, are repeated if that is
	// safe, as PROTOCOL.md says under "Repeats after refusals".
	NoRepeat bool
}

// Client calls methods as the app server itself. It is safe for concurrent use.
type Client struct{ Caller }

// User calls methods for a user. It is safe for concurrent use.
type User struct{ Caller }

// Caller calls the methods that an app server may call for itself or for a user.
type Caller struct {
	opt  Options
	user string
}

// New returns a client. It connects to nothing.
func New(opt Options) (*Client, error) {
	u, err := url.Parse(opt.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("appserver: URL is %q; it must be like https://beckon.example.com", opt.URL)
	}
	if opt.APIKey == "" {
		return nil, errors.New("appserver: APIKey is empty")
	}
	opt.URL = strings.TrimSuffix(opt.URL, "/")
	opt.HTTP = cmp.Or(opt.HTTP, http.DefaultClient)
	opt.Timeout = cmp.Or(opt.Timeout, 20*time.Second)
	return &Client{Caller{opt: opt}}, nil
}

// As returns a client that acts for a user. The user's devices receive the events of its actions.
func (c *Client) As(user string) *User { return &User{Caller{opt: c.opt, user: user}} }

// Repeats of a call: their number, and the pause after a failed connection.
const (
	maxRepeats = repeat.Most
	reconnect  = 500 * time.Millisecond
)

// Call calls a method by its name. response is a pointer, or nil.
func (c *Caller) Call(ctx context.Context, method string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("appserver: the request of %s: %w", method, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opt.Timeout)
		defer cancel()
	}
	for n := 0; ; n++ {
		reply, err := c.post(ctx, method, body)
		if err == nil {
			if response == nil {
				return nil
			}
			return json.Unmarshal(reply, response)
		}
		pause, again := repeatable(method, body, err)
		if !again || n == maxRepeats || c.opt.NoRepeat || !sleep(ctx, pause) {
			return err
		}
	}
}

// repeatable reports whether a failed call may be repeated, and after which time.
func repeatable(method string, body []byte, err error) (time.Duration, bool) {
	var refused *protocol.Error
	if !errors.As(err, &refused) { // no response: the call may have had an effect
		refused = &protocol.Error{Code: im.CodeInternal, RetryAfter: int(reconnect / time.Millisecond)}
	}
	pause := time.Duration(refused.RetryAfter) * time.Millisecond
	return pause + rand.N(pause/4+1), repeat.Allowed(method, body, refused)
}

// sleep waits. It reports false if the context ends before.
func sleep(ctx context.Context, pause time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < pause {
		return false
	}
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// maxResponse limits a response, in bytes. The largest are pages of exports.
const maxResponse = 64 << 20

func (c *Caller) post(ctx context.Context, method string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.opt.URL+"/v1/"+method, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("appserver: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.opt.APIKey)
	r.Header.Set("Content-Type", "application/json")
	if c.user != "" {
		r.Header.Set("Beckon-User", url.PathEscape(c.user))
	}
	res, err := c.opt.HTTP.Do(r)
	if err != nil {
		return nil, fmt.Errorf("appserver: %s: %w", method, err)
	}
	defer func() { _ = res.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxResponse))
	if err != nil {
		return nil, fmt.Errorf("appserver: the response of %s: %w", method, err)
	}
	if res.StatusCode == http.StatusOK {
		return reply, nil
	}
	if refused := repeat.Refusal(reply); refused != nil {
		return nil, refused
	}
	return nil, fmt.Errorf("appserver: %s: %s has answered %s, and is no Beckon server", method, c.opt.URL, res.Status)
}

// call calls a method with a typed response.
func call[R any](ctx context.Context, c *Caller, method string, request any) (response R, err error) {
	err = c.Call(ctx, method, request, &response)
	return response, err
}

// requestID returns an ID for a call without one, so that its repeats take effect once.
func requestID(id string) string {
	if id != "" {
		return id
	}
	return uuid.NewString()
}
