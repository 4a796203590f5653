package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

const phoneHelp = `  call bob                    call a user; "call bob,carol" calls both, outside any group
  call bob 10 dinner?         ring for 10 seconds, with a text
  first bob,carol             the first accept wins
  a   r   b                   answer the ringing call: accept, reject, busy (also: a <id> <text>)
  cancel                      cancel your call; "cancel bob" only bob
  say <text>                  change the text of your call
  add dave                    invite more users to your call
  group new club bob,carol    create a group         group join club      group quit club
  group new club bob Public   of another type: Work, Public, Meeting (the default), AVChatRoom, Community
  group yes club dave         approve an applicant   group no club dave   refuse
  group info club             list members           group kick club dave remove a member
  group call club             call all members       group call club bob  only bob
  list                        list open calls        q  quit
  msg bob hello               send a message; "msg @club hello" writes to a group
  chats                       your conversations     read bob             read one
  back                        revoke your last message
  find word                   search messages        send bob photo.png   send a file
  block bob   unblock bob     block or unblock bob   watch bob            subscribe to bob's status`

// ringFor is the default timeout of calls, in seconds.
const ringFor = 30

// command runs one command line; quit ends the phone.
func (p *phone) command(ctx context.Context, words []string) (quit bool) {
	if len(words) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	args := words[1:]
	switch words[0] {
	case "q", "quit", "exit":
		return true
	case "help", "?", "h":
		p.print("", "%s", phoneHelp)
	case "call":
		p.call(ctx, args, 0)
	case "first":
		p.call(ctx, args, 1)
	case "a", "accept", "r", "reject", "b", "busy":
		p.decide(ctx, words[0], args)
	case "cancel", "c":
		p.cancel(ctx, args)
	case "say":
		p.modify(ctx, strings.Join(args, " "))
	case "add":
		p.add(ctx, args)
	case "group", "g":
		p.groups(ctx, args)
	case "list", "l":
		p.open(ctx)
	default:
		if p.chat(ctx, words[0], args) {
			break
		}
		p.print(red, "there is no %q here; type help", words[0])
	}
	return false
}

func (p *phone) call(ctx context.Context, args []string, limit int) {
	if len(args) == 0 {
		p.print(red, "usage: call bob")
		return
	}
	users := strings.Split(args[0], ",")
	opt := options(args[1:])
	opt.AcceptLimit = limit
	req := protocol.InviteRequest{InviteOptions: opt}
	if len(users) == 1 {
		req.Invitee, req.MergeGlare = users[0], true
	} else {
		req.InviteeList = users
	}
	p.own(opt.InviteID, "")
	res, err := p.me.Invite(ctx, req)
	p.called(res, err, opt.InviteID)
}

// options parses "[seconds] [text…]".
func options(args []string) protocol.InviteOptions {
	opt := protocol.InviteOptions{InviteID: client.NewID(), Timeout: ringFor}
	if len(args) > 0 {
		if n, err := strconv.ParseInt(args[0], 10, 64); err == nil {
			opt.Timeout, args = n, args[1:]
		}
	}
	opt.Data = strings.Join(args, " ")
	return opt
}

// own records a call by this phone.
func (p *phone) own(id, group string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[id] = &call{id: id, from: p.cmd.User, group: group, open: true}
	p.list = append(p.list, id)
}

func (p *phone) called(res protocol.InviteResponse, err error, id string) {
	switch {
	case err != nil:
		p.ended(id)
		p.failed(err)
		return
	case res.Merged:
		p.ended(id)
		p.print(green, "you called each other at the same moment: you are connected")
		return
	}
	var away []string
	for _, r := range res.Reach {
		if r.Devices == 0 {
			away = append(away, r.UserID)
		}
	}
	p.print(dim, "calling… %s", res.InviteID)
	if len(away) > 0 {
		p.print(yellow, "not connected now: %s", strings.Join(away, ", "))
	}
}

func (p *phone) decide(ctx context.Context, how string, args []string) {
	id := p.ringing()
	if len(args) > 0 && p.known(args[0]) {
		id, args = args[0], args[1:]
	}
	if id == "" {
		p.print(red, "nothing rings")
		return
	}
	text := strings.Join(args, " ")
	var err error
	switch how[0] {
	case 'a':
		_, err = p.me.Accept(ctx, id, text)
	case 'r':
		_, err = p.me.Reject(ctx, id, text, "")
	case 'b':
		_, err = p.me.Reject(ctx, id, text, "busy")
	}
	p.ended(id)
	if err != nil {
		p.failed(err)
		return
	}
	p.print(green, "you said: %s", map[byte]string{'a': "yes", 'r': "no", 'b': "busy"}[how[0]])
}

