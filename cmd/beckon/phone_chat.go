package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// conversation parses "bob" or "@club".
func conversation(name string) (id, user, group string) {
	if g, ok := strings.CutPrefix(name, "@"); ok {
		return im.GroupConversation(g), "", g
	}
	return im.C2C(name), name, ""
}

// short formats a conversation as conversation parses it.
func short(id string) string {
	user, group, err := im.ParseConversation(id)
	if err != nil || group == "" {
		return user
	}
	return "@" + group
}

// chat runs commands about messages and users; false = unknown command.
func (p *phone) chat(ctx context.Context, word string, args []string) bool {
	needs := map[string]int{"msg": 2, "chats": 0, "read": 1, "back": 0, "find": 1, "send": 2, "block": 1, "unblock": 1,
		"watch": 1}
	n, known := needs[word]
	if !known {
		return false
	}
	if len(args) < n {
		p.print(red, "%s needs more words; type help", word)
		return true
	}
	var err error
	switch word {
	case "msg":
		err = p.send(ctx, args[0], protocol.Body{Text: strings.Join(args[1:], " ")})
	case "chats":
		err = p.chats(ctx)
	case "read":
		err = p.read(ctx, args[0])
	case "back":
		if _, err = p.me.RevokeMessage(ctx, p.mine); err == nil {
			p.print(dim, "taken back")
		}
	case "find":
		err = p.find(ctx, strings.Join(args, " "))
	case "send":
		err = p.sendFile(ctx, args[0], args[1])
	case "block":
		if _, err = p.me.AddToBlackList(ctx, strings.Split(args[0], ",")); err == nil {
			p.print(dim, "%s is blocked", args[0])
		}
	case "unblock":
		if _, err = p.me.DeleteFromBlackList(ctx, strings.Split(args[0], ",")); err == nil {
			p.print(dim, "%s is unblocked", args[0])
		}
	case "watch":
		var res protocol.StatusResponse
		if res, err = p.me.SubscribeUserStatus(ctx, strings.Split(args[0], ",")); err == nil {
			for _, s := range res.Statuses {
				p.print(dim, "%s is %s%s", s.UserID, s.Status, quote(s.CustomStatus))
			}
		}
	}
	if err != nil {
		p.failed(err)
	}
	return true
}

func (p *phone) send(ctx context.Context, to string, body protocol.Body) error {
	id, user, group := conversation(to)
	res, err := p.me.SendMessage(ctx, protocol.SendMessageRequest{UserID: user, GroupID: group, Body: body})
	if err == nil {
		p.mine = protocol.RevokeRequest{MessageRequest: protocol.MessageRequest{ConversationID: id, MessageID: res.MessageID}}
		p.print(dim, "sent")
	}
	return err
}

// message prints a received message.
func (p *phone) message(where string, _ uint64, m protocol.Message) {
	in := ""
	if m.GroupID != "" {
		in = " in " + short(where)
	}
	p.print(bold, "%s%s: %s", m.From, in, text(&m))
}

// text formats a message in one line.
func text(m *protocol.Message) string {
	switch {
	case m.Revoked:
		return "(taken back)"
	case m.Text != "":
		return m.Text
	case m.Custom != nil:
		return "(" + m.Custom.Description + ")"
	}
	for _, f := range []*protocol.FileElem{m.Image, m.Sound, m.Video, m.File} {
		if f != nil {
			return fmt.Sprintf("(%s %s, %d bytes)", m.MessageType, f.Name, f.Size)
		}
	}
	return "(" + string(m.MessageType) + ")"
}

func (p *phone) chats(ctx context.Context) error {
	res, err := p.me.GetConversationList(ctx, protocol.ConversationsRequest{})
	if err != nil {
		return err
	}
	if len(res.Conversations) == 0 {
		p.print(dim, "no conversations yet")
	}
	for _, v := range res.Conversations {
		unread := ""
		if v.Unread > 0 {
			unread = fmt.Sprintf(" (%d unread)", v.Unread)
		}
		p.print("", "%s%s: %s", short(v.ConversationID), unread, p.line(v.Last))
	}
	return nil
}

