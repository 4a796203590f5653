package ledger

// Event is the argument of every invitation callback. Fields that do not apply are zero.
type Event struct {
	// InviteID is the invitation.
	InviteID string
	// Inviter is the user who invited.
	Inviter string
	// GroupID is the group of the invitation; empty without a group.
	GroupID string
	// InviteeList names the invitees concerned, at most 100 unless the inviter listed more. For a new and for a
	// modified invitation these are all invitees: the same list live, after a late login, and after a restart of the
	// program. For an answer it is the invitee who answered; for a cancel or a timeout, those whom it ended: this user
	// is among them exactly when it ended the invitation for this user.
	InviteeList []string
	// Everyone says, of a new invitation, that all members of the group are invited; of a cancel or a timeout, that it
	// ended every invitee who was still open. InviteeList may then be incomplete.
	Everyone bool
	// InviteeCount is the number of the invitees concerned.
	InviteeCount int
	// Reason is the reason of a reject (declined, busy, or other text) or of a cancel by the server (answered, left).
	Reason string
	// Over says that no invitee is open any more.
	Over bool
	// InvitationData is the data of the invitation itself, as last modified.
	InvitationData string
	// Invitee is the invitee who answered, or whose device rings.
	Invitee string
	// Data is the data of this action: of the invite, the answer, the cancel, or the modification.
	Data string
	// Action is, for OnInvitationHandledByOtherDevice, what the other device did: accept, reject, or cancel.
	Action string
	// Notice says, of a new invitation, that it informs and wants no answer.
	Notice bool
}

// Kind is the callback that an event is for.
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

// Callback is a callback to be called.
type Callback struct {
	Kind  Kind
	Event Event
}