func (p *phone) known(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[id] != nil
}

func (p *phone) cancel(ctx context.Context, args []string) {
	id := p.calling()
	if id == "" {
		p.print(red, "you have no open call")
		return
	}
	req := protocol.CancelRequest{InviteID: id}
	if len(args) > 0 {
		req.InviteeList = strings.Split(args[0], ",")
	}
	res, err := p.me.Cancel(ctx, req)
	if err != nil {
		p.failed(err)
		return
	}
	if len(req.InviteeList) == 0 {
		p.ended(id)
	}
	p.print(dim, "cancelled: %s", strings.Join(res.InviteeList, ", "))
}

func (p *phone) modify(ctx context.Context, data string) {
	id := p.calling()
	if id == "" {
		p.print(red, "you have no open call")
		return
	}
	if _, err := p.me.ModifyInvitation(ctx, id, data); err != nil {
		p.failed(err)
	}
}

func (p *phone) add(ctx context.Context, args []string) {
	id := p.calling()
	if id == "" || len(args) == 0 {
		p.print(red, "usage: add dave (with an open call)")
		return
	}
	if _, err := p.me.AddInvitees(ctx, protocol.AddInviteesRequest{InviteID: id,
		InviteeList: strings.Split(args[0], ",")}); err != nil {
		p.failed(err)
	}
}

func (p *phone) groups(ctx context.Context, args []string) {
	if len(args) < 2 {
		p.print(red, "usage: group new club bob,carol · group join club · group quit club · group call club")
		return
	}
	id := args[1]
	var err error
	switch args[0] {
	case "new":
		req := protocol.CreateGroupRequest{GroupID: id, Type: "Meeting"}
		if len(args) > 2 {
			req.MemberList = strings.Split(args[2], ",")
		}
		if len(args) > 3 {
			req.Type = args[3]
		}
		_, err = p.me.CreateGroup(ctx, req)
	case "join":
		var res protocol.GroupResponse
		if res, err = p.me.JoinGroup(ctx, protocol.JoinGroupRequest{GroupID: id,
			Reason: strings.Join(args[2:], " ")}); err == nil && res.Applied {
			p.print(dim, "you have applied; an administrator has to agree")
			return
		}
	case "quit":
		_, err = p.me.QuitGroup(ctx, id)
	case "dismiss":
		_, err = p.me.DismissGroup(ctx, id)
	case "call":
		p.callGroup(ctx, id, args[2:])
		return
	case "info":
		p.groupInfo(ctx, id)
		return
	case "yes", "no", "kick":
		if len(args) < 3 {
			p.print(red, "usage: group %s club dave", args[0])
			return
		}
		err = p.administer(ctx, args[0], id, args[2])
	default:
		p.print(red, "group commands: new, join, quit, dismiss, call, info, yes, no, kick")
		return
	}
	if err != nil {
		p.failed(err)
		return
	}
	p.print(dim, "done")
}

func (p *phone) callGroup(ctx context.Context, id string, args []string) {
	req := protocol.InviteInGroupRequest{GroupID: id, Everyone: true}
	if len(args) > 0 {
		if _, err := strconv.Atoi(args[0]); err != nil {
			req.InviteeList, req.Everyone, args = strings.Split(args[0], ","), false, args[1:]
		}
	}
	req.InviteOptions = options(args)
	p.own(req.InviteID, id)
	res, err := p.me.InviteInGroup(ctx, req)
	p.called(res, err, req.InviteID)
}

func (p *phone) open(ctx context.Context) {
	res, err := p.me.ListInvitations(ctx)
	if err != nil {
		p.failed(err)
		return
	}
	if len(res.Invitations) == 0 {
		p.print(dim, "nothing is open")
	}
	for _, v := range res.Invitations {
		left := "never ends"
		if v.Deadline > 0 {
			left = strconv.FormatInt((v.Remaining+999)/1000, 10) + " s left"
		}
		p.print("", "%s from %s, %d open, %d accepted, %s%s", v.InviteID, v.Inviter, v.Counts.Open, v.Counts.Accepted, left,
			quote(v.Data))
	}
}
