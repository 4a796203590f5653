package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/reaction"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Limits of reactions: different ones to a message, and changes in one record.
const (
	maxReactions = 20
	maxChanges   = 100
)

// bytesPerRow is the number of written bytes that cost as much as one read row: as much as in a request.
const bytesPerRow = 100

// reactions is the body of a record of reactions. Those to messages of a group that are decided together become one
// record.
type reactions struct {
	protocol.ReactionEvent
	audience string // of the messages
}

func (r *reactions) JSON() []byte { return rpc.Encode(r.ReactionEvent) }

// Absorb adds the changes of a later record of the same group and audience. It reports whether it did.
func (r *reactions) Absorb(next txn.Body) bool {
	n, ok := next.(*reactions)
	if !ok || r.GroupID == "" || n.GroupID != r.GroupID || n.audience != r.audience ||
		len(r.Changes)+len(n.Changes) > maxChanges {
		return false
	}
	r.Changes, r.Time = append(r.Changes, n.Changes...), n.Time
	return true
}

// AddReaction adds a reaction of the caller to a message.
func (c *Chat) AddReaction(_ context.Context, by rpc.Caller,
	req protocol.ReactionRequest) (rpc.Txn[protocol.ReactionResponse], error) {
	return c.react(by, req, false)
}

// RemoveReaction removes a reaction of the caller from a message.
func (c *Chat) RemoveReaction(_ context.Context, by rpc.Caller,
	req protocol.ReactionRequest) (rpc.Txn[protocol.ReactionResponse], error) {
	return c.react(by, req, true)
}

func (c *Chat) react(by rpc.Caller, req protocol.ReactionRequest, remove bool) (t rpc.Txn[protocol.ReactionResponse],
	err error) {
	p, err := parseConversation(by, req.ConversationID)
	if err = rpc.FirstError(err, im.CheckMessageID(req.MessageID), im.CheckReaction(req.Reaction)); err != nil {
		return t, err
	}
	r := &reacting{conversation: p, req: req, remove: remove}
	t.Reads = p.reads()
	t.Reads.Messages = p.messages(req.MessageID)
	for _, k := range t.Reads.Messages {
		t.Reads.Reactions = append(t.Reads.Reactions, r.key(k.Topic))
	}
	t.Decide = func(tx *txn.Tx) (protocol.ReactionResponse, error) { return r.decide(tx, c) }
	t.After = func(res protocol.ReactionResponse, err error) (protocol.ReactionResponse, error) {
		by.CountRows(r.written / bytesPerRow)
		return res, err
	}
	return t, nil
}

// reacting adds or removes one reaction.
type reacting struct {
	conversation
	req     protocol.ReactionRequest
	remove  bool
	written int // bytes of messages
}

func (r *reacting) key(topic string) txn.ReactionKey {
	return txn.ReactionKey{Topic: topic, ID: r.req.MessageID, UserID: r.by.UserID, Reaction: r.req.Reaction}
}

// decide changes each copy of the message by itself: they differ when one of two users has blocked the other silently.
// The copies have one version, so that both users can order the changes.
func (r *reacting) decide(tx *txn.Tx, c *Chat) (res protocol.ReactionResponse, err error) {
	v, err := r.load(tx, r.req.MessageID)
	if err == nil {
		err = c.mayReact(tx, r.conversation, v)
	}
	if err != nil {
		return res, err
	}
	res.ServerTime = tx.Now
	res.ReactionChange = r.change(&v.msg)
	if tx.Reaction(r.key(v.copies[0].Topic)) != r.remove {
		res.Repeat = true
		return res, nil
	}
	if !r.remove && res.Count == 0 && len(v.msg.Reactions) >= maxReactions {
		return res, &im.Error{Code: im.CodeTooMany, Field: "reaction",
			Message: fmt.Sprintf("the message has %d different reactions already; use one of them", maxReactions)}
	}
	messages := make([]protocol.Message, len(v.copies))
	version := int64(0)
	for i, m := range v.copies {
		if err := json.Unmarshal(m.Body, &messages[i]); err != nil {
			return res, im.Internal(err)
		}
		version = max(version, messages[i].ReactionVersion+1)
	}
	r.written = 0
	for i, m := range v.copies {
		if tx.Reaction(r.key(m.Topic)) == r.remove {
			change := r.put(tx, m, &messages[i], version)
			if i == 0 {
				res.ReactionChange = change
			}
		}
	}
	return res, nil
}

// change describes the reaction in its present state.
func (r *reacting) change(m *protocol.Message) protocol.ReactionChange {
	return protocol.ReactionChange{MessageID: r.req.MessageID, UserID: r.by.UserID, Reaction: r.req.Reaction,
		Removed: r.remove, Count: reaction.Count(m.Reactions, r.req.Reaction), Version: m.ReactionVersion}
}

