package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// History returns a page of a conversation, in either direction from any sequence.
func (c *Chat) History(ctx context.Context, by rpc.Caller, req protocol.HistoryRequest) (protocol.HistoryResponse,
	error) {
	res := protocol.HistoryResponse{Messages: []protocol.Entry{}}
	limit, err := rpc.Page(req.Limit)
	if err == nil && req.Direction != "" && req.Direction != "older" && req.Direction != "newer" {
		err = im.Bad("direction", "must be one of: older, newer")
	}
	if err == nil && req.Seq > math.MaxInt64 {
		err = im.Bad("seq", "is out of range")
	}
	p, bad := parseConversation(by, req.ConversationID)
	if err := rpc.FirstError(err, bad); err != nil {
		return res, err
	}
	h := store.HistoryRange{User: by.UserID, Topic: p.topic(), Peer: p.column(), From: req.Seq,
		Newer: req.Direction == "newer", Limit: limit}
	if h.After, res.PeerReadSeq, err = c.sees(ctx, p); err != nil {
		return res, err
	}
	if !h.Newer && h.From == 0 {
		h.From = math.MaxInt64
	}
	var shown []protocol.Entry
	for range historyRounds {
		if len(shown) == limit || res.Complete {
			break
		}
		entries, err := c.store.History(ctx, h)
		if err != nil {
			return res, im.Internal(err)
		}
		res.Complete = len(entries) < h.Limit
		for i, l := range entries {
			h.From = l.Seq
			ok, err := c.shows(ctx, p, &l)
			if err != nil {
				return res, im.Internal(err)
			}
			if ok {
				shown = append(shown, protocol.Entry{Seq: l.Seq, Event: l.Body, Read: l.Readers})
			}
			if len(shown) == limit {
				res.Complete = res.Complete && i == len(entries)-1
				break
			}
		}
	}
	if len(shown) < limit && !res.Complete {
		res.Next = h.From
	}
	if err := c.addOwnReactions(ctx, p, shown); err != nil {
		return res, err
	}
	res.Messages, err = c.withActions(ctx, by.UserID, shown, h.Newer)
	return res, err
}

// shows reports whether the caller may see a record of a group that is for some members only, or for the participants
// of an invitation.
func (c *Chat) shows(ctx context.Context, p conversation, l *store.HistoryEntry) (bool, error) {
	id, ok := im.AudienceInvitation(l.Audience)
	switch {
	case !ok || p.groupID == "":
		return ok || visible(l.Audience, p.by.UserID), nil
	case bytes.HasPrefix(l.Body, []byte(`{"type":"`+protocol.TypeParticipant+`"`)):
		return false, nil // it only counts as unread
	}
	if mine, err := c.store.Invitee(ctx, id, p.by.UserID); err != nil || mine != nil {
		return mine != nil && !mine.Dropped, err
	}
	v, err := c.store.Invitation(ctx, id)
	return v != nil && v.Inviter == p.by.UserID, err
}

// Limits of the actions that the history includes for invitations with a topic of their own: for each, on one page,
// and in bytes.
const (
	maxActions     = 100
	maxPageActions = 1000
	maxActionBytes = 256 << 10
)

// withActions inserts, after each invitation with a topic of its own, the records of that topic, which are stored
// once. These entries have the sequence of the invitation.
func (c *Chat) withActions(ctx context.Context, user string, entries []protocol.Entry, newer bool) ([]protocol.Entry,
	error) {
	list := make([]protocol.Entry, 0, len(entries))
	more := 0
	for _, e := range entries {
		var head protocol.Signaling
		several := bytes.Contains(e.Event, []byte(`"notify":"participants"`)) && json.Unmarshal(e.Event, &head) == nil &&
			head.Notify == invite.NotifyParticipants
		if !several || more >= maxPageActions {
			list = append(list, e)
			continue
		}
		actions, err := c.actions(ctx, user, e.Seq, &head)
		if err != nil {
			return nil, im.Internal(err)
		}
		more += len(actions)
		if newer {
			list = append(append(list, e), actions...)
		} else {
			slices.Reverse(actions)
			list = append(append(list, actions...), e)
		}
	}
	return list, nil
}

