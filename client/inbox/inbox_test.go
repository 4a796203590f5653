package inbox_test

import (
	"slices"
	"testing"

	"github.com/beckon-im/beckon/client/inbox"
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

// A list that the server made before it took a message, and that arrives after the message's answer, does not hide the
// message. The message's time says nothing: it is of the moment of decision, before the commit, and the list may be
// younger.
func TestWhatWasSentWhileTheListWasReadStays(t *testing.T) {
	x := newInbox()
	asked := x.Ask()
	x.Sent("c2c_bob", 7, &protocol.Message{From: "ann", To: "bob", Time: 100}, nil)
	x.Replace(protocol.Conversation{ConversationID: "group_g", Type: "group", GroupID: "g", Head: 2, LastSeq: 2,
		LastTime: 100}, 6)
	x.Load(nil, asked, 6)
	want(t, x, "c2c_bob", "group_g")
}

// What a later list does not hold is not shown, until something new comes.
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

// An answer that came late, to something that was decided before the list was made, does not bring back what the list
// left out.
func TestALateAnswerBringsNothingBack(t *testing.T) {
	x := newInbox()
	asked := x.Ask()
	x.Sent("c2c_bob", 7, &protocol.Message{From: "ann", To: "bob", Time: 100}, nil)
	x.Load(nil, asked, 8) // the user's other device has deleted the conversation with its event 8
	want(t, x)
}

// What the device does before it has read its conversations does not count as having read them.
func TestSendingIsNotLoading(t *testing.T) {
	x := newInbox()
	x.Sent("c2c_bob", 7, &protocol.Message{From: "ann", To: "bob", Time: 100}, nil)
	if x.Loaded() {
		t.Error("an inbox that sent one message says that all conversations are read")
	}
	x.Load([]protocol.Conversation{{ConversationID: im.C2C("cat"), Type: "c2c", UserID: "cat", LastSeq: 3, Head: 3}},
		x.Ask(), 7)
	if !x.Loaded() {
		t.Error("not loaded after Load")
	}
	x.Ask() // and the answer never comes
	if x.Loaded() {
		t.Error("loaded, though the answer is missing")
	}
}
