package chat

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// optionNames returns the receive options, in the order of their numbers.
func optionNames() []string {
	return []string{protocol.ReceiveNotify, protocol.ReceiveNothing, protocol.ReceiveQuiet, protocol.ReceiveMentions}
}

// view returns the view of a conversation; listed reports whether it is in the user's list.
func view(d *store.ConversationState) (v protocol.Conversation, listed bool) {
	var r *im.Reading
	hasAny := d.Last.Seq > 0
	if d.Member != nil {
		r = &d.Member.Reading
		v = protocol.Conversation{ConversationID: im.GroupConversation(d.Group.ID), Type: "group", GroupID: d.Group.ID,
			GroupType: string(d.Group.Type), Name: d.Group.Info.Name, Unread: unread(d.Group, d.Member, d.Counted)}
		if d.Last.Seq <= d.Member.Sees(d.Group) {
			hasAny = false
		}
		listed = hasAny || r.HiddenSeq == 0
	} else {
		r = &d.Contact.Reading
		v = protocol.Conversation{ConversationID: im.C2C(d.Contact.Peer), Type: "c2c", UserID: d.Contact.Peer,
			Unread: d.Contact.Unread(), PeerReadSeq: d.Contact.PeerRead}
		listed = hasAny
	}
	v.Head, v.ReadSeq, v.ClearedSeq, v.HiddenSeq, v.Pinned = d.Head, r.ReadSeq, r.ClearedSeq, r.HiddenSeq, r.PinnedAt > 0
	if r.Opt != im.OptNotify {
		v.ReceiveOption = optionNames()[r.Opt]
	}
	if hasAny {
		v.LastSeq, v.LastTime, v.Last = d.Last.Seq, d.Last.At, d.Last.Body
		listed = listed && d.Last.Seq > r.HiddenSeq
	}
	return v, listed || v.Pinned
}

// ListConversations returns a page of the caller's conversations: pinned ones first, then by latest message.
func (c *Chat) ListConversations(ctx context.Context, by rpc.Caller,
	req protocol.ConversationsRequest) (protocol.ConversationsResponse, error) {
	res := protocol.ConversationsResponse{Conversations: []protocol.Conversation{}, ServerTime: c.store.Now()}
	limit, err := rpc.Page(req.Limit)
	if err == nil && req.Offset < 0 {
		err = im.Bad("offset", "is negative")
	}
	if err != nil {
		return res, err
	}
	states, ownHead, err := c.store.Conversations(ctx, by.UserID)
	if err != nil {
		return res, im.Internal(err)
	}
	by.CountRows(len(states))
	res.Seq = ownHead
	type entry struct {
		protocol.Conversation
		pinnedAt int64
	}
	var list []entry
	for i := range states {
		d := &states[i]
		v, listed := view(d)
		r := d.Reading()
		if r.Opt != im.OptNothing {
			res.TotalUnread += v.Unread
		}
		if listed {
			list = append(list, entry{v, r.PinnedAt})
		}
	}
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.pinnedAt, a.pinnedAt), cmp.Compare(b.LastTime, a.LastTime),
			cmp.Compare(a.ConversationID, b.ConversationID))
	})
	from := min(req.Offset, len(list))
	to := from + min(limit, len(list)-from)
	for _, e := range list[from:to] {
		res.Conversations = append(res.Conversations, e.Conversation)
	}
	if to < len(list) {
		res.Next = to
	}
	return res, nil
}

// GetConversation returns one conversation.
func (c *Chat) GetConversation(ctx context.Context, by rpc.Caller,
	req protocol.ConversationRequest) (protocol.ConversationResponse, error) {
	res := protocol.ConversationResponse{ServerTime: c.store.Now()}
	p, err := parseConversation(by, req.ConversationID)
	if err == nil && p.groupID != "" {
		_, _, err = c.membership(ctx, p)
	}
	if err != nil {
		return res, err
	}
	d, ownHead, err := c.store.Conversation(ctx, by.UserID, p.peer, p.groupID)
	if err != nil {
		return res, im.Internal(err)
	}
	res.Conversation, _ = view(d)
	res.Seq = ownHead
	return res, nil
}

// MarkRead marks a conversation read up to a sequence. The read position never goes back.
func (c *Chat) MarkRead(ctx context.Context, by rpc.Caller,
	req protocol.ReadRequest) (rpc.Txn[protocol.ConversationResponse], error) {
	p, err := parseConversation(by, req.ConversationID)
	if err == nil && req.Seq > math.MaxInt64 {
		err = im.Bad("seq", "is out of range")
	}
	var r reading
	if err == nil {
		r, err = c.loadReading(ctx, p, req.Seq)
	}
	if err != nil {
		return rpc.Txn[protocol.ConversationResponse]{}, err
	}
	reads := p.reads()
	c.readReads(&reads, p)
	return rpc.Txn[protocol.ConversationResponse]{Reads: reads,
		Decide: func(tx *txn.Tx) (protocol.ConversationResponse, error) {
			if p.groupID != "" {
				return r.group(tx)
			}
			return r.oneToOne(tx), nil
		}}, nil
}

