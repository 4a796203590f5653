package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestAnyInterleaving lets people and devices send, read, revoke, modify, delete, call, join, quit and kick in any
// order, some of it at the same moment. When it is quiet again, what each device has put together from what it heard,
// bit by bit, is what a device that reads everything anew is told.
func TestAnyInterleaving(t *testing.T) {
	house := newHouse(t, beckon.Config{UserRate: 1e6, UserBurst: 1e6, AddressRate: 1e6, AddressBurst: 1e6})
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		p := newPlay(t, house, fmt.Sprint("r", round))
		defer p.close()
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			var together sync.WaitGroup
			for range rapid.IntRange(1, 3).Draw(rt, "together") {
				a := p.draw(rt)
				together.Go(func() { p.act(rt, a) })
			}
			together.Wait()
		}
		p.compare(rt)
	})
}

// action is one thing that one device does.
type action struct {
	device, what int
	to           int // 0 = the group, else another person
	pick         int // which message
	flag         bool
	name         string
}

// play is one round: three people, four devices, one group.
type play struct {
	t       *testing.T
	users   []string
	group   string
	devices []*copyOf
	mu      sync.Mutex
	sent    []sentMessage
}

type sentMessage struct {
	by, id, to string // to is empty for the group
}

// copyOf is a device and what it has put together.
type copyOf struct {
	user string
	me   *client.Client

	mu       sync.Mutex
	messages map[string]map[string]copied // by conversation and message
	shown    map[string][]func(copied) bool
	receipts map[string]int64 // of this user's own messages
}

type copied struct {
	Seq     uint64
	Text    string
	Version int64
	Revoked bool
}

func newPlay(t *testing.T, house *beckontest.Cluster, round string) *play {
	p := &play{t: t, group: "g-" + round}
	for _, u := range []string{"ann", "bob", "cat"} {
		p.users = append(p.users, u+"-"+round)
	}
	for i, u := range []string{p.users[0], p.users[1], p.users[2], p.users[0]} {
		d := &copyOf{user: u, messages: map[string]map[string]copied{}, shown: map[string][]func(copied) bool{},
			receipts: map[string]int64{}}
		d.me = house.DeviceWith(client.Options{Token: house.Token(u), DeviceID: fmt.Sprint("d", i), Inbox: true,
			Listener: d.listener()})
		p.devices = append(p.devices, d)
	}
	_, err := p.devices[0].me.CreateGroup(t.Context(),
		protocol.CreateGroupRequest{GroupID: p.group, Type: "Public", GroupInfo: protocol.GroupInfo{JoinOption: "free"},
			MemberList: p.users[1:2]})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *play) close() {
	for _, d := range p.devices {
		d.me.Close()
	}
}

// put takes in what is known of a message; seq 0 says that it is only known what became of it.
func (d *copyOf) put(conversation string, m *protocol.Message, seq uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.messages[conversation] == nil {
		d.messages[conversation] = map[string]copied{}
	}
	now, known := d.messages[conversation][m.MessageID]
	now.Seq = max(now.Seq, seq)
	if (!known || m.Version > now.Version) && !now.Revoked {
		now.Text, now.Version = m.Text, m.Version
	}
	d.messages[conversation][m.MessageID] = now
}

// keep drops messages that are not to be shown any more, also when they come later.
func (d *copyOf) keep(conversation string, show func(copied) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shown[conversation] = append(d.shown[conversation], show)
}

// forget drops a conversation.
func (d *copyOf) forget(conversation string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.messages, conversation)
}

// visible is what the device shows of a conversation.
func (d *copyOf) visible(conversation string) map[string]copied {
	list := maps.Clone(d.messages[conversation])
	maps.DeleteFunc(list, func(_ string, m copied) bool {
		hidden := m.Seq == 0
		for _, show := range d.shown[conversation] {
			hidden = hidden || !show(m)
		}
		return hidden
	})
	return list
}

func (d *copyOf) listener() client.Listener {
	gone := func(group string) { d.forget("group_" + group) }
	return client.Listener{
		OnReceiveMessage:  func(where string, seq uint64, m protocol.Message) { d.put(where, &m, seq) },
		OnMessageModified: func(where string, m protocol.Message) { d.put(where, &m, 0) },
		OnMessageRevoked:  func(e protocol.MessageEvent) { d.revoke(e.ConversationID, e.MessageID) },
		OnMessageDeleted: func(where string, seqs []uint64) {
			d.keep(where, func(m copied) bool { return !slices.Contains(seqs, m.Seq) })
		},
		OnConversationChanged: func(e protocol.ConversationEvent) {
			d.keep(e.ConversationID, func(m copied) bool { return m.Seq > e.ClearedSeq })
		},
		OnGroup: func(e protocol.GroupEvent) {
			if e.Tip == protocol.TipJoined {
				d.keep("group_"+e.GroupID, func(m copied) bool { return m.Seq > e.Seq })
			}
		},
		OnQuitFromGroup:  func(e protocol.GroupEvent) { gone(e.GroupID) },
		OnGroupDismissed: func(e protocol.GroupEvent) { gone(e.GroupID) },
		OnGroupReadReceipts: func(_ string, list []protocol.Count) {
			d.mu.Lock()
			defer d.mu.Unlock()
			for _, c := range list {
				d.receipts[c.MessageID] = max(d.receipts[c.MessageID], c.Read)
			}
		},
	}
}

