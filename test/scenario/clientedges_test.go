package scenario

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestACancelledConnectLeavesNothingOnline: a context that ends while a client connects ends the connecting, too. The
// client can connect again.
func TestACancelledConnectLeavesNothingOnline(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	token := house.Token("ann")
	got := make(chan struct{}, 1)
	release := make(chan struct{})
	c, err := client.New(client.Options{Server: house.URL, DeviceID: "a",
		GetToken: func(ctx context.Context) (string, error) {
			select {
			case got <- struct{}{}:
			default: // the second connect
			}
			select {
			case <-release:
				return token, nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-got
		cancel()
	}()
	if err := c.Connect(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(release)
	bob := house.Device("bob", "b", client.Listener{})
	status := func(want string) {
		t.Helper()
		if res, err := bob.GetUserStatus(t.Context(), []string{"ann"}); err != nil || res.Statuses[0].Status != want {
			t.Errorf("%+v, %v; want %s", res, err, want)
		}
	}
	status(protocol.StatusOffline)
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	status(protocol.StatusOnline)
}

// TestARequestOverTheLimit: the client refuses a request that the server would answer with the end of the connection.
func TestARequestOverTheLimit(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	lost := make(chan string, 10)
	ann := house.Device("ann", "a", client.Listener{OnConnecting: func(_ int, reason string) { lost <- reason }})
	for len(lost) > 0 {
		<-lost // of the first connect
	}
	for size, want := range map[int]int{protocol.MaxRequest + 1: im.CodeTooLong,
		protocol.MaxRequest - 100: im.CodeBadParameter} {
		_, err := ann.GetUsersInfo(t.Context(), []string{strings.Repeat("x", size)})
		var refused *protocol.Error
		if !errors.As(err, &refused) || refused.Code != want || want == im.CodeTooLong && refused.Field != "request" {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if len(lost) > 0 {
		t.Errorf("the connection was lost: %s", <-lost)
	}
}

// TestATokenSourceThatFails: each failure is reported, and the client connects when a token can be had.
func TestATokenSourceThatFails(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	away := errors.New("the app server is away")
	calls := 0
	reported := make(chan error, 10)
	c, err := client.New(client.Options{Server: house.URL,
		GetToken: func(context.Context) (string, error) {
			if calls++; calls < 3 {
				return "", away
			}
			return house.Token("ann"), nil
		}, Listener: client.Listener{OnTokenError: func(err error) { reported <- err }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), beckontest.Patience)
	defer cancel()
	if err := c.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if got := []error{<-reported, <-reported}; !reflect.DeepEqual(got, []error{away, away}) {
		t.Errorf("reported: %v", got)
	}
}
