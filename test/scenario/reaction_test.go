package scenario

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

func react(conversation, message, reaction string) protocol.ReactionRequest {
	return protocol.ReactionRequest{MessageRequest: protocol.MessageRequest{ConversationID: conversation,
		MessageID: message}, Reaction: reaction}
}

// counts formats the reactions of a message, and those of the reader.
func counts(list []protocol.ReactionCount, mine []string) string {
	var out []string
	for _, c := range list {
		out = append(out, fmt.Sprint(c.Reaction, c.Count))
	}
	slices.Sort(mine)
	return strings.Join(out, " ") + " mine " + strings.Join(mine, " ")
}

// reactionsOf reads the reactions of a message with getMessage, and compares them with the history.
func (s *scene) reactionsOf(user, conversation, message string) string {
	s.t.Helper()
	var res protocol.MessageResponse
	s.act(user, "getMessage", protocol.MessageRequest{ConversationID: conversation, MessageID: message}, &res)
	got := counts(res.Message.Reactions, res.Mine)
	var page protocol.HistoryResponse
	s.act(user, "getHistoryMessageList", protocol.HistoryRequest{ConversationID: conversation}, &page)
	for _, e := range page.Messages {
		if event, err := protocol.Decode(e.Event); err != nil {
			s.t.Error(err)
		} else if m, ok := event.(*protocol.Message); ok && m.MessageID == message {
			if in := counts(m.Reactions, e.Mine); in != got {
				s.t.Errorf("%s reads %q in the history, and %q in the message", user, in, got)
			}
			return got
		}
	}
	s.t.Errorf("%s does not find %s in the history", user, message)
	return got
}

func (s *scene) refuse(user, method string, req any, code int, field string) {
	s.t.Helper()
	if e := s.try(user, "Bearer "+s.Server.APIKey(), method, req, nil); e == nil || e.Code != code || e.Field != field {
		s.t.Errorf("%s of %s: got %+v, want %d for %s", method, user, e, code, field)
	}
}

// TestReactions: reactions one-to-one and in a group are counted once per user, read back by everyone, and announced.
func TestReactions(t *testing.T) {
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{})}
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public",
		MemberList: []string{"bob", "cem"}}, nil)
	for conversation, target := range map[string]protocol.SendMessageRequest{
		"c2c_bob": {UserID: "bob", MessageID: "m1"}, "group_g": {GroupID: "g", MessageID: "m2"}} {
		target.Text = "hello"
		s.act("ann", "sendMessage", target, nil)
		theirs := strings.Replace(conversation, "bob", "ann", 1)
		var res protocol.ReactionResponse
		s.act("bob", "addMessageReaction", react(theirs, target.MessageID, "👍🏽"), &res)
		s.act("bob", "addMessageReaction", react(theirs, target.MessageID, "👍🏽"), &res)
		if !res.Repeat || res.Count != 1 || res.Version != 1 {
			t.Errorf("%s: the second time %+v", conversation, res)
		}
		s.act("ann", "addMessageReaction", react(conversation, target.MessageID, "👍🏽"), nil)
		s.act("ann", "addMessageReaction", react(conversation, target.MessageID, "❤️"), nil)
		if got := s.reactionsOf("ann", conversation, target.MessageID); got != "👍🏽2 ❤️1 mine ❤️ 👍🏽" {
			t.Errorf("%s: ann reads %q", conversation, got)
		}
		if got := s.reactionsOf("bob", theirs, target.MessageID); got != "👍🏽2 ❤️1 mine 👍🏽" {
			t.Errorf("%s: bob reads %q", conversation, got)
		}
		var users protocol.ReactionUsersResponse
		s.act("bob", "getMessageReactionUserList", protocol.ReactionUsersRequest{MessageRequest: protocol.MessageRequest{
			ConversationID: theirs, MessageID: target.MessageID}, Limit: 1}, &users)
		if len(users.Users) != 1 || users.Users[0].UserID != "ann" || len(users.Users[0].Reactions) != 2 ||
			users.Next != "ann" {
			t.Errorf("%s: the first page is %+v", conversation, users)
		}
		s.act("ann", "removeMessageReaction", react(conversation, target.MessageID, "👍🏽"), &res)
		if res.Count != 1 || !res.Removed {
			t.Errorf("%s: removed: %+v", conversation, res)
		}
		s.act("ann", "removeMessageReaction", react(conversation, target.MessageID, "👍🏽"), &res)
		if !res.Repeat {
			t.Errorf("%s: removed twice: %+v", conversation, res)
		}
		if got := s.reactionsOf("bob", theirs, target.MessageID); got != "👍🏽1 ❤️1 mine 👍🏽" {
			t.Errorf("%s: then bob reads %q", conversation, got)
		}
		var modified protocol.MessageResponse
		s.act("ann", "modifyMessage", map[string]any{"conversationID": conversation, "messageID": target.MessageID,
			"version": 0, "text": "changed"}, &modified)
		if got := s.reactionsOf("bob", theirs, target.MessageID); got != "👍🏽1 ❤️1 mine 👍🏽" {
			t.Errorf("%s: after the modification bob reads %q", conversation, got)
		}
		s.act("ann", "revokeMessage", protocol.MessageRequest{ConversationID: conversation, MessageID: target.MessageID}, nil)
		s.refuse("bob", "addMessageReaction", react(theirs, target.MessageID, "👍🏽"), im.CodeNoMessage, "messageID")
		if got := s.reactionsOf("bob", theirs, target.MessageID); got != " mine " {
			t.Errorf("%s: a revoked message has %q", conversation, got)
		}
	}
}