// reading is the state read before a conversation is marked read. It is immutable: the transaction need not read it
// again.
type reading struct {
	conversation
	chat  *Chat
	facts store.ReadMark
}

func (c *Chat) loadReading(ctx context.Context, p conversation, upTo uint64) (reading, error) {
	r := reading{conversation: p, chat: c}
	if p.groupID != "" {
		if _, _, err := c.membership(ctx, p); err != nil {
			return r, err
		}
	}
	var err error
	if r.facts, err = c.store.ReadMark(ctx, p.by.UserID, p.peer, p.groupID, upTo); err != nil {
		return r, im.Internal(err)
	}
	return r, nil
}

// upTo returns the new read position: the last record, or the requested sequence if that record was trimmed and still
// counted as unread.
func (r *reading) upTo(unread bool) uint64 {
	if r.facts.Last == 0 && unread {
		return r.facts.UpTo
	}
	return r.facts.Last
}

func (r *reading) event(tx *txn.Tx, v *protocol.Conversation) protocol.ConversationResponse {
	r.appendOwn(tx, protocol.ConversationEvent{Type: protocol.TypeRead, ConversationID: v.ConversationID,
		ReadSeq: v.ReadSeq, Unread: v.Unread, Head: v.Head, Pinned: v.Pinned, ReceiveOption: v.ReceiveOption,
		ClearedSeq: v.ClearedSeq, HiddenSeq: v.HiddenSeq, Time: tx.Now})
	return protocol.ConversationResponse{Conversation: *v, Seq: r.ownHead(tx) + 1, ServerTime: tx.Now}
}

// oneToOne marks a one-to-one conversation read, and notifies the peer.
func (r *reading) oneToOne(tx *txn.Tx) protocol.ConversationResponse {
	me, peer := r.by.UserID, r.peer
	side := tx.Contact(me, peer)
	d := store.ConversationState{Contact: side, Head: tx.Head(r.topic())}
	upTo := r.upTo(side.Unread() > 0)
	if upTo <= side.ReadSeq || !tx.HasContact(me, peer) {
		v, _ := view(&d)
		return protocol.ConversationResponse{Conversation: v, Repeat: true, Seq: r.ownHead(tx), ServerTime: tx.Now}
	}
	r.chat.wasRead(tx, r.conversation, side.ReadSeq, upTo)
	side.ReadSeq = upTo
	side.Read(r.facts.Ord)
	tx.PutContact(*side)
	v, _ := view(&d)
	if other := tx.Contact(peer, me); r.facts.Pair > other.PeerRead {
		other.PeerRead = r.facts.Pair
		tx.PutContact(*other)
		tx.Append(im.UserTopic(peer), txn.Draft{Body: &rpc.Event{Value: protocol.MessageEvent{Type: protocol.TypeReceipt,
			ConversationID: im.C2C(me), PeerReadSeq: other.PeerRead, Time: tx.Now}}})
	}
	return r.event(tx, &v)
}

// group marks a group's conversation read.
func (r *reading) group(tx *txn.Tx) (protocol.ConversationResponse, error) {
	g, m, err := r.member(tx)
	if err != nil {
		return protocol.ConversationResponse{}, err
	}
	d := store.ConversationState{Member: m, Group: g, Head: tx.Head(r.topic()), Counted: tx.UnreadCount(r.topic())}
	upTo := r.upTo(m.Unread(g, d.Counted) > 0)
	if upTo <= m.ReadSeq || m.JoinedSeq != r.facts.Member.JoinedSeq {
		v, _ := view(&d)
		return protocol.ConversationResponse{Conversation: v, Repeat: true, Seq: r.ownHead(tx), ServerTime: tx.Now}, nil
	}
	r.chat.wasRead(tx, r.conversation, m.ReadSeq, upTo)
	m.ReadSeq, m.OwnRead, m.Extra = upTo, r.facts.Own, m.Extra.Above(int64(upTo))
	m.Read(r.facts.Ord)
	tx.PutMember(*m)
	v, _ := view(&d)
	return r.event(tx, &v), nil
}

