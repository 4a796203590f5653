package scenario

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// signIns is the sign-in of an embedding program: session IDs are user, a slash and anything.
type signIns struct {
	calls   atomic.Int64
	broken  atomic.Int64 // calls that still fail
	blocked chan struct{}
	life    time.Duration
	issued  atomic.Int64 // Unix seconds of the sign-ins
}

func (s *signIns) verify(ctx context.Context, token string) (beckon.Identity, error) {
	s.calls.Add(1)
	user, rest, ok := strings.Cut(token, "/")
	switch {
	case s.broken.Add(-1) >= 0:
		return beckon.Identity{}, errors.New("the session store is down")
	case !ok:
		return beckon.Identity{}, &beckon.Error{}
	case rest == "banned":
		return beckon.Identity{}, &beckon.Error{Code: 120007, Message: "banned"}
	case rest == "bug":
		panic("no such table")
	case rest == "slow":
		select {
		case <-s.blocked:
		case <-ctx.Done():
			return beckon.Identity{}, ctx.Err()
		}
	}
	id := beckon.Identity{UserID: user, IssuedAt: time.Unix(s.issued.Load(), 0)}
	if s.life != 0 {
		id.ExpireAt = time.Now().Add(s.life)
	}
	return id, nil
}

// attempt connects a device with a token, and closes it when the test ends.
func (s *scene) attempt(token string) (*client.Client, error) {
	s.t.Helper()
	c, err := client.New(client.Options{Server: s.URL, Token: token})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	return c, c.Connect(ctx)
}

// TestAuthenticate: tokens of the embedding program open sessions and calls over HTTP, beside those of the server.
func TestAuthenticate(t *testing.T) {
	own := &signIns{blocked: make(chan struct{})}
	own.issued.Store(time.Now().Add(-time.Hour).Unix())
	s := &scene{Cluster: newHouse(t, beckon.Config{Authenticate: own.verify, AddressRate: 1e6, AddressBurst: 1e6}), t: t}
	slow := make(chan error, 1)
	go func() {
		_, err := s.attempt("tom/slow")
		slow <- err
	}()
	ann, err := s.attempt("ann/1")
	if err != nil {
		t.Fatal(err)
	}
	if err := ann.Renew(t.Context(), "ann/2"); err != nil {
		t.Errorf("renewal: %v", err)
	}
	var refused *protocol.Error
	if err := ann.Renew(t.Context(), "bob/1"); !errors.As(err, &refused) || refused.Code != im.CodeTokenUser {
		t.Errorf("renewal by another user: %v", err)
	}
	if e := s.try("", "Bearer ann/1", "listInvitations", nil, nil); e != nil {
		t.Errorf("over HTTP: %+v", e)
	}
	asked := own.calls.Load()
	if _, err := s.attempt(s.Token("bob")); err != nil || own.calls.Load() != asked {
		t.Errorf("a token of the server: %v; %d calls", err, own.calls.Load()-asked)
	}
	for token, code := range map[string]int{"stranger": im.CodeTokenRefused, "ann/banned": 120007,
		"ann/bug": im.CodeInternal} {
		if e := s.try("", "Bearer "+token, "listInvitations", nil, nil); e == nil || e.Code != code {
			t.Errorf("%s over HTTP: %+v", token, e)
		}
	}
	if _, err := s.attempt("ann/banned"); err == nil || !strings.Contains(err.Error(), "banned") {
		t.Errorf("a refused session: %v", err)
	}
	own.broken.Store(1)
	if _, err := s.attempt("dan/1"); err != nil {
		t.Errorf("a device did not retry: %v", err)
	}
	close(own.blocked)
	if err := <-slow; err != nil {
		t.Errorf("a slow sign-in: %v", err)
	}
}

// TestAuthenticatedSessionsEnd: a session with a token of the embedding program ends with its expiry, and by
// revokeTokens.
func TestAuthenticatedSessionsEnd(t *testing.T) {
	t.Parallel()
	own := &signIns{life: 2 * time.Second}
	own.issued.Store(time.Now().Add(-time.Hour).Unix())
	s := &scene{Cluster: newHouse(t, beckon.Config{Authenticate: own.verify, Ping: time.Second}), t: t}
	h := s.holder("ann", "ann/1")
	if reason := soon(t, "the expiry", h.ended); !strings.Contains(reason, "70001") {
		t.Errorf("the token ended with %q", reason)
	}
	kicked := make(chan string, 1)
	c, err := client.New(client.Options{Server: s.URL, Token: "bob/1",
		Listener: client.Listener{OnKickedOffline: func(reason string) { kicked <- reason }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.act("", "revokeTokens", map[string]string{"userID": "bob"}, nil)
	if reason := soon(t, "the revocation", kicked); !strings.Contains(reason, "revoked") {
		t.Errorf("the session ended with %q", reason)
	}
	if e := s.try("", "Bearer bob/1", "listInvitations", nil, nil); e == nil || e.Code != im.CodeTokenRefused {
		t.Errorf("a token of before the revocation: %+v", e)
	}
	own.issued.Store(time.Now().Add(30 * time.Second).Unix())
	if e := s.try("", "Bearer bob/1", "listInvitations", nil, nil); e != nil {
		t.Errorf("a token of after the revocation: %+v", e)
	}
}
