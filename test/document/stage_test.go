package document

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

func TestMain(m *testing.M) { beckontest.VerifyNoLeaks(m) }

// media stands in for LiveKit, as its own interface shows it: the server lets users enter rooms and tells it who may
// speak. Real sound and pictures are in the tests in a browser.
type media struct {
	livekit.RoomService
}

func (media) CreateRoom(_ context.Context, r *livekit.CreateRoomRequest) (*livekit.Room, error) {
	return &livekit.Room{Name: r.Name}, nil
}

func (media) ListRooms(context.Context, *livekit.ListRoomsRequest) (*livekit.ListRoomsResponse, error) {
	return &livekit.ListRoomsResponse{}, nil
}

func (media) ListParticipants(context.Context, *livekit.ListParticipantsRequest) (*livekit.ListParticipantsResponse,
	error) {
	return &livekit.ListParticipantsResponse{}, nil
}

func (media) DeleteRoom(context.Context, *livekit.DeleteRoomRequest) (*livekit.DeleteRoomResponse, error) {
	return &livekit.DeleteRoomResponse{}, nil
}

func (media) GetParticipant(context.Context, *livekit.RoomParticipantIdentity) (*livekit.ParticipantInfo, error) {
	return nil, twirp.NotFoundError("nobody is in a room here")
}

func (media) RemoveParticipant(context.Context, *livekit.RoomParticipantIdentity) (*livekit.RemoveParticipantResponse,
	error) {
	return &livekit.RemoveParticipantResponse{}, nil
}

func (media) UpdateParticipant(context.Context, *livekit.UpdateParticipantRequest) (*livekit.ParticipantInfo, error) {
	return &livekit.ParticipantInfo{}, nil
}

// stage is a server with media.
type stage struct {
	*beckontest.Cluster
	t *testing.T
}

func newStage(t *testing.T) *stage {
	t.Helper()
	web := httptest.NewServer(livekit.NewRoomServiceServer(media{}))
	t.Cleanup(web.Close)
	return &stage{t: t, Cluster: beckontest.StartWith(t,
		beckon.Config{LiveKitAPI: web.URL, LiveKitKey: "key", LiveKitSecret: "a secret of LiveKit that is long enough"})}
}

// callback is one callback of the listener, by its name in the original.
type callback struct {
	name string
	client.InvitationEvent
}

// app is the program of one user on one device, and what its listener was called with.
type app struct {
	*client.Client
	t     *testing.T
	user  string
	mu    sync.Mutex
	got   []callback
	roles []protocol.RoomEvent
	moved chan struct{}
}

func (a *app) add(name string) func(client.InvitationEvent) {
	return func(e client.InvitationEvent) { a.change(func() { a.got = append(a.got, callback{name, e}) }) }
}

func (a *app) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.moved)
	a.moved = make(chan struct{})
}

// login starts the program of a user. A store makes it continue where an earlier run ended.
func (s *stage) login(user, device string, store client.Store) *app {
	s.t.Helper()
	a := &app{t: s.t, user: user, moved: make(chan struct{})}
	a.Client = s.DeviceWith(client.Options{Token: s.Token(user), DeviceID: user + "-" + device, Store: store,
		Listener: client.Listener{
			OnReceiveNewInvitation: a.add("onReceiveNewInvitation"), OnInviteeAccepted: a.add("onInviteeAccepted"),
			OnInviteeRejected:     a.add("onInviteeRejected"),
			OnInvitationCancelled: a.add("onInvitationCancelled"), OnInvitationTimeout: a.add("onInvitationTimeout"),
			OnInvitationModified:             a.add("onInvitationModified"),
			OnInviteeRinging:                 a.add("onInviteeRinging"),
			OnInvitationHandledByOtherDevice: a.add("onInvitationHandledByOtherDevice"),
			OnRoomRoleChanged:                func(e protocol.RoomEvent) { a.change(func() { a.roles = append(a.roles, e) }) },
		}})
	if _, err := a.GetDeviceList(s.t.Context()); err != nil { // once it has an answer, the device counts as connected
		s.t.Fatal(err)
	}
	return a
}

// all logs users in.
func (s *stage) all(users ...string) map[string]*app {
	apps := map[string]*app{}
	for _, u := range users {
		apps[u] = s.login(u, "phone", nil)
	}
	return apps
}

// waitFor waits until f finds what it looks for.
func (a *app) waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	limit := time.NewTimer(beckontest.Patience)
	defer limit.Stop()
	for {
		a.mu.Lock()
		found, moved, got := f(), a.moved, fmt.Sprintf("%+v %+v", a.got, a.roles)
		a.mu.Unlock()
		if found {
			return
		}
		select {
		case <-moved:
		case <-limit.C:
			t.Fatalf("%s never received %s; it received %s", a.user, what, got)
		}
	}
}

// wait waits for a callback about an invitation, and about an invitee where one is given.
func (a *app) wait(t *testing.T, name, inviteID string, invitee ...string) (e client.InvitationEvent) {
	t.Helper()
	a.waitFor(t, fmt.Sprintf("%s of %s %v", name, inviteID, invitee), func() bool {
		i := slices.IndexFunc(a.got, func(c callback) bool {
			return c.name == name && c.InviteID == inviteID && (len(invitee) == 0 || c.Invitee == invitee[0])
		})
		if i >= 0 {
			e = a.got[i].InvitationEvent
		}
		return i >= 0
	})
	return e
}

// count is how often a callback came about an invitation.
func (a *app) count(name, inviteID string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.got {
		if c.name == name && c.InviteID == inviteID {
			n++
		}
	}
	return n
}

// barrier waits until everything that was announced to a program has been received.
func (a *app) barrier(t *testing.T, from *app) {
	t.Helper()
	res, err := from.Invite(t.Context(), protocol.InviteRequest{Invitee: a.user,
		InviteOptions: protocol.InviteOptions{Notice: true}})
	must(t, err)
	a.wait(t, "onReceiveNewInvitation", res.InviteID)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// code is the number of a refusal, 0 without one.
func code(t *testing.T, err error) int {
	t.Helper()
	var e *protocol.Error
	if err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e == nil {
		return 0
	}
	return e.Code
}

func equal[V comparable](t *testing.T, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func names(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), " ") }

// options are those of an invite with data and a time to answer.
func options(data string, timeout int64) protocol.InviteOptions {
	return protocol.InviteOptions{Data: data, Timeout: timeout}
}

// history lists the actions of an invitation in a conversation, the oldest first.
func (a *app) history(t *testing.T, conversation, inviteID string) (actions []protocol.ActionType) {
	t.Helper()
	res, err := a.GetHistoryMessageList(t.Context(), protocol.HistoryRequest{ConversationID: conversation})
	must(t, err)
	for _, m := range slices.Backward(res.Messages) {
		if info := client.GetSignalingInfo(m); info != nil && info.InviteID == inviteID {
			actions = append(actions, info.ActionType)
		}
	}
	return actions
}
