package sdk

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// exampleDevice connects a device of a user.
func exampleDevice(url, token, device string, l client.Listener) *client.Client {
	c, err := client.New(client.Options{Server: url, Token: token, DeviceID: device, Listener: l})
	must(err)
	must(c.Connect(context.Background()))
	return c
}

// A message, and the history of the conversation.
func Example_messages() {
	url, token, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	received := make(chan protocol.Message, 1)
	alice := exampleDevice(url, token("alice"), "a", client.Listener{})
	defer alice.Close()
	bob := exampleDevice(url, token("bob"), "b", client.Listener{
		OnRecvC2CTextMessage: func(m protocol.Message) { received <- m }})
	defer bob.Close()

	_, err := alice.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "hello"}})
	must(err)
	m := <-received
	fmt.Println(m.From, "writes", m.Text)
	history, err := bob.GetHistoryMessageList(ctx, protocol.HistoryRequest{ConversationID: im.C2C("alice")})
	must(err)
	fmt.Println(len(history.Messages), "message")
	// Output:
	// alice writes hello
	// 1 message
}

// A group, its events, and a refusal.
func Example_groups() {
	url, token, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	kicked := make(chan protocol.GroupEvent, 1)
	alice := exampleDevice(url, token("alice"), "a", client.Listener{})
	defer alice.Close()
	bob := exampleDevice(url, token("bob"), "b", client.Listener{
		OnMemberKicked: func(e protocol.GroupEvent) { kicked <- e }})
	defer bob.Close()

	_, err := alice.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "team", Type: "Work",
		MemberList: []string{"bob", "carol"}})
	must(err)
	_, err = bob.DismissGroup(ctx, "team")
	fmt.Println("bob may not dismiss it:", im.CodeOf(err) == im.CodeGroupDenied)
	_, err = alice.KickGroupMember(ctx, protocol.KickRequest{
		GroupMembersRequest: protocol.GroupMembersRequest{GroupID: "team", MemberList: []string{"carol"}}})
	must(err)
	e := <-kicked
	fmt.Println(e.From, "removes", e.Members, "from", e.GroupID)
	// Output:
	// bob may not dismiss it: true
	// alice removes [carol] from team
}

// A file, from its upload to its download by the receiver of the message.
func Example_uploads() {
	url, token, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	received := make(chan protocol.Message, 1)
	alice := exampleDevice(url, token("alice"), "a", client.Listener{})
	defer alice.Close()
	bob := exampleDevice(url, token("bob"), "b", client.Listener{
		OnRecvNewMessage: func(m protocol.Message) { received <- m }})
	defer bob.Close()

	up, err := alice.UploadFile(ctx, upload.File{Kind: "file", Name: "a.txt", Body: strings.NewReader("the content")})
	must(err)
	_, err = alice.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob",
		Body: protocol.Body{File: &protocol.FileElem{FileID: up.FileID}}})
	must(err)
	m := <-received
	body, err := bob.DownloadFile(ctx, m.File.FileID)
	must(err)
	defer body.Close()
	text, err := io.ReadAll(body)
	must(err)
	fmt.Printf("%s: %s\n", m.File.Name, text)
	// Output:
	// a.txt: the content
}

// A room of a server without a media server.
func Example_rooms() {
	url, token, stop := exampleServer()
	defer stop()
	alice := exampleDevice(url, token("alice"), "a", client.Listener{})
	defer alice.Close()
	_, err := alice.EnterRoom(context.Background(), "standup", "")
	fmt.Println(im.CodeOf(err) == im.CodeNoMedia)
	// Output:
	// true
}
