package ledger

// Event is the client.InvitationEvent of a callback, which has the same fields and documents them.
type Event struct {
	InviteID       string
	Inviter        string
	GroupID        string
	InviteeList    []string
	Everyone       bool
	InviteeCount   int
	Reason         string
	Over           bool
	InvitationData string
	Invitee        string
	Data           string
	Action         string
	Notice         bool
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
