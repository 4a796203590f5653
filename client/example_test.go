package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// phone stands for a connected client in the examples. Those with a real server are in test/sdk.
var phone *client.Client

// Connect a device, and keep its place in the events over restarts of the program.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := client.New(client.Options{
		Server:   "https://chat.example.com",
		GetToken: func(context.Context) (string, error) { return os.Getenv("TOKEN"), nil }, // from your app server
		DeviceID: "alices-laptop",
		Store:    client.FileStore("alices-laptop.json"),
		Log:      slog.Default(),
		Listener: client.Listener{
			OnReceiveNewInvitation: func(e client.InvitationEvent) { fmt.Println(e.Inviter, "is calling") },
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.Connect(ctx); err != nil {
		log.Print(err)
	}
}

// Invite several users; the first to accept wins.
func ExampleClient_Invite() {
	res, err := phone.Invite(context.Background(), protocol.InviteRequest{
		InviteeList: []string{"bob", "carol"},
		InviteOptions: protocol.InviteOptions{Timeout: 30, AcceptLimit: 1, Data: `{"media":"video"}`,
			RoomID: client.NewID()},
	})
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println("ringing", res.InviteID)
}

// An accept that comes too late returns the action that took effect.
func ExampleClient_Accept() {
	_, err := phone.Accept(context.Background(), "the-invite-id", "")
	var refused *client.Error
	if errors.As(err, &refused) && refused.Code == im.CodeOver && refused.Won != nil {
		fmt.Println("too late:", refused.Won.Action, "by", refused.Won.UserID)
	}
}

// Send a message to a user, and one to a group.
func ExampleClient_SendMessage() {
	ctx := context.Background()
	for _, req := range []protocol.SendMessageRequest{
		{UserID: "bob", Body: protocol.Body{Text: "hello"}},
		{GroupID: "team", Body: protocol.Body{Text: "hello, all"}},
	} {
		if _, err := phone.SendMessage(ctx, req); err != nil {
			log.Print(err)
		}
	}
}

// Create a group, and invite all its members.
func ExampleClient_InviteInGroup() {
	ctx := context.Background()
	res, err := phone.CreateGroup(ctx, protocol.CreateGroupRequest{Type: string(im.Work), MemberList: []string{"bob"}})
	if err != nil {
		log.Print(err)
		return
	}
	_, err = phone.InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: res.Group.GroupID, Everyone: true})
	if err != nil {
		log.Print(err)
	}
}

// Enter a media room: the address and the token are for any LiveKit client.
func ExampleClient_EnterRoom() {
	room, err := phone.EnterRoom(context.Background(), "standup", "")
	if im.CodeOf(err) == im.CodeNoMedia {
		fmt.Println("this server has no media server")
		return
	}
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(room.URL)
}

// Upload a picture, and send it.
func ExampleClient_UploadFile() {
	ctx := context.Background()
	f, err := os.Open("cat.png")
	if err != nil {
		log.Print(err)
		return
	}
	defer f.Close()
	up, err := phone.UploadFile(ctx, upload.File{Kind: "image", Name: "cat.png", Body: f,
		OnProgress: func(sent int64) { fmt.Println(sent, "bytes") }})
	if err != nil {
		log.Print(err)
		return
	}
	_, err = phone.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob",
		Body: protocol.Body{Image: &protocol.FileElem{FileID: up.FileID}}})
	if err != nil {
		log.Print(err)
	}
}

// Download a file of a message.
func ExampleClient_DownloadFile() {
	body, err := phone.DownloadFile(context.Background(), "the-file-id")
	if err != nil {
		log.Print(err)
		return
	}
	defer body.Close()
	if _, err := io.Copy(os.Stdout, body); err != nil {
		log.Print(err)
	}
}

// Follow the connection: it reconnects by itself until OnDisconnected.
func ExampleListener_reconnect() {
	_ = client.Listener{
		OnConnecting:   func(int, string) { fmt.Println("reconnecting…") },
		OnConnected:    func(w protocol.Welcome) { fmt.Println("connected as", w.UserID) },
		OnReload:       func(timelines []string) { fmt.Println("read again:", timelines) },
		OnDisconnected: func(code int, reason string) { fmt.Println("over:", code, reason) },
	}
}

// Every failure is an *Error; errors.Is finds its cause.
func ExampleError() {
	c, err := client.New(client.Options{Server: "http://127.0.0.1:1", Token: "a token"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.GetDeviceList(context.Background()) // before Connect
	fmt.Println(errors.Is(err, client.ErrNotConnected), im.CodeOf(err))
	c.Close()
	_, err = c.GetDeviceList(context.Background())
	fmt.Println(errors.Is(err, client.ErrClosed), im.CodeOf(err))
	fmt.Println(err)
	// Output:
	// true 9508
	// true 9508
	// beckon: getDeviceList: the client is closed
}