// TestReactionsRefused: bad input, strangers, muted members and blocks change nothing.
func TestReactionsRefused(t *testing.T) {
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{})}
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob"}},
		nil)
	s.act("ann", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: "m", Body: protocol.Body{Text: "hi"}},
		nil)
	s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: "bob", MessageID: "one",
		Body: protocol.Body{Text: "hi"}}, nil)
	s.refuse("bob", "addMessageReaction", react("group_g", "m", ""), im.CodeBadParameter, "reaction")
	s.refuse("bob", "addMessageReaction", react("group_g", "m", strings.Repeat("a", 65)), im.CodeTooLong, "reaction")
	for _, bad := range []string{"a b", "\u202e", "a\n", "\u2003"} {
		s.refuse("bob", "addMessageReaction", react("group_g", "m", bad), im.CodeBadParameter, "reaction")
	}
	s.refuse("bob", "addMessageReaction", react("group_g", "other", "a"), im.CodeNoMessage, "messageID")
	s.refuse("cem", "addMessageReaction", react("group_g", "m", "a"), im.CodeGroupDenied, "")
	s.refuse("cem", "addMessageReaction", react("c2c_ann", "one", "a"), im.CodeNoMessage, "messageID")
	for i := range 20 {
		s.act("bob", "addMessageReaction", react("group_g", "m", fmt.Sprint("r", i)), nil)
	}
	s.refuse("bob", "addMessageReaction", react("group_g", "m", "r20"), im.CodeTooMany, "reaction")
	s.act("ann", "addMessageReaction", react("group_g", "m", "r3"), nil)
	s.act("ann", "muteGroupMember", map[string]any{"groupID": "g", "userID": "bob", "seconds": 60}, nil)
	s.refuse("bob", "removeMessageReaction", react("group_g", "m", "r3"), im.CodeMuted, "")
	s.act("ann", "addToBlackList", protocol.UsersRequest{UserIDList: []string{"bob"}}, nil)
	s.refuse("bob", "addMessageReaction", react("c2c_ann", "one", "a"), im.CodeBlocked, "conversationID")
	s.refuse("bob", "sendTyping", protocol.TypingRequest{ConversationID: "c2c_ann"}, im.CodeBlocked, "conversationID")
	s.refuse("cem", "sendTyping", protocol.TypingRequest{ConversationID: "group_g"}, im.CodeGroupDenied, "")
	s.refuse("bob", "sendTyping", protocol.TypingRequest{ConversationID: "c2c_bob"}, im.CodeBadParameter, "conversationID")
}

