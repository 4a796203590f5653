package client

import (
	"time"

	"github.com/beckon-im/beckon/protocol"
)

// InvitationEvent is the argument of all invitation callbacks. Fields that do not apply are zero.
type InvitationEvent struct {
	// InviteID is the invitation.
	InviteID string
	// Inviter is the inviting user.
	Inviter string
	// GroupID is the group of the invitation; empty without a group.
	GroupID string
	// InviteeList names the invitees concerned, at most 100 unless the inviter listed more. A new or modified invitation
	// has all invitees: the same list live, after a late login, and after a restart of the program. An answer has the
	// answering invitee; a cancel or a timeout has the ended invitees: this user is among them exactly if it ended the
	// invitation for this user.
	InviteeList []string
	// Everyone means, for a new invitation, that all members of the group are invited; for a cancel or a timeout, that it
	// ended every invitee who was still open. InviteeList may then be incomplete.
	Everyone bool
	// InviteeCount is the number of the invitees concerned.
	InviteeCount int
	// Reason is the reason of a reject (declined, busy, or other text) or of a cancel by the server (answered, left).
	Reason string
	// Over means that no invitee is open any more.
	Over bool
	// InvitationData is the data of the invitation itself, as last modified.
	InvitationData string
	// Invitee is the invitee who answered or is ringing.
	Invitee string
	// Data is the data of this action: of the invite, the answer, the cancel, or the modification.
	Data string
	// Action is the action of the other device, for OnInvitationHandledByOtherDevice: accept, reject, or cancel.
	Action string
	// Notice means, for a new invitation, that it only informs and takes no answer.
	Notice bool
}

// TypingEvent reports that a user is typing in a conversation, or has stopped.
type TypingEvent struct {
	ConversationID string
	UserID         string
	Typing         bool
}

