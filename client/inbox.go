package client

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/protocol"
)

// Conversations returns this user's conversations as this device knows them, without asking the server: the pinned first,
// then the latest. Options.Inbox must be set.
func (c *Client) Conversations() []protocol.Conversation { return c.inbox.List() }

// askTime bounds a question that the inbox asks the server.
const askTime = 20 * time.Second

// reloadInbox reads all conversations anew.
func (c *Client) reloadInbox() {
	if !c.inbox.On() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	var list []protocol.Conversation
	var at int64
	var own uint64
	for req := (protocol.ConversationsRequest{Limit: 1000}); ; {
		res, err := c.GetConversationList(ctx, req)
		if err != nil {
			return // the next connection reads them
		}
		list = append(list, res.Conversations...)
		if at == 0 {
			at, own = res.ServerTime, res.Seq
		}
		if req.Offset = res.Next; res.Next == 0 {
			break
		}
	}
	c.inbox.Load(list, at, own)
}

// refreshSoon reads one conversation anew, or, when it is not known which, all, in its turn: this device did something there
// that it hears no event of.
func (c *Client) refreshSoon(id string) {
	switch {
	case !c.inbox.On():
	case id == "":
		c.events.put(c.reloadInbox)
	default:
		c.events.put(func() { c.refresh(context.Background(), id) })
	}
}

// meet reads a conversation that is new to this device: it may have been taken off the list before.
func (c *Client) meet(id string) {
	if id != "" {
		c.refresh(context.Background(), id)
	}
}

// refresh reads one conversation anew.
func (c *Client) refresh(ctx context.Context, id string) {
	if !c.inbox.On() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	res, err := c.GetConversation(ctx, id)
	if err != nil {
		c.inbox.Drop(id)
		return
	}
	c.inbox.Replace(res.Conversation, res.ServerTime, res.Seq)
}
