package ledger

// Event is the argument of every invitation callback. Fields that do not apply are zero.
type Event struct {
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

// Kind is the callback of an event.
type Kind int

// The callbacks.
const (
	Invited Kind = iota
	Accepted
	Rejected
	Cancelled
	Timeout
	Modified
	Ringing
	OtherDevice
)

// Callback is a callback to run.
type Callback struct {
	Kind  Kind
	Event Event
}
