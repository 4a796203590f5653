package chat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/holder"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// sending is the state of one send call.
type sending struct {
	conversation
	msg   protocol.Message
	files []string // files that the conversation may read from now on
	push  bool     // devices of receivers that are not connected get a push
	here  outbox.Connected
}

// SendMessage sends a message to a user or a group.
func (c *Chat) SendMessage(ctx context.Context, by rpc.Caller,
	req protocol.SendMessageRequest) (rpc.Txn[protocol.SendMessageResponse], error) {
	s, err := prepare(by, &req)
	if err == nil {
		s.files, err = c.resolveFile(ctx, by, &s.msg.Body)
	}
	if err != nil {
		return rpc.Txn[protocol.SendMessageResponse]{}, err
	}
	reads := s.reads()
	reads.Messages = s.messages(s.msg.MessageID)
	if id := s.msg.ReplyTo; id != "" {
		reads.Messages = append(reads.Messages, s.messages(id)...)
	}
	if s.push = c.pushes(s); s.push && s.peer != "" {
		reads.Users, s.here = append(reads.Users, s.peer), c.opt.Here(s.peer)
	}
	for _, u := range s.msg.ReceiverList {
		reads.Members = append(reads.Members, txn.MemberKey{GroupID: s.groupID, UserID: u})
	}
	devices := 0
	if s.msg.OnlineUserOnly && s.peer != "" {
		devices = c.presence.Devices(s.peer)[0]
	}
	return rpc.Txn[protocol.SendMessageResponse]{Reads: reads,
		Decide: func(tx *txn.Tx) (protocol.SendMessageResponse, error) { return c.decideSend(tx, s) },
		After: func(res protocol.SendMessageResponse, err error) (protocol.SendMessageResponse, error) {
			if err == nil {
				res.Devices = devices
			}
			return res, err
		}}, nil
}

// prepare validates a request without reads.
func prepare(by rpc.Caller, req *protocol.SendMessageRequest) (*sending, error) {
	s := &sending{conversation: conversation{by: by, peer: req.UserID, groupID: req.GroupID}}
	var err error
	switch {
	case req.UserID == "" && req.GroupID == "":
		err = im.Bad("userID", "is missing: set it, or groupID")
	case req.UserID != "" && req.GroupID != "":
		err = im.Bad("userID", "must not be set together with groupID")
	case req.UserID == by.UserID && req.GroupID == "":
		err = im.Bad("userID", "is yourself")
	case req.GroupID != "":
		err = im.CheckGroupID(req.GroupID)
	default:
		err = im.CheckUserID("userID", req.UserID)
	}
	if err = rpc.FirstError(err, im.CheckRequestID(req.RequestID)); err != nil {
		return nil, err
	}
	switch {
	case req.MessageID != "":
		err = im.CheckMessageID(req.MessageID)
		for _, p := range []string{mintedPrefix, protocol.CallMessagePrefix} {
			if strings.HasPrefix(req.MessageID, p) {
				err = im.Bad("messageID", "begins with "+p+", which is reserved for IDs of the server")
			}
		}
	case req.RequestID != "":
		sum := sha256.Sum256([]byte(by.UserID + "\n" + req.RequestID))
		req.MessageID = mintedPrefix + hex.EncodeToString(sum[:16])
	default:
		req.MessageID = uuid.Must(uuid.NewV7()).String()
	}
	if err = rpc.FirstError(err, checkOptions(&req.MessageOptions, req.GroupID != "")); err != nil {
		return nil, err
	}
	kind, err := kindOf(&req.Body)
	s.msg = protocol.Message{Type: protocol.TypeMessage, MessageID: req.MessageID, MessageType: kind, From: by.UserID,
		To: req.UserID, GroupID: req.GroupID,
		Body: req.Body, MessageOptions: req.MessageOptions}
	return s, err
}

// mintedPrefix is the prefix of IDs derived from a requestID. Clients must not propose such IDs, so that none takes
// another's.
const mintedPrefix = "r-"

