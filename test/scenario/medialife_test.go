package scenario

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// alone is a little more than a room without anybody in it goes on.
const alone = time.Duration(im.AloneFor)*time.Millisecond + time.Second

// key is somebody's token for LiveKit's room r.
func (s *studio) key(who string) string {
	s.t.Helper()
	res, err := s.who[who].EnterRoom(s.t.Context(), "r", "")
	if err != nil {
		s.t.Fatalf("%s could not enter: %v", who, err)
	}
	return res.Token
}

// connects tries a token at the signaling that this server passes on.
func (s *studio) connects(token string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.URL+"/rtc/validate?access_token="+
		url.QueryEscape(token), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// TestOneRoomToken: a request with two tokens is refused. LiveKit goes by the header and this server looked at the
// query, so that who was removed from a room came back with the token of another.
func TestOneRoomToken(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	s.talk("ann", "bob", "r")
	old := s.key("bob")
	if _, err := s.who["ann"].SetRoomRole(t.Context(), "r", "bob", "none"); err != nil {
		t.Fatal(err)
	}
	own, err := s.who["bob"].EnterRoom(t.Context(), "another", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query, header string
		want          int
	}{{own.Token, "", http.StatusOK}, {"", own.Token, http.StatusOK}, {"", old, http.StatusForbidden},
		{own.Token, old, http.StatusForbidden}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/rtc/validate?access_token="+
			url.QueryEscape(c.query), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.header != "" {
			req.Header.Set("Authorization", "Bearer "+c.header)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != c.want {
			t.Errorf("in the query %v, in the header %v: %d, want %d", c.query != "", c.header != "", res.StatusCode, c.want)
		}
	}
}

// TestAStrangerEndsNoCall: while both have lost the room for a moment, exitRoom by a user who was never in does not end
// it.
func TestAStrangerEndsNoCall(t *testing.T) {
	s := newStudio(t, "ann", "bob", "eve")
	s.talk("ann", "bob", "r")
	for _, u := range []string{"ann", "bob"} {
		s.live.leave("r", u, "")
		s.tell("participant_left", "r", u, "1 of "+u, livekit.DisconnectReason_UNKNOWN_REASON)
	}
	if _, err := s.who["eve"].ExitRoom(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	view, err := s.who["ann"].GetRoom(t.Context(), "r")
	if err != nil || view.Call == nil {
		t.Fatalf("the room is %+v, %v", view, err)
	}
	if _, err := s.who["bob"].ExitRoom(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if view, err := s.who["ann"].GetRoom(t.Context(), "r"); err == nil {
		t.Errorf("after the last left, the room is %+v", view)
	}
}

// restart restarts the server, which looks at LiveKit when it starts.
func (s *studio) restart() {
	s.t.Helper()
	s.Stop()
	s.open(s.t, "ann", "bob", "cid", "eve")
}

// TestLifeOfARoom lets ann call bob into r, and looks who may enter, invite and connect after each way in which that
// can go on. A room that is free is opened by eve, a stranger, and nobody of the first call gets into hers.
func TestLifeOfARoom(t *testing.T) {
	exits := func(who ...string) func(*studio) {
		return func(s *studio) {
			for _, u := range who {
				if _, err := s.who[u].ExitRoom(s.t.Context(), "r"); err != nil {
					s.t.Fatal(err)
				}
				s.live.leave("r", u, "")
			}
		}
	}
	remove := func(s *studio) {
		if _, err := s.who["ann"].SetRoomRole(s.t.Context(), "r", "bob", im.RoomNobody); err != nil {
			s.t.Fatal(err)
		}
	}
	dismiss := func(s *studio) {
		if _, err := s.who["ann"].DismissRoom(s.t.Context(), "r"); err != nil {
			s.t.Fatal(err)
		}
	}
	gone := func(who ...string) func(*studio) {
		return func(s *studio) {
			for _, u := range who {
				s.goes("r", u, "1 of "+u)
			}
		}
	}
	wait := func(d time.Duration) func(*studio) { return func(s *studio) { s.passes(d) } }
	brings := func(s *studio) {
		s.bring("ann", "cid", "r")
		s.comes("r", "cid", "1 of cid")
	}
	crash := func(s *studio) { s.live.crash() }
	back := func(s *studio) { s.comes("r", "ann", "2 of ann"); s.comes("r", "bob", "2 of bob") }
	for _, c := range []struct {
		name  string
		steps []func(*studio)
		free  bool   // the room has ended
		bob   string // what he gets who enters again, while it goes on
	}{
		{"it goes on", nil, false, "anchor"},
		{"one of two hangs up", []func(*studio){exits("bob")}, true, ""},
		{"the host dismisses it", []func(*studio){dismiss}, true, ""},
		{"the host dismisses it twice", []func(*studio){dismiss, dismiss}, true, ""},
		{"both go without a word", []func(*studio){gone("ann", "bob"), wait(alone)}, true, ""},
		{"both go for a moment", []func(*studio){gone("ann", "bob"), wait(10 * time.Second)}, false, "anchor"},
		{"one of two goes without a word", []func(*studio){gone("bob"), wait(alone)}, true, ""},
		{"one of two goes for a moment", []func(*studio){gone("bob"), wait(10 * time.Second)}, false, "anchor"},
		{"one of three hangs up", []func(*studio){brings, exits("bob")}, false, "anchor"},
		{"two of three hang up, and one waits", []func(*studio){brings, exits("bob", "cid"), wait(2 * alone)}, false,
			"anchor"},
		{"all three hang up", []func(*studio){brings, exits("bob", "cid", "ann")}, true, ""},
		{"all three go without a word", []func(*studio){brings, gone("ann", "bob", "cid"), wait(alone)}, true, ""},
		{"one is removed", []func(*studio){remove}, false, "8013"},
		{"one is removed, and brought again", []func(*studio){remove, wait(time.Second),
			func(s *studio) { s.bring("ann", "bob", "r") }}, false, "anchor"},
		{"the server restarts", []func(*studio){(*studio).restart}, false, "anchor"},
		{"the server restarts after they went", []func(*studio){gone("ann", "bob"), wait(alone), (*studio).restart}, true,
			""},
		{"LiveKit restarts, and they come back",
			[]func(*studio){wait(2 * time.Second), crash, (*studio).restart, back, wait(alone)}, false, "anchor"},
		{"LiveKit crashes for good", []func(*studio){wait(2 * time.Second), crash, (*studio).restart, wait(alone)}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t, "ann", "bob", "cid", "eve")
			s.talk("ann", "bob", "r")
			old := map[string]string{"ann": s.key("ann"), "bob": s.key("bob")}
			for _, step := range c.steps {
				step(s)
			}
			if c.free {
				s.isFree(old)
				return
			}
			_, err := s.who["eve"].Invite(t.Context(),
				protocol.InviteRequest{Invitee: "cid", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
			expect(t, "a stranger invites into it", refusal(err), "8014")
			expect(t, "a stranger enters", s.enters("eve", "r"), "8013")
			expect(t, "bob enters again", s.enters("bob", "r"), c.bob)
			lets := http.StatusOK
			if c.bob != "anchor" {
				lets = http.StatusForbidden
			}
			if got := s.connects(old["bob"]); got != lets {
				t.Errorf("his token from before is answered with %d", got)
			}
			view, err := s.who["ann"].GetRoom(t.Context(), "r")
			if err != nil || view.Owner != "ann" || view.Call == nil {
				t.Errorf("the room is %+v, %v", view, err)
			}
			list, err := s.who["bob"].ListCalls(t.Context(), protocol.ListCallsRequest{Open: true})
			if err != nil || len(list.Calls) != 1 || list.Calls[0].InviteID == "" {
				t.Errorf("what goes on, for bob: %+v, %v", list.Calls, err)
			}
		})
	}
}

// isFree checks that a room has ended, with its grants: anybody may open it, and nobody of the call before gets in.
func (s *studio) isFree(old map[string]string) {
	s.t.Helper()
	eventually(s.t, "a stranger may take the ID", func() bool {
		_, err := s.who["eve"].Invite(s.t.Context(),
			protocol.InviteRequest{Invitee: "cid", InviteOptions: protocol.InviteOptions{RoomID: "r", InviteID: "of-eve"}})
		return err == nil
	})
	s.accept("cid", "of-eve")
	for who, token := range old {
		expect(s.t, "an earlier guest, "+who+",", s.enters(who, "r"), "8013")
		if got := s.connects(token); got != http.StatusForbidden {
			s.t.Errorf("%s connects with the token of before: %d", who, got)
		}
		_, err := s.who[who].Invite(s.t.Context(),
			protocol.InviteRequest{Invitee: "cid", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
		expect(s.t, who+" invites into the next call", refusal(err), "8014")
	}
	for _, who := range []string{"eve", "cid"} {
		expect(s.t, who+", whose call it is now,", s.enters(who, "r"), "anchor")
	}
	if old != nil {
		eventually(s.t, "LiveKit's room is closed", func() bool { return s.live.heard("close r") })
	}
}

// TestARoomThatOnlyRang looks at rooms whose invitation is over, or still open, and in which nobody came.
func TestARoomThatOnlyRang(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(s *studio, id string)
		free bool
	}{
		{"cancelled", func(s *studio, id string) {
			_, err := s.who["ann"].Cancel(s.t.Context(), protocol.CancelRequest{InviteID: id})
			if err != nil {
				s.t.Fatal(err)
			}
			s.passes(alone)
		}, true},
		{"rejected", func(s *studio, id string) { s.reject("bob", id, ""); s.passes(alone) }, true},
		{"timed out", func(s *studio, id string) {
			s.passes(time.Minute)
			eventually(s.t, "the deadline is announced", func() bool {
				res, err := s.who["ann"].GetInvitation(s.t.Context(), protocol.GetInvitationRequest{InviteID: id})
				return err == nil && res.Invitation.Over
			})
		}, true},
		{"rings", func(s *studio, _ string) { s.passes(2 * alone) }, false},
		{"rings, and the inviter hangs up without cancelling", func(s *studio, _ string) {
			if _, err := s.who["ann"].ExitRoom(s.t.Context(), "r"); err != nil {
				s.t.Fatal(err)
			}
		}, false},
		{"answered after a while", func(s *studio,
			id string) {
			s.passes(2 * alone)
			s.accept("bob", id)
			s.passes(5 * time.Second)
		}, false},
		{"answered, and nobody enters", func(s *studio, id string) { s.accept("bob", id); s.passes(alone) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t, "ann", "bob", "cid", "eve")
			inv := s.invite("ann", protocol.InviteRequest{Invitee: "bob",
				InviteOptions: protocol.InviteOptions{RoomID: "r", Timeout: 50}})
			c.does(s, inv.InviteID)
			if c.free {
				s.isFree(nil)
				return
			}
			_, err := s.who["eve"].Invite(t.Context(),
				protocol.InviteRequest{Invitee: "cid", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
			expect(t, "a stranger invites into it", refusal(err), "8014")
			expect(t, "the inviter enters", s.enters("ann", "r"), "anchor")
		})
	}
}

// TestEnterThenInvite is the order of the original document: enter the room, then invite with the room's ID in the data
// alone.
func TestEnterThenInvite(t *testing.T) {
	s := newStudio(t, "ann", "bob", "cid")
	expect(t, "the first opens the room", s.enters("ann", "r"), "anchor")
	expect(t, "a stranger", s.enters("bob", "r"), "8013")
	s.comes("r", "ann", "1 of ann")
	inv := s.invite("ann", protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{Data: `{"roomID":"r"}`}})
	if inv.Invitation.RoomID != "r" {
		t.Errorf("the invitation names the room %q", inv.Invitation.RoomID)
	}
	s.accept("bob", inv.InviteID)
	expect(t, "who accepted", s.enters("bob", "r"), "anchor")
	s.comes("r", "bob", "1 of bob")
	s.passes(5 * time.Second)
	exit := func(who string) {
		if _, err := s.who[who].ExitRoom(t.Context(), "r"); err != nil {
			t.Fatal(err)
		}
	}
	exit("bob")
	if list := s.calls(); len(list) != 1 || list[0].InviteID != inv.InviteID || list[0].Inviter != "ann" ||
		list[0].Invitee != "bob" || list[0].Duration < 4500 {
		t.Errorf("the record is %+v", list)
	}
	expect(t, "the guest comes back into the call that has ended", s.enters("bob", "r"), "8013")
	if inv := s.invite("ann", protocol.InviteRequest{Invitee: "cid"}); inv.Invitation.RoomID != "" {
		t.Errorf("an invitation after the call names the room %q, which has ended", inv.Invitation.RoomID)
	}
	s.passes(time.Minute)
	expect(t, "the guest opens a room of their own", s.enters("bob", "r"), "anchor")
	expect(t, "the host of before", s.enters("ann", "r"), "8013")
	for i := range 21 {
		_, err := s.who["cid"].EnterRoom(t.Context(), "cid-"+strings.Repeat("x", i), "")
		if want := "10036"; i == 20 {
			expect(t, "one room too many", refusal(err), want)
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestASeatIsGivenUp looks at the standing room of a group: who leaves gives up the microphone, and who has left is
// granted none.
func TestASeatIsGivenUp(t *testing.T) {
	s := newStudio(t, "ann", "bob", "cid")
	ctx := t.Context()
	if _, err := s.who["ann"].CreateGroup(ctx,
		protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob", "cid"}}); err != nil {
		t.Fatal(err)
	}
	room := "group_g"
	for _, who := range []string{"ann", "bob", "cid"} {
		s.comes(room, who, "1 of "+who)
	}
	s.bring("bob", "ann", room) // bob asks, and ann grants
	expect(t, "who asked", s.enters("bob", room), "anchor")
	s.nextMoment(room)
	if _, err := s.who["bob"].ExitRoom(ctx, room); err != nil {
		t.Fatal(err)
	}
	s.tapes["cid"].Wait("role group_g of bob: audience by bob")
	expect(t, "who left and comes again", s.enters("bob", room), "audience")

	ask := s.invite("cid", protocol.InviteRequest{Invitee: "ann", InviteOptions: protocol.InviteOptions{RoomID: room}})
	s.passes(time.Second)
	s.goes(room, "cid", "1 of cid")
	s.accept("ann", ask.InviteID)
	expect(t, "who asked and left before the answer", s.enters("cid", room), "audience")
}

// TestAClosedConnectionIsALeave connects to the signaling through this server, and closes the connection without a
// word: LiveKit is told to let go, and the record says that the user left when the connection closed.
func TestAClosedConnectionIsALeave(t *testing.T) {
	t.Parallel()
	s := newStudio(t, "ann", "bob")
	s.talk("ann", "bob", "r")
	first, second := s.dials(s.key("bob")), s.dials(s.key("bob"))
	first.Close() // replaced by the second, so this says nothing
	closed := s.now()
	second.Close()
	eventually(t, "LiveKit is told that bob has left", func() bool { return s.live.heard("remove bob") })
	view, err := s.who["ann"].GetRoom(t.Context(), "r")
	if err != nil || view.Call == nil || len(view.Call.People) != 2 {
		t.Fatal(view, err)
	}
	for _, p := range view.Call.People {
		if off := p.Left - closed; p.UserID == "bob" && (off < -500 || off > 500) || p.UserID == "ann" && p.Left != 0 {
			t.Errorf("%s left %d ms after the connection closed", p.UserID, off)
		}
	}
}

// TestMediaIsASignOfLife: of two users whose signaling is silent, the one whose media arrives stays, and leaves when
// the media ends, too.
func TestMediaIsASignOfLife(t *testing.T) {
	t.Parallel()
	s := newStudio(t, "ann", "bob")
	s.talk("ann", "bob", "r")
	s.dials(s.key("ann")) // neither answers pings
	s.dials(s.key("bob"))
	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() {
		for packet := time.NewTicker(50 * time.Millisecond); ctx.Err() == nil; <-packet.C {
			s.packets.Add(1)
		}
	})
	eventually(t, "ann is removed", func() bool { return s.live.heard("remove ann") })
	// Six seconds: a silent user is removed after 4.5, and a user alone ends the call after 15.
	before := s.packets.Load()
	eventually(t, "bob sends on", func() bool { return s.packets.Load() > before+120 })
	if s.live.heard("remove bob") {
		t.Error("bob was removed, but his media arrives")
	}
	stop()
	sending.Wait()
	stopped := s.now()
	eventually(t, "bob is removed", func() bool { return s.live.heard("remove bob") })
	view, err := s.who["ann"].GetRoom(t.Context(), "r")
	if err != nil || view.Call == nil {
		t.Fatal(view, err)
	}
	for _, p := range view.Call.People {
		if off := p.Left - stopped; p.UserID == "bob" && (off < -1000 || off > 500) {
			t.Errorf("bob left %d ms after his media ended", off)
		}
	}
}

// dials opens a signaling connection through this server, as a browser does.
func (s *studio) dials(token string) net.Conn {
	s.t.Helper()
	c, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	ask := "GET /rtc?access_token=" + token +
		" HTTP/1.1\r\nHost: beckon\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: " +
		"13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := c.Write([]byte(ask)); err != nil {
		s.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("the signaling answers %v, %v", res, err)
	}
	return c
}

// TestWhoIsOnTheWayIn finds somebody in LiveKit's list who may not be there and has not quite come in.
func TestWhoIsOnTheWayIn(t *testing.T) {
	s := newStudio(t, "ann", "bob", "cid", "eve")
	s.talk("ann", "bob", "r")
	s.live.enter("r", &livekit.ParticipantInfo{Identity: "eve", Sid: "e", State: livekit.ParticipantInfo_JOINING})
	s.restart()
	eventually(t, "a stranger is sent out before they see much", func() bool { return s.live.heard("remove eve") })
	if view, err := s.who["ann"].GetRoom(t.Context(), "r"); err != nil || view.Call == nil || view.Call.Count != 2 {
		t.Errorf("the call is %+v, %v", view.Call, err)
	}
}

// TestReturnIntoAnEndedCall: a device that was away for longer than the room lasts, of the user who opened it, does
// not open it again by returning.
func TestReturnIntoAnEndedCall(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	returns := func(who string) string {
		var res protocol.EnterRoomResponse
		err := s.who[who].Call(t.Context(), "enterRoom", protocol.EnterRoomRequest{RoomID: "r", Rejoin: true}, &res)
		if err != nil {
			return refusal(err)
		}
		return string(res.Role)
	}
	expect(t, "into a room that never was", returns("ann"), "8013")
	s.talk("ann", "bob", "r")
	s.passes(5500 * time.Millisecond)
	s.goes("r", "ann", "1 of ann")
	s.passes(10 * time.Second)
	expect(t, "after 10 s", returns("ann"), "anchor")
	s.passes(alone)
	s.tapes["bob"].Wait("call in c2c_ann of ann,bob for 5")
	for _, who := range []string{"ann", "bob"} {
		expect(t, who+" returns after the end", returns(who), "8013")
		if _, err := s.who[who].GetRoom(t.Context(), "r"); refusal(err) != "8013" {
			t.Errorf("%s reads the ended room: %v", who, err)
		}
	}
	if list := s.calls(); len(list) != 1 {
		t.Errorf("the records are %+v", list)
	}
	expect(t, "who opened it opens it again on purpose", s.enters("ann", "r"), "anchor")
}
