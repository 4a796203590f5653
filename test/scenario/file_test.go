package scenario

import (
	"bytes"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestAFileIsReadWhereAMessageHoldsIt: who may read a picture and its thumbnail as messages that hold it are revoked,
// replaced, deleted, forwarded, and as members leave.
func TestAFileIsReadWhereAMessageHoldsIt(t *testing.T) {
	house := beckontest.StartWith(t, beckon.Config{})
	ctx := t.Context()
	devices := map[string]*client.Client{}
	for _, u := range []string{"ann", "bob", "cat"} {
		devices[u] = house.Device(u, u+"1", client.Listener{})
	}
	ann, bob := devices["ann"], devices["bob"]
	uploaded := func() protocol.UploadResponse {
		t.Helper()
		up, err := ann.UploadFile(ctx, upload.File{Kind: "image", Name: "cat.png",
			Body: bytes.NewReader(picture(t, 800, 400))})
		if err != nil {
			t.Fatal(err)
		}
		return up
	}
	show := func(f string) protocol.Body { return protocol.Body{Image: &protocol.FileElem{FileID: f}} }
	send := func(by *client.Client, req protocol.SendMessageRequest) string {
		t.Helper()
		res, err := by.SendMessage(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		return res.MessageID
	}
	check := func(what string, up protocol.UploadResponse, readers ...string) {
		t.Helper()
		want := map[string]bool{"ann": true} // the owner
		for _, r := range readers {
			want[r] = true
		}
		for user, d := range devices {
			for _, id := range []string{up.FileID, up.ThumbID} {
				if _, err := d.GetFile(ctx, id); (err == nil) != want[user] || err != nil && im.CodeOf(err) != im.CodeNoFile {
					t.Errorf("%s: %s reads the file: %v", what, user, err)
				}
			}
		}
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	one, two := uploaded(), uploaded()
	first := send(ann, protocol.SendMessageRequest{UserID: "bob", Body: show(one.FileID)})
	second := send(ann, protocol.SendMessageRequest{UserID: "bob", Body: show(one.FileID)})
	check("two messages hold it", one, "bob")
	must(ann.RevokeMessage(ctx, protocol.RevokeRequest{MessageRequest: protocol.MessageRequest{ConversationID: "c2c_bob",
		MessageID: first}}))
	check("one is revoked", one, "bob")
	must(ann.ModifyMessage(ctx, protocol.ModifyMessageRequest{
		MessageRequest: protocol.MessageRequest{ConversationID: "c2c_bob", MessageID: second}, Body: show(two.FileID)}))
	check("the other shows another picture", one)
	check("the other picture", two, "bob")
	if _, err := bob.SendMessage(ctx, protocol.SendMessageRequest{UserID: "cat",
		Body: show(one.FileID)}); im.CodeOf(err) != im.CodeNoFile {
		t.Errorf("bob passes on what he may no longer read: %v", err)
	}
	note := "a note"
	must(ann.ModifyMessage(ctx, protocol.ModifyMessageRequest{
		MessageRequest: protocol.MessageRequest{ConversationID: "c2c_bob", MessageID: second}, CustomData: &note}))
	check("a modification that leaves the picture", two, "bob")
	forwarded := send(bob, protocol.SendMessageRequest{UserID: "cat", Body: show(two.FileID)})
	must(ann.RevokeMessage(ctx, protocol.RevokeRequest{MessageRequest: protocol.MessageRequest{ConversationID: "c2c_bob",
		MessageID: second}}))
	check("bob has forwarded it", two, "bob", "cat")
	must(bob.RevokeMessage(ctx, protocol.RevokeRequest{MessageRequest: protocol.MessageRequest{ConversationID: "c2c_cat",
		MessageID: forwarded}}))
	check("he revokes it", two)

	three := uploaded()
	must(ann.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Public",
		MemberList: []string{"bob", "cat"}}))
	send(ann, protocol.SendMessageRequest{GroupID: "g", Body: show(three.FileID),
		MessageOptions: protocol.MessageOptions{ReceiverList: []string{"bob"}}})
	check("a message for bob alone", three, "bob")
	send(ann, protocol.SendMessageRequest{GroupID: "g", Body: show(three.FileID)})
	check("a message for all", three, "bob", "cat")
	must(ann.KickGroupMember(ctx, protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "g",
		MemberList: []string{"bob"}}}))
	check("bob is kicked", three, "cat")
	must(ann.DismissGroup(ctx, "g"))
	check("the group is dismissed", three)

	four := uploaded()
	send(ann, protocol.SendMessageRequest{UserID: "bob", Body: show(four.FileID),
		MessageOptions: protocol.MessageOptions{OnlineUserOnly: true}})
	check("a message that is not stored", four, "bob")
}
