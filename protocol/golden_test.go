package protocol_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

var update = flag.Bool("update", false, "rewrite the golden frames; a change there is a change of the protocol")

// TestGoldenFrames pins the wire format: SDKs in other languages depend on it.
func TestGoldenFrames(t *testing.T) {
	frames := map[string]any{
		"invitation": protocol.Invitation{InviteID: "i1", Inviter: "alice", RoomID: "room1", Data: "hello", Timeout: 30,
			Notify: invite.NotifyMembers, InviteeCount: 1, CreatedAt: 1_700_000_000_000, Deadline: 1_700_000_030_000,
			Remaining: 20_000, Version: 1, Counts: invite.Counts{Open: 1},
			Invitees: []protocol.Invitee{{UserID: "bob"}}, ServerTime: 1_700_000_010_000},
		"invite": protocol.Signaling{Type: protocol.TypeSignaling, BusinessID: protocol.BusinessID,
			ActionType: protocol.ActionInvite, From: "alice", To: "bob", Time: 1_700_000_000_000,
			InviteID: "i1", Inviter: "alice", InviteeList: []string{"bob"}, Data: "hello", RoomID: "room1", Timeout: 30,
			Deadline: 1_700_000_030_000, Remaining: 30_000, Version: 1},
		"accept": protocol.Signaling{Type: protocol.TypeSignaling, BusinessID: protocol.BusinessID,
			ActionType: protocol.ActionAccept, From: "bob", To: "alice", Time: 1_700_000_005_000,
			InviteID: "i1", Inviter: "alice", Answers: []protocol.Answer{{Invitee: "bob", ActionType: protocol.ActionAccept,
				Data: "yes", Time: 1_700_000_005_000}}, Version: 2, Over: true},
		"timeout": protocol.Signaling{Type: protocol.TypeSignaling, BusinessID: protocol.BusinessID,
			ActionType: protocol.ActionTimeout, To: "bob", Time: 1_700_000_030_000,
			InviteID: "i1", Inviter: "alice", InviteeList: []string{"bob"}, Version: 2, Over: true},
		"group": protocol.GroupEvent{Type: protocol.TypeGroup, Tip: protocol.TipEnter, GroupID: "g", From: "bob",
			Members: []string{"bob"}, Time: 1_700_000_000_000},
		"message": protocol.Message{Type: protocol.TypeMessage, MessageID: "m1", MessageType: protocol.Image, From: "alice",
			GroupID: "g", Time: 1_700_000_000_000,
			Body: protocol.Body{Image: &protocol.FileElem{FileID: "f1", Type: "image/png", Size: 10, Width: 2,
				Height: 1}},
			MessageOptions: protocol.MessageOptions{Mentions: []string{"bob"}, NeedReadReceipt: true}},
		"modified": protocol.MessageEvent{Type: protocol.TypeModified, MessageID: "m1", From: "alice", To: "bob", By: "alice",
			Time: 1_700_000_000_000,
			Message: &protocol.Message{Type: protocol.TypeMessage, MessageID: "m1", MessageType: protocol.Text, From: "alice",
				To: "bob", Body: protocol.Body{Text: "new"}, Version: 1, ModifiedBy: "alice"}},
		"revoked": protocol.MessageEvent{Type: protocol.TypeRevoked, MessageID: "m1", From: "alice", GroupID: "g",
			By: "owner", Reason: "rude", Time: 1_700_000_000_000},
		"receipt": protocol.MessageEvent{Type: protocol.TypeReceipt, GroupID: "g",
			Receipts: []protocol.Count{{MessageID: "m1", Read: 2, Unread: 3}}, Time: 1_700_000_000_000},
		"read": protocol.ConversationEvent{Type: protocol.TypeRead, ConversationID: "c2c_bob", ReadSeq: 7, Unread: 1,
			Head: 9, Pinned: true, Time: 1_700_000_000_000},
		"status": protocol.PersonEvent{Type: protocol.TypeStatus, UserID: "bob",
			Status: &protocol.UserStatus{UserID: "bob", Status: protocol.StatusOnline, CustomStatus: "here"},
			Time:   1_700_000_000_000},
		"digest": protocol.Signaling{Type: protocol.TypeSignaling, BusinessID: protocol.BusinessID,
			ActionType: protocol.ActionDigest, GroupID: "g", Time: 1_700_000_000_000, InviteID: "i1", Inviter: "alice",
			Version: 900,
			Digest:  &protocol.Digest{Counts: invite.Counts{Open: 100, Accepted: 899}, Accepted: []string{"bob"}}},
		"call": protocol.Call{CallID: "c1", RoomID: "room1", InviteID: "i1", GroupID: "g", Inviter: "alice", Invitee: "bob",
			Media: "video", Opened: 1_700_000_000_000, Began: 1_700_000_001_000, Ended: 1_700_000_009_000, Duration: 8000,
			Reason: "hangup", EndedBy: "bob", Count: 2,
			People: []protocol.CallPerson{{UserID: "bob", Joined: 1_700_000_001_000, Left: 1_700_000_009_000, Duration: 8000,
				Reason: "hangup"}}},
		"callRecord": protocol.Message{Type: protocol.TypeMessage, MessageID: "call-c1", MessageType: protocol.CallType,
			From: "alice", To: "bob", Body: protocol.Body{Call: &protocol.CallElem{CallID: "c1", RoomID: "room1",
				InviteID: "i1", Media: "audio", Began: 1_700_000_001_000, Ended: 1_700_000_009_000, Duration: 8000,
				Reason: "left", EndedBy: "bob", Count: 2, People: []string{"alice", "bob"}}}},
		"error": protocol.Error{Code: 8010, Message: "already accepted on another device",
			Won: &protocol.Won{Action: "accept", UserID: "bob", Device: "phone", Time: 1_700_000_005_000}},
		"welcome": protocol.Welcome{UserID: "bob", DeviceID: "phone", ServerTime: 1_700_000_000_000, Epoch: "e",
			Positions: map[string]uint64{"user:bob": 7}, Invitations: []protocol.Invitation{}},
	}
	got, err := json.MarshalIndent(frames, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("testdata/frames.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/frames.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the wire has changed; if that is meant, run go test ./protocol -update and write it into PROTOCOL.md\n%s",
			got)
	}
	for _, name := range []string{"invite", "accept", "timeout", "group", "message", "modified", "revoked", "receipt",
		"read", "status", "digest", "callRecord"} {
		b, err := json.Marshal(frames[name])
		if err != nil {
			t.Fatal(err)
		}
		back, err := protocol.Decode(b)
		if err != nil || back == nil {
			t.Errorf("%s does not read back: %v", name, err)
			continue
		}
		if again, _ := json.Marshal(back); string(again) != string(b) {
			t.Errorf("%s reads back as %s", name, again)
		}
	}
	if v, err := protocol.Decode([]byte(`{"type":"of tomorrow"}`)); v != nil || err != nil {
		t.Errorf("an unknown type is %v, %v", v, err)
	}
}
