package client

import (
	"context"

	"github.com/beckon-im/beckon/client/internal/inbox"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// onMessageEvent reports a change of a message.
func (c *Client) onMessageEvent(e *protocol.MessageEvent) {
	l := &c.opt.Listener
	c.refreshNew(c.inbox.Changed(e))
	where := inbox.Of(c.me(), e.From, e.To, e.GroupID)
	switch e.Type {
	case protocol.TypeRevoked:
		revoked := *e
		revoked.ConversationID = where
		call1(l.OnMessageRevoked, revoked)
		call1(l.OnRecvMessageRevoked, e.MessageID)
	case protocol.TypeModified:
		if e.Message != nil {
			call2(l.OnMessageModified, where, *e.Message)
			call1(l.OnRecvMessageModified, *e.Message)
		}
	case protocol.TypeDeleted:
		c.inbox.Deleted(e.ConversationID, e.SeqList)
		c.loader.Refresh(context.Background(), e.ConversationID)
		call2(l.OnMessageDeleted, e.ConversationID, e.SeqList)
	case protocol.TypeReceipt:
		if e.ConversationID != "" {
			call2(l.OnPeerRead, e.ConversationID, e.PeerReadSeq)
		} else {
			call2(l.OnGroupReadReceipts, e.GroupID, e.Receipts)
		}
	}
}

// onMessage reports a message to Tencent's callbacks.
func (c *Client) onMessage(m *protocol.Message) {
	l := &c.opt.Listener
	call1(l.OnRecvNewMessage, *m)
	switch {
	case m.MessageType == "text" && m.GroupID == "":
		call1(l.OnRecvC2CTextMessage, *m)
	case m.MessageType == "text":
		call1(l.OnRecvGroupTextMessage, *m)
	case m.Custom != nil && m.GroupID == "":
		call1(l.OnRecvC2CCustomMessage, *m)
	case m.Custom != nil:
		call1(l.OnRecvGroupCustomMessage, *m)
	}
}

// onUserEvent reports a change concerning users.
func (c *Client) onUserEvent(e *protocol.PersonEvent) {
	if e.Type == protocol.TypeStatus {
		if e.Status != nil {
			call1(c.opt.Listener.OnUserStatusChanged, *e.Status)
		}
		return
	}
	call1(c.opt.Listener.OnSelfChanged, *e)
}

// onGroupEvent reports a change of a group.
func (c *Client) onGroupEvent(topic string, seq uint64, e *protocol.GroupEvent, data []byte) {
	if where := im.GroupConversation(e.GroupID); c.inbox.On() {
		switch {
		case e.Tip == protocol.TipCreated || e.Tip == protocol.TipJoined:
			c.loader.Refresh(context.Background(), where)
		case e.Tip == protocol.TipQuit || e.Tip == protocol.TipDismissed:
			c.inbox.Drop(where)
		case e.Tip.Shown() && im.TopicGroup(topic) != "":
			c.refreshNew(c.inbox.Tip(seq, e, data))
		}
	}
	call1(c.opt.Listener.OnGroup, *e)
	c.groupCallback(e)
}

// groupCallback reports a change of a group to Tencent's callbacks.
func (c *Client) groupCallback(e *protocol.GroupEvent) {
	l := &c.opt.Listener
	f := map[protocol.Tip]func(protocol.GroupEvent){
		protocol.TipEnter: l.OnMemberEnter, protocol.TipInvited: l.OnMemberInvited, protocol.TipLeave: l.OnMemberLeave,
		protocol.TipKicked: l.OnMemberKicked, protocol.TipMemberInfo: l.OnMemberInfoChanged,
		protocol.TipMarks: l.OnMemberMarkChanged, protocol.TipAllMuted: l.OnAllGroupMembersMuted,
		protocol.TipCreated: l.OnGroupCreated, protocol.TipDismissed: l.OnGroupDismissed,
		protocol.TipInfo: l.OnGroupInfoChanged, protocol.TipOwner: l.OnGroupInfoChanged,
		protocol.TipAttributes: l.OnGroupAttributeChanged, protocol.TipCounter: l.OnGroupCounterChanged,
		protocol.TipApplication: l.OnReceiveJoinApplication, protocol.TipProcessed: l.OnApplicationProcessed,
		protocol.TipGranted: l.OnGrantAdministrator, protocol.TipWithdrawn: l.OnRevokeAdministrator,
		protocol.TipQuit: l.OnQuitFromGroup, protocol.TipCustom: l.OnReceiveRESTCustomData,
	}[e.Tip]
	if e.Tip != protocol.TipApplication {
		call1(f, *e)
		return
	}
	for _, member := range e.Members {
		one := *e
		one.Members = []string{member}
		call1(f, one)
	}
}