// resolveFile checks that the sender may read the file of a message, and sets its stored properties.
func (c *Chat) resolveFile(ctx context.Context, by rpc.Caller, b *protocol.Body) ([]string, error) {
	elem := fileOf(b)
	if elem == nil {
		return nil, nil
	}
	f, err := c.store.File(ctx, elem.FileID)
	if err != nil {
		return nil, im.Internal(err)
	}
	kind := b.Kinds()[0]
	field := string(kind) + ".fileID"
	if f != nil && f.Owner != by.UserID {
		may, err := holder.MayRead(ctx, c.store, f.ID, by.UserID)
		if err != nil {
			return nil, im.Internal(err)
		}
		if !may {
			f = nil
		}
	}
	switch {
	case f == nil:
		return nil, &im.Error{Code: im.CodeNoFile, Field: field,
			Message: "there is no file with this fileID that you may read"}
	case f.Kind != string(kind):
		return nil, im.Bad(field, "refers to a file that was uploaded as "+f.Kind)
	}
	elem.Type, elem.Size = f.Type, f.Size
	if elem.Name == "" {
		elem.Name = f.Name
	}
	files := []string{f.ID}
	if kind == protocol.Image {
		elem.Width, elem.Height, elem.ThumbID = f.Width, f.Height, f.Thumb
	} else if elem.ThumbID != "" {
		t, err := c.store.File(ctx, elem.ThumbID)
		if err != nil {
			return nil, im.Internal(err)
		}
		mine := t != nil && t.Owner == by.UserID
		if t != nil && !mine {
			if mine, err = holder.MayRead(ctx, c.store, t.ID, by.UserID); err != nil {
				return nil, im.Internal(err)
			}
		}
		if !mine || t.Kind != string(protocol.Image) {
			return nil, &im.Error{Code: im.CodeNoFile, Field: string(kind) + ".thumbID",
				Message: "there is no image of yours with this thumbID"}
		}
	}
	if elem.ThumbID != "" {
		files = append(files, elem.ThumbID)
	}
	return files, nil
}

func (c *Chat) decideSend(tx *txn.Tx, s *sending) (protocol.SendMessageResponse, error) {
	m := s.msg
	m.Time = tx.Now
	res := protocol.SendMessageResponse{MessageID: m.MessageID, ConversationID: s.id(), Time: tx.Now}
	known, err := s.findDuplicate(tx, m)
	if known != nil || err != nil {
		if known != nil {
			res.Seq, res.Time, res.Repeat = known.Seq, known.At, true
		}
		return res, err
	}
	if err := s.mayReply(tx, m.ReplyTo); err != nil {
		return res, err
	}
	d := txn.Draft{Device: s.by.Origin(), Online: m.OnlineUserOnly, Body: &rpc.Event{Value: m}, Message: m.MessageID,
		Sender: m.From, Flags: flagsOf(&m)}
	if !m.ExcludeFromSearch {
		d.Words = searchText(&m.Body)
	}
	if s.groupID != "" {
		err = s.toGroup(tx, &m, d)
	} else {
		err = c.toUser(tx, s, &m, d)
	}
	if err != nil {
		return res, err
	}
	s.holdFiles(tx)
	if !m.OnlineUserOnly {
		res.Seq = tx.Head(s.topic()) + 1
	}
	if s.push {
		c.push(tx, s, &m)
	}
	return res, nil
}

// mayReply returns an error unless the caller may reply to a message: it is in the conversation, and not revoked.
func (p conversation) mayReply(tx *txn.Tx, id string) error {
	if id == "" {
		return nil
	}
	v, err := p.load(tx, id)
	if err == nil && !v.msg.Revoked {
		return nil
	}
	if err != nil && im.CodeOf(err) != im.CodeNoMessage {
		return err
	}
	return &im.Error{Code: im.CodeNoMessage, Field: "replyTo",
		Message: "there is no message with this messageID in this conversation to reply to, or it was revoked"}
}

// onlineFiles is the time for which the files of an onlineUserOnly message are readable, in milliseconds.
const onlineFiles = 24 * 60 * 60 * 1000

