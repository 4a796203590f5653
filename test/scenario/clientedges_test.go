package scenario

import (
	"context"
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/test/cluster"
)

// TestClientEdges has the cases of docs/client-edges.md, as sdk/js/test/edges.test.ts has.
func TestClientEdges(t *testing.T) {
	cases := map[string]func(*edges){
		"one device ID, two clients": (*edges).sameDevice,
		"one identity":               (*edges).oneIdentity,
		"a close while connecting":   (*edges).closeWhileConnecting,
		"a cancelled connect":        (*edges).cancelledConnect,
		"a cancelled call":           (*edges).cancelledCall,
		"a request over the limit":   (*edges).overTheLimit,
		"a token source that fails":  (*edges).failingSource,
		"a token that is refused":    (*edges).refusedToken,
		"a call before connect":      (*edges).callBeforeConnect,
		"a call after a close":       (*edges).callAfterClose,
		"a call during a close":      (*edges).callDuringClose,
	}
	table, err := os.ReadFile("../../docs/client-edges.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (.+?) \|`).FindAllSubmatch(table, -1)
	if len(rows) != 1+len(cases) {
		t.Errorf("docs/client-edges.md has %d rows; the cases are %d", len(rows)-1, len(cases))
	}
	for _, row := range rows[1:] {
		name := string(row[1])
		if cases[name] == nil {
			t.Errorf("the case %q has no test", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			cases[name](&edges{T: t, Cluster: newHouse(t, beckon.Config{})})
		})
	}
}

// edges is the test of one case.
type edges struct {
	*testing.T
	*beckontest.Cluster
}

// client returns a client that is not connected. Without another one it has a token of the user.
func (e *edges) client(user string, opt client.Options) *client.Client {
	e.Helper()
	opt.Server = e.URL
	if opt.Token == "" && opt.GetToken == nil {
		opt.Token = e.Token(user)
	}
	c, err := client.New(opt)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(c.Close)
	return c
}

// online returns the devices of a user that are online.
func (e *edges) online(user string) []string {
	e.Helper()
	watcher := e.Device(user, "watcher", client.Listener{})
	defer watcher.Close()
	res, err := watcher.GetDeviceList(e.Context())
	if err != nil {
		e.Fatal(err)
	}
	var ids []string
	for _, d := range res.Devices {
		if d.DeviceID != "watcher" {
			ids = append(ids, d.DeviceID)
		}
	}
	return ids
}

func (e *edges) wantOnline(user string, want ...string) {
	e.Helper()
	eventually(e.T, "the devices online are "+strings.Join(want, ", "), func() bool {
		return slices.Equal(e.online(user), want)
	})
}

// atOnce returns the result of do, and fails if it takes long.
func atOnce(t *testing.T, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(5 * time.Second):
		t.Fatal("the call hangs")
		return nil
	}
}

func (e *edges) sameDevice() {
	kicked, closed := make(chan string, 1), make(chan int, 1)
	e.DeviceWith(client.Options{Token: e.Token("amy"), DeviceID: "amy", Listener: client.Listener{
		OnKickedOffline: func(reason string) { kicked <- reason },
		OnDisconnected:  func(code int, _ string) { closed <- code }}})
	e.Device("amy", "amy", client.Listener{OnKickedOffline: func(string) { e.Error("the later one was replaced") }})
	<-kicked
	if code := <-closed; code != protocol.CloseKicked {
		e.Errorf("closed with %d", code)
	}
	e.wantOnline("amy", "amy")
}

func (e *edges) oneIdentity() {
	for n := range 50 {
		c := e.Device("kim", "kim", client.Listener{})
		if got := c.Welcome().DeviceID; got != "kim" {
			e.Errorf("the device is %s", got)
		}
		if n%2 == 1 {
			c.Close() // the next one replaces the others
		}
	}
	e.Device("kim", "kim", client.Listener{})
	e.wantOnline("kim", "kim")
}

// closeWhileConnecting closes clients before, at the token, and at the callback.
func (e *edges) closeWhileConnecting() {
	token := e.Token("ann")
	for range 20 {
		c := e.client("ann", client.Options{DeviceID: "at once"})
		connected := make(chan error, 1)
		go func() { connected <- c.Connect(context.Background()) }()
		c.Close()
		if err := atOnce(e.T, func() error { return <-connected }); !errors.Is(err, client.ErrClosed) {
			e.Errorf("%v", err)
		}
	}
	at := make(chan struct{}, 10)
	asked := client.Options{DeviceID: "at the token", GetToken: func(context.Context) (string, error) {
		at <- struct{}{}
		return token, nil
	}}
	called := client.Options{DeviceID: "at the callback",
		Listener: client.Listener{OnConnecting: func(int, string) { at <- struct{}{} }}}
	for _, opt := range []client.Options{asked, called} {
		c := e.client("ann", opt)
		connected := make(chan error, 1)
		go func() { connected <- c.Connect(context.Background()) }()
		<-at
		c.Close()
		err := atOnce(e.T, func() error { return <-connected })
		if err != nil && !errors.Is(err, client.ErrClosed) { // nil: it was connected by then
			e.Errorf("%s: %v", opt.DeviceID, err)
		}
	}
	e.wantOnline("ann")
}

