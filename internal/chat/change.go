package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/holder"
	"github.com/beckon-im/beckon/internal/tables"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// changed is a message that an action changes, with its copy on each timeline.
type changed struct {
	copies []*txn.Message
	msg    protocol.Message
}

// load returns a message that the caller may see, within a transaction.
func (p conversation) load(tx *txn.Tx, id string) (*changed, error) {
	var after uint64
	if p.groupID != "" {
		g, m, err := p.member(tx)
		if err != nil {
			return nil, err
		}
		after = m.Sees(g)
	}
	c := &changed{}
	for _, k := range p.messages(id) {
		if m := tx.Message(k.Topic, k.ID); m != nil {
			c.copies = append(c.copies, m)
		}
	}
	if len(c.copies) == 0 || c.copies[0].Topic != p.topic() || c.copies[0].Seq <= after ||
		!visible(c.copies[0].Audience, p.by.UserID) {
		return nil, noMessage()
	}
	if err := json.Unmarshal(c.copies[0].Body, &c.msg); err != nil {
		return nil, im.Internal(err)
	}
	if p.groupID == "" && c.msg.From != p.peer && c.msg.To != p.peer {
		return nil, noMessage()
	}
	return c, nil
}

// put writes the changed message to each timeline, and announces it.
func (p conversation) put(tx *txn.Tx, c *changed, e protocol.MessageEvent) {
	e.MessageID, e.From, e.To, e.GroupID = c.msg.MessageID, c.msg.From, c.msg.To, c.msg.GroupID
	e.By, e.Time = p.by.UserID, tx.Now
	body := rpc.Encode(c.msg)
	for _, m := range c.copies {
		m.Body, m.Version = body, m.Version+1
		if c.msg.Revoked {
			m.Flags |= txn.FlagRevoked
		}
		tx.PutMessage(*m)
		tx.Append(m.Topic, txn.Draft{Device: p.by.Origin(), Body: &rpc.Event{Value: e}, Audience: m.Audience})
	}
	home := im.UserTopic(c.msg.From) // the search index has a one-to-one message under its sender's timeline
	if p.groupID != "" {
		home = p.topic()
	}
	tx.Find(sqldb.Phrase{Topic: home, Message: c.msg.MessageID})
	if text := searchText(&c.msg.Body); text != "" && !c.msg.Revoked && !c.msg.ExcludeFromSearch {
		found := sqldb.Phrase{Topic: home, Message: c.msg.MessageID, Words: text}
		for _, m := range c.copies {
			found.Finders = append(found.Finders, m.Topic)
		}
		tx.Find(found)
	}
}

// RevokeMessage revokes a message: its sender for a limited time, owner and administrators of a group and app servers
// at any time.
func (c *Chat) RevokeMessage(_ context.Context, by rpc.Caller,
	req protocol.RevokeRequest) (rpc.Txn[protocol.MessageResponse], error) {
	p, err := parseConversation(by, req.ConversationID)
	if err = rpc.FirstError(err, im.CheckMessageID(req.MessageID),
		im.CheckText("reason", req.Reason, maxReason)); err != nil {
		return rpc.Txn[protocol.MessageResponse]{}, err
	}
	reads := p.reads()
	reads.Messages = p.messages(req.MessageID)
	return rpc.Txn[protocol.MessageResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.MessageResponse, error) {
		v, err := p.load(tx, req.MessageID)
		if err != nil {
			return protocol.MessageResponse{}, err
		}
		if v.msg.Revoked {
			return protocol.MessageResponse{Message: v.msg, Repeat: true, ServerTime: tx.Now}, nil
		}
		if err := c.mayRevoke(tx, p, v); err != nil {
			return protocol.MessageResponse{}, err
		}
		v.msg.Body, v.msg.MessageOptions = protocol.Body{}, protocol.MessageOptions{ExcludeUnread: v.msg.ExcludeUnread,
			ReceiverList: v.msg.ReceiverList}
		v.msg.Revoked, v.msg.RevokedBy, v.msg.RevokeReason = true, by.UserID, req.Reason
		v.msg.Reactions = nil
		if sender := (txn.MemberKey{GroupID: p.groupID, UserID: v.copies[0].Sender}); p.groupID != "" &&
			!tx.HasMember(sender) {
			return protocol.MessageResponse{}, &txn.NeedReads{Reads: txn.ReadSet{Members: []txn.MemberKey{sender}}}
		}
		for _, m := range v.copies {
			holder.Release(tx, m.Topic, m.ID)
		}
		c.withdraw(tx, &v.msg)
		p.skip(tx, v.copies)
		p.put(tx, v, protocol.MessageEvent{Type: protocol.TypeRevoked, Reason: req.Reason})
		return protocol.MessageResponse{Message: v.msg, ServerTime: tx.Now}, nil
	}}, nil
}

