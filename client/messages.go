package client

import (
	"context"
	"encoding/json"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// call runs a verb whose answer is an R.
func call[R any](ctx context.Context, c *Client, verb string, request any) (R, error) {
	var res R
	err := c.Call(ctx, verb, request, &res)
	if g, ok := any(res).(protocol.GroupResponse); ok && err == nil {
		c.refreshSoon(im.GroupConversation(g.Group.GroupID))
	}
	return res, err
}

// SendMessage sends a message to a person or a group. A messageID is made when it is missing, so that a message whose
// answer was lost on the way is not sent twice.
func (c *Client) SendMessage(ctx context.Context, req protocol.SendMessageRequest) (protocol.SendMessageResponse,
	error) {
	fillID(&req.MessageID)
	res, err := call[protocol.SendMessageResponse](ctx, c, "sendMessage", req)
	if err == nil && res.Seq > 0 {
		m := protocol.Message{Type: protocol.TypeMessage, MessageID: res.MessageID, MessageType: req.Kinds()[0], From: c.me(),
			To: req.UserID, GroupID: req.GroupID,
			Time: res.Time, Body: req.Body, MessageOptions: req.MessageOptions}
		body, _ := json.Marshal(m) // our own type of strings and numbers always encodes
		if fresh := c.inbox.Sent(res.ConversationID, res.Seq, &m, body); fresh != "" {
			c.refreshSoon(fresh) // a group that is only just being read may be read as it was before
		}
	}
	return res, err
}

// RevokeMessage takes a message back.
func (c *Client) RevokeMessage(ctx context.Context, req protocol.RevokeRequest) (protocol.MessageResponse, error) {
	res, err := call[protocol.MessageResponse](ctx, c, "revokeMessage", req)
	if err == nil {
		c.refreshSoon(req.ConversationID)
	}
	return res, err
}

// DeleteMessages hides messages from this user alone.
func (c *Client) DeleteMessages(ctx context.Context, req protocol.DeleteMessagesRequest) error {
	_, err := call[protocol.Done](ctx, c, "deleteMessages", req)
	if err == nil {
		c.inbox.Deleted(req.ConversationID, req.SeqList)
		c.refreshSoon(req.ConversationID)
	}
	return err
}

// MarkConversationRead marks a conversation read up to a sequence; 0 is all that there is.
func (c *Client) MarkConversationRead(ctx context.Context, conversationID string,
	seq uint64) (protocol.ConversationResponse, error) {
	return c.adjust(ctx, "markConversationRead", protocol.ReadRequest{ConversationID: conversationID, Seq: seq})
}

// PinConversation pins a conversation to the top of the list, or lets it go.
func (c *Client) PinConversation(ctx context.Context, conversationID string, pin bool) (protocol.ConversationResponse,
	error) {
	return c.adjust(ctx, "pinConversation", protocol.PinRequest{ConversationID: conversationID, Pin: pin})
}

// SetReceiveOption says what this user wants to be told of a conversation.
func (c *Client) SetReceiveOption(ctx context.Context, conversationID, option string) (protocol.ConversationResponse,
	error) {
	return c.adjust(ctx, "setReceiveOption",
		protocol.ReceiveOptionRequest{ConversationID: conversationID, ReceiveOption: option})
}

// DeleteConversation takes a conversation off the list until something new comes, and shows nothing of before any more.
func (c *Client) DeleteConversation(ctx context.Context, conversationID string) (protocol.ConversationResponse, error) {
	return c.adjust(ctx, "deleteConversation", protocol.ConversationRequest{ConversationID: conversationID})
}

// ClearHistory shows this user nothing of before any more.
func (c *Client) ClearHistory(ctx context.Context, conversationID string) (protocol.ConversationResponse, error) {
	return c.adjust(ctx, "clearHistory", protocol.ConversationRequest{ConversationID: conversationID})
}

// adjust runs a verb that changes this user's side of a conversation.
func (c *Client) adjust(ctx context.Context, verb string, req any) (protocol.ConversationResponse, error) {
	res, err := call[protocol.ConversationResponse](ctx, c, verb, req)
	if err == nil {
		if fresh := c.inbox.Adjusted(&res.Conversation, res.Seq); fresh != "" {
			c.refreshSoon(fresh)
		}
	}
	return res, err
}

// ModifyMessage replaces what a message says.
func (c *Client) ModifyMessage(ctx context.Context, req protocol.ModifyMessageRequest) (protocol.MessageResponse,
	error) {
	return call[protocol.MessageResponse](ctx, c, "modifyMessage", req)
}

// GetMessage reads one message.
func (c *Client) GetMessage(ctx context.Context, req protocol.MessageRequest) (protocol.MessageResponse, error) {
	return call[protocol.MessageResponse](ctx, c, "getMessage", req)
}

// GetHistoryMessageList reads a page of a conversation.
func (c *Client) GetHistoryMessageList(ctx context.Context, req protocol.HistoryRequest) (protocol.HistoryResponse,
	error) {
	return call[protocol.HistoryResponse](ctx, c, "getHistoryMessageList", req)
}

// SearchMessages finds messages in this user's conversations.
func (c *Client) SearchMessages(ctx context.Context, req protocol.SearchRequest) (protocol.SearchResponse, error) {
	return call[protocol.SearchResponse](ctx, c, "searchMessages", req)
}

// SendMessageReadReceipts tells the senders of a group's messages that this user has read them.
func (c *Client) SendMessageReadReceipts(ctx context.Context, req protocol.ReceiptsRequest) (protocol.ReceiptsResponse,
	error) {
	return call[protocol.ReceiptsResponse](ctx, c, "sendMessageReadReceipts", req)
}

// GetMessageReadReceipts reads how many have read messages of a group.
func (c *Client) GetMessageReadReceipts(ctx context.Context, req protocol.ReceiptsRequest) (protocol.ReceiptsResponse,
	error) {
	return call[protocol.ReceiptsResponse](ctx, c, "getMessageReadReceipts", req)
}

// GetGroupMessageReadMemberList lists who has, or has not, read a message of this user's.
func (c *Client) GetGroupMessageReadMemberList(ctx context.Context,
	req protocol.ReadersRequest) (protocol.ReadersResponse, error) {
	return call[protocol.ReadersResponse](ctx, c, "getGroupMessageReadMemberList", req)
}

// GetConversationList lists this user's conversations: the pinned first, then the latest.
func (c *Client) GetConversationList(ctx context.Context,
	req protocol.ConversationsRequest) (protocol.ConversationsResponse, error) {
	return call[protocol.ConversationsResponse](ctx, c, "getConversationList", req)
}

// GetConversation reads one conversation.
func (c *Client) GetConversation(ctx context.Context, conversationID string) (protocol.ConversationResponse, error) {
	return call[protocol.ConversationResponse](ctx, c, "getConversation",
		protocol.ConversationRequest{ConversationID: conversationID})
}