// actions returns the last records on an invitation's topic after the invite, oldest first. An invitee that blocks
// the inviter sees none after the block.
func (c *Chat) actions(ctx context.Context, user string, seq uint64, first *protocol.Signaling) ([]protocol.Entry,
	error) {
	topic, until := im.InvitationTopic(first.InviteID), int64(math.MaxInt64)
	mine, err := c.store.Invitee(ctx, first.InviteID, user)
	switch {
	case err != nil:
		return nil, err
	case mine != nil && mine.Dropped && mine.State != invite.Rejected:
		return nil, nil
	case mine != nil && mine.Dropped:
		until = mine.DecidedAt
	}
	head, err := c.store.Head(ctx, topic)
	if err != nil || head == 0 {
		return nil, err
	}
	page, err := c.store.Records(ctx, topic, head-min(head, maxActions), maxActions, maxActionBytes)
	if err != nil {
		return nil, err
	}
	var list []protocol.Entry
	for _, r := range page.Records {
		var m struct{ Version int64 }
		if json.Unmarshal(r.Body, &m) == nil && m.Version > first.Version && r.At <= until {
			list = append(list, protocol.Entry{Seq: seq, Event: r.Body})
		}
	}
	return list, nil
}

// historyRounds bounds the reads of one page when many records are not visible to the caller.
const historyRounds = 20

// visible reports whether a user is in the audience of a record; an empty audience is all members.
func visible(audience, user string) bool {
	return audience == "" || strings.Contains(audience, " "+user+" ")
}

// GetMessage returns one message.
func (c *Chat) GetMessage(ctx context.Context, by rpc.Caller, req protocol.MessageRequest) (protocol.MessageResponse,
	error) {
	p, err := parseConversation(by, req.ConversationID)
	if err := rpc.FirstError(err, im.CheckMessageID(req.MessageID)); err != nil {
		return protocol.MessageResponse{}, err
	}
	m, err := c.find(ctx, p, req.MessageID)
	if err != nil {
		return protocol.MessageResponse{}, err
	}
	res, err := respond(m.Body, c.store.Now())
	res.Seq = m.Seq
	if err == nil && len(res.Message.Reactions) > 0 {
		res.Mine, err = c.ownReactions(ctx, m, by.UserID)
	}
	return res, err
}

// find returns a message that the caller may see.
func (c *Chat) find(ctx context.Context, p conversation, id string) (*txn.Message, error) {
	after, _, err := c.sees(ctx, p)
	if err != nil {
		return nil, err
	}
	m, err := c.store.Message(ctx, p.topic(), id)
	switch {
	case err != nil:
		return nil, im.Internal(err)
	case m == nil || m.Seq <= after || !visible(m.Audience, p.by.UserID) || p.groupID == "" && !p.between(m.Body):
		return nil, noMessage()
	}
	return m, nil
}

// between reports whether a message on the caller's own timeline belongs to this conversation.
func (p conversation) between(body []byte) bool {
	var m protocol.Message
	return json.Unmarshal(body, &m) == nil && (m.From == p.peer || m.To == p.peer)
}

func noMessage() error {
	return &im.Error{Code: im.CodeNoMessage, Field: "messageID",
		Message: "there is no message with this messageID in this conversation"}
}

func respond(body []byte, now int64) (protocol.MessageResponse, error) {
	res := protocol.MessageResponse{ServerTime: now}
	if err := json.Unmarshal(body, &res.Message); err != nil {
		return res, im.Internal(err)
	}
	return res, nil
}

// Limits of a search: results, words, groups, reads, and time.
const (
	maxFound     = 100
	defaultFound = 20
	maxWords     = 10
	maxGroups    = 1000
	searchRounds = 3
	searchTime   = 5 * time.Second
)