func (c *Chat) mayRevoke(tx *txn.Tx, p conversation, v *changed) error {
	if p.groupID != "" {
		_, me, err := p.member(tx)
		if err != nil {
			return err
		}
		if me.Role >= im.RoleAdmin {
			return nil
		}
	}
	switch {
	case v.msg.MessageType == protocol.CallType:
		return callRecord()
	case v.msg.From != p.by.UserID:
		return &im.Error{Code: im.CodeGroupDenied, Field: "messageID",
			Message: "only the sender of a message, and in a group its owner and administrators, may revoke it"}
	case !p.by.Server && tx.Now-v.msg.Time > c.opt.RevokeWithin.Milliseconds():
		return &im.Error{Code: im.CodeRevokeLate, Field: "messageID",
			Message: "the message is too old to be revoked; the limit is " + c.opt.RevokeWithin.String()}
	}
	return nil
}

// callRecord returns the refusal to change a call record.
func callRecord() error {
	return &im.Error{Code: im.CodeGroupDenied, Field: "messageID",
		Message: "call records cannot be changed; to hide one from yourself, use deleteMessages"}
}

// ModifyMessage replaces the content of a message, for its sender, and for owner and administrators of a group.
func (c *Chat) ModifyMessage(ctx context.Context, by rpc.Caller,
	req protocol.ModifyMessageRequest) (rpc.Txn[protocol.MessageResponse], error) {
	p, err := parseConversation(by, req.ConversationID)
	if err == nil {
		err = im.CheckMessageID(req.MessageID)
	}
	if err == nil && req.CustomData != nil {
		err = im.CheckText("customData", *req.CustomData, maxCustomData)
	}
	keep := req.Body == (protocol.Body{}) && req.CustomData != nil
	if err == nil && !keep {
		_, err = kindOf(&req.Body)
	}
	var files []string
	if err == nil {
		files, err = c.resolveFile(ctx, by, &req.Body)
	}
	if err != nil {
		return rpc.Txn[protocol.MessageResponse]{}, err
	}
	reads := p.reads()
	reads.Messages = p.messages(req.MessageID)
	return rpc.Txn[protocol.MessageResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.MessageResponse, error) {
		v, err := p.load(tx, req.MessageID)
		if err != nil {
			return protocol.MessageResponse{}, err
		}
		if req.Version != nil && v.msg.Version == *req.Version+1 && v.msg.ModifiedBy == by.UserID &&
			same(&v.msg, &req, keep) {
			return protocol.MessageResponse{Message: v.msg, Repeat: true, ServerTime: tx.Now}, nil
		}
		if err := c.mayModify(tx, p, v, req); err != nil {
			return protocol.MessageResponse{}, err
		}
		if !keep {
			v.msg.MessageType, v.msg.Body = req.Body.Kinds()[0], req.Body
		}
		if req.CustomData != nil {
			v.msg.CustomData = *req.CustomData
		}
		v.msg.Version, v.msg.ModifiedBy = v.msg.Version+1, by.UserID
		for _, m := range v.copies {
			if !keep {
				holder.Release(tx, m.Topic, m.ID)
			}
			for _, f := range files {
				holder.Hold(tx, holder.Holder{File: f, Topic: m.Topic, Message: m.ID})
			}
		}
		now := v.msg
		p.put(tx, v, protocol.MessageEvent{Type: protocol.TypeModified, Message: &now})
		return protocol.MessageResponse{Message: now, ServerTime: tx.Now}, nil
	}}, nil
}

// same reports whether a message already has the requested content: a retry after a lost response.
func same(m *protocol.Message, req *protocol.ModifyMessageRequest, keep bool) bool {
	return (req.CustomData == nil || *req.CustomData == m.CustomData) &&
		(keep || bytes.Equal(rpc.Encode(m.Body), rpc.Encode(req.Body)))
}