// holdFiles makes the files of the message readable in its conversation or, for a message that is not stored, for its
// receivers for a limited time.
func (s *sending) holdFiles(tx *txn.Tx) {
	for _, f := range s.files {
		h := holder.Holder{File: f, Message: s.msg.MessageID}
		if s.msg.OnlineUserOnly {
			h.Until = tx.Now + onlineFiles
		}
		if s.msg.OnlineUserOnly && len(s.msg.ReceiverList) > 0 {
			for _, u := range s.msg.ReceiverList {
				h.Topic = im.UserTopic(u)
				holder.Hold(tx, h)
			}
			continue
		}
		for _, k := range s.messages("") {
			h.Topic = k.Topic
			holder.Hold(tx, h)
		}
	}
}

// findDuplicate returns the message if it was sent before; an ID of another message is refused.
func (p conversation) findDuplicate(tx *txn.Tx, m protocol.Message) (*txn.Message, error) {
	for _, k := range p.messages(m.MessageID) {
		known := tx.Message(k.Topic, k.ID)
		if known == nil {
			continue
		}
		m.Time = known.At
		if k.Topic != p.topic() || known.Sender != m.From || known.Version == 0 && !bytes.Equal(known.Body, rpc.Encode(m)) {
			return nil, &im.Error{Code: im.CodeExists, Field: "messageID",
				Message: "this messageID belongs to another message; choose a new one"}
		}
		return known, nil
	}
	return nil, nil
}

func flagsOf(m *protocol.Message) (f txn.Flags) {
	if m.ExcludeLastMessage || len(m.ReceiverList) > 0 {
		f |= txn.FlagNotLast
	}
	if m.NeedReadReceipt {
		f |= txn.FlagReceipt
	}
	return f
}

// toUser appends the message to both timelines. A receiver that blocks the sender gets no copy, or the message is
// refused.
func (c *Chat) toUser(tx *txn.Tx, s *sending, m *protocol.Message, d txn.Draft) error {
	mine, theirs := d, d
	mine.Peer, theirs.Peer = s.peer, m.From
	me, them := im.UserTopic(m.From), im.UserTopic(s.peer)
	side := tx.Contact(s.peer, m.From)
	blocked := side.Blocks()
	if blocked && !c.opt.DropBlocked {
		return &im.Error{Code: im.CodeBlocked, Field: "userID", Message: s.peer + " does not accept messages from you"}
	}
	if !tx.HasContact(m.From, s.peer) && !m.OnlineUserOnly {
		tx.PutContact(*tx.Contact(m.From, s.peer))
	}
	switch {
	case blocked:
		mine.Finders = []string{me}
		tx.Append(me, mine)
		return nil
	case m.OnlineUserOnly:
		tx.Append(me, mine)
		tx.Append(them, theirs)
		return nil
	}
	mine.Finders, theirs.Words = []string{me, them}, ""
	if !m.ExcludeUnread {
		side.Counted++
		theirs.Ord = side.Counted
	}
	tx.PutContact(*side)
	tx.AppendPair(me, mine, them, theirs)
	return nil
}

// toGroup appends the message to the group's timeline, once for all members.
func (s *sending) toGroup(tx *txn.Tx, m *protocol.Message, d txn.Draft) error {
	g, me, err := s.member(tx)
	if err != nil {
		return err
	}
	if err := g.MaySpeak(me, tx.Now); err != nil {
		return err
	}
	rules, _ := im.Rules(g.Type)
	if err := rpc.FirstError(g.Has(rules.Receipts || !m.NeedReadReceipt, "read receipts"),
		g.Has(rules.Targeted || len(m.ReceiverList) == 0, "messages for some members only")); err != nil {
		return err
	}
	if m.MentionAll {
		if err := g.MayMentionAll(me, "mentionAll"); err != nil {
			return err
		}
	}
	for _, u := range m.ReceiverList {
		if !tx.Member(g.ID, u).Present() {
			return &im.Error{Code: im.CodeGroupDenied, Field: "receiverList", Message: u + " is not a member of this group"}
		}
	}
	d.Peer = txn.GroupPeer
	d.Finders = []string{s.topic()}
	d.Counts = rules.Unread && !m.ExcludeUnread && len(m.ReceiverList) == 0 && !m.OnlineUserOnly
	if len(m.ReceiverList) > 0 {
		d.Audience = " " + m.From + " " + strings.Join(m.ReceiverList, " ") + " "
	}
	if d.Counts {
		me.Own++
		tx.PutMember(*me)
	}
	tx.Append(s.topic(), d)
	return nil
}
