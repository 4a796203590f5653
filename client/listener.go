package client

import (
	"github.com/beckon-im/beckon/client/ledger"
	"github.com/beckon-im/beckon/protocol"
)

// InvitationEvent is the argument of every invitation callback. Fields that do not apply are zero.
type InvitationEvent = ledger.Event

// Listener has the callbacks of a client. Every field may be nil. The names are those of the original's listener; for
// what an InvitationEvent leaves out (time that remains, counts) there is OnSignaling, which gets every event once.
type Listener struct {
	// OnReceiveNewInvitation rings: on the invitees' devices, and on those of the other members of a group, who are not in
	// InviteeList. With Notice it informs only, and wants no answer.
	OnReceiveNewInvitation func(e InvitationEvent)
	OnInviteeAccepted      func(e InvitationEvent)
	OnInviteeRejected      func(e InvitationEvent)
	// OnInvitationCancelled and OnInvitationTimeout come to all participants and, in a group, to the other members. They
	// name those whom they end in InviteeList (with Everyone: whoever was still open), and say with Over whether the
	// invitation has ended for all. While this user is asked and has not answered, the endings of others come with
	// OnSignaling alone.
	OnInvitationCancelled func(e InvitationEvent)
	OnInvitationTimeout   func(e InvitationEvent)
	OnInvitationModified  func(e InvitationEvent)
	// OnInviteeRinging comes to the inviter when the first device of an invitee alerts its user.
	OnInviteeRinging func(e InvitationEvent)
	// OnInvitationHandledByOtherDevice comes when another device of this user acted (Action: accept, reject, cancel): stop
	// ringing.
	OnInvitationHandledByOtherDevice func(e InvitationEvent)

	// OnSignaling gets every signaling event, before the callbacks above.
	OnSignaling func(m protocol.Signaling)

	// OnReceiveMessage brings a message; seq is its place in the conversation, 0 when it is not stored. A messageID that
	// came before is the same message: what is not stored may come twice.
	OnReceiveMessage func(conversationID string, seq uint64, m protocol.Message)
	// The same messages under the original's names, after OnReceiveMessage: each of them, and those of text and custom
	// data apart. OnRecvMessageRevoked and OnRecvMessageModified come after OnMessageRevoked and OnMessageModified.
	OnRecvNewMessage         func(m protocol.Message)
	OnRecvC2CTextMessage     func(messageID, sender, text string)
	OnRecvC2CCustomMessage   func(messageID, sender, customData string)
	OnRecvGroupTextMessage   func(messageID, groupID, sender, text string)
	OnRecvGroupCustomMessage func(messageID, groupID, sender, customData string)
	OnRecvMessageRevoked     func(messageID string)
	OnRecvMessageModified    func(m protocol.Message)
	// OnMessageRevoked, OnMessageModified and OnMessageDeleted say what became of a message; deleted is only for this
	// user.
	OnMessageRevoked  func(conversationID, messageID, by, reason string)
	OnMessageModified func(conversationID string, m protocol.Message)
	OnMessageDeleted  func(conversationID string, seqList []uint64)
	// OnPeerRead says how far the other person has read, on this user's timeline.
	OnPeerRead func(conversationID string, seq uint64)
	// OnGroupReadReceipts says how many have read messages of this user's in a group.
	OnGroupReadReceipts func(groupID string, receipts []protocol.Count)
	// OnConversationChanged comes when another device of this user read, pinned, muted, cleared or deleted a conversation.
	OnConversationChanged func(e protocol.ConversationEvent)

	// What happens in groups, with the original's names and arguments.
	OnMemberEnter            func(groupID string, members []string)
	OnMemberInvited          func(groupID, opUser string, members []string)
	OnMemberLeave            func(groupID, member string)
	OnMemberKicked           func(groupID, opUser string, members []string)
	OnMemberInfoChanged      func(groupID string, e protocol.GroupEvent)
	OnMemberMarkChanged      func(groupID string, members []string, mark int, on bool)
	OnAllGroupMembersMuted   func(groupID string, muted bool)
	OnGroupCreated           func(groupID string)
	OnGroupDismissed         func(groupID, opUser string)
	OnGroupInfoChanged       func(groupID string, e protocol.GroupEvent)
	OnGroupAttributeChanged  func(groupID string, attributes map[string]string)
	OnGroupCounterChanged    func(groupID, key string, value int64)
	OnReceiveJoinApplication func(groupID, member, reason string)
	OnApplicationProcessed   func(groupID, opUser string, agreed bool, reason string)
	OnGrantAdministrator     func(groupID, opUser string, members []string)
	OnRevokeAdministrator    func(groupID, opUser string, members []string)
	OnQuitFromGroup          func(groupID string)
	OnReceiveRESTCustomData  func(groupID, data string)
	// OnGroup gets every change of a group, before the callbacks above.
	OnGroup func(e protocol.GroupEvent)

	// OnCallRecord brings the record of a call that took place, as it stands in its conversation, after OnReceiveMessage.
	OnCallRecord func(conversationID string, call protocol.CallElem)
	// OnRoomRoleChanged says that somebody's role in a media room was changed.
	OnRoomRoleChanged func(e protocol.RoomEvent)

	// OnUserStatusChanged comes when somebody whose presence this user subscribed to came, went, or changed their status,
	// and for each of them with each connection.
	OnUserStatusChanged func(s protocol.UserStatus)
	// OnSelfChanged comes when another device of this user changed profile, block list, do-not-disturb or subscriptions.
	OnSelfChanged func(e protocol.PersonEvent)
	// OnKickedOffline comes when another device took this one's place, or this one was sent away. It does not come again
	// by itself.
	OnKickedOffline func(reason string)

	// OnEvent gets every event as it came: what protocol.Decode makes of it, its timeline, and its sequence there (0 when
	// it is not stored). It comes before the callbacks above.
	OnEvent func(timeline string, seq uint64, event any)

	// OnConnected comes with each connection, also after a reconnect.
	OnConnected func(w protocol.Welcome)
	// OnConnecting comes when the connection is lost and is being made again.
	OnConnecting func(code int, reason string)
	// OnDisconnected comes when the connection ended for good.
	OnDisconnected func(code int, reason string)
	// OnStoreError comes when the store could not keep the positions: after a restart, events may come twice.
	OnStoreError func(err error)
	// OnReload comes when too much was missed to be delivered: read anew what is shown of these timelines.
	OnReload func(timelines []string)
}

func call1[A any](f func(A), a A) {
	if f != nil {
		f(a)
	}
}

func call2[A, B any](f func(A, B), a A, b B) {
	if f != nil {
		f(a, b)
	}
}

func call3[A, B, C any](f func(A, B, C), a A, b B, c C) {
	if f != nil {
		f(a, b, c)
	}
}

func call4[A, B, C, D any](f func(A, B, C, D), a A, b B, c C, d D) {
	if f != nil {
		f(a, b, c, d)
	}
}
