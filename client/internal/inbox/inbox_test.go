package inbox_test

import (
	"slices"
	"testing"

	"github.com/beckon-im/beckon/client/internal/inbox"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

func newInbox() *inbox.Inbox {
	x := inbox.New(true)
	x.SetUser("ann")
	return x
}

func ids(x *inbox.Inbox) []string {
	var list []string
	for _, v := range x.List() {
		list = append(list, v.ConversationID)
	}
	slices.Sort(list)
	return list
}

func want(t *testing.T, x *inbox.Inbox, list ...string) {
	t.Helper()
	if got := ids(x); !slices.Equal(got, list) {
		t.Errorf("the list is %q, want %q", got, list)
	}
}

// A list that the server read before a message, and that arrives after the message's response, does not hide the
// message. The message's time is no evidence: it is the time of the decision, before the commit, and the list may be
// newer.
func TestWhatWasSentWhileTheListWasReadStays(t *testing.T) {
	x := newInbox()
	asked := x.Ask()
	x.Sent("c2c_bob", 7, &protocol.Message{From: "ann", To: "bob", Time: 100}, nil)
	x.Replace(protocol.Conversation{ConversationID: "group_g", Type: "group", GroupID: "g", Head: 2, LastSeq: 2,
		LastTime: 100}, 6)
	x.Load(nil, asked, 6)
	want(t, x, "c2c_bob", "group_g")
}

// A conversation missing from a later list is hidden until a newer entry.
func TestALaterListHides(t *testing.T) {
	x := newInbox()
	x.Sent("c2c_bob", 7, &protocol.Message{From: "ann", To: "bob", Time: 100}, nil)
	x.Replace(protocol.Conversation{ConversationID: "group_g", Type: "group", GroupID: "g", Head: 2, LastSeq: 2,
		LastTime: 100}, 7)
	x.Load(nil, x.Ask(), 8)
	want(t, x)
	x.Message(9, &protocol.Message{From: "bob", To: "ann", Time: 101}, nil)
	want(t, x, "c2c_bob")
}

// A late response to an action decided before the list was read does not restore a conversation missing from the
// list.
func TestALateAnswerBringsNothingBack(t *testing.T) {
	x := newInbox()
	asked := x.Ask()
	x.Sent("c2c_bob", 7, &protocol.Message{From: "ann", To: "bob", Time: 100}, nil)
	x.Load(nil, asked, 8) // the user's other device has deleted the conversation with its event 8
	want(t, x)
}

// Actions before the first load do not make the inbox loaded.
func TestSendingIsNotLoading(t *testing.T) {
	x := newInbox()
	x.Sent("c2c_bob", 7, &protocol.Message{From: "ann", To: "bob", Time: 100}, nil)
	if x.Loaded() {
		t.Error("an inbox is loaded after Sent")
	}
	x.Load([]protocol.Conversation{{ConversationID: im.C2C("cat"), Type: "c2c", UserID: "cat", LastSeq: 3, Head: 3}},
		x.Ask(), 7)
	if !x.Loaded() {
		t.Error("not loaded after Load")
	}
	x.Ask() // without a response
	if x.Loaded() {
		t.Error("loaded without a response")
	}
}
