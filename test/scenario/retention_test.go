package scenario

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestInviteIDAfterRetention: an ended invitation is removed by retention, with the timeline of its participants. When
// its ID is used again, a device with a position in the first one is asked to reload, and misses nothing of the second.
func TestInviteIDAfterRetention(t *testing.T) {
	now := &clock{now: time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC).UnixMilli()}
	house := beckontest.StartWith(t, beckon.Config{Now: now.read, Retention: 24 * time.Hour})
	s := &scene{Cluster: house, t: t, who: map[string]*client.Client{}, tapes: map[string]*beckontest.Recorder{}}
	s.connect("bob/1")
	invite := func(data string) {
		s.act("ann", "invite", protocol.InviteRequest{InviteeList: []string{"bob", "cat", "dan"},
			InviteOptions: protocol.InviteOptions{InviteID: "x", Data: data}}, nil)
	}
	get := func() *protocol.Error {
		return s.try("ann", "Bearer "+s.Server.APIKey(), "getInvitation", protocol.GetInvitationRequest{InviteID: "x"}, nil)
	}
	invite("first")
	s.act("cat", "reject", protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: "x"}}, nil)
	s.tapes["bob/1"].Wait("rejected x by cat")
	epoch, positions := s.who["bob/1"].Positions()
	if positions["invitation:x"] == 0 {
		t.Fatalf("bob has the positions %v", positions)
	}
	s.who["bob/1"].Close()
	s.act("ann", "cancel", protocol.CancelRequest{InviteID: "x"}, nil)
	if err := house.Server.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := get(); e != nil {
		t.Fatalf("before its retention: %+v", e)
	}
	now.move(25 * 3600)
	if err := house.Server.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := get(); e == nil || e.Code != 8010 {
		t.Fatalf("after its retention: %+v", e)
	}
	s.refuses(8010, "bob", "accept", `{"inviteID":"x"}`)
	connected := make(chan struct{})
	second := s.DeviceWith(client.Options{Token: s.Token("bob"), DeviceID: "bob-2", Epoch: epoch, Positions: positions,
		Listener: client.Listener{OnConnected: func(protocol.Welcome) { close(connected) }}})
	<-connected
	if _, left := second.Positions(); left["invitation:x"] != 0 || left["user:bob"] == 0 {
		t.Errorf("after the invitation was removed, a device keeps the positions %v", left)
	}
	second.Close()
	invite("second")
	s.act("cat", "accept", protocol.AnswerRequest{InviteID: "x"}, nil)
	tape := beckontest.NewRecorder(t, "bob again")
	bob := s.DeviceWith(client.Options{Token: s.Token("bob"), DeviceID: "bob-1", Listener: tape.Listener(), Epoch: epoch,
		Positions: positions})
	tape.Wait(`new x from ann group "" to bob,cat,dan data "second"`)
	tape.Wait("reload")
	if !slices.ContainsFunc(tape.Lines(), func(l string) bool {
		return strings.HasPrefix(l, "reload ") && strings.Contains(l, "invitation:x")
	}) {
		t.Errorf("bob keeps the position of the first invitation: %v", tape.Lines())
	}
	s.act("dan", "accept", protocol.AnswerRequest{InviteID: "x"}, nil)
	tape.Wait("accepted x by dan")
	if _, err := bob.Accept(t.Context(), "x", ""); err != nil {
		t.Error(err)
	}
	var export bytes.Buffer
	if _, err := beckon.Export(t.Context(), house.DataDir, "", &export); err != nil {
		t.Fatal(err)
	}
	moved := t.TempDir()
	if _, err := beckon.Import(t.Context(), moved, "", false, &export); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{house.DataDir, moved} {
		report, err := beckon.Inspect(t.Context(), dir, "")
		if err != nil || len(report.Faults) > 0 || report.Invitations != 1 {
			t.Errorf("%+v, %v", report, err)
		}
	}
}
