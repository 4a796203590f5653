//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/beckon-im/beckon/protocol"
)

// Names of the attacks by ordinary accounts.
const (
	nameLarge     = "large invitations"
	namePictures  = "pictures"
	namePushes    = "pushes to endpoints that never answer"
	nameStrangers = "invitations of strangers to one user"
)

// Parameters of the attacks by ordinary accounts.
const (
	photographers = 8                // accounts with one upload at a time each, beside one account with eight
	inviters      = 2                // accounts that invite users with unresponsive push endpoints
	hanging       = 200              // such users
	origins       = 20               // servers of their endpoints
	pushTimeout   = 30               // seconds
	strangers     = 100              // accounts, each with five open invitations to the same user
	strangerData  = 12 << 10         // bytes of data in each of these
	welcomeLimit  = 64 << 10         // bytes of the invitations in a welcome
	uploadsLimit  = 20_000           // pictures stored in one attack, about 4 GB
	longestWait   = time.Second      // maximum wait after a refusal
	callTime      = 30 * time.Second // timeout of a request
)

var (
	errRefused = errors.New("refused")
	errWrong   = errors.New("wrong")
)

// accounts is the state of the attacks by ordinary accounts, all through the public API.
type accounts struct {
	*attack
	web   map[string]*http.Client // by address; not changed after prepare
	jpegs [2][]byte               // 5000×5000, and one within the memory limit for decoding

	calls, pictures, pushes, visits, uploads atomic.Int64
}

// prepare creates the fixtures of the attacks: a large group, unresponsive push endpoints, open invitations. end
// removes them.
func (a *attack) prepare(ctx context.Context) (end func(), err error) {
	a.accounts = accounts{attack: a, web: map[string]*http.Client{},
		jpegs: [2][]byte{progressive(5000, 5000, 4), progressive(2400, 2400, 4)}}
	for _, worker := range []int{1, 2} {
		for n := range 64 {
			from := fmt.Sprintf("127.0.%d.%d", worker, 2+n)
			a.accounts.web[from] = &http.Client{
				Transport: &http.Transport{DialContext: dialer(from).DialContext, MaxIdleConnsPerHost: 200}, Timeout: callTime,
			}
		}
	}
	stop := func() {}
	var all []error
	if a.wants(nameLarge) {
		all = append(all, a.accounts.makeGroup(ctx))
	}
	if a.wants(namePushes) {
		stop, err = a.accounts.register(ctx)
		all = append(all, err)
	}
	if a.wants(nameStrangers) {
		all = append(all, a.accounts.fill(ctx))
	}
	return func() {
		stop()
		for _, w := range a.accounts.web {
			w.CloseIdleConnections()
		}
	}, errors.Join(all...)
}

// send sends a user's HTTP request from an address.
func (s *accounts) send(ctx context.Context, from, user, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.Tokens[user])
	res, err := s.web[from].Do(req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	switch err = errors.Join(err, res.Body.Close()); {
	case res.StatusCode == http.StatusTooManyRequests:
		return answer, errRefused
	case res.StatusCode != http.StatusOK:
		return answer, fmt.Errorf("%w: %s was answered with %d: %.300s", errWrong, path, res.StatusCode, answer)
	}
	return answer, err
}

// do calls a method as a user.
func (s *accounts) do(ctx context.Context, from, user, method string, body any) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return s.send(ctx, from, user, "/v1/"+method, b)
}

// wait waits for the retryAfter of a refusal, at most longestWait.
func wait(ctx context.Context, refusal []byte) {
	var e protocol.Error
	_ = json.Unmarshal(refusal, &e) // the address limit responds without an error object
	hold(ctx, min(max(time.Duration(e.RetryAfter)*time.Millisecond, 10*time.Millisecond), longestWait))
}

// must retries a call while it is over a rate limit.
func (s *accounts) must(ctx context.Context, user, method string, body any) error {
	for {
		b, err := s.do(ctx, "127.0.1.2", user, method, body)
		if !errors.Is(err, errRefused) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		wait(ctx, b)
	}
}

const (
	largeUser = "large"
	largeTo   = "everyone"
)

// makeGroup creates a group of generated users.
func (s *accounts) makeGroup(ctx context.Context) error {
	var names []string
	for n := range s.Names {
		names = append(names, fmt.Sprintf("x%04d", n))
	}
	group := protocol.CreateGroupRequest{GroupID: largeTo, Type: "Community", MemberList: names[:min(500, len(names))]}
	if err := s.must(ctx, largeUser, "createGroup", group); err != nil {
		return err
	}
	for n := 500; n < len(names); n += 500 {
		more := protocol.GroupMembersRequest{GroupID: largeTo, MemberList: names[n:min(n+500, len(names))]}
		if err := s.must(ctx, largeUser, "inviteUserToGroup", more); err != nil {
			return err
		}
	}
	return nil
}

