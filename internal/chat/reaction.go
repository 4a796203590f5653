package chat

import (
	"bytes"
	"context"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/reaction"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Limits of reactions: bytes of one, different ones to a message, and changes in one record.
const (
	maxReaction  = 64
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
	if err = rpc.FirstError(err, im.CheckMessageID(req.MessageID), checkReaction(req.Reaction)); err != nil {
		return t, err
	}
	key := txn.ReactionKey{Topic: p.topic(), ID: req.MessageID, UserID: by.UserID, Reaction: req.Reaction}
	t.Reads = p.reads()
	t.Reads.Messages = p.messages(req.MessageID)
	t.Reads.Reactions = []txn.ReactionKey{key}
	t.Decide = func(tx *txn.Tx) (res protocol.ReactionResponse, err error) {
		v, err := p.load(tx, req.MessageID)
		if err == nil {
			err = c.mayReact(tx, p, v)
		}
		if err != nil {
			return res, err
		}
		change := protocol.ReactionChange{MessageID: req.MessageID, UserID: by.UserID, Reaction: req.Reaction,
			Removed: remove, Count: reaction.Count(v.msg.Reactions, req.Reaction), Version: v.msg.ReactionVersion}
		res.ServerTime = tx.Now
		if tx.Reaction(key) != remove {
			res.ReactionChange, res.Repeat = change, true
			return res, nil
		}
		if !remove && change.Count == 0 && len(v.msg.Reactions) >= maxReactions {
			return res, &im.Error{Code: im.CodeTooMany, Field: "reaction",
				Message: fmt.Sprintf("the message has %d different reactions already; use one of them", maxReactions)}
		}
		step := int64(1)
		if remove {
			step = -1
		}
		change.Count, change.Version = change.Count+step, change.Version+1
		v.msg.Reactions = reaction.Change(v.msg.Reactions, req.Reaction, step)
		v.msg.ReactionVersion = change.Version
		p.putReaction(tx, v, change)
		res.ReactionChange = change
		return res, nil
	}
	return t, nil
}

// checkReaction validates a reaction: 1–64 bytes of printable UTF-8 without spaces. Joiners and selectors of emoji
// count as printable.
func checkReaction(s string) error {
	switch {
	case s == "":
		return im.Bad("reaction", "is missing")
	case len(s) > maxReaction:
		return &im.Error{Code: im.CodeTooLong, Field: "reaction",
			Message: fmt.Sprintf("reaction is %d bytes long; the limit is %d", len(s), maxReaction)}
	case !utf8.ValidString(s):
		return im.Bad("reaction", "is not UTF-8")
	}
	for _, r := range s {
		if !unicode.IsGraphic(r) && !joinsEmoji(r) || unicode.IsSpace(r) {
			return im.Bad("reaction", "has a space or a control character")
		}
	}
	return nil
}

// joinsEmoji reports whether a character without a picture of its own is part of emoji: the zero-width joiner, and the
// tags of regional flags.
func joinsEmoji(r rune) bool { return r == '\u200d' || r >= 0xe0020 && r <= 0xe007f }

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

// putReaction writes a message with its changed reactions to each timeline, and announces the change.
func (p conversation) putReaction(tx *txn.Tx, v *changed, change protocol.ReactionChange) {
	body := rpc.Encode(v.msg)
	p.by.CountRows(len(v.copies) * len(body) / bytesPerRow)
	for _, m := range v.copies {
		m.Body, m.Version = body, m.Version+1
		tx.PutMessage(*m)
		tx.PutReaction(txn.Reaction{ReactionKey: txn.ReactionKey{Topic: m.Topic, ID: m.ID, UserID: change.UserID,
			Reaction: change.Reaction}, At: tx.Now, Gone: change.Removed})
		tx.Append(m.Topic, txn.Draft{Device: p.by.Origin(), Audience: m.Audience, Body: &reactions{
			protocol.ReactionEvent{Type: protocol.TypeReactions, From: v.msg.From, To: v.msg.To, GroupID: v.msg.GroupID,
				Changes: []protocol.ReactionChange{change}, Time: tx.Now}, m.Audience}})
	}
}

// addOwnReactions adds the caller's reactions to entries of a conversation.
func (c *Chat) addOwnReactions(ctx context.Context, p conversation, entries []protocol.Entry) error {
	has := func(e *protocol.Entry) bool { return bytes.Contains(e.Event, []byte(`"reactions":[`)) }
	part := reaction.Part{Topic: p.topic(), Peer: p.column()}
	for i := range entries {
		if e := &entries[i]; has(e) {
			if part.To == 0 {
				part.From, part.To = e.Seq, e.Seq
			}
			part.From, part.To = min(part.From, e.Seq), max(part.To, e.Seq)
		}
	}
	if part.To == 0 {
		return nil
	}
	own, err := reaction.Own(ctx, c.store, part, p.by.UserID)
	if err != nil {
		return im.Internal(err)
	}
	for i := range entries {
		if e := &entries[i]; has(e) {
			if m, err := respond(e.Event, 0); err == nil {
				e.Mine = own[m.Message.MessageID]
			}
		}
	}
	return nil
}

// ownReactions returns the caller's reactions to a message.
func (c *Chat) ownReactions(ctx context.Context, p conversation, m *txn.Message) ([]string, error) {
	own, err := reaction.Own(ctx, c.store, reaction.Part{Topic: m.Topic, Peer: p.column(), From: m.Seq, To: m.Seq},
		p.by.UserID)
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
