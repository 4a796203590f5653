package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// phoneCmd is a terminal phone: one device of one user.
type phoneCmd struct {
	User   string `arg:"" help:"User ID."`
	Server string `help:"Server address." default:"http://127.0.0.1:8787"`
	Token  string `help:"Token of the user. Default: minted with the secret in the data directory."`
	Data   string `help:"Data directory of the server, for its secret." default:"beckon-data"`
	Device string `help:"Device ID." default:"phone-${pid}"`
	State  string `help:"Directory for state between runs; used with --device. Default: beckon/phone in the user's configuration directory." placeholder:"DIR"`
	Auto   string `help:"Automatic answer to calls." enum:"no,accept,reject,busy" default:"no"`
}

// phone is the state of a running phone. mu guards last and list.
type phone struct {
	cmd  *phoneCmd
	me   *client.Client
	out  terminal
	mu   sync.Mutex
	last map[string]*call       // calls by id
	list []string               // IDs, newest last
	mine protocol.RevokeRequest // the last message sent
}

// call is the phone's state of an invitation.
type call struct {
	id, from string
	group    string
	mine     bool // this user is an invitee
	open     bool
	deadline int64
}

// Run connects and runs commands from the keyboard.
func (c *phoneCmd) Run(ctx context.Context) error {
	token := c.Token
	if token == "" {
		var err error
		if token, err = beckon.MintToken(c.Data, "", c.User, "", 0); err != nil {
			return err
		}
	}
	out, err := newTerminal(os.Stdin, os.Stdout, c.User)
	if err != nil {
		return err
	}
	defer out.close()
	p := &phone{cmd: c, out: out, last: map[string]*call{}}
	store, err := c.store()
	if err != nil {
		return err
	}
	p.me, err = client.New(client.Options{Server: c.Server, Token: token, DeviceID: c.Device, Platform: "terminal",
		Store: store, Listener: p.listener()})
	if err != nil {
		return err
	}
	defer p.me.Close()
	first, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := p.me.Connect(first); err != nil {
		return fmt.Errorf("%w (is the server running at %s?)", err, c.Server)
	}
	out.keys(p.key)
	p.print(dim, "You are %s on %s. Type help for what you can do, q to leave.", c.User, c.Server)
	return p.runCommands(ctx)
}

// store returns a file with the positions of this phone, so that a later run reports events in between. Without
// --device each run is another device, and has no store.
func (c *phoneCmd) store() (client.Store, error) {
	if c.Device == fmt.Sprintf("phone-%d", os.Getpid()) {
		return nil, nil
	}
	dir := c.State
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("no state directory, set --state: %w", err)
		}
		dir = filepath.Join(config, "beckon", "phone")
	}
	name := url.PathEscape(c.Server) + "," + url.PathEscape(c.User) + "," + url.PathEscape(c.Device)
	return client.FileStore(filepath.Join(dir, strings.ReplaceAll(name, ".", "%2E")+".json")), nil
}

// runCommands runs commands until the input ends.
func (p *phone) runCommands(ctx context.Context) error {
	lines := p.out.lines()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			if quit := p.command(ctx, strings.Fields(line)); quit {
				return nil
			}
		}
	}
}

// key answers a ringing call with one key: a accepts, r rejects, b is busy.
func (p *phone) key(key rune) bool {
	if !strings.ContainsRune("arb", key) || p.ringing() == "" {
		return false
	}
	go p.command(context.Background(), []string{string(key)})
	return true
}

func (p *phone) listener() client.Listener {
	return client.Listener{
		OnReceiveNewInvitation: p.incoming,
		OnInviteeAccepted:      func(e client.InvitationEvent) { p.print(green, "%s accepted%s", e.Invitee, quote(e.Data)) },
		OnInviteeRejected: func(e client.InvitationEvent) {
			p.print(yellow, "%s declined%s%s", e.Invitee, because(e), quote(e.Data))
		},
		OnInvitationCancelled: p.cancelled,
		OnInvitationTimeout: func(e client.InvitationEvent) {
			if p.concerns(e) {
				p.ended(e.InviteID)
				p.print(yellow, "you missed a call from %s", e.Inviter)
				return
			}
			p.print(yellow, "no answer from %s", strings.Join(e.InviteeList, ", "))
		},
		OnInvitationModified: func(e client.InvitationEvent) { p.print(dim, "the call now says%s", quote(e.Data)) },
		OnInviteeRinging:     func(e client.InvitationEvent) { p.print(dim, "it rings at %s", e.Invitee) },
		OnInvitationHandledByOtherDevice: func(e client.InvitationEvent) {
			p.ended(e.InviteID)
			p.print(dim, "another device of yours did: %s", e.Action)
		},
		OnSignaling:      p.note,
		OnReceiveMessage: p.message,
		OnMessageRevoked: func(e protocol.MessageEvent) {
			p.print(dim, "%s took a message back in %s", e.By, short(e.ConversationID))
		},
		OnPeerRead: func(where string, _ uint64) { p.print(dim, "%s has read your messages", short(where)) },
		OnReceiveJoinApplication: func(e protocol.GroupEvent) {
			user := e.Members[0]
			p.print(yellow, "%s wants to join %s%s — group yes %s %s", user, e.GroupID, quote(e.Reason), e.GroupID, user)
		},
		OnApplicationProcessed: func(e protocol.GroupEvent) {
			p.print(yellow, "your application to %s was %s%s", e.GroupID,
				map[bool]string{true: "accepted", false: "refused"}[e.Agreed], quote(e.Reason))
		},
		OnUserStatusChanged: func(s protocol.UserStatus) {
			p.print(dim, "%s is %s%s", s.UserID, s.Status,
				quote(s.CustomStatus))
		},
		OnKickedOffline: func(reason string) { p.print(red, "kicked offline: %s", reason) },
		OnGroup:         p.group,
		OnConnecting: func(code int, reason string) {
			if code != 0 {
				p.print(dim, "connection lost (%s); reconnecting…", reason)
			}
		},
		OnConnected:  func(protocol.Welcome) { p.print(dim, "connected") },
		OnStoreError: func(err error) { p.print(red, "saving state failed: %v", err) },
		OnDisconnected: func(code int, reason string) {
			if code != 0 { // 0 is a disconnect by this phone
				p.print(red, "disconnected: %s (%d)", reason, code)
			}
		},
	}
}