// PinConversation pins a conversation to the top of the list, or unpins it.
func (c *Chat) PinConversation(ctx context.Context, by rpc.Caller,
	req protocol.PinRequest) (rpc.Txn[protocol.ConversationResponse], error) {
	return c.adjust(ctx, by, req.ConversationID, nil, func(tx *txn.Tx, _ conversation, r *im.Reading) {
		if r.PinnedAt = 0; req.Pin {
			r.PinnedAt = tx.Now
		}
	})
}

// SetReceiveOption sets the notifications of a conversation.
func (c *Chat) SetReceiveOption(ctx context.Context, by rpc.Caller,
	req protocol.ReceiveOptionRequest) (rpc.Txn[protocol.ConversationResponse], error) {
	opt := slices.Index(optionNames(), req.ReceiveOption)
	var err error
	if opt < 0 {
		err = im.Bad("receiveOption", "must be one of: notify, nothing, quiet, mentions")
	}
	return c.adjust(ctx, by, req.ConversationID, err,
		func(_ *txn.Tx, _ conversation, r *im.Reading) { r.Opt = im.Option(opt) })
}

// DeleteConversation removes a conversation from the list until the next message, and hides its history from the
// caller.
func (c *Chat) DeleteConversation(ctx context.Context, by rpc.Caller,
	req protocol.ConversationRequest) (rpc.Txn[protocol.ConversationResponse], error) {
	return c.adjust(ctx, by, req.ConversationID, nil, func(tx *txn.Tx, p conversation, r *im.Reading) {
		r.HiddenSeq, r.PinnedAt = tx.Head(p.topic()), 0
		p.clear(tx, r)
	})
}

// ClearHistory hides the history of a conversation from the caller.
func (c *Chat) ClearHistory(ctx context.Context, by rpc.Caller,
	req protocol.ConversationRequest) (rpc.Txn[protocol.ConversationResponse], error) {
	return c.adjust(ctx, by, req.ConversationID, nil, func(tx *txn.Tx, p conversation, r *im.Reading) {
		p.clear(tx, r)
	})
}

// clear hides all records up to the head; hidden records are not unread.
func (p conversation) clear(tx *txn.Tx, r *im.Reading) {
	head := tx.Head(p.topic())
	r.ClearedSeq, r.ReadSeq, r.Skipped = head, head, ""
	if p.groupID != "" {
		r.ReadOrd = tx.UnreadCount(p.topic())
	} else {
		r.ReadOrd = tx.Contact(p.by.UserID, p.peer).Counted
	}
}

// adjust changes the caller's state of a conversation and notifies their other devices.
func (c *Chat) adjust(_ context.Context, by rpc.Caller, conversationID string, err error,
	change func(*txn.Tx, conversation, *im.Reading)) (rpc.Txn[protocol.ConversationResponse], error) {
	p, bad := parseConversation(by, conversationID)
	if err = rpc.FirstError(bad, err); err != nil {
		return rpc.Txn[protocol.ConversationResponse]{}, err
	}
	reads := p.reads()
	c.readReads(&reads, p)
	return rpc.Txn[protocol.ConversationResponse]{Reads: reads,
		Decide: func(tx *txn.Tx) (protocol.ConversationResponse, error) {
			d := store.ConversationState{Head: tx.Head(p.topic())}
			e := protocol.ConversationEvent{Type: protocol.TypeConversation, ConversationID: p.id(), Time: tx.Now}
			if p.groupID != "" {
				g, m, err := p.member(tx)
				if err != nil {
					return protocol.ConversationResponse{}, err
				}
				d.Group, d.Member, d.Counted = g, m, tx.UnreadCount(p.topic())
				before := m.ReadSeq
				if change(tx, p, &m.Reading); m.ReadSeq == d.Head {
					m.OwnRead, m.Extra = m.Own, ""
				}
				c.wasRead(tx, p, before, m.ReadSeq)
				tx.PutMember(*m)
			} else {
				d.Contact = tx.Contact(by.UserID, p.peer)
				before := d.Contact.ReadSeq
				change(tx, p, &d.Contact.Reading)
				c.wasRead(tx, p, before, d.Contact.ReadSeq)
				tx.PutContact(*d.Contact)
			}
			v, _ := view(&d)
			e.Unread, e.Head, e.Pinned, e.ReceiveOption = v.Unread, v.Head, v.Pinned, v.ReceiveOption
			e.ReadSeq, e.ClearedSeq, e.HiddenSeq = v.ReadSeq, v.ClearedSeq, v.HiddenSeq
			p.appendOwn(tx, e)
			return protocol.ConversationResponse{Conversation: v, Seq: p.ownHead(tx) + 1, ServerTime: tx.Now}, nil
		}}, nil
}