func (c *Chat) mayModify(tx *txn.Tx, p conversation, v *changed, req protocol.ModifyMessageRequest) error {
	if v.msg.MessageType == protocol.CallType {
		return callRecord()
	}
	if p.groupID == "" && tx.Contact(p.peer, p.by.UserID).Blocks() {
		if !c.opt.DropBlocked {
			return &im.Error{Code: im.CodeBlocked, Field: "conversationID", Message: p.peer +
				" does not accept messages from you"}
		}
		v.copies = v.copies[:1] // the copy of the blocker stays unchanged
	}
	if p.groupID != "" {
		g, me, err := p.member(tx)
		if err == nil {
			err = g.MaySpeak(me, tx.Now)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case v.msg.Revoked:
		return &im.Error{Code: im.CodeNoMessage, Field: "messageID", Message: "the message was revoked"}
	case req.Version != nil && *req.Version != v.msg.Version:
		return &im.Error{Code: im.CodeModified, Field: "version",
			Message: "the message was modified by another call; read it and retry"}
	case v.msg.From == p.by.UserID:
		return nil
	case p.groupID != "":
		if _, me, err := p.member(tx); err != nil || me.Role >= im.RoleAdmin {
			return err
		}
	}
	return &im.Error{Code: im.CodeGroupDenied, Field: "messageID",
		Message: "only the sender of a message, and in a group its owner and administrators, may modify it"}
}

// skip removes a revoked message from the unread counts.
func (p conversation) skip(tx *txn.Tx, copies []*txn.Message) {
	if p.groupID != "" {
		p.skipInGroup(tx, copies[0])
		return
	}
	for _, m := range copies {
		user := im.TopicUser(m.Topic)
		if m.Ord == 0 {
			continue
		}
		peer := p.peer
		if user == p.peer {
			peer = p.by.UserID
		}
		side := tx.Contact(user, peer)
		side.Skip(m.Ord)
		tx.PutContact(*side)
	}
}

// skipInGroup removes a revoked message from the unread counts of all members. For its sender it never counted.
func (p conversation) skipInGroup(tx *txn.Tx, m *txn.Message) {
	if m.Ord == 0 {
		return
	}
	g := tx.Group(p.groupID)
	g.Revoked = g.Revoked.Add(m.Ord)
	tx.PutGroup(*g)
	if sender := tx.Member(p.groupID, m.Sender); sender.Present() && sender.ReadSeq < m.Seq {
		sender.Extra = sender.Extra.Add(int64(m.Seq))
		tx.PutMember(*sender)
	}
}

// current returns the positions of records of a conversation. A record never leaves its conversation.
func (c *Chat) current(ctx context.Context, p conversation, seqs []uint64) ([]store.MessagePosition, error) {
	if p.groupID != "" {
		if _, _, err := c.membership(ctx, p); err != nil {
			return nil, err
		}
	}
	list := make([]store.MessagePosition, 0, len(seqs))
	for _, seq := range seqs {
		var r *store.MessagePosition
		var err error
		if seq <= math.MaxInt64 {
			r, err = c.store.MessagePosition(ctx, p.topic(), p.column(), seq)
		}
		switch {
		case err != nil:
			return nil, im.Internal(err)
		case r == nil:
			return nil, im.NotFound("seqList", fmt.Sprintf("has %d, which is not in this conversation", seq))
		}
		list = append(list, *r)
	}
	return list, nil
}

// forget removes deleted records from the caller's unread count.
func (p conversation) forget(tx *txn.Tx, list []store.MessagePosition) error {
	if p.groupID == "" {
		side := tx.Contact(p.by.UserID, p.peer)
		before := *side
		for _, r := range list {
			if r.Ord > 0 && r.Flags&txn.FlagRevoked == 0 {
				side.Skip(r.Ord)
			}
		}
		if *side != before {
			tx.PutContact(*side)
		}
		return nil
	}
	_, m, err := p.member(tx)
	if err != nil {
		return err
	}
	before := *m
	for _, r := range list {
		if r.Sender != p.by.UserID && m.Extra.Has(int64(r.Seq)) {
			m.Extra = m.Extra.Remove(int64(r.Seq))
		}
		if r.Ord > 0 && r.Sender != p.by.UserID {
			m.Skip(r.Ord)
		}
	}
	if *m != before {
		tx.PutMember(*m)
	}
	return nil
}

// maxDeleted bounds the messages of one deleteMessages.
const maxDeleted = 50

// DeleteMessages hides messages from the caller alone.
func (c *Chat) DeleteMessages(ctx context.Context, by rpc.Caller,
	req protocol.DeleteMessagesRequest) (rpc.Txn[protocol.Done], error) {
	p, err := parseConversation(by, req.ConversationID)
	var list []store.MessagePosition
	switch {
	case err != nil:
	case len(req.SeqList) == 0:
		err = im.Bad("seqList", "is empty")
	case len(req.SeqList) > maxDeleted:
		err = im.Bad("seqList", "has more than 50 messages; use several calls")
	default:
		list, err = c.current(ctx, p, req.SeqList)
	}
	if err != nil {
		return rpc.Txn[protocol.Done]{}, err
	}
	return rpc.Txn[protocol.Done]{Reads: p.reads(), Decide: func(tx *txn.Tx) (protocol.Done, error) {
		if err := p.forget(tx, list); err != nil {
			return protocol.Done{}, err
		}
		for _, seq := range req.SeqList {
			tx.Upsert(tables.Deletions, by.UserID, p.topic(), seq)
		}
		p.appendOwn(tx, protocol.MessageEvent{Type: protocol.TypeDeleted, ConversationID: p.id(), SeqList: req.SeqList,
			Time: tx.Now})
		return protocol.Done{ServerTime: tx.Now}, nil
	}}, nil
}