// line formats an entry of a conversation in one line.
func (p *phone) line(event []byte) string {
	if len(event) == 0 {
		return ""
	}
	v, err := protocol.Decode(event)
	if err != nil {
		return ""
	}
	switch e := v.(type) {
	case *protocol.Message:
		return e.From + ": " + text(e)
	case *protocol.GroupEvent:
		return fmt.Sprintf("[%s %s]", e.Tip, strings.Join(e.Members, ", "))
	case *protocol.Signaling:
		actions := map[protocol.ActionType]string{1: "called", 2: "cancelled", 3: "accepted", 4: "declined", 5: "no answer",
			6: "changed the call", 7: "invited more"}
		user := e.From
		if user == "" {
			user = e.Inviter
		}
		return fmt.Sprintf("[%s: %s%s]", user, actions[e.ActionType], quote(e.Data))
	}
	return ""
}

// read prints the end of a conversation and marks it as read.
func (p *phone) read(ctx context.Context, name string) error {
	id, _, _ := conversation(name)
	res, err := p.me.GetHistoryMessageList(ctx, protocol.HistoryRequest{ConversationID: id, Limit: 20})
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(res.Messages) {
		p.print("", "%s", p.line(e.Event))
	}
	_, err = p.me.MarkConversationRead(ctx, id, 0)
	return err
}

func (p *phone) find(ctx context.Context, words string) error {
	res, err := p.me.SearchMessages(ctx, protocol.SearchRequest{Text: words})
	if err != nil {
		return err
	}
	if len(res.Found) == 0 {
		p.print(dim, "no results")
	}
	for _, f := range res.Found {
		p.print("", "%s: %s: %s", short(f.ConversationID), f.Message.From, text(&f.Message))
	}
	return nil
}

// kindOf returns the upload kind of a file, by its name.
func kindOf(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp":
		return "image"
	}
	return "file"
}

func (p *phone) sendFile(ctx context.Context, to, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	kind := kindOf(path)
	up, err := p.me.UploadFile(ctx, upload.File{Kind: kind, Name: filepath.Base(path), Body: f})
	if err != nil {
		return err
	}
	elem := &protocol.FileElem{FileID: up.FileID}
	if kind == "image" {
		return p.send(ctx, to, protocol.Body{Image: elem})
	}
	return p.send(ctx, to, protocol.Body{File: elem})
}

func (p *phone) groupInfo(ctx context.Context, id string) {
	g, err := p.me.GetGroup(ctx, id)
	var list protocol.MembersResponse
	if err == nil {
		list, err = p.me.GetGroupMemberList(ctx, protocol.PageRequest{GroupID: id})
	}
	if err != nil {
		p.failed(err)
		return
	}
	roles := map[int]string{300: " (administrator)", 400: " (owner)"}
	names := make([]string, len(list.Members))
	for i, m := range list.Members {
		names[i] = m.UserID + roles[m.Role]
	}
	p.print("", "%s, a %s group with %d members: %s", id, g.Group.Type, g.Group.Members, strings.Join(names, ", "))
}

// administer runs commands of owners and administrators.
func (p *phone) administer(ctx context.Context, command, group, user string) error {
	var err error
	switch req := (protocol.HandleApplicationRequest{GroupID: group, UserID: user}); command {
	case "yes":
		_, err = p.me.AcceptGroupApplication(ctx, req)
	case "no":
		_, err = p.me.RefuseGroupApplication(ctx, req)
	case "kick":
		members := protocol.GroupMembersRequest{GroupID: group, MemberList: strings.Split(user, ",")}
		_, err = p.me.KickGroupMember(ctx, protocol.KickRequest{GroupMembersRequest: members})
	}
	return err
}
