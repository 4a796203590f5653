package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

const (
	liveKey    = "key of tests"
	liveSecret = "a secret of LiveKit that is long enough"
)

// studio is a house with a LiveKit beside it, whose clock the test moves.
type studio struct {
	*scene
	live    *fakeLive
	web     *httptest.Server
	skew    *atomic.Int64
	packets atomic.Uint64 // of media, from bob
	dir     string
	policy  im.RoomPolicy
	origins []string
}

func newStudio(t *testing.T, devices ...string) *studio {
	t.Helper()
	f := &fakeLive{rooms: map[string]map[string]*livekit.ParticipantInfo{}, counts: map[string]uint32{}}
	s := &studio{live: f, skew: &atomic.Int64{}, dir: t.TempDir()}
	f.now = s.now
	api := livekit.NewRoomServiceServer(f)
	s.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/rtc") {
			signaling(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(s.web.Close)
	s.open(t, devices...)
	return s
}

// signaling lets everybody in, as LiveKit does with a token that it takes for good, and says nothing until the client
// goes.
func signaling(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	if r.Header.Get("Upgrade") == "" {
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_ = rw.Flush()
	_, _ = io.Copy(io.Discard, rw)
}

// open starts the house, also again on the same data.
func (s *studio) open(t *testing.T, devices ...string) {
	t.Helper()
	house := beckontest.StartWith(t, beckon.Config{
		DataDir: s.dir, LiveKitAPI: s.web.URL, LiveKitKey: liveKey, LiveKitSecret: liveSecret, RoomPolicy: s.policy,
		Origins: s.origins, MediaPackets: s.mediaPackets,
		Now: func() int64 { return time.Now().UnixMilli() + s.skew.Load() },
	})
	s.scene = &scene{Cluster: house, t: t, who: map[string]*client.Client{}, tapes: map[string]*beckontest.Recorder{}}
	for _, d := range devices {
		s.connect(d)
	}
}

// now is the house's clock.
// mediaPackets is the number of packets that LiveKit has received from bob.
func (s *studio) mediaPackets(_, user string) uint64 {
	if user == "bob" {
		return s.packets.Load()
	}
	return 0
}

func (s *studio) now() int64 { return time.Now().UnixMilli() + s.skew.Load() }

// tell sends an event as LiveKit does, signed.
func (s *studio) tell(event, room, who, sid string, reason livekit.DisconnectReason) {
	s.t.Helper()
	e := &livekit.WebhookEvent{Event: event, Room: &livekit.Room{Name: room}, CreatedAt: s.now() / 1000}
	if who != "" {
		e.Participant = &livekit.ParticipantInfo{Identity: who, Sid: sid, DisconnectReason: reason,
			Permission: &livekit.ParticipantPermission{CanPublish: true}}
	}
	if status := s.post(e, liveSecret); status != http.StatusOK {
		s.t.Fatalf("%s of %s was answered with %d", event, who, status)
	}
}

func (s *studio) post(e *livekit.WebhookEvent, secret string) int {
	s.t.Helper()
	body, err := protojson.Marshal(e)
	if err != nil {
		s.t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	token, err := auth.NewAccessToken(liveKey,
		secret).SetValidFor(time.Minute).SetSha256(base64.StdEncoding.EncodeToString(sum[:])).ToJWT()
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+beckon.PathLiveKitHook,
		bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func (s *studio) comes(room, who, sid string) {
	s.t.Helper()
	s.live.enter(room, &livekit.ParticipantInfo{Identity: who, Sid: sid, State: livekit.ParticipantInfo_ACTIVE,
		Permission: &livekit.ParticipantPermission{CanPublish: true}})
	s.tell("participant_joined", room, who, sid, 0)
}
func (s *studio) goes(room, who, sid string) {
	s.t.Helper()
	s.live.leave(room, who, sid)
	s.tell("participant_left", room, who, sid, livekit.DisconnectReason_CLIENT_INITIATED)
}

// shows says that somebody publishes a camera.
func (s *studio) shows(room, who string) {
	s.t.Helper()
	e := &livekit.WebhookEvent{Event: "track_published", Room: &livekit.Room{Name: room}, CreatedAt: s.now() / 1000,
		Participant: &livekit.ParticipantInfo{Identity: who, Sid: "1 of " + who},
		Track:       &livekit.TrackInfo{Type: livekit.TrackType_VIDEO}}
	if status := s.post(e, liveSecret); status != http.StatusOK {
		s.t.Fatalf("%s shows: %d", who, status)
	}
}

// crash takes LiveKit down with its rooms, and starts it again.
func (f *fakeLive) crash() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.rooms)
	clear(f.counts)
}

func (s *studio) passes(d time.Duration) { s.skew.Add(d.Milliseconds()) }

// enters says in which role somebody may enter, by what the token for LiveKit allows: anchor, audience, or the
// refusal's number. nextMoment waits until the server's clock has moved: what is granted and what ends it are told
// apart by their time.
func (s *studio) nextMoment(room string) {
	s.t.Helper()
	for first := int64(0); ; {
		v, err := s.who["ann"].GetRoom(s.t.Context(), room)
		if err != nil {
			s.t.Fatal(err)
		}
		if first == 0 {
			first = v.Time
		}
		if v.Time > first {
			return
		}
	}
}

func (s *studio) enters(who, room string) string {
	s.t.Helper()
	res, err := s.who[who].EnterRoom(s.t.Context(), room, "")
	if err != nil {
		return refusal(err)
	}
	v, err := auth.ParseAPIToken(res.Token)
	if err != nil {
		s.t.Fatal(err)
	}
	_, claims, err := v.Verify(liveSecret)
	if err != nil || claims.Identity != strings.Split(who, "/")[0] || claims.Video.Room != room || claims.Video.RoomAdmin {
		s.t.Fatalf("the token of %s is wrong: %+v, %v", who, claims, err)
	}
	if speaks := claims.Video.GetCanPublish(); speaks != (res.Role == im.RoomAnchor) {
		s.t.Fatalf("%s is %s, and the token says publish: %v", who, res.Role, speaks)
	}
	return string(res.Role)
}

func (s *studio) calls() []protocol.Call {
	s.t.Helper()
	res, err := s.who["ann"].ListCalls(s.t.Context(), protocol.ListCallsRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	return res.Calls
}

// refusal is the number of an error, as text.
func refusal(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) {
		return strconv.Itoa(e.Code)
	}
	return fmt.Sprint(err)
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s; want %s", what, got, want)
	}
}

func TestWhoMayEnter(t *testing.T) {
	s := newStudio(t, "ann", "bob", "cid", "eve")
	inv := s.invite("ann", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
	expect(t, "the inviter", s.enters("ann", "r"), "anchor")
	expect(t, "the invitee before the accept", s.enters("bob", "r"), "8013")
	s.accept("bob", inv.InviteID)
	expect(t, "who accepted", s.enters("bob", "r"), "anchor")
	expect(t, "a stranger", s.enters("eve", "r"), "8013")

	// A user without a grant who knows the roomID can neither invite its participants, nor add users, nor ask its host.
	for _, who := range []string{"ann", "bob", "cid"} {
		_, err := s.who["eve"].Invite(t.Context(),
			protocol.InviteRequest{Invitee: who, InviteOptions: protocol.InviteOptions{RoomID: "r"}})
		expect(t, "a stranger invites "+who, refusal(err), "8014")
		var e *protocol.Error
		if !errors.As(err, &e) || e.Field != "roomID" {
			t.Errorf("the refusal names the field %+v", e)
		}
	}

	// Who is in may bring others.
	for _, who := range []string{"cid", "eve"} {
		s.bring("bob", who, "r")
		expect(t, "who was brought by somebody who is in", s.enters(who, "r"), "anchor")
	}

	ctx := t.Context()
	_, err := s.who["bob"].SetRoomRole(ctx, "r", "eve", im.RoomNobody)
	expect(t, "a guest removes somebody", refusal(err), "8013")
	if _, err = s.who["ann"].SetRoomRole(ctx, "r", "eve", im.RoomNobody); err != nil {
		t.Fatal(err)
	}
	expect(t, "who was removed", s.enters("eve", "r"), "8013")
	s.tapes["eve"].Wait("role r of eve: none by ann")
	if !s.live.heard("remove eve") {
		t.Error("LiveKit was not told to remove eve")
	}
	_, err = s.who["ann"].SetRoomRole(ctx, "r", "ann", im.RoomNobody)
	expect(t, "a host removes a host", refusal(err), "8013")
	_, err = s.who["eve"].GetRoom(ctx, "r")
	expect(t, "who was removed looks at the room", refusal(err), "8013")
	s.live.down.Store(true)
	_, err = s.who["ann"].SetRoomRole(ctx, "r", "cid", im.RoomAudience)
	expect(t, "LiveKit is away", refusal(err), "7013")
	_, err = s.who["cid"].EnterRoom(ctx, "r", "")
	expect(t, "somebody enters while it is away", refusal(err), "7013")
	s.live.down.Store(false)
	expect(t, "what was decided while it was away", s.enters("cid", "r"), "audience")
	_, err = s.who["cid"].EnterRoom(ctx, "r", im.RoomAnchor)
	expect(t, "a listener asks to speak", refusal(err), "8013")
	_, err = s.who["cid"].SwitchRole(ctx, "r", im.RoomAnchor)
	expect(t, "a listener makes themselves a speaker", refusal(err), "8013")

	// Who may only listen may ask a host, and nobody else.
	_, err = s.who["cid"].Invite(ctx, protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{RoomID: "r"}})
	expect(t, "a listener asks a guest", refusal(err), "8014")
	s.passes(time.Second)
	s.bring("cid", "ann", "r")
	expect(t, "a listener who asked the host", s.enters("cid", "r"), "anchor")
}

func TestTheRoomOfAGroup(t *testing.T) {
	s := newStudio(t, "ann", "bob", "cid", "eve")
	ctx := t.Context()
	if _, err := s.who["ann"].CreateGroup(ctx,
		protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob", "cid"}}); err != nil {
		t.Fatal(err)
	}
	room := "group_g"
	expect(t, "the owner", s.enters("ann", room), "anchor")
	expect(t, "a member", s.enters("bob", room), "audience")
	expect(t, "a stranger", s.enters("eve", room), "8013")

	// One who may speak there by grant is no host: they bring nobody.
	ask := s.invite("bob", protocol.InviteRequest{Invitee: "ann", InviteOptions: protocol.InviteOptions{RoomID: room}})
	s.accept("ann", ask.InviteID)
	for _, who := range []string{"bob", "cid"} {
		s.tapes[who].Wait("role group_g of bob: anchor by ann")
	}
	expect(t, "who asked", s.enters("bob", room), "anchor")
	_, err := s.who["bob"].Invite(ctx, protocol.InviteRequest{Invitee: "cid",
		InviteOptions: protocol.InviteOptions{RoomID: room}})
	expect(t, "a speaker invites a member", refusal(err), "8014")
	_, err = s.who["eve"].Invite(ctx, protocol.InviteRequest{Invitee: "ann",
		InviteOptions: protocol.InviteOptions{RoomID: room}})
	expect(t, "a stranger asks the owner", refusal(err), "8014")

	if _, err := s.who["bob"].SetRoomRole(ctx, room, "bob", im.RoomAudience); err != nil {
		t.Fatal(err)
	}
	expect(t, "who gave up the microphone", s.enters("bob", room), "audience")
	_, err = s.who["bob"].SetRoomRole(ctx, room, "bob", im.RoomAnchor)
	expect(t, "a listener grants it to themselves", refusal(err), "8013")

	if _, err := s.who["ann"].SetRoomRole(ctx, room, "bob", im.RoomAnchor); err != nil {
		t.Fatal(err)
	}
	s.nextMoment(room)
	if _, err := s.who["bob"].QuitGroup(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	expect(t, "who left the group", s.enters("bob", room), "8013")
	if _, err := s.who["ann"].InviteUserToGroup(ctx, "g", []string{"bob"}); err != nil {
		t.Fatal(err)
	}
	s.tapes["bob"].Wait("group g groupJoined")
	expect(t, "who came back to the group", s.enters("bob", room), "audience")
	view, err := s.who["cid"].GetRoom(ctx, room)
	if err != nil || view.Host || view.Owner != "ann" || len(view.Seats) != 0 {
		t.Errorf("the room as a member sees it: %+v, %v", view, err)
	}
}

func TestACallRecord(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	inv := s.invite("ann", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
	s.comes("r", "ann", "a1")
	s.accept("bob", inv.InviteID)
	s.comes("r", "bob", "b1")
	s.comes("r", "bob", "b1") // told again
	s.passes(40 * time.Second)
	// bob's page is loaded anew: the old coming in ends after the new one has begun, and the other way round
	s.comes("r", "bob", "b2")
	s.goes("r", "bob", "b1")
	s.goes("r", "bob", "b2")
	s.passes(5 * time.Second)
	s.comes("r", "bob", "b3")
	s.passes(15500 * time.Millisecond) // sound flows a moment after each coming in
	if list := s.calls(); len(list) != 1 || list[0].Ended != 0 {
		t.Fatalf("the call does not go on: %+v", list)
	}
	if _, err := s.who["bob"].ExitRoom(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	s.tapes["ann"].Wait("call in c2c_bob of ann,bob for 55") // without the time in which bob's page was away
	s.tapes["bob"].Wait("call in c2c_ann of ann,bob for 55")
	s.goes("r", "bob", "b3")
	s.goes("r", "ann", "a1")
	s.tell("room_finished", "r", "", "", 0)
	list := s.calls()
	if len(list) != 1 || list[0].Reason != im.LeftHangup || list[0].EndedBy != "bob" || list[0].Duration < 55_000 ||
		list[0].Duration > 57_000 || list[0].Media != im.MediaAudio || list[0].Count != 2 {
		t.Fatalf("the record is %+v", list)
	}
	if !s.live.heard("close r") {
		t.Error("the room was not closed for who was left")
	}
	one, err := s.who["bob"].GetCall(t.Context(), list[0].CallID)
	if err != nil || len(one.Call.People) != 2 || one.Call.People[1].Duration > one.Call.People[0].Duration {
		t.Errorf("who took part: %+v, %v", one.Call, err)
	}
	s.connect("eve")
	_, err = s.who["eve"].GetCall(t.Context(), list[0].CallID)
	expect(t, "a stranger reads the record", refusal(err), "8015")
	_, err = s.who["ann"].ModifyMessage(t.Context(),
		protocol.ModifyMessageRequest{MessageRequest: protocol.MessageRequest{ConversationID: "c2c_bob", MessageID: "call-" +
			list[0].CallID}, Body: protocol.Body{Text: "an hour"}})
	expect(t, "the inviter changes the record", refusal(err), "10007")
	_, err = s.who["ann"].SendMessage(t.Context(),
		protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Call: &protocol.CallElem{CallID: "x"}}})
	expect(t, "somebody writes a record of their own", refusal(err), "6017")
	if status := s.post(&livekit.WebhookEvent{Event: "room_finished", Room: &livekit.Room{Name: "r"}},
		"not the secret of this LiveKit server!"); status != http.StatusUnauthorized {
		t.Errorf("a forged event was answered with %d", status)
	}
}

func TestACallThatIsLost(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	inv := s.invite("ann", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
	s.comes("r", "ann", "sid of ann")
	s.accept("bob", inv.InviteID)
	s.comes("r", "bob", "sid of bob")
	s.live.put("r", "ann", "bob")
	s.passes(20500 * time.Millisecond)
	s.goes("r", "bob", "sid of bob") // the link broke, and nobody comes back
	s.passes(time.Duration(im.AloneFor)*time.Millisecond + time.Second)
	s.live.put("r")
	s.tapes["ann"].Wait("call in c2c_bob of ann,bob for 20")
	if r := s.calls()[0]; r.Reason != im.LeftWent || r.Duration > 21_500 {
		t.Errorf("the record is %+v", r)
	}

	// LiveKit goes down with its rooms while this server is away, too.
	inv = s.invite("ann", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{RoomID: "r2"}})
	s.comes("r2", "ann", "sid of ann")
	s.accept("bob", inv.InviteID)
	s.comes("r2", "bob", "sid of bob")
	s.passes(3 * time.Second)
	s.shows("r2", "bob") // the last that is heard of it
	s.Stop()
	s.live.crash()
	s.passes(time.Hour)
	s.open(t, "ann", "bob")
	eventually(t, "the lost call is noticed", func() bool {
		res, err := s.who["ann"].GetRoom(t.Context(), "r2")
		return err == nil && res.Call != nil &&
			slices.ContainsFunc(res.Call.People, func(p protocol.CallPerson) bool { return p.Reason == im.LeftMediaLost })
	})
	s.passes(time.Duration(im.AloneFor)*time.Millisecond + time.Second)
	eventually(t, "the lost call ends", func() bool { return s.calls()[0].Ended != 0 })
	if r := s.calls()[0]; r.Reason != im.LeftMediaLost || r.Duration < 2_500 || r.Duration > 5_000 ||
		r.Media != im.MediaVideo {
		t.Errorf("an hour during which nobody could talk was counted: %+v", r)
	}
}
