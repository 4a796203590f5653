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

// optionNames are the receive options, in the order of their numbers.
func optionNames() []string {
	return []string{protocol.ReceiveNotify, protocol.ReceiveNothing, protocol.ReceiveQuiet, protocol.ReceiveMentions}
}

// view makes a conversation what its person sees; listed says whether it is in the list.
func view(d *store.Side) (v protocol.Conversation, listed bool) {
	var r *im.Reading
	hasAny := d.Last.Seq > 0
	if d.Member != nil {
		r = &d.Member.Reading
		v = protocol.Conversation{ConversationID: im.GroupConversation(d.Group.ID), Type: "group", GroupID: d.Group.ID, GroupType: string(d.Group.Type), Name: d.Group.Info.Name, Unread: unread(d.Group, d.Member, d.Counted)}
		if d.Last.Seq <= d.Member.Sees(d.Group) {
			hasAny = false
		}
		listed = hasAny || r.HiddenSeq == 0
	} else {
		r = &d.Contact.Reading
		v = protocol.Conversation{ConversationID: im.C2C(d.Contact.Peer), Type: "c2c", UserID: d.Contact.Peer, Unread: d.Contact.Unread(), PeerReadSeq: d.Contact.PeerRead}
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

// ListConversations reads a page of the caller's conversations: the pinned first, then the latest.
func (c *Chat) ListConversations(ctx context.Context, by rpc.Caller, req protocol.ConversationsRequest) (protocol.ConversationsResponse, error) {
	res := protocol.ConversationsResponse{Conversations: []protocol.Conversation{}, ServerTime: c.store.Now()}
	limit, err := rpc.Page(req.Limit)
	if err == nil && req.Offset < 0 {
		err = im.Bad("offset", "is negative")
	}
	if err != nil {
		return res, err
	}
	sides, own, err := c.store.Sides(ctx, by.UserID)
	if err != nil {
		return res, im.Internal(err)
	}
	res.Seq = own
	type entry struct {
		protocol.Conversation
		pinnedAt int64
	}
	var list []entry
	for i := range sides {
		d := &sides[i]
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
		return cmp.Or(cmp.Compare(b.pinnedAt, a.pinnedAt), cmp.Compare(b.LastTime, a.LastTime), cmp.Compare(a.ConversationID, b.ConversationID))
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

// GetConversation reads one conversation.
func (c *Chat) GetConversation(ctx context.Context, by rpc.Caller, req protocol.ConversationRequest) (protocol.ConversationResponse, error) {
	res := protocol.ConversationResponse{ServerTime: c.store.Now()}
	p, err := placeOf(by, req.ConversationID)
	if err == nil && p.groupID != "" {
		_, _, err = c.membership(ctx, p)
	}
	if err != nil {
		return res, err
	}
	d, own, err := c.store.Side(ctx, by.UserID, p.peer, p.groupID)
	if err != nil {
		return res, im.Internal(err)
	}
	res.Conversation, _ = view(d)
	res.Seq = own
	return res, nil
}

// MarkRead marks a conversation read up to a sequence. It never goes back.
func (c *Chat) MarkRead(by rpc.Caller, req protocol.ReadRequest, done func(protocol.ConversationResponse, error)) {
	p, err := placeOf(by, req.ConversationID)
	if err == nil && req.Seq > math.MaxInt64 {
		err = im.Bad("seq", "is out of range")
	}
	var r reading
	if err == nil {
		r, err = c.lookAtReading(context.Background(), p, req.Seq)
	}
	if err != nil {
		rpc.Fail(done, err)
		return
	}
	rpc.Do(c.store, p.need(), func(w *txn.World) (protocol.ConversationResponse, error) {
		if p.groupID != "" {
			return r.group(w)
		}
		return r.person(w), nil
	}, done)
}

// reading is what was found out before a conversation is marked read. None of it can change meanwhile.
type reading struct {
	place
	facts store.ReadFacts
}

func (c *Chat) lookAtReading(ctx context.Context, p place, upTo uint64) (reading, error) {
	r := reading{place: p}
	if p.groupID != "" {
		if _, _, err := c.membership(ctx, p); err != nil {
			return r, err
		}
	}
	var err error
	if r.facts, err = c.store.ReadFacts(ctx, p.by.UserID, p.peer, p.groupID, upTo); err != nil {
		return r, im.Internal(err)
	}
	return r, nil
}

// upTo is how far the conversation is read: to its last record, or, when that was trimmed and still counted as unread, to
// where was asked.
func (r *reading) upTo(unread bool) uint64 {
	if r.facts.Last == 0 && unread {
		return r.facts.UpTo
	}
	return r.facts.Last
}

func (r *reading) event(w *txn.World, v *protocol.Conversation) protocol.ConversationResponse {
	r.own(w, protocol.ConversationEvent{Type: protocol.TypeRead, ConversationID: v.ConversationID, ReadSeq: v.ReadSeq, Unread: v.Unread, Head: v.Head,
		Pinned: v.Pinned, ReceiveOption: v.ReceiveOption, ClearedSeq: v.ClearedSeq, HiddenSeq: v.HiddenSeq, Time: w.Now})
	return protocol.ConversationResponse{Conversation: *v, Seq: r.ownHead(w) + 1, ServerTime: w.Now}
}

// person marks a one-to-one conversation read, and tells the other person how far.
func (r *reading) person(w *txn.World) protocol.ConversationResponse {
	me, peer := r.by.UserID, r.peer
	side := w.Contact(me, peer)
	d := store.Side{Contact: side, Head: w.Head(r.topic())}
	upTo := r.upTo(side.Unread() > 0)
	if upTo <= side.ReadSeq || !w.HasContact(me, peer) {
		v, _ := view(&d)
		return protocol.ConversationResponse{Conversation: v, Repeat: true, Seq: r.ownHead(w), ServerTime: w.Now}
	}
	side.ReadSeq = upTo
	side.Read(r.facts.Ord)
	w.PutContact(*side)
	v, _ := view(&d)
	if other := w.Contact(peer, me); r.facts.Pair > other.PeerRead {
		other.PeerRead = r.facts.Pair
		w.PutContact(*other)
		w.Append(im.UserTopic(peer), txn.Draft{Body: &rpc.Event{Value: protocol.MessageEvent{Type: protocol.TypeReceipt, ConversationID: im.C2C(me), PeerReadSeq: other.PeerRead, Time: w.Now}}})
	}
	return r.event(w, &v)
}

// group marks a group's conversation read.
func (r *reading) group(w *txn.World) (protocol.ConversationResponse, error) {
	g, m, err := r.member(w)
	if err != nil {
		return protocol.ConversationResponse{}, err
	}
	d := store.Side{Member: m, Group: g, Head: w.Head(r.topic()), Counted: w.Counted(r.topic())}
	upTo := r.upTo(m.Unread(g, d.Counted) > 0)
	if upTo <= m.ReadSeq || m.JoinedSeq != r.facts.Member.JoinedSeq {
		v, _ := view(&d)
		return protocol.ConversationResponse{Conversation: v, Repeat: true, Seq: r.ownHead(w), ServerTime: w.Now}, nil
	}
	m.ReadSeq, m.OwnRead, m.Extra = upTo, r.facts.Own, m.Extra.Above(int64(upTo))
	m.Read(r.facts.Ord)
	w.PutMember(*m)
	v, _ := view(&d)
	return r.event(w, &v), nil
}

// PinConversation pins a conversation to the top of the list, or lets it go.
func (c *Chat) PinConversation(by rpc.Caller, req protocol.PinRequest, done func(protocol.ConversationResponse, error)) {
	c.adjust(by, req.ConversationID, nil, func(w *txn.World, _ place, r *im.Reading) {
		if r.PinnedAt = 0; req.Pin {
			r.PinnedAt = w.Now
		}
	}, done)
}

// SetReceiveOption says what the caller wants to be told of a conversation.
func (c *Chat) SetReceiveOption(by rpc.Caller, req protocol.ReceiveOptionRequest, done func(protocol.ConversationResponse, error)) {
	opt := slices.Index(optionNames(), req.ReceiveOption)
	var err error
	if opt < 0 {
		err = im.Bad("receiveOption", "is none of notify, nothing, quiet, mentions")
	}
	c.adjust(by, req.ConversationID, err, func(_ *txn.World, _ place, r *im.Reading) { r.Opt = im.Option(opt) }, done)
}

// DeleteConversation takes a conversation off the list until something new comes, and shows nothing of before any more.
func (c *Chat) DeleteConversation(by rpc.Caller, req protocol.ConversationRequest, done func(protocol.ConversationResponse, error)) {
	c.adjust(by, req.ConversationID, nil, func(w *txn.World, p place, r *im.Reading) {
		r.HiddenSeq, r.PinnedAt = w.Head(p.topic()), 0
		p.clear(w, r)
	}, done)
}

// ClearHistory shows the caller nothing of before any more.
func (c *Chat) ClearHistory(by rpc.Caller, req protocol.ConversationRequest, done func(protocol.ConversationResponse, error)) {
	c.adjust(by, req.ConversationID, nil, func(w *txn.World, p place, r *im.Reading) {
		p.clear(w, r)
	}, done)
}

// clear shows nothing of before any more; what is not shown is not unread.
func (p place) clear(w *txn.World, r *im.Reading) {
	head := w.Head(p.topic())
	r.ClearedSeq, r.ReadSeq, r.Skipped = head, head, ""
	if p.groupID != "" {
		r.ReadOrd = w.Counted(p.topic())
	} else {
		r.ReadOrd = w.Contact(p.by.UserID, p.peer).Counted
	}
}

// adjust changes the caller's side of a conversation and tells their other devices.
func (c *Chat) adjust(by rpc.Caller, conversationID string, err error, change func(*txn.World, place, *im.Reading), done func(protocol.ConversationResponse, error)) {
	p, bad := placeOf(by, conversationID)
	if err = rpc.FirstError(bad, err); err != nil {
		rpc.Fail(done, err)
		return
	}
	rpc.Do(c.store, p.need(), func(w *txn.World) (protocol.ConversationResponse, error) {
		d := store.Side{Head: w.Head(p.topic())}
		e := protocol.ConversationEvent{Type: protocol.TypeConversation, ConversationID: p.id(), Time: w.Now}
		if p.groupID != "" {
			g, m, err := p.member(w)
			if err != nil {
				return protocol.ConversationResponse{}, err
			}
			d.Group, d.Member, d.Counted = g, m, w.Counted(p.topic())
			if change(w, p, &m.Reading); m.ReadSeq == d.Head {
				m.OwnRead, m.Extra = m.Own, ""
			}
			w.PutMember(*m)
		} else {
			d.Contact = w.Contact(by.UserID, p.peer)
			change(w, p, &d.Contact.Reading)
			w.PutContact(*d.Contact)
		}
		v, _ := view(&d)
		e.Unread, e.Head, e.Pinned, e.ReceiveOption, e.ReadSeq, e.ClearedSeq, e.HiddenSeq = v.Unread, v.Head, v.Pinned, v.ReceiveOption, v.ReadSeq, v.ClearedSeq, v.HiddenSeq
		p.own(w, e)
		return protocol.ConversationResponse{Conversation: v, Seq: p.ownHead(w) + 1, ServerTime: w.Now}, nil
	}, done)
}
