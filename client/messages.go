package client

import (
	"context"
	"encoding/json"

	"github.com/beckon-im/beckon/client/internal/repeat"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// call calls a method with a response of type R.
func call[R any](ctx context.Context, c *Client, method string, request any) (R, error) {
	var res R
	err := c.Call(ctx, method, request, &res)
	if g, ok := any(res).(protocol.GroupResponse); ok && err == nil {
		c.refreshSoon(im.GroupConversation(g.Group.GroupID))
	}
	return res, err
}

// SendMessage sends a message to a user or a group. A missing MessageID is generated, so that a retry after a lost
// response is no second message.
func (c *Client) SendMessage(ctx context.Context, req protocol.SendMessageRequest) (protocol.SendMessageResponse,
	error) {
	fillID(&req.MessageID)
	res, err := call[protocol.SendMessageResponse](ctx, c, "sendMessage", req)
	if err == nil && res.Seq > 0 {
		m := protocol.Message{Type: protocol.TypeMessage, MessageID: res.MessageID, MessageType: req.Kinds()[0], From: c.me(),
			To: req.UserID, GroupID: req.GroupID,
			Time: res.Time, Body: req.Body, MessageOptions: req.MessageOptions}
		body, _ := json.Marshal(m) // a struct of strings and numbers always encodes
		if fresh := c.inbox.Sent(res.ConversationID, res.Seq, &m, body); fresh != "" {
			c.refreshSoon(fresh) // an initial load of a group may have been read before this message
		}
	}
	return res, err
}

// RevokeMessage revokes a message.
func (c *Client) RevokeMessage(ctx context.Context, req protocol.RevokeRequest) (protocol.MessageResponse, error) {
	res, err := call[protocol.MessageResponse](ctx, c, "revokeMessage", req)
	if err == nil {
		c.refreshSoon(req.ConversationID)
	}
	return res, err
}

// DeleteMessages hides messages from this user only, at most 50.
func (c *Client) DeleteMessages(ctx context.Context, req protocol.DeleteMessagesRequest) error {
	_, err := call[protocol.Done](ctx, c, "deleteMessages", req)
	if err == nil {
		c.inbox.Deleted(req.ConversationID, req.SeqList)
		c.refreshSoon(req.ConversationID)
	}
	return err
}

// MarkConversationRead marks a conversation as read up to a sequence; 0 means the latest.
func (c *Client) MarkConversationRead(ctx context.Context, conversationID string,
	seq uint64) (protocol.ConversationResponse, error) {
	return c.adjust(ctx, "markConversationRead", protocol.ReadRequest{ConversationID: conversationID, Seq: seq})
}

// PinConversation pins a conversation to the top of the list, or unpins it.
func (c *Client) PinConversation(ctx context.Context, conversationID string, pin bool) (protocol.ConversationResponse,
	error) {
	return c.adjust(ctx, "pinConversation", protocol.PinRequest{ConversationID: conversationID, Pin: pin})
}

// SetReceiveOption sets this user's notification option for a conversation: notify, quiet, mentions or nothing.
func (c *Client) SetReceiveOption(ctx context.Context, conversationID, option string) (protocol.ConversationResponse,
	error) {
	return c.adjust(ctx, "setReceiveOption",
		protocol.ReceiveOptionRequest{ConversationID: conversationID, ReceiveOption: option})
}

// DeleteConversation removes a conversation from the list until its next event, and hides earlier messages from this
// user.
func (c *Client) DeleteConversation(ctx context.Context, conversationID string) (protocol.ConversationResponse, error) {
	return c.adjust(ctx, "deleteConversation", protocol.ConversationRequest{ConversationID: conversationID})
}

// ClearHistory hides the earlier messages of a conversation from this user.
func (c *Client) ClearHistory(ctx context.Context, conversationID string) (protocol.ConversationResponse, error) {
	return c.adjust(ctx, "clearHistory", protocol.ConversationRequest{ConversationID: conversationID})
}

// adjust calls a method that changes this user's state of a conversation.
func (c *Client) adjust(ctx context.Context, method string, req any) (protocol.ConversationResponse, error) {
	res, err := call[protocol.ConversationResponse](ctx, c, method, req)
	if err == nil {
		if fresh := c.inbox.Adjusted(&res.Conversation, res.Seq); fresh != "" {
			c.refreshSoon(fresh)
		}
	}
	return res, err
}

// ModifyMessage replaces the content of a message.
func (c *Client) ModifyMessage(ctx context.Context, req protocol.ModifyMessageRequest) (protocol.MessageResponse,
	error) {
	res, err := call[protocol.MessageResponse](ctx, c, "modifyMessage", req)
	if err == nil {
		c.inbox.Modified(&res.Message)
	}
	return res, err
}

// GetMessage returns one message.
func (c *Client) GetMessage(ctx context.Context, req protocol.MessageRequest) (protocol.MessageResponse, error) {
	return call[protocol.MessageResponse](ctx, c, "getMessage", req)
}

// GetHistoryMessageList returns a page of a conversation.
func (c *Client) GetHistoryMessageList(ctx context.Context, req protocol.HistoryRequest) (protocol.HistoryResponse,
	error) {
	return call[protocol.HistoryResponse](ctx, c, "getHistoryMessageList", req)
}

// SearchMessages searches messages in this user's conversations.
func (c *Client) SearchMessages(ctx context.Context, req protocol.SearchRequest) (protocol.SearchResponse, error) {
	return call[protocol.SearchResponse](ctx, c, "searchMessages", req)
}

// AddMessageReaction adds a reaction of this user to a message.
func (c *Client) AddMessageReaction(ctx context.Context, req protocol.ReactionRequest) (protocol.ReactionResponse,
	error) {
	return call[protocol.ReactionResponse](ctx, c, "addMessageReaction", req)
}

// RemoveMessageReaction removes a reaction of this user from a message.
func (c *Client) RemoveMessageReaction(ctx context.Context, req protocol.ReactionRequest) (protocol.ReactionResponse,
	error) {
	return call[protocol.ReactionResponse](ctx, c, "removeMessageReaction", req)
}

// GetMessageReactionUserList returns a page of the users with a reaction to a message.
func (c *Client) GetMessageReactionUserList(ctx context.Context,
	req protocol.ReactionUsersRequest) (protocol.ReactionUsersResponse, error) {
	return call[protocol.ReactionUsersResponse](ctx, c, "getMessageReactionUserList", req)
}

// SendTyping reports that this user is typing; repeat it every protocol.TypingEvery.
func (c *Client) SendTyping(ctx context.Context, req protocol.TypingRequest) (protocol.TypingResponse, error) {
	return call[protocol.TypingResponse](repeat.Once(ctx), c, "sendTyping", req)
}

// SendMessageReadReceipts sends read receipts for messages of a group, at most 30.
func (c *Client) SendMessageReadReceipts(ctx context.Context, req protocol.ReceiptsRequest) (protocol.ReceiptsResponse,
	error) {
	return call[protocol.ReceiptsResponse](ctx, c, "sendMessageReadReceipts", req)
}

// GetMessageReadReceipts returns the read counts of messages of a group, at most 30.
func (c *Client) GetMessageReadReceipts(ctx context.Context, req protocol.ReceiptsRequest) (protocol.ReceiptsResponse,
	error) {
	return call[protocol.ReceiptsResponse](ctx, c, "getMessageReadReceipts", req)
}

// GetGroupMessageReadMemberList lists the members who have, or have not, read a message of this user.
func (c *Client) GetGroupMessageReadMemberList(ctx context.Context,
	req protocol.ReadersRequest) (protocol.ReadersResponse, error) {
	return call[protocol.ReadersResponse](ctx, c, "getGroupMessageReadMemberList", req)
}

// GetConversationList returns a page of this user's conversations: pinned ones first, then by the latest event.
func (c *Client) GetConversationList(ctx context.Context,
	req protocol.ConversationsRequest) (protocol.ConversationsResponse, error) {
	return call[protocol.ConversationsResponse](ctx, c, "getConversationList", req)
}

// GetConversation returns one conversation.
func (c *Client) GetConversation(ctx context.Context, conversationID string) (protocol.ConversationResponse, error) {
	return call[protocol.ConversationResponse](ctx, c, "getConversation",
		protocol.ConversationRequest{ConversationID: conversationID})
}