func (d *copyOf) revoke(where, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.messages[where] == nil {
		d.messages[where] = map[string]copied{}
	}
	d.messages[where][id] = copied{Seq: d.messages[where][id].Seq, Revoked: true}
}

func (p *play) draw(rt *rapid.T) action {
	return action{
		device: rapid.IntRange(0, len(p.devices)-1).Draw(rt, "device"),
		what:   rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}).Draw(rt, "what"),
		to:     rapid.IntRange(0, 2).Draw(rt, "to"),
		pick:   rapid.IntRange(0, 1000).Draw(rt, "pick"),
		flag:   rapid.Bool().Draw(rt, "flag"),
		name:   "m" + strings.ReplaceAll(client.NewID(), "-", ""),
	}
}

// others are the people that a device may write to.
func (p *play) others(user string) []string {
	return slices.DeleteFunc(slices.Clone(p.users), func(u string) bool { return u == user })
}

// act does one thing. A refusal is as good as a success, but nothing else.
func (p *play) act(rt *rapid.T, a action) {
	ctx, cancel := context.WithTimeout(context.Background(), beckontest.Patience)
	defer cancel()
	d := p.devices[a.device]
	where, to := "group_"+p.group, ""
	if a.to > 0 {
		to = p.others(d.user)[a.to-1]
		where = "c2c_" + to
	}
	var err error
	switch a.what {
	case 0:
		err = p.send(ctx, d, a, where, to)
	case 1:
		var seq uint64
		if a.flag {
			seq = uint64(a.pick%20 + 1)
		}
		_, err = d.me.MarkConversationRead(ctx, where, seq)
	case 2, 3, 4:
		err = p.change(ctx, d, a)
	case 5:
		seqs := []uint64{uint64(a.pick%12 + 1)}
		if err = d.me.DeleteMessages(ctx, protocol.DeleteMessagesRequest{ConversationID: where, SeqList: seqs}); err == nil {
			d.keep(where, func(m copied) bool { return m.Seq != seqs[0] })
		}
	case 6:
		err = p.call(ctx, d, a, to)
	case 7:
		_, err = d.me.JoinGroup(ctx, protocol.JoinGroupRequest{GroupID: p.group})
	case 8:
		_, err = d.me.QuitGroup(ctx, p.group)
	case 9:
		_, err = p.devices[0].me.KickGroupMember(ctx,
			protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: p.group,
				MemberList: []string{p.users[1+a.pick%2]}}})
	case 10:
		err = p.adjust(ctx, d, a, where)
	}
	var refused *protocol.Error
	if err != nil && !errors.As(err, &refused) || refused != nil && (refused.Code == 10002 || refused.Cause != nil) {
		rt.Errorf("%+v: %v", a, err)
	}
}

func (p *play) send(ctx context.Context, d *copyOf, a action, where, to string) error {
	req := protocol.SendMessageRequest{UserID: to, MessageID: a.name, Body: protocol.Body{Text: "text " + a.name}}
	req.ExcludeUnread, req.ExcludeLastMessage = a.pick%7 == 0, a.pick%11 == 0
	if to == "" {
		req.GroupID = p.group
		req.NeedReadReceipt = a.flag
		if a.pick%5 == 0 {
			req.ReceiverList = []string{p.users[1]}
		}
	}
	res, err := d.me.SendMessage(ctx, req)
	if err != nil {
		return err
	}
	d.put(where, &protocol.Message{MessageID: a.name, Body: req.Body}, res.Seq)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, sentMessage{d.user, a.name, to})
	return nil
}

// change revokes, modifies, or gives a receipt for a message that somebody sent.
func (p *play) change(ctx context.Context, d *copyOf, a action) error {
	p.mu.Lock()
	if len(p.sent) == 0 {
		p.mu.Unlock()
		return nil
	}
	m := p.sent[a.pick%len(p.sent)]
	p.mu.Unlock()
	where := "group_" + p.group
	switch {
	case m.to == d.user:
		where = "c2c_" + m.by
	case m.to != "":
		where = "c2c_" + m.to
	}
	req := protocol.MessageRequest{ConversationID: where, MessageID: m.id}
	switch a.what {
	case 2:
		res, err := d.me.RevokeMessage(ctx, protocol.RevokeRequest{MessageRequest: req})
		if err == nil {
			d.revoke(where, res.Message.MessageID)
		}
		return err
	case 3:
		res, err := d.me.ModifyMessage(ctx, protocol.ModifyMessageRequest{MessageRequest: req,
			Body: protocol.Body{Text: "changed " + a.name}})
		if err == nil {
			d.put(where, &res.Message, 0)
		}
		return err
	}
	_, err := d.me.SendMessageReadReceipts(ctx, protocol.ReceiptsRequest{GroupID: p.group, MessageIDList: []string{m.id}})
	return err
}

