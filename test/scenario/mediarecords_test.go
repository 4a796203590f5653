package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// move is something that LiveKit sees: somebody comes in or goes, at a time after the beginning. The event about it
// comes after late, times times.
type move struct {
	at, late time.Duration
	who      string
	goes     bool
	times    int
	hangsUp  bool // through this server, as SDKs do
}

// moment is when a move was made, by the clock of the house in milliseconds: a slow machine is late.
type moment struct{ before, after int64 }

// plays runs moves by the clock of the house, and delivers the events about them from a LiveKit whose clock is off. It
// returns when each was made.
func (s *studio) plays(moves []move, off time.Duration) []moment {
	s.t.Helper()
	type step struct {
		at time.Duration
		do func()
	}
	begin := s.now()
	clock := func() int64 { return s.now() + off.Milliseconds() }
	s.live.clock(clock)
	infos := map[string]*livekit.ParticipantInfo{}
	made := make([]moment, len(moves))
	var steps []step
	for i, m := range moves {
		sid := "1 of " + m.who
		steps = append(steps, step{m.at, func() {
			made[i].before = s.now()
			defer func() { made[i].after = s.now() }()
			if m.goes {
				if m.hangsUp {
					if _, err := s.who[m.who].ExitRoom(s.t.Context(), "r"); err != nil {
						s.t.Fatal(err)
					}
				}
				s.live.leave("r", m.who, "")
				return
			}
			joined := clock() - 100
			infos[m.who] = &livekit.ParticipantInfo{Identity: m.who, Sid: sid, State: livekit.ParticipantInfo_ACTIVE,
				JoinedAt: joined / 1000, JoinedAtMs: joined,
				Permission: &livekit.ParticipantPermission{CanPublish: true}}
			s.live.enter("r", infos[m.who])
		}})
		event := &livekit.WebhookEvent{Event: "participant_joined", Room: &livekit.Room{Name: "r"}}
		if m.goes {
			event.Event = "participant_left"
		}
		for n := range m.times {
			steps = append(steps, step{m.at + m.late + time.Duration(n)*100*time.Millisecond, func() {
				event.Participant = infos[m.who]
				event.CreatedAt = (made[i].after + off.Milliseconds()) / 1000
				if status := s.post(event, liveSecret); status != 200 {
					s.t.Fatalf("%s of %s is answered with %d", event.Event, m.who, status)
				}
			}})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	for _, st := range steps {
		if left := begin + st.at.Milliseconds() - s.now(); left > 0 {
			s.passes(time.Duration(left) * time.Millisecond)
		}
		st.do()
	}
	return made
}

func (f *fakeLive) clock(now func() int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = now
}

// TestRecordsAreTrue plays calls of one second to ten minutes against a LiveKit whose events are late, doubled, lost or
// out of order and whose clock is wrong, and compares each record with the truth.
func TestRecordsAreTrue(t *testing.T) {
	const ms, sec = time.Millisecond, time.Second
	for _, c := range []struct {
		name        string
		comes, goes time.Duration // how late the events are
		bobComes    time.Duration // and that of bob's coming, more
		times       int           // how often each is told
		bobNever    bool          // but bob's coming is not
	}{
		{name: "in time", times: 1},
		{name: "five seconds late", comes: 5 * sec, goes: 5 * sec, times: 1},
		{name: "leaves five seconds late", goes: 5 * sec, times: 1},
		{name: "joins five seconds late", comes: 5 * sec, times: 1},
		{name: "doubled", times: 2},
		{name: "doubled and late", comes: 5 * sec, goes: 5 * sec, times: 2},
		{name: "bob's coming is never told", times: 1, bobNever: true},
		{name: "bob's going overtakes his coming", times: 1, bobComes: 12 * sec},
	} {
		for _, off := range []time.Duration{0, time.Minute, -time.Minute} {
			for _, length := range []time.Duration{sec, 7 * sec, 10 * time.Minute} {
				for _, hangsUp := range []bool{false, true} {
					if hangsUp && (c.bobComes > length || c.times > 1) || length != sec && off != 0 || length > 10*sec && hangsUp {
						continue
					}
					t.Run(fmt.Sprintf("%s, clock %v, %v, hangs up %v", c.name, off, length, hangsUp), func(t *testing.T) {
						t.Parallel()
						s := newStudio(t, "ann", "bob")
						s.live.clock(func() int64 { return s.now() + off.Milliseconds() })
						s.Stop()
						s.open(t, "ann", "bob") // it learns LiveKit's clock when it starts
						inv := s.invite("ann", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
						s.accept("bob", inv.InviteID)
						for _, who := range []string{"ann", "bob"} {
							expect(t, who+" enters", s.enters(who, "r"), "anchor")
						}
						bobComes := c.times
						if c.bobNever {
							bobComes = 0
						}
						moves := []move{
							{at: 230 * ms, who: "ann", late: c.comes, times: c.times},
							{at: 580 * ms, who: "bob", late: c.comes + c.bobComes, times: bobComes},
							{at: 580*ms + 250*ms + length, who: "bob", goes: true, hangsUp: hangsUp, late: c.goes, times: c.times},
							{at: 580*ms + 250*ms + length + 300*ms, who: "ann", goes: true, late: c.goes, times: c.times},
						}
						made := s.plays(moves, off)
						s.passes(alone)
						eventually(t, "the call ends", func() bool { list := s.calls(); return len(list) == 1 && list[0].Ended != 0 })
						comes, goes := made[1], made[2] // bob
						if r := s.calls()[0]; r.Duration < goes.before-comes.after-750 ||
							r.Duration > goes.after-comes.before+250 || r.InviteID != inv.InviteID {
							t.Errorf("the record says %d ms, bob came at %v and went at %v: %+v", r.Duration, comes, goes, r)
						}
					})
				}
			}
		}
	}
}

// TestNobodyTalked keeps no record of rooms in which two were never in at once: no message, nothing in the lists.
func TestNobodyTalked(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	ctx := t.Context()
	if _, err := s.who["ann"].CreateGroup(ctx,
		protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	s.invite("ann", protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{RoomID: "r", Timeout: 30}})
	for _, room := range []string{"r", "group_g"} {
		s.comes(room, "ann", "1 of ann")
		s.passes(3 * time.Second)
		s.goes(room, "ann", "1 of ann")
		s.comes(room, "bob", "1 of bob") // after her
		s.passes(3 * time.Second)
		s.goes(room, "bob", "1 of bob")
	}
	for _, who := range []string{"ann", "bob"} { // for half a second
		s.comes("group_g", who, "2 of "+who)
	}
	s.passes(500 * time.Millisecond)
	s.goes("group_g", "ann", "2 of ann")
	s.goes("group_g", "bob", "2 of bob")
	s.passes(time.Minute)
	eventually(t, "both rooms are over", func() bool {
		res, err := s.who["ann"].ListCalls(ctx, protocol.ListCallsRequest{Open: true})
		return err == nil && len(res.Calls) == 0
	})
	if list := s.calls(); len(list) != 0 {
		t.Errorf("there are records: %+v", list)
	}
	if n := s.tapes["bob"].Count("call in"); n != 0 {
		t.Errorf("%d lines about calls stand in the conversations", n)
	}
}

// TestAnOpenRoom runs with the policy open: who entered first is the host, and the record knows who invited.
func TestAnOpenRoom(t *testing.T) {
	s := newStudio(t)
	s.policy = im.RoomOpen
	s.Stop()
	s.open(t, "ann", "bob", "cid")
	expect(t, "the first", s.enters("ann", "r"), "anchor")
	s.comes("r", "ann", "1 of ann")
	expect(t, "anybody", s.enters("cid", "r"), "anchor")
	inv := s.invite("ann", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
	s.accept("bob", inv.InviteID)
	s.comes("r", "bob", "1 of bob")
	s.passes(6 * time.Second)
	if _, err := s.who["bob"].ExitRoom(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	list := s.calls()
	if len(list) != 1 || list[0].Inviter != "ann" || list[0].InviteID != inv.InviteID || list[0].Duration < 5_500 ||
		list[0].Duration > 6_500 {
		t.Errorf("the records are %+v", list)
	}
}

// TestMediaIsLost: the record has mediaLost as the reason of a leave after failed media; in a call of two
// it ends the call. A user whose media never connected leaves no record.
func TestMediaIsLost(t *testing.T) {
	s := newStudio(t, "ann", "bob")
	leaves := func(who string) {
		t.Helper()
		var res protocol.RoomResponse
		err := s.who[who].Call(t.Context(), "exitRoom", protocol.ExitRoomRequest{RoomID: "r", Reason: "mediaLost"}, &res)
		if err != nil {
			t.Fatal(err)
		}
	}
	s.talk("ann", "bob", "r")
	s.passes(5 * time.Second)
	leaves("bob")
	list := s.calls()
	if len(list) != 1 || list[0].Reason != "mediaLost" || list[0].EndedBy != "bob" || list[0].Ended == 0 {
		t.Fatalf("the records are %+v", list)
	}
	res, err := s.who["ann"].GetCall(t.Context(), list[0].CallID)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range res.Call.People {
		if p.UserID == "bob" && p.Reason != "mediaLost" {
			t.Errorf("bob left for %q", p.Reason)
		}
	}
	inv := s.invite("ann", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{RoomID: "r"}})
	s.comes("r", "ann", "2 of ann")
	s.accept("bob", inv.InviteID)
	leaves("bob")
	if list := s.calls(); len(list) != 1 {
		t.Errorf("the records are %+v", list)
	}
	expect(t, "who lost the other returns", refusal(s.who["ann"].Call(t.Context(), "enterRoom",
		protocol.EnterRoomRequest{RoomID: "r", Rejoin: true}, &protocol.EnterRoomResponse{})), "8013")
}