// TestReplies: a reply names a message that its sender can read in the same conversation.
func TestReplies(t *testing.T) {
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{})}
	text := func(req protocol.SendMessageRequest, replyTo string) protocol.SendMessageRequest {
		req.Text, req.ReplyTo = "hi", replyTo
		return req
	}
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: []string{"bob"}},
		nil)
	s.act("ann", "sendMessage", text(protocol.SendMessageRequest{UserID: "bob", MessageID: "m1"}, ""), nil)
	s.act("ann", "sendMessage", text(protocol.SendMessageRequest{GroupID: "g", MessageID: "m2"}, ""), nil)
	reply := text(protocol.SendMessageRequest{UserID: "ann", MessageID: "r1"}, "m1")
	s.act("bob", "sendMessage", reply, nil)
	s.act("bob", "sendMessage", text(protocol.SendMessageRequest{GroupID: "g", MessageID: "r2"}, "m2"), nil)
	var got protocol.MessageResponse
	s.act("ann", "getMessage", protocol.MessageRequest{ConversationID: "c2c_bob", MessageID: "r1"}, &got)
	if got.Message.ReplyTo != "m1" {
		t.Errorf("the reply is %+v", got.Message)
	}
	var page protocol.HistoryResponse
	s.act("ann", "getHistoryMessageList", protocol.HistoryRequest{ConversationID: "c2c_bob", Limit: 1}, &page)
	if len(page.Messages) != 1 || page.Messages[0].Seq != got.Seq {
		t.Errorf("the sequence of the reply is %d; the history has %+v", got.Seq, page.Messages)
	}
	s.refuse("bob", "sendMessage", text(protocol.SendMessageRequest{UserID: "ann"}, "m2"), im.CodeNoMessage, "replyTo")
	s.refuse("bob", "sendMessage", text(protocol.SendMessageRequest{GroupID: "g"}, "m1"), im.CodeNoMessage, "replyTo")
	s.refuse("bob", "sendMessage", text(protocol.SendMessageRequest{UserID: "cem"}, "m1"), im.CodeNoMessage, "replyTo")
	s.refuse("bob", "sendMessage", text(protocol.SendMessageRequest{UserID: "ann"}, "a b"), im.CodeBadParameter, "replyTo")
	s.act("ann", "revokeMessage", protocol.MessageRequest{ConversationID: "c2c_bob", MessageID: "m1"}, nil)
	s.refuse("bob", "sendMessage", text(protocol.SendMessageRequest{UserID: "ann"}, "m1"), im.CodeNoMessage, "replyTo")
	var again protocol.SendMessageResponse
	if s.act("bob", "sendMessage", reply, &again); !again.Repeat {
		t.Error("the retry of a reply whose message was revoked since is a second message")
	}
}

// told returns the reactions and the typing that a device was told, in alphabetical order.
func told(r *beckontest.Recorder) []string {
	list := slices.DeleteFunc(r.Lines(), func(l string) bool {
		return !strings.HasPrefix(l, "reaction ") && !strings.HasPrefix(l, "typing ")
	})
	slices.Sort(list)
	return list
}

// expectTold waits until a device was told these lines, which may come in any order, and no others.
func expectTold(t *testing.T, r *beckontest.Recorder, want ...string) {
	t.Helper()
	for _, l := range want {
		r.Wait(l)
	}
	slices.Sort(want)
	if got := told(r); !slices.Equal(got, want) {
		t.Errorf("told were %q, want %q", got, want)
	}
}