// Listener has the callbacks of a client. Any field may be nil. The names are those of Tencent's listener; OnSignaling
// has the fields that InvitationEvent omits (remaining time, counts).
type Listener struct {
	// OnReceiveNewInvitation starts ringing on the invitees' devices. Other members of a group receive it too, and are not
	// in InviteeList. With Notice the invitation only informs and takes no answer.
	OnReceiveNewInvitation func(e InvitationEvent)
	OnInviteeAccepted      func(e InvitationEvent)
	OnInviteeRejected      func(e InvitationEvent)
	// OnInvitationCancelled and OnInvitationTimeout are sent to all participants and, in a group, to the other members.
	// InviteeList has the ended invitees (with Everyone: all who were open), and Over is set if no invitee is open any
	// more. While this user's own answer is pending, the endings of other invitees are reported by OnSignaling only.
	OnInvitationCancelled func(e InvitationEvent)
	OnInvitationTimeout   func(e InvitationEvent)
	OnInvitationModified  func(e InvitationEvent)
	// OnInviteeRinging is sent to the inviter when the first device of an invitee is ringing.
	OnInviteeRinging func(e InvitationEvent)
	// OnInvitationHandledByOtherDevice reports an action of this user's other device (Action: accept, reject, cancel):
	// stop ringing.
	OnInvitationHandledByOtherDevice func(e InvitationEvent)

	// OnSignaling receives each signaling event once, before the callbacks above.
	OnSignaling func(m protocol.Signaling)

	// OnReceiveMessage receives a message; seq is its sequence in the conversation, 0 if it is not stored. Messages that
	// are not stored may be delivered twice: deduplicate by messageID.
	OnReceiveMessage func(conversationID string, seq uint64, m protocol.Message)
	// Tencent's callbacks for the same messages, after OnReceiveMessage: OnRecvNewMessage for all, the others for text and
	// custom data. OnRecvMessageRevoked and OnRecvMessageModified follow OnMessageRevoked and OnMessageModified.
	OnRecvNewMessage         func(m protocol.Message)
	OnRecvC2CTextMessage     func(m protocol.Message)
	OnRecvC2CCustomMessage   func(m protocol.Message)
	OnRecvGroupTextMessage   func(m protocol.Message)
	OnRecvGroupCustomMessage func(m protocol.Message)
	OnRecvMessageRevoked     func(messageID string)
	OnRecvMessageModified    func(m protocol.Message)
	// OnMessageRevoked, OnMessageModified and OnMessageDeleted report a change of a message; a deletion applies to this
	// user only. e has ConversationID, MessageID, By, and Reason.
	OnMessageRevoked  func(e protocol.MessageEvent)
	OnMessageModified func(conversationID string, m protocol.Message)
	OnMessageDeleted  func(conversationID string, seqList []uint64)
	// OnPeerRead reports the last sequence read by the peer, on this user's timeline.
	OnPeerRead func(conversationID string, seq uint64)
	// OnGroupReadReceipts reports the read counts of this user's messages in a group.
	OnGroupReadReceipts func(groupID string, receipts []protocol.Count)
	// OnMessageReactions reports added and removed reactions of other devices to messages of a conversation.
	OnMessageReactions func(conversationID string, changes []protocol.ReactionChange)
	// OnTyping reports that a user is typing, for protocol.TypingTime or until a message of the user, or has stopped.
	OnTyping func(e TypingEvent)
	// OnConversationChanged reports that another device of this user read, pinned, muted, cleared or deleted a
	// conversation.
	OnConversationChanged func(e protocol.ConversationEvent)

	// Changes of groups, with Tencent's names. The event has the group, the acting user in From, the users concerned in
	// Members, and the fields of its tip: see protocol.GroupEvent.
	OnMemberEnter           func(e protocol.GroupEvent)
	OnMemberInvited         func(e protocol.GroupEvent)
	OnMemberLeave           func(e protocol.GroupEvent)
	OnMemberKicked          func(e protocol.GroupEvent)
	OnMemberInfoChanged     func(e protocol.GroupEvent)
	OnMemberMarkChanged     func(e protocol.GroupEvent) // Mark, On
	OnAllGroupMembersMuted  func(e protocol.GroupEvent) // On
	OnGroupCreated          func(e protocol.GroupEvent)
	OnGroupDismissed        func(e protocol.GroupEvent)
	OnGroupInfoChanged      func(e protocol.GroupEvent) // Info or Owner
	OnGroupAttributeChanged func(e protocol.GroupEvent) // Attributes
	OnGroupCounterChanged   func(e protocol.GroupEvent) // Key, Value
	// OnReceiveJoinApplication is called once for each applicant, Members[0], with the Reason.
	OnReceiveJoinApplication func(e protocol.GroupEvent)
	OnApplicationProcessed   func(e protocol.GroupEvent) // Agreed, Reason
	OnGrantAdministrator     func(e protocol.GroupEvent)
	OnRevokeAdministrator    func(e protocol.GroupEvent)
	OnQuitFromGroup          func(e protocol.GroupEvent)
	OnReceiveRESTCustomData  func(e protocol.GroupEvent) // Data
	// OnGroup receives each change of a group, before the callbacks above.
	OnGroup func(e protocol.GroupEvent)

	// OnCallRecord receives the record of a completed call in its conversation, after OnReceiveMessage.
	OnCallRecord func(conversationID string, call protocol.CallElem)
	// OnRoomRoleChanged reports a change of a user's role in a media room.
	OnRoomRoleChanged func(e protocol.RoomEvent)

	// OnUserStatusChanged reports a status change of a subscribed user, and the status of all subscribed users after each
	// connect.
	OnUserStatusChanged func(s protocol.UserStatus)
	// OnSelfChanged reports that another device of this user changed the profile, block list, do-not-disturb or
	// subscriptions.
	OnSelfChanged func(e protocol.PersonEvent)
	// OnKickedOffline reports that this device was replaced by another device or disconnected by a user or app server. It
	// does not reconnect.
	OnKickedOffline func(reason string)

	// OnEvent receives each event as decoded by protocol.Decode, with its timeline and sequence (0 if it is not stored),
	// before the callbacks above.
	OnEvent func(timeline string, seq uint64, event any)

	// OnTokenWillExpire is called 5 min, or a tenth of its life, before a token expires, without Options.GetToken.
	OnTokenWillExpire func(expireAt time.Time)
	// OnTokenExpired is Tencent's onUserSigExpired, with code 70001. Without Renew the connection ends 20 s,
	// or half of a shorter life, later.
	OnTokenExpired func(code int, reason string)
	// OnTokenError reports that Options.GetToken has failed. It is called again with the next attempt to connect.
	OnTokenError func(err error)

	// OnConnected reports each connect, including reconnects.
	OnConnected func(w protocol.Welcome)
	// OnConnecting reports that the connection is lost and a reconnect has begun.
	OnConnecting func(code int, reason string)
	// OnDisconnected reports a permanent disconnect.
	OnDisconnected func(code int, reason string)
	// OnStoreError reports a failure to save positions: after a restart events may be delivered twice.
	OnStoreError func(err error)
	// OnReload reports that too many events were missed: reload the displayed state of these timelines.
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