// large invites all members of the large group, for one second.
func (s *accounts) large(ctx context.Context, from string) error {
	b, err := s.do(ctx, from, largeUser, "inviteInGroup", map[string]any{
		"groupID": largeTo, "everyone": true, "notify": "participants", "timeout": 1,
	})
	if errors.Is(err, errRefused) {
		wait(ctx, b)
	}
	return err
}

// crowd invites generated users for one second, from 200 workers of one account.
func (s *accounts) crowd(ctx context.Context, from string) error {
	b, err := s.do(ctx, from, "crowd", "invite", map[string]any{
		"invitee": fmt.Sprintf("x%04d", s.calls.Add(1)%9999), "timeout": 1,
	})
	if errors.Is(err, errRefused) {
		wait(ctx, b)
	}
	return err
}

// picture uploads a small file with many pixels; half of the uploads are by one account, eight at once. Eight of
// 5000×5000 alternate with eight within the memory limit for decoding.
func (s *accounts) picture(ctx context.Context, from string) error {
	if s.uploads.Load() >= uploadsLimit {
		hold(ctx, time.Hour)
		return errRefused
	}
	n := s.pictures.Add(1)
	user := "pictures"
	if n%2 == 0 {
		user = fmt.Sprint("pictures", n/2%photographers)
	}
	b, err := s.send(ctx, from, user, "/v1/files?kind=image&name=p.jpg", s.jpegs[n/16%2])
	switch {
	case err == nil:
		s.uploads.Add(1)
	case errors.Is(err, errRefused):
		wait(ctx, b)
	}
	return err
}

// register registers push endpoints of users at loopback listeners that accept connections and never respond.
func (s *accounts) register(ctx context.Context) (stop func(), err error) {
	var listeners []net.Listener
	var open sync.WaitGroup
	stop = func() {
		for _, ln := range listeners {
			_ = ln.Close()
		}
	}
	for range origins {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return stop, err
		}
		listeners = append(listeners, ln)
		open.Go(func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				open.Go(func() { _, _ = io.Copy(io.Discard, c) }) // until the server closes it
			}
		})
	}
	keys, err := pushKeys()
	if err != nil {
		return stop, err
	}
	for n := range hanging {
		endpoint := fmt.Sprintf("http://%s/%d", listeners[n%origins].Addr(), n)
		if err := s.must(ctx, fmt.Sprint("hanging", n), "setPushToken", protocol.SetPushTokenRequest{
			Provider: protocol.PushWeb, Subscription: &protocol.WebPushSubscription{Endpoint: endpoint, Keys: keys},
		}); err != nil {
			return stop, err
		}
	}
	return stop, nil
}

// push invites a user with an unresponsive push endpoint.
func (s *accounts) push(ctx context.Context, from string) error {
	n := s.pushes.Add(1)
	b, err := s.do(ctx, from, fmt.Sprint("inviter", n%inviters), "invite", map[string]any{
		"invitee": fmt.Sprint("hanging", n/inviters%hanging), "timeout": pushTimeout,
	})
	if errors.Is(err, errRefused) {
		wait(ctx, b)
	}
	return err
}

// visit creates an open invitation from a stranger to one user.
func (s *accounts) visit(ctx context.Context, from string, n int64) ([]byte, error) {
	return s.do(ctx, from, fmt.Sprint("stranger", n%strangers), "invite", map[string]any{
		"invitee": "popular", "data": strings.Repeat("x", strangerData),
	})
}

// fill creates as many open invitations as the server accepts.
func (s *accounts) fill(ctx context.Context) error {
	for n := range int64(strangers * 5) {
		if b, err := s.visit(ctx, "127.0.1.2", n); errors.Is(err, errRefused) && n < strangers {
			return fmt.Errorf("a first invitation was refused: %.300s", b)
		} else if err != nil && !errors.Is(err, errRefused) {
			return err
		}
	}
	return nil
}

// leave tries to create one more, which must be refused.
func (s *accounts) leave(ctx context.Context, from string) error {
	b, err := s.visit(ctx, from, s.visits.Add(1))
	if errors.Is(err, errRefused) {
		wait(ctx, b)
		return nil
	}
	if err == nil {
		return fmt.Errorf("%w: one more than 500 open invitations was taken", errWrong)
	}
	return err
}

// enter connects a device of the user with the many open invitations, and checks the welcome.
func (a *attack) enter(ctx context.Context, from string) error {
	c, err := a.in(ctx, from, "popular")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, b, err := c.ReadMessage()
	if err != nil {
		return err
	}
	var reply struct {
		Connect struct {
			Data struct{ Invitations json.RawMessage }
		}
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&reply); err != nil {
		return err
	}
	switch n := len(reply.Connect.Data.Invitations); {
	case n > welcomeLimit:
		return fmt.Errorf("%w: a welcome has %d bytes of invitations", errWrong, n)
	case n < strangerData:
		return fmt.Errorf("the connect was answered with %.300s", b)
	}
	return c.WriteControl(websocket.CloseMessage, nil, time.Now().Add(time.Second))
}
