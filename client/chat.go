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
		call4(l.OnMessageRevoked, where, e.MessageID, e.By, e.Reason)
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
		call3(l.OnRecvC2CTextMessage, m.MessageID, m.From, m.Text)
	case m.MessageType == "text":
		call4(l.OnRecvGroupTextMessage, m.MessageID, m.GroupID, m.From, m.Text)
	case m.Custom != nil && m.GroupID == "":
		call3(l.OnRecvC2CCustomMessage, m.MessageID, m.From, m.Custom.Data)
	case m.Custom != nil:
		call4(l.OnRecvGroupCustomMessage, m.MessageID, m.GroupID, m.From, m.Custom.Data)
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

func (c *Client) groupCallback(e *protocol.GroupEvent) {
	l, first := &c.opt.Listener, ""
	if len(e.Members) > 0 {
		first = e.Members[0]
	}
	switch e.Tip {
	case protocol.TipEnter:
		call2(l.OnMemberEnter, e.GroupID, e.Members)
	case protocol.TipInvited:
		call3(l.OnMemberInvited, e.GroupID, e.From, e.Members)
	case protocol.TipLeave:
		call2(l.OnMemberLeave, e.GroupID, first)
	case protocol.TipKicked:
		call3(l.OnMemberKicked, e.GroupID, e.From, e.Members)
	case protocol.TipMemberInfo:
		call2(l.OnMemberInfoChanged, e.GroupID, *e)
	case protocol.TipMarks:
		call4(l.OnMemberMarkChanged, e.GroupID, e.Members, e.Mark, e.On)
	case protocol.TipAllMuted:
		call2(l.OnAllGroupMembersMuted, e.GroupID, e.On)
	case protocol.TipCreated:
		call1(l.OnGroupCreated, e.GroupID)
	case protocol.TipDismissed:
		call2(l.OnGroupDismissed, e.GroupID, e.From)
	case protocol.TipInfo, protocol.TipOwner:
		call2(l.OnGroupInfoChanged, e.GroupID, *e)
	case protocol.TipAttributes:
		call2(l.OnGroupAttributeChanged, e.GroupID, e.Attributes)
	case protocol.TipCounter:
		call3(l.OnGroupCounterChanged, e.GroupID, e.Key, e.Value)
	case protocol.TipApplication:
		for _, member := range e.Members {
			call3(l.OnReceiveJoinApplication, e.GroupID, member, e.Reason)
		}
	case protocol.TipProcessed:
		call4(l.OnApplicationProcessed, e.GroupID, e.From, e.Agreed, e.Reason)
	case protocol.TipGranted:
		call3(l.OnGrantAdministrator, e.GroupID, e.From, e.Members)
	case protocol.TipWithdrawn:
		call3(l.OnRevokeAdministrator, e.GroupID, e.From, e.Members)
	case protocol.TipQuit:
		call1(l.OnQuitFromGroup, e.GroupID)
	case protocol.TipCustom:
		call2(l.OnReceiveRESTCustomData, e.GroupID, e.Data)
	}
}