// note records deadlines, which the named callbacks do not have.
func (p *phone) note(m protocol.Signaling) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.last[m.InviteID]
	if c == nil {
		c = &call{id: m.InviteID, from: m.Inviter, group: m.GroupID, open: true}
		p.last[m.InviteID] = c
		p.list = append(p.list, m.InviteID)
	}
	if m.Deadline != 0 {
		c.deadline = m.Deadline
	}
	if m.Over {
		c.open = false
	}
}

func (p *phone) incoming(e client.InvitationEvent) {
	where := ""
	if e.GroupID != "" {
		where = " in " + e.GroupID
	}
	if e.Notice {
		p.print(dim, "%s informs you%s%s", e.Inviter, where, quote(e.Data))
		return
	}
	p.mu.Lock()
	c := p.last[e.InviteID]
	if c == nil {
		c = &call{id: e.InviteID, open: true}
		p.last[e.InviteID] = c
		p.list = append(p.list, e.InviteID)
	}
	c.from, c.group = e.Inviter, e.GroupID
	c.mine = e.Everyone || slices.Contains(e.InviteeList, p.cmd.User)
	left := ""
	if c.deadline != 0 {
		left = fmt.Sprintf(" (%d s)", max(0, (c.deadline-p.me.Now().UnixMilli()+999)/1000))
	}
	mine := c.mine
	p.mu.Unlock()
	if !mine {
		p.print(dim, "%s calls %s%s%s", e.Inviter, strings.Join(e.InviteeList, ", "), where, quote(e.Data))
		return
	}
	p.print(bold+bell, "%s calls%s%s%s — a accept, r reject, b busy", e.Inviter, where, quote(e.Data), left)
	go p.answer(e.InviteID) // a callback must not wait for a response
}

// cancelled reports a cancelled call and the invitees concerned.
func (p *phone) cancelled(e client.InvitationEvent) {
	name := "the call from " + e.Inviter
	if e.Inviter == p.cmd.User {
		name = "your call"
	}
	switch {
	case p.concerns(e) || e.Over && e.Inviter == p.cmd.User:
		p.ended(e.InviteID)
		p.print(yellow, "%s was cancelled%s%s", name, because(e), quote(e.Data))
	default:
		p.print(dim, "%s was cancelled for %s%s%s", name, strings.Join(e.InviteeList, ", "), because(e), quote(e.Data))
	}
}

// concerns reports whether a cancel or a timeout ends a call for this user.
func (p *phone) concerns(e client.InvitationEvent) bool {
	return slices.Contains(e.InviteeList, p.cmd.User)
}

// answer reports ringing to the caller, and answers if --auto is set.
func (p *phone) answer(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, _ = p.me.Ring(ctx, id) // if it is over, the next event reports that
	if p.cmd.Auto != "no" {
		p.command(ctx, []string{p.cmd.Auto, id})
	}
}

func (p *phone) group(e protocol.GroupEvent) {
	switch e.Tip {
	case protocol.TipJoined:
		p.print(dim, "you are now in the group %s", e.GroupID)
	case protocol.TipQuit:
		p.print(dim, "you are no longer in the group %s", e.GroupID)
	case protocol.TipDismissed:
		p.print(dim, "the group %s was dismissed", e.GroupID)
	case protocol.TipEnter, protocol.TipInvited:
		p.print(dim, "%s: %s came in", e.GroupID, strings.Join(e.Members, ", "))
	case protocol.TipLeave, protocol.TipKicked:
		p.print(dim, "%s: %s left", e.GroupID, strings.Join(e.Members, ", "))
	}
}

// ringing returns the newest call waiting for this user's answer; "" if there is none.
func (p *phone) ringing() string {
	return p.newest(func(c *call) bool { return c.open && c.mine && c.from != p.cmd.User })
}

// calling returns the newest open call by this user.
func (p *phone) calling() string {
	return p.newest(func(c *call) bool { return c.open && c.from == p.cmd.User })
}

func (p *phone) newest(want func(*call) bool) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range slices.Backward(p.list) {
		if want(p.last[id]) {
			return id
		}
	}
	return ""
}

func (p *phone) ended(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.last[id]; c != nil {
		c.open = false
	}
}

// because returns the reason of a reject or of a cancel by the server.
func because(e client.InvitationEvent) string {
	if e.Reason == "" || e.Reason == "declined" {
		return ""
	}
	return " (" + e.Reason + ")"
}

func quote(data string) string {
	if data == "" {
		return ""
	}
	return fmt.Sprintf(": %q", data)
}

func (p *phone) print(style, format string, args ...any) {
	p.out.print(style, fmt.Sprintf(format, args...))
}

// failed prints an error, and for a lost race the action that won.
func (p *phone) failed(err error) {
	var e *client.Error
	if !errors.As(err, &e) {
		p.print(red, "%v", err)
		return
	}
	won := ""
	if w := e.Won; w != nil {
		won = " — " + w.Action
		if w.UserID != "" {
			won += " by " + w.UserID
		}
		if w.Device != "" {
			won += " on " + w.Device
		}
	}
	p.print(red, "%s (%d)%s", e.Message, e.Code, won)
}