// Search finds messages in the caller's conversations, newest first.
func (c *Chat) Search(ctx context.Context, by rpc.Caller, req protocol.SearchRequest) (protocol.SearchResponse, error) {
	res := protocol.SearchResponse{Found: []protocol.Finding{}}
	if req.Limit == 0 {
		req.Limit = defaultFound
	}
	list := searchWords(req.Text)
	err := im.CheckText("text", req.Text, 256)
	switch {
	case err != nil:
	case strings.ContainsRune(req.Text, 0):
		err = im.Bad("text", "has a NUL character")
	case len(list) == 0:
		err = im.Bad("text", "is missing: at least one word is required")
	case len(list) > maxWords:
		err = im.Bad("text", "has more than 10 words")
	case req.Limit < 0 || req.Limit > maxFound:
		err = im.Bad("limit", "must be from 1 to 100")
	case req.Before < 0:
		err = im.Bad("before", "is negative")
	case req.From != "":
		err = im.CheckUserID("from", req.From)
	}
	if err != nil {
		return res, err
	}
	where, err := c.searched(ctx, by, req.ConversationID)
	if err != nil {
		return res, err
	}
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	before := req.Before
	if before == 0 {
		before = math.MaxInt64
	}
	for range searchRounds {
		found, err := c.store.Search(ctx, list, where, before, maxFound)
		if err != nil {
			return res, im.Internal(err)
		}
		by.CountRows(len(found))
		for _, f := range found {
			before = f.ID
			if err := c.addFinding(ctx, by, req, f, &res); err != nil {
				return res, err
			}
			if len(res.Found) == req.Limit {
				res.Next = before
				return res, nil
			}
		}
		if len(found) < maxFound {
			return res, nil
		}
	}
	res.Next = before
	return res, nil
}

// searchWords returns the distinct words of a text. Words without a letter or digit are not in the index.
func searchWords(text string) []string {
	var list []string
	for _, word := range strings.Fields(strings.ToLower(text)) {
		if !slices.Contains(list, word) && strings.ContainsFunc(word,
			func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
			list = append(list, word)
		}
	}
	return list
}

// searched returns the topics to search: the caller's own, and those of their groups.
func (c *Chat) searched(ctx context.Context, by rpc.Caller, conversationID string) ([]string, error) {
	if conversationID != "" {
		p, err := parseConversation(by, conversationID)
		if err == nil && p.groupID != "" {
			_, _, err = c.membership(ctx, p)
		}
		return []string{p.topic()}, err
	}
	topics := []string{im.UserTopic(by.UserID)}
	groups, err := c.store.Joined(ctx, by.UserID, "", maxGroups)
	if err != nil {
		return nil, im.Internal(err)
	}
	for _, g := range groups {
		topics = append(topics, im.GroupTopic(g.ID))
	}
	return topics, nil
}

// addFinding adds a message to the results, if the caller may see it and it matches the request.
func (c *Chat) addFinding(ctx context.Context, by rpc.Caller, req protocol.SearchRequest, f store.Found,
	res *protocol.SearchResponse) error {
	p := conversation{by: by, groupID: im.TopicGroup(f.Topic)}
	m, err := c.store.Message(ctx, p.topic(), f.Msg)
	if err != nil {
		return im.Internal(err)
	}
	if m == nil {
		return nil
	}
	v := protocol.Finding{Seq: m.Seq}
	if err := json.Unmarshal(m.Body, &v.Message); err != nil {
		return im.Internal(err)
	}
	if p.groupID == "" {
		if p.peer = v.Message.To; p.peer == by.UserID {
			p.peer = v.Message.From
		}
	}
	v.ConversationID = p.id()
	if v.Message.Revoked || req.From != "" && v.Message.From != req.From || req.ConversationID != "" &&
		v.ConversationID != req.ConversationID {
		return nil
	}
	after, _, err := c.sees(ctx, p)
	if im.CodeOf(err) == im.CodeGroupDenied {
		return nil // the caller has left the group
	} else if err != nil {
		return err
	}
	entries, err := c.store.History(ctx, store.HistoryRange{User: by.UserID, Topic: p.topic(), Peer: p.column(),
		From: m.Seq - 1, After: after, Newer: true, Limit: 1})
	if err != nil {
		return im.Internal(err)
	}
	if len(entries) == 1 && entries[0].Seq == m.Seq && visible(m.Audience, by.UserID) {
		res.Found = append(res.Found, v)
	}
	return nil
}