// put changes one copy of the message, and announces the change on its timeline.
func (r *reacting) put(tx *txn.Tx, m *txn.Message, v *protocol.Message, version int64) protocol.ReactionChange {
	step := int64(1)
	if r.remove {
		step = -1
	}
	v.Reactions, v.ReactionVersion = reaction.Change(v.Reactions, r.req.Reaction, step), version
	change := r.change(v)
	m.Body, m.Version = rpc.Encode(v), m.Version+1
	r.written += len(m.Body)
	tx.PutMessage(*m)
	tx.PutReaction(txn.Reaction{ReactionKey: r.key(m.Topic), At: tx.Now, Gone: r.remove})
	tx.Append(m.Topic, txn.Draft{Device: r.by.Origin(), Audience: m.Audience, Body: &reactions{
		protocol.ReactionEvent{Type: protocol.TypeReactions, From: v.From, To: v.To, GroupID: v.GroupID,
			Changes: []protocol.ReactionChange{change}, Time: tx.Now}, m.Audience}})
	return change
}

// mayReact returns an error unless the caller may react to a message: as for sending one. With silent blocks, the copy
// of a user who blocks the caller stays unchanged.
func (c *Chat) mayReact(tx *txn.Tx, p conversation, v *changed) error {
	switch {
	case v.msg.Revoked:
		return &im.Error{Code: im.CodeNoMessage, Field: "messageID", Message: "the message was revoked"}
	case p.groupID != "":
		g, me, err := p.member(tx)
		if err != nil {
			return err
		}
		return g.MaySpeak(me, tx.Now)
	case !tx.Contact(p.peer, p.by.UserID).Blocks():
		return nil
	case !c.opt.DropBlocked:
		return &im.Error{Code: im.CodeBlocked, Field: "conversationID", Message: p.peer +
			" does not accept messages from you"}
	}
	v.copies = v.copies[:1]
	return nil
}

// addOwnReactions adds the caller's reactions to entries of a conversation.
func (c *Chat) addOwnReactions(ctx context.Context, p conversation, entries []protocol.Entry) error {
	at := map[string]int{} // entries by message
	var messages []string
	for i := range entries {
		if !bytes.Contains(entries[i].Event, []byte(`"reactions":[`)) {
			continue
		}
		if m, err := respond(entries[i].Event, 0); err == nil {
			at[m.Message.MessageID] = i
			messages = append(messages, m.Message.MessageID)
		}
	}
	if len(messages) == 0 {
		return nil
	}
	own, err := reaction.Own(ctx, c.store, p.topic(), p.by.UserID, messages)
	if err != nil {
		return im.Internal(err)
	}
	for id, i := range at {
		entries[i].Mine = own[id]
	}
	return nil
}

// ownReactions returns the caller's reactions to a message.
func (c *Chat) ownReactions(ctx context.Context, m *txn.Message, user string) ([]string, error) {
	own, err := reaction.Own(ctx, c.store, m.Topic, user, []string{m.ID})
	if err != nil {
		return nil, im.Internal(err)
	}
	return own[m.ID], nil
}

// GetReactionUsers returns a page of the users with a reaction to a message.
func (c *Chat) GetReactionUsers(ctx context.Context, by rpc.Caller,
	req protocol.ReactionUsersRequest) (protocol.ReactionUsersResponse, error) {
	res := protocol.ReactionUsersResponse{Users: []protocol.ReactionUser{}}
	limit, bad := rpc.Page(req.Limit)
	p, err := parseConversation(by, req.ConversationID)
	if err = rpc.FirstError(err, im.CheckMessageID(req.MessageID), bad); err != nil {
		return res, err
	}
	m, err := c.find(ctx, p, req.MessageID)
	switch {
	case err != nil:
		return res, err
	case m.Flags&txn.FlagRevoked != 0:
		return res, noMessage()
	}
	// Each user has at most maxReactions.
	list, err := reaction.Users(ctx, c.store, m.Topic, m.ID, req.After, limit*maxReactions+1)
	if err != nil {
		return res, im.Internal(err)
	}
	by.CountRows(len(list))
	for _, r := range list {
		n := len(res.Users)
		if n == 0 || res.Users[n-1].UserID != r.UserID {
			if n == limit {
				res.Next = res.Users[n-1].UserID
				break
			}
			res.Users = append(res.Users, protocol.ReactionUser{UserID: r.UserID})
			n++
		}
		u := &res.Users[n-1]
		u.Reactions, u.Time = append(u.Reactions, r.Reaction), max(u.Time, r.At)
	}
	return res, nil
}