// TestReactionsAndTypingAreAnnounced: to the other devices of the conversation, and not to the acting one.
func TestReactionsAndTypingAreAnnounced(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	ctx := t.Context()
	recorders := map[string]*beckontest.Recorder{}
	devices := map[string]*client.Client{}
	for _, d := range []string{"ann/1", "ann/2", "bob/1", "bob/2", "cem/1"} {
		user, device, _ := strings.Cut(d, "/")
		recorders[d] = beckontest.NewRecorder(t, d)
		devices[d] = house.Device(user, device, recorders[d].Listener())
	}
	ann, bob := devices["ann/1"], devices["bob/1"]
	if _, err := ann.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Public",
		MemberList: []string{"bob", "cem"}}); err != nil {
		t.Fatal(err)
	}
	for _, req := range []protocol.SendMessageRequest{{UserID: "bob", MessageID: "m1"}, {GroupID: "g", MessageID: "m2"}} {
		req.Text = "hi"
		if _, err := ann.SendMessage(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bob.AddMessageReaction(ctx, react("c2c_ann", "m1", "+1")); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.AddMessageReaction(ctx, react("group_g", "m2", "+1")); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.RemoveMessageReaction(ctx, react("group_g", "m2", "+1")); err != nil {
		t.Fatal(err)
	}
	group := []string{"reaction in group_g to m2 by bob: +1 removed false count 1",
		"reaction in group_g to m2 by bob: +1 removed true count 0"}
	pair := func(peer string) string { return "reaction in c2c_" + peer + " to m1 by bob: +1 removed false count 1" }
	anns := append([]string{pair("bob")}, group...)
	expectTold(t, recorders["ann/1"], anns...)
	expectTold(t, recorders["ann/2"], anns...)
	expectTold(t, recorders["cem/1"], group...) // now they are subscribed to the group
	for _, c := range []struct {
		req  protocol.TypingRequest
		sent bool
	}{
		{protocol.TypingRequest{ConversationID: "c2c_ann"}, true},
		{protocol.TypingRequest{ConversationID: "c2c_ann"}, false},
		{protocol.TypingRequest{ConversationID: "group_g"}, true},
		{protocol.TypingRequest{ConversationID: "c2c_ann", Stopped: true}, true},
		{protocol.TypingRequest{ConversationID: "c2c_ann", Stopped: true}, false},
		{protocol.TypingRequest{ConversationID: "c2c_ann"}, false},
	} {
		if res, err := bob.SendTyping(ctx, c.req); err != nil || res.Sent != c.sent && *nodes == 1 {
			t.Errorf("typing %+v: %+v, %v", c.req, res, err)
		}
	}
	anns = append(anns, "typing in c2c_bob by bob: true", "typing in c2c_bob by bob: false",
		"typing in group_g by bob: true")
	expectTold(t, recorders["ann/1"], anns...)
	expectTold(t, recorders["ann/2"], anns...)
	expectTold(t, recorders["cem/1"], append(group, "typing in group_g by bob: true")...)
	expectTold(t, recorders["bob/1"])
	expectTold(t, recorders["bob/2"], append(group, pair("ann"))...)
}

// TestManyReact: a hundred members react to one message at once; the counts are theirs, and each device is told all.
func TestManyReact(t *testing.T) {
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{UserRate: 1e6, UserBurst: 1e6})}
	var members []string
	for i := range 100 {
		members = append(members, fmt.Sprint("u", i))
	}
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public", MemberList: members}, nil)
	s.act("ann", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: "m", Body: protocol.Body{Text: "hi"}},
		nil)
	recorder := beckontest.NewRecorder(t, "ann/1")
	s.Device("ann", "1", recorder.Listener())
	var all sync.WaitGroup
	for i, u := range members {
		all.Go(func() {
			req := react("group_g", "m", "+1")
			for range 3 { // again and again: the same one
				if e := s.try(u, "Bearer "+s.Server.APIKey(), "addMessageReaction", req, nil); e != nil {
					t.Errorf("%d: %v", i, e)
				}
			}
		})
	}
	all.Wait()
	if got := s.reactionsOf("ann", "group_g", "m"); got != "+1100 mine " {
		t.Errorf("ann reads %q", got)
	}
	for _, u := range members {
		recorder.Wait("reaction in group_g to m by " + u + ": +1 removed false")
	}
	if n := len(told(recorder)); n != len(members) {
		t.Errorf("%d reactions were told, want %d", n, len(members))
	}
}

