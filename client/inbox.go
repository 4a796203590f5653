package client

import (
	"context"

	"github.com/beckon-im/beckon/protocol"
)

// Conversations returns this user's conversations from memory: pinned ones first, then by the latest event.
// Options.Inbox must be set.
func (c *Client) Conversations() []protocol.Conversation { return c.inbox.List() }

// refreshSoon reloads one conversation, or all if id is empty, in order with the events: after an action of this
// device, which receives no event of it.
func (c *Client) refreshSoon(id string) {
	switch {
	case !c.inbox.On():
	case id == "":
		c.events.Put(c.loader.Reload)
	default:
		c.events.Put(func() { c.loader.Refresh(context.Background(), id) })
	}
}

// refreshNew reloads a conversation that is new to this device: it may have been deleted from the list earlier.
func (c *Client) refreshNew(id string) {
	if id != "" {
		c.loader.Refresh(context.Background(), id)
	}
}
