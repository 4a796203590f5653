//go:build linux

package abuse

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// pushPause is the time between two push measurements of a caller.
const pushPause = time.Second

// pushService is the push service of the callers' contacts without a connected device. It takes every push at once.
type pushService struct {
	web  *httptest.Server
	came map[string]chan struct{} // by user; each push of the user
	mu   sync.Mutex
	took []time.Duration // from the invite to the push
}

// contact is the user whom a caller reaches by push.
func contact(i int) string { return fmt.Sprint("contact", i) }

// pushService registers a push endpoint for each contact.
func (v *target) pushService() *pushService {
	v.t.Helper()
	s := &pushService{came: map[string]chan struct{}{}}
	for i := range pairs {
		s.came[contact(i)] = make(chan struct{}, 100)
	}
	s.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		s.came[strings.TrimPrefix(r.URL.Path, "/")] <- struct{}{}
	}))
	v.t.Cleanup(s.web.Close)
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		v.t.Fatal(err)
	}
	keys := protocol.WebPushKeys{
		P256dh: base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()),
		Auth:   base64.RawURLEncoding.EncodeToString(make([]byte, 16)),
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), 30*time.Second)
	defer cancel()
	for i := range pairs {
		c, err := client.New(client.Options{Server: "http://" + v.addr, Token: v.token(contact(i)), DeviceID: "d"})
		if err != nil {
			v.t.Fatal(err)
		}
		defer c.Close()
		if err := c.Connect(ctx); err != nil {
			v.t.Fatal(err)
		}
		if _, err := c.SetPushToken(ctx, protocol.SetPushTokenRequest{
			Provider:     protocol.PushWeb,
			Subscription: &protocol.WebPushSubscription{Endpoint: s.web.URL + "/" + contact(i), Keys: keys},
		}); err != nil {
			v.t.Fatal(err)
		}
	}
	return s
}

// measure lets a caller ring its contact by push until ctx ends, and cancel, which sends a second push.
func (s *pushService) measure(ctx context.Context, c *callers, i int, name string) error {
	from := c.people[2*i]
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%s-push-%d-%d", name, i, n)
		begin := time.Now()
		if _, err := from.Invite(context.Background(), protocol.InviteRequest{
			Invitee: contact(i), InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 600},
		}); c.refused(ctx, err) {
			continue
		} else if err != nil {
			return fmt.Errorf("invite %s: %w", id, err)
		}
		if err := s.next(i, id); err != nil {
			return err
		}
		s.mu.Lock()
		s.took = append(s.took, time.Since(begin))
		s.mu.Unlock()
		if _, err := from.Cancel(context.Background(), protocol.CancelRequest{InviteID: id}); err != nil {
			return fmt.Errorf("cancel %s: %w", id, err)
		}
		if err := s.next(i, id); err != nil {
			return err
		}
		select {
		case <-time.After(pushPause):
		case <-ctx.Done():
		}
	}
	return nil
}

// next waits for the next push to a contact.
func (s *pushService) next(i int, id string) error {
	select {
	case <-s.came[contact(i)]:
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("no push about %s came within a minute", id)
	}
}

// measureAll does so for all callers, beside what g does.
func (s *pushService) measureAll(ctx context.Context, g *errgroup.Group, c *callers, name string) {
	s.took = nil
	for i := range pairs {
		g.Go(func() error { return s.measure(ctx, c, i, name) })
	}
}