// TestReactionsBehindASilentBlock: with silent blocks, each of two users has a copy of the message of their own. What
// one of them does never reaches the copy of the other, and the block is not shown.
func TestReactionsBehindASilentBlock(t *testing.T) {
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{DropBlocked: true})}
	s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: "bob", MessageID: "m",
		Body: protocol.Body{Text: "hi"}}, nil)
	s.act("bob", "addToBlackList", protocol.UsersRequest{UserIDList: []string{"ann"}}, nil)
	var res protocol.ReactionResponse
	s.act("ann", "addMessageReaction", react("c2c_bob", "m", "x"), &res)
	s.act("ann", "modifyMessage", map[string]any{"conversationID": "c2c_bob", "messageID": "m", "text": "unseen"}, nil)
	var typing protocol.TypingResponse
	if s.act("ann", "sendTyping", protocol.TypingRequest{ConversationID: "c2c_bob"}, &typing); !typing.Sent {
		t.Error("typing shows the block")
	}
	s.act("bob", "addMessageReaction", react("c2c_ann", "m", "y"), nil)
	check := func(user, conversation, text, want string) {
		t.Helper()
		var got protocol.MessageResponse
		s.act(user, "getMessage", protocol.MessageRequest{ConversationID: conversation, MessageID: "m"}, &got)
		if have := s.reactionsOf(user, conversation, "m"); have != want || got.Message.Text != text {
			t.Errorf("%s reads %q with %q, want %q with %q", user, got.Message.Text, have, text, want)
		}
	}
	check("ann", "c2c_bob", "unseen", "x1 y1 mine x")
	check("bob", "c2c_ann", "hi", "y1 mine y")
	s.act("bob", "deleteFromBlackList", protocol.UsersRequest{UserIDList: []string{"ann"}}, nil)
	s.act("ann", "addMessageReaction", react("c2c_bob", "m", "z"), &res)
	check("ann", "c2c_bob", "unseen", "x1 y1 z1 mine x z")
	check("bob", "c2c_ann", "hi", "y1 z1 mine y")
	if s.act("ann", "removeMessageReaction", react("c2c_bob", "m", "x"), &res); res.Count != 0 || res.Repeat {
		t.Errorf("removed: %+v", res)
	}
	check("ann", "c2c_bob", "unseen", "y1 z1 mine z")
	check("bob", "c2c_ann", "hi", "y1 z1 mine y")
}

// TestOwnReactionsFarApart: a page shows the reader's reactions also where it skips many messages of others.
func TestOwnReactionsFarApart(t *testing.T) {
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{UserRate: 1e6, UserBurst: 1e6})}
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Public",
		MemberList: []string{"bob", "cem"}}, nil)
	send := func(id string, to ...string) {
		s.act("ann", "sendMessage", protocol.SendMessageRequest{GroupID: "g", MessageID: id, Body: protocol.Body{Text: id},
			MessageOptions: protocol.MessageOptions{ReceiverList: to}}, nil)
	}
	send("first")
	for i := range 1100 {
		send(fmt.Sprint("aside", i), "cem")
	}
	send("last")
	for _, id := range []string{"first", "last"} {
		s.act("bob", "addMessageReaction", react("group_g", id, "+1"), nil)
	}
	for _, id := range []string{"first", "last"} {
		if got := s.reactionsOf("bob", "group_g", id); got != "+11 mine +1" {
			t.Errorf("bob reads %q at %s", got, id)
		}
	}
}
