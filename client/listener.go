package client

import "github.com/beckon-im/beckon/protocol"

// Listener is told what happens. Every field may be nil. The names and arguments are those of the original's listener;
// for what they leave out (time that remains, counts, reasons) there is OnSignaling, which gets every event once.
type Listener struct {
	// OnReceiveNewInvitation rings: on the invitees' devices, and on those of the other members of a group, who are not in
	// inviteeList. inviteeList is empty when everyone in the group was invited.
	OnReceiveNewInvitation func(inviteID, inviter, groupID string, inviteeList []string, data string)
	OnInviteeAccepted      func(inviteID, invitee, data string)
	OnInviteeRejected      func(inviteID, invitee, data string)
	// OnInvitationCancelled comes to invitees who were still open, and to the other members of a group.
	OnInvitationCancelled func(inviteID, inviter, data string)
	OnInvitationTimeout   func(inviteID string, inviteeList []string)
	OnInvitationModified  func(inviteID, data string)
	// OnInviteeRinging comes to the inviter when the first device of an invitee alerts its person.
	OnInviteeRinging func(inviteID, invitee string)
	// OnInvitationHandledByOtherDevice comes when another device of this user acted (accept, reject, cancel): stop ringing.
	OnInvitationHandledByOtherDevice func(inviteID, action string)

	// OnSignaling gets every signaling event, before the callbacks above.
	OnSignaling func(m protocol.Signaling)
	// OnGroup gets every change of a group.
	OnGroup func(e protocol.GroupEvent)

	// OnConnected comes with each connection, also after a reconnect.
	OnConnected func(w protocol.Welcome)
	// OnConnecting comes when the connection is lost and is being made again.
	OnConnecting func(code int, reason string)
	// OnDisconnected comes when the connection ended for good.
	OnDisconnected func(code int, reason string)
	// OnReload comes when too much was missed to be delivered: read anew what is shown of these timelines.
	OnReload func(timelines []string)
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
