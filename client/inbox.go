package client

import (
	"context"
	"errors"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Conversations returns this user's conversations from memory: pinned ones first, then by the latest event.
// Options.Inbox must be set.
func (c *Client) Conversations() []protocol.Conversation { return c.inbox.List() }

// requestTimeout is the timeout of the inbox's requests.
const requestTimeout = 20 * time.Second

// reloadInbox reloads all conversations.
func (c *Client) reloadInbox() {
	if !c.inbox.On() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	ctx = once(ctx)
	asked := c.inbox.Ask()
	var list []protocol.Conversation
	var own uint64 // of the first page: events between the pages are newer
	for req := (protocol.ConversationsRequest{Limit: 1000}); ; {
		res, err := c.GetConversationList(ctx, req)
		if err != nil {
			c.refetch(err)
			return
		}
		list = append(list, res.Conversations...)
		if req.Offset == 0 {
			own = res.Seq
		}
		if req.Offset = res.Next; res.Next == 0 {
			break
		}
	}
	c.inbox.Load(list, asked, own)
}

// refreshSoon reloads one conversation, or all if id is empty, in order with the events: after an action of this
// device, which receives no event of it.
func (c *Client) refreshSoon(id string) {
	switch {
	case !c.inbox.On():
	case id == "":
		c.events.Put(c.reloadInbox)
	default:
		c.events.Put(func() { c.refresh(context.Background(), id) })
	}
}

// refreshNew reloads a conversation that is new to this device: it may have been deleted from the list earlier.
func (c *Client) refreshNew(id string) {
	if id != "" {
		c.refresh(context.Background(), id)
	}
}

// refresh reloads one conversation.
func (c *Client) refresh(ctx context.Context, id string) {
	if !c.inbox.On() {
		return
	}
	ctx, cancel := context.WithTimeout(once(ctx), requestTimeout)
	defer cancel()
	res, err := c.GetConversation(ctx, id)
	var refused *protocol.Error
	switch {
	case err == nil:
		c.inbox.Replace(res.Conversation, res.Seq)
	case errors.As(err, &refused) && (refused.Code == im.CodeGroupDenied || refused.Code == im.CodeNoGroup):
		c.inbox.Drop(id)
	default:
		c.inbox.Ask()
		c.refetch(err)
	}
}

// refetch schedules a reload of all conversations after a failed request. Without a connection the next connect reloads
// them.
func (c *Client) refetch(err error) {
	wait := time.Second
	var refused *protocol.Error
	switch {
	case errors.As(err, &refused):
		wait = max(wait, time.Duration(refused.RetryAfter)*time.Millisecond)
	case !errors.Is(err, context.DeadlineExceeded):
		return
	}
	time.AfterFunc(wait, func() {
		c.events.Put(func() {
			if !c.inbox.Loaded() {
				c.reloadInbox()
			}
		})
	})
}