// call invites somebody, or the group, who at once answers or not.
func (p *play) call(ctx context.Context, d *copyOf, a action, to string) error {
	opt := protocol.InviteOptions{InviteID: a.name, Data: "call"}
	if to == "" {
		if _, err := d.me.InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: p.group, Everyone: true,
			InviteOptions: opt}); err != nil {
			return err
		}
	} else if _, err := d.me.Invite(ctx, protocol.InviteRequest{Invitee: to, InviteOptions: opt}); err != nil {
		return err
	}
	if !a.flag {
		_, err := d.me.Cancel(ctx, protocol.CancelRequest{InviteID: a.name})
		return err
	}
	for _, other := range p.devices {
		if other.user == to || to == "" && other.user != d.user {
			if _, err := other.me.Accept(ctx, a.name, "yes"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *play) adjust(ctx context.Context, d *copyOf, a action, where string) (err error) {
	var res protocol.ConversationResponse
	switch a.pick % 4 {
	case 0:
		res, err = d.me.ClearHistory(ctx, where)
	case 1:
		res, err = d.me.DeleteConversation(ctx, where)
	case 2:
		res, err = d.me.PinConversation(ctx, where, a.flag)
	case 3:
		res, err = d.me.SetReceiveOption(ctx, where, protocol.ReceiveQuiet)
	}
	if err == nil {
		d.keep(where, func(m copied) bool { return m.Seq > res.Conversation.ClearedSeq })
	}
	return err
}

// compare waits until each device has what a reload says. What never comes to agree is a fault.
func (p *play) compare(rt *rapid.T) {
	limit := time.NewTimer(beckontest.Patience)
	defer limit.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		fault := ""
		for i, d := range p.devices {
			heard, told := d.state(p), d.reload(p)
			if heard != told && fault == "" {
				fault = fmt.Sprintf("device %d of %s has put together\n%s\nand a reload says\n%s", i, d.user, heard, told)
			}
		}
		if fault == "" {
			return
		}
		select {
		case <-again.C:
		case <-limit.C:
			rt.Fatal(fault)
		}
	}
}

// summary is what is compared of a conversation.
type summary struct {
	ID               string
	Unread           int64
	Last, Read, Peer uint64
	Pinned           bool
	Option           string
	Cleared          uint64
	Messages         map[string]copied
}

func encodeState(list []summary, receipts map[string]int64) string {
	slices.SortFunc(list, func(a, b summary) int { return strings.Compare(a.ID, b.ID) })
	b, err := json.MarshalIndent(map[string]any{"conversations": list, "receipts": receipts}, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func summaryOf(v *protocol.Conversation, messages map[string]copied) summary {
	if messages == nil {
		messages = map[string]copied{}
	}
	return summary{v.ConversationID, v.Unread, v.LastSeq, v.ReadSeq, v.PeerReadSeq, v.Pinned, v.ReceiveOption,
		v.ClearedSeq, messages}
}

// state is what the device has put together.
func (d *copyOf) state(p *play) string {
	list := d.me.Conversations()
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []summary
	for i := range list {
		out = append(out, summaryOf(&list[i], d.visible(list[i].ConversationID)))
	}
	return encodeState(out, maps.Clone(d.receipts))
}

// reload is what the server says.
func (d *copyOf) reload(p *play) string {
	ctx, cancel := context.WithTimeout(context.Background(), beckontest.Patience)
	defer cancel()
	res, err := d.me.GetConversationList(ctx, protocol.ConversationsRequest{})
	if err != nil {
		return err.Error()
	}
	receipts := map[string]int64{}
	var out []summary
	for i := range res.Conversations {
		v := &res.Conversations[i]
		messages := map[string]copied{}
		for seq := uint64(0); ; {
			page, err := d.me.GetHistoryMessageList(ctx,
				protocol.HistoryRequest{ConversationID: v.ConversationID, Direction: "newer", Seq: seq, Limit: 7})
			if err != nil {
				return err.Error()
			}
			for _, e := range page.Messages {
				seq = e.Seq
				event, err := protocol.Decode(e.Event)
				if err != nil {
					return err.Error()
				}
				if m, ok := event.(*protocol.Message); ok {
					if messages[m.MessageID] = (copied{e.Seq, m.Text, m.Version, m.Revoked}); m.Revoked {
						messages[m.MessageID] = copied{Seq: e.Seq, Revoked: true}
					}
					if e.Read > 0 && m.From == d.user {
						receipts[m.MessageID] = e.Read
					}
				}
			}
			if page.Complete {
				break
			}
		}
		out = append(out, summaryOf(v, messages))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.receipts { // of messages that this device does not show any more
		if _, shown := receipts[id]; !shown {
			receipts[id] = d.receipts[id]
		}
	}
	return encodeState(out, receipts)
}