// cancelledConnect: a context that ends while a client connects ends the connecting, too. The client can connect again.
func (e *edges) cancelledConnect() {
	token := e.Token("cid")
	got, release := make(chan struct{}, 1), make(chan struct{})
	c := e.client("cid", client.Options{DeviceID: "cid", GetToken: func(ctx context.Context) (string, error) {
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
	ctx, cancel := context.WithCancel(e.Context())
	go func() {
		<-got
		cancel()
	}()
	if err := c.Connect(ctx); !errors.Is(err, context.Canceled) {
		e.Errorf("%v", err)
	}
	close(release)
	e.wantOnline("cid")
	nowhere, err := client.New(client.Options{Server: "http://127.0.0.1:9", Token: token})
	if err != nil {
		e.Fatal(err)
	}
	defer nowhere.Close()
	if err := atOnce(e.T, func() error { return nowhere.Connect(ctx) }); !errors.Is(err, context.Canceled) {
		e.Errorf("without a server: %v", err)
	}
	if err := c.Connect(e.Context()); err != nil {
		e.Fatal(err)
	}
	e.wantOnline("cid", "cid")
}

// cancelledCall cancels a call that waits for the connection, and one without a response.
func (e *edges) cancelledCall() {
	c := e.client("dot", client.Options{DeviceID: "dot"})
	nowhere, err := client.New(client.Options{Server: "http://127.0.0.1:9", Token: e.Token("dot")})
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(nowhere.Close)
	go func() { _ = nowhere.Connect(e.Context()) }()
	ctx, cancel := context.WithCancel(e.Context())
	say := func(ctx context.Context, c *client.Client) error {
		_, err := c.SendMessage(ctx, protocol.SendMessageRequest{UserID: "amy", Body: protocol.Body{Text: "cancelled"}})
		return err
	}
	cancel()
	eventually(e.T, "a cancelled call has the error of its context", func() bool {
		err := atOnce(e.T, func() error { return say(ctx, nowhere) }) // at first Connect may not have begun
		return errors.Is(err, context.Canceled) && errors.Is(err, client.ErrNotConnected)
	})
	if err := c.Connect(e.Context()); err != nil {
		e.Fatal(err)
	}
	res, err := c.GetHistoryMessageList(e.Context(), protocol.HistoryRequest{ConversationID: "c2c_amy"})
	if err != nil || len(res.Messages) > 0 {
		e.Errorf("%+v, %v", res, err)
	}
	link, err := cluster.NewLink(strings.TrimPrefix(e.URL, "http://"), false)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(link.Close)
	lost := make(chan string, 10)
	slow := e.DeviceWith(client.Options{Server: "http://" + link.Addr(), Token: e.Token("dot"), DeviceID: "slow",
		Listener: client.Listener{OnDisconnected: func(_ int, reason string) { lost <- reason }}})
	link.Freeze()
	ctx, cancel = context.WithCancel(e.Context())
	first, other := make(chan error, 1), make(chan error, 1)
	go func() { first <- say(ctx, slow) }()
	go func() {
		_, err := slow.GetDeviceList(e.Context())
		other <- err
	}()
	cancel()
	if err := atOnce(e.T, func() error { return <-first }); !errors.Is(err, context.Canceled) {
		e.Errorf("without a response: %v", err)
	}
	link.Heal()
	if err := <-other; err != nil || len(lost) > 0 {
		e.Errorf("another call: %v; %d disconnects", err, len(lost))
	}
}

// overTheLimit: the client refuses a request that the server would answer with the end of the connection.
func (e *edges) overTheLimit() {
	lost, connected := make(chan string, 10), make(chan struct{}, 10)
	dan := e.Device("dan", "dan", client.Listener{OnConnecting: func(_ int, reason string) { lost <- reason },
		OnConnected: func(protocol.Welcome) { connected <- struct{}{} }})
	<-connected
	<-lost // of the first connect
	for size, want := range map[int]int{protocol.MaxRequest + 1: im.CodeTooLong,
		protocol.MaxRequest - 100: im.CodeBadParameter} {
		_, err := dan.GetUsersInfo(e.Context(), []string{strings.Repeat("x", size)})
		var refused *client.Error
		if !errors.As(err, &refused) || im.CodeOf(err) != want || want == im.CodeTooLong && refused.Field != "request" {
			e.Errorf("%d bytes: %v", size, err)
		}
	}
	if len(lost) > 0 {
		e.Errorf("the connection was lost: %s", <-lost)
	}
}

// failingSource: each failure is reported, and the client connects when a token can be had.
func (e *edges) failingSource() {
	away := errors.New("the app server is away")
	calls := 0
	reported := make(chan error, 10)
	c := e.client("eva", client.Options{GetToken: func(context.Context) (string, error) {
		if calls++; calls < 3 {
			return "", away
		}
		return e.Token("eva"), nil
	}, Listener: client.Listener{OnTokenError: func(err error) { reported <- err }}})
	ctx, cancel := context.WithTimeout(e.Context(), beckontest.Patience)
	defer cancel()
	if err := c.Connect(ctx); err != nil {
		e.Fatal(err)
	}
	if got := []error{<-reported, <-reported}; !reflect.DeepEqual(got, []error{away, away}) {
		e.Errorf("reported: %v", got)
	}
}

func (e *edges) refusedToken() {
	source := func(context.Context) (string, error) { return "no token", nil }
	for _, opt := range []client.Options{{Token: "no token"}, {GetToken: source}} {
		c := e.client("eva", opt)
		err := atOnce(e.T, func() error { return c.Connect(e.Context()) })
		if im.CodeOf(err) != im.CodeTokenRefused || !errors.Is(err, client.ErrNotConnected) {
			e.Errorf("%d, %v", im.CodeOf(err), err)
		}
		if later := atOnce(e.T, func() error { return deviceList(c) }); !errors.Is(later, client.ErrNotConnected) {
			e.Errorf("a call: %v", later)
		}
	}
}

// deviceList calls a method.
func deviceList(c *client.Client) error {
	_, err := c.GetDeviceList(context.Background())
	return err
}

// callBeforeConnect: calls fail at once before Connect, and after a cancelled one.
func (e *edges) callBeforeConnect() {
	c := e.client("fay", client.Options{})
	before := atOnce(e.T, func() error { return deviceList(c) })
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	if err := c.Connect(ctx); !errors.Is(err, context.Canceled) {
		e.Errorf("the connect: %v", err)
	}
	for what, err := range map[string]error{"before": before,
		"after a cancelled one": atOnce(e.T, func() error { return deviceList(c) })} {
		var failed *client.Error
		if !errors.Is(err, client.ErrNotConnected) || !errors.As(err, &failed) ||
			im.CodeOf(err) != client.CodeDisconnected {
			e.Errorf("%s: %v", what, err)
		}
	}
	if err := c.Connect(e.Context()); err != nil {
		e.Fatal(err)
	}
	if err := deviceList(c); err != nil {
		e.Error(err)
	}
}

// closed fails unless calls of a client return ErrClosed at once.
func (e *edges) closed(what string, c *client.Client) {
	e.Helper()
	for name, call := range map[string]func() error{
		"connect": func() error { return c.Connect(context.Background()) },
		"call":    func() error { return deviceList(c) },
		"upload": func() error {
			_, err := c.UploadFile(context.Background(), upload.File{Kind: "file", Body: strings.NewReader("x")})
			return err
		},
		"message": func() error {
			_, err := c.SendMessage(context.Background(), protocol.SendMessageRequest{UserID: "amy",
				Body: protocol.Body{Text: "hello"}})
			return err
		},
	} {
		if err := atOnce(e.T, call); !errors.Is(err, client.ErrClosed) {
			e.Errorf("%s, %s: %v", what, name, err)
		}
	}
}

func (e *edges) callAfterClose() {
	never := e.client("fay", client.Options{})
	connected := e.Device("fay", "online", client.Listener{})
	gone := make(chan struct{})
	kicked := e.Device("fay", "kicked", client.Listener{OnDisconnected: func(int, string) { close(gone) }})
	e.Device("fay", "kicked", client.Listener{})
	<-gone
	for what, c := range map[string]*client.Client{"never connected": never, "online": connected, "kicked": kicked} {
		c.Close()
		e.closed(what, c)
		c.Close() // again
	}
}

func (e *edges) callDuringClose() {
	link, err := cluster.NewLink(strings.TrimPrefix(e.URL, "http://"), false)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(link.Close)
	connected := e.DeviceWith(client.Options{Server: "http://" + link.Addr(), Token: e.Token("gus")})
	link.Freeze() // no response comes
	idle, err := client.New(client.Options{Server: "http://127.0.0.1:9", Token: e.Token("gus")})
	if err != nil {
		e.Fatal(err)
	}
	connecting := make(chan error, 1)
	go func() { connecting <- idle.Connect(context.Background()) }()
	for what, c := range map[string]*client.Client{"online": connected, "connecting": idle} {
		begun, done := make(chan struct{}), make(chan error, 1)
		go func() {
			close(begun)
			done <- deviceList(c)
		}()
		<-begun
		c.Close()
		// before Connect has begun, the call fails at once with ErrNotConnected
		if err := atOnce(e.T, func() error { return <-done }); !errors.Is(err, client.ErrClosed) &&
			(c == connected || !errors.Is(err, client.ErrNotConnected)) {
			e.Errorf("%s: %v", what, err)
		}
	}
	if err := atOnce(e.T, func() error { return <-connecting }); !errors.Is(err, client.ErrClosed) {
		e.Errorf("the connect: %v", err)
	}
}
