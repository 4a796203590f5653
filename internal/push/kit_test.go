package push

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon/internal/chat"
	"github.com/beckon-im/beckon/internal/group"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/signaling/offlinepush"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/internal/user"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// present is the set of connected devices.
type present struct {
	mu    sync.Mutex
	users map[string][]string
}

func (p *present) Devices(users ...string) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]int, len(users))
	for i, u := range users {
		list[i] = len(p.users[u])
	}
	return list
}
func (p *present) Connected(user string) (list []protocol.Device) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.users[user] {
		list = append(list, protocol.Device{DeviceID: d})
	}
	return list
}
func (p *present) Known(user string) []protocol.Device  { return p.Connected(user) }
func (*present) Probe(string)                           {}
func (p *present) Kick(string, string, string) []string { return nil }

// set replaces the connected devices of a user.
func (p *present) set(user string, devices ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users[user] = devices
}

// fixture is the push subsystem of a server, over a real store and fake providers.
type fixture struct {
	t         testing.TB
	store     *store.Store
	signaling *signaling.Service
	chat      *chat.Chat
	groups    *group.Groups
	users     *user.Users
	push      *Push
	admin     *relay.Admin
	here      *present
	apple     *apple
	google    *google
	browser   *browsers
	stop      func()
	more      *stand                // another trusted provider
	answer    func(until time.Time) // called with the expiry of each answer token
}

func newFixture(t testing.TB) *fixture { return newFixtureWith(t, Options{}) }

func newFixtureWith(t testing.TB, opt Options) *fixture {
	h := &fixture{t: t, apple: newApple(t), google: newGoogle(t), browser: newBrowsers(t)}
	h.start(t.TempDir(), opt)
	return h
}

// start opens a server in a directory.
func (h *fixture) start(dir string, opt Options) {
	t := h.t
	t.Helper()
	h.here = &present{users: map[string][]string{}}
	var err error
	h.store, err = store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	opt.APNs = APNs{Key: h.apple.p8, KeyID: keyID, TeamID: teamID, App: bundle, URL: h.apple.web.URL}
	opt.FCM = FCM{Credentials: h.google.account, URL: h.google.web.URL}
	opt.Subject, opt.Private, opt.TLS, opt.Log = "mailto:ops@example.com", true, trust(h.apple.stand, h.google.stand,
		h.browser.stand, h.more), slog.New(slog.DiscardHandler)
	opt.Connected = h.here.Connected
	opt.AnswerToken = func(user, device, inviteID string, until time.Time) (string, error) {
		if h.answer != nil {
			h.answer(until)
		}
		return user + "/" + device + "/" + inviteID, nil
	}
	opt.AckToken = func(user, device, testID string, _ time.Time) (string, error) {
		return user + "/" + device + "/" + testID, nil
	}
	if h.push, err = New(t.Context(), h.store, opt); err != nil {
		t.Fatal(err)
	}
	h.browser.mu.Lock()
	h.browser.vapi = h.push.webKey
	h.browser.mu.Unlock()
	h.signaling = signaling.New(h.store, h.here,
		signaling.Options{OpenPerPair: -1, Pushed: h.push.Queue().Wake,
			Pushes: offlinepush.Pushes{Posted: h.push.Posted, Devices: h.push.Devices()}})
	h.chat = chat.New(h.store, h.here, chat.Options{Posted: h.push.Posted, Devices: h.push.Devices(),
		Here:      func(user string) outbox.Connected { return outbox.ConnectedOf(h.here.Connected(user)) },
		PushDelay: h.push.MessageDelay()})
	h.groups, h.users = group.New(h.store, h.signaling, h.here, group.Options{}), user.New(h.store, h.here)
	h.admin = relay.NewAdmin(map[operator.Queue]*relay.Dispatcher{operator.QueuePush: h.push.Queue()})
	h.store.Announce(func(records []txn.Record) { h.push.Announce(records) })
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	storing, end := context.WithCancel(context.Background())
	stored := make(chan error, 1)
	go func() { stored <- h.store.Run(storing) }()
	if err := h.signaling.Restore(ctx); err != nil {
		t.Fatal(err)
	}
	for _, run := range []func(context.Context) error{h.push.Run, h.signaling.Run} {
		all.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	h.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
		end()
		if err := errors.Join(<-stored, h.store.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { h.stop() })
}

// do runs a method and waits for its result.
func do[Q, R any](h *fixture, f func(context.Context, rpc.Caller, Q) (rpc.Txn[R], error), by rpc.Caller, req Q) R {
	h.t.Helper()
	res, err := try(h, f, by, req)
	if err != nil {
		h.t.Fatal(err)
	}
	return res
}

func try[Q, R any](h *fixture, f func(context.Context, rpc.Caller, Q) (rpc.Txn[R], error), by rpc.Caller, req Q) (R,
	error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	return rpc.Call(ctx, h.store, f, by, req)
}

func on(user, device string) rpc.Caller { return rpc.Caller{UserID: user, DeviceID: device} }

// has registers a push token of a device.
func (h *fixture) has(user, device string, req protocol.SetPushTokenRequest) {
	h.t.Helper()
	do(h, h.push.SetToken, on(user, device), req)
}

// invites invites one user.
func (h *fixture) invites(from, to, id string, change ...func(*protocol.InviteRequest)) protocol.InviteResponse {
	h.t.Helper()
	req := protocol.InviteRequest{Invitee: to,
		InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 30, Data: "v=1"}}
	for _, f := range change {
		f(&req)
	}
	return do(h, h.signaling.Invite, on(from, "laptop"), req)
}

// queue returns the pushes in a state.
func (h *fixture) queue(state operator.HookState) operator.ListHookEventsResponse {
	h.t.Helper()
	res, err := h.admin.ListEvents(h.t.Context(), rpc.Caller{Server: true},
		operator.ListHookEventsRequest{Queue: operator.QueuePush, State: state})
	if err != nil {
		h.t.Fatal(err)
	}
	return res
}

// wait polls a condition, with a time limit.
func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("never: " + what)
		}
	}
}
