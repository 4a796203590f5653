// Package invite decides about invitations: who may answer, who won, who times out.
//
// It is pure: state in, action in, now in; state and error out. It has no I/O, no clock and no goroutine, and it
// never looks at more than the invitation and the invitees an action is about, so an answer costs the same
// whether one person or ten thousand were invited.
package invite

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/im"
)

// State of one invitee. Only Open ever changes.
type State uint8

// The states (SPEC 1).
const (
	Open State = iota
	Accepted
	Rejected
	Cancelled
	TimedOut
)

// String returns the word used on the wire.
func (s State) String() string {
	return [...]string{"open", "accepted", "rejected", "cancelled", "timedOut"}[s]
}

// MarshalText makes a State its word in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word of a State.
func (s *State) UnmarshalText(b []byte) error {
	for i := Open; i <= TimedOut; i++ {
		if i.String() == string(b) {
			*s = i
			return nil
		}
	}
	return fmt.Errorf("%q is not a state of an invitee", b)
}

// Reasons that the server gives; an invitee's own reason for a reject is free text.
const (
	ReasonDeclined = "declined" // the person said no
	ReasonBusy     = "busy"     // the person is in another call
	ReasonAnswered = "answered" // others answered first and acceptLimit was reached
	ReasonLeft     = "left"     // the invitee left the group, or it was dismissed
	ReasonNotice   = "notice"   // the invitation informs and takes no answer
)

// Notify says who in a group hears the events.
type Notify string

// The two audiences.
const (
	NotifyMembers      Notify = "members"
	NotifyParticipants Notify = "participants"
)

// Push is what a push notification says when an invitee has no connected device (SPEC 1, offlinePush).
type Push struct {
	Title   string `json:"title,omitempty"`
	Body    string `json:"body,omitempty"`
	Ext     string `json:"ext,omitempty"`
	Sound   string `json:"sound,omitempty"`
	Disable bool   `json:"disable,omitempty"`
	TTL     int    `json:"ttl,omitempty"` // seconds
	VoIP    bool   `json:"voip,omitempty"`
}

// Terms are what an inviter asks for. They never change, except Data.
type Terms struct {
	ID             string `json:"id"`
	Inviter        string `json:"inviter"`
	GroupID        string `json:"groupID,omitempty"`
	RoomID         string `json:"roomID,omitempty"`
	Data           string `json:"data,omitempty"`
	Timeout        int64  `json:"timeout,omitempty"` // seconds; 0 = never
	Notify         Notify `json:"notify,omitempty"`
	AcceptLimit    int    `json:"acceptLimit,omitempty"`
	MinRing        int64  `json:"minRing,omitempty"` // seconds
	MergeGlare     bool   `json:"mergeGlare,omitempty"`
	OnlineUserOnly bool   `json:"onlineUserOnly,omitempty"`
	Everyone       bool   `json:"everyone,omitempty"`
	Notice         bool   `json:"notice,omitempty"`
	Push           *Push  `json:"push,omitempty"`
}

// Fingerprint identifies the content of an invite, so that a retry is told from another invite under the same id.
func Fingerprint(t Terms, invitees []string) string {
	b, _ := json.Marshal(struct {
		Terms
		Invitees []string `json:"invitees"`
	}{t, invitees})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// Counts says how many invitees are in each state.
type Counts struct {
	Open      int `json:"open"`
	Accepted  int `json:"accepted"`
	Rejected  int `json:"rejected"`
	Cancelled int `json:"cancelled"`
	TimedOut  int `json:"timedOut"`
}

// Total is the number of invitees.
func (c Counts) Total() int { return c.Open + c.Accepted + c.Rejected + c.Cancelled + c.TimedOut }

func (c *Counts) move(from, to State) { *c.of(from)--; *c.of(to)++ }

func (c *Counts) of(s State) *int {
	return [...]*int{&c.Open, &c.Accepted, &c.Rejected, &c.Cancelled, &c.TimedOut}[s]
}

// Actor is who acts: a person on a device. The device is empty when an app server acts for the person.
type Actor struct {
	User      string
	Device    string
	RequestID string
}

// ActionID is what is kept of an actor, to recognise a retry.
type ActionID struct {
	Device    string
	RequestID string
}

// Is reports whether a is the same device repeating itself, or the same request sent again.
//
// The same request id from another known device is another person's finger, not a retry: clients may number their
// requests. Devices whose id the server minted get a new one with each connection, so for them the request id decides.
func (m ActionID) Is(a Actor) bool {
	if a.Device != "" && m.Device == a.Device {
		return true
	}
	known := a.Device != "" && m.Device != "" && !im.MintedDevice(a.Device) && !im.MintedDevice(m.Device)
	return a.RequestID != "" && m.RequestID == a.RequestID && !known
}

// Recent is what is kept of an inviter's action that may be done many times: who did it last, and the last request ids,
// so that a call which is sent again over a lost connection is known although others came after it.
type Recent struct {
	Device   string
	Requests [4]string // the newest first
}

// sent reports whether a is one of the last requests. Only the request id tells: one device may act many times.
func (r *Recent) sent(a Actor) bool {
	return a.RequestID != "" && slices.Contains(r.Requests[:], a.RequestID)
}

func (r *Recent) note(a Actor) {
	r.Device = a.Device
	if a.RequestID != "" {
		copy(r.Requests[1:], r.Requests[:])
		r.Requests[0] = a.RequestID
	}
}

func actionIDOf(a Actor) ActionID { return ActionID{Device: a.Device, RequestID: a.RequestID} }

// Invitation is an invitation without its invitees, who are loaded one by one as actions need them.
type Invitation struct {
	Terms
	Peer string // the invitee of a one-to-one invitation
	// the running count of the invite in its group's conversation; 0 = it does not count as unread for all members
	Counted     int64
	Names       string // the first MaxNames of several invitees, each on a line
	Fingerprint string // Fingerprint of the invite
	Dropped     bool   // one-to-one: the invitee hears nothing of it
	Large       bool   // in a large group: onlookers hear digests of the answers
	Digested    int64  // Large: the version that onlookers were last told of
	Left        bool   // the inviter left the group: whoever is open is about to be cancelled
	OwnTopic    bool   // no group hears it and it has several invitees: they hear each other on the invitation's own topic
	CreatedAt   int64  // milliseconds
	Deadline    int64  // milliseconds; 0 = never
	Due         int64  // when something may time out next; 0 = never. It may be early, never late
	Last        int64  // when the last invitee is late; 0 = never
	Counts      Counts
	Version     int64    // grows by one with each change
	By          ActionID // who invited
	Modified    Recent
	Cancelled   Recent
	Added       Recent
}

// AsLeft returns an invitee as the rule has it once the inviter has left the group, before the ending is written.
func (v *Invitation) AsLeft(w *Invitee, now int64) *Invitee {
	if !v.Left || w == nil || w.StateAt(now) != Open {
		return w
	}
	left := *w
	left.State, left.Reason, left.DecidedAt = Cancelled, ReasonLeft, now
	return &left
}

// FirstNames returns the first MaxNames invitees, in the order of the inviteeList.
func (v *Invitation) FirstNames() []string {
	switch {
	case v.Names != "":
		return strings.Split(v.Names, "\n")
	case v.Peer != "":
		return []string{v.Peer}
	}
	return nil
}

// name adds the names of invitees to the first ones; known is how many there were before.
func (v *Invitation) name(known int, users []string) {
	if v.GroupID == "" && known+len(users) == 1 {
		return // the Peer
	}
	list := v.FirstNames()
	if rest := MaxNames - len(list); rest > 0 {
		v.Names = strings.Join(append(list, users[:min(len(users), rest)]...), "\n")
	}
}

// Over reports whether no invitee is open.
func (v *Invitation) Over() bool { return v.Counts.Open == 0 }

// Invitee is one invited person.
type Invitee struct {
	InviteID  string
	UserID    string
	Ord       int // place in the inviteeList
	State     State
	Reason    string
	Data      string   // of the answer
	By        ActionID // who answered
	RingingAt int64    // milliseconds; 0 = no device has alerted its person yet
	Deadline  int64    // milliseconds; 0 = never
	DecidedAt int64    // milliseconds
	Dropped   bool     // hears nothing of it: this person blocks the inviter
	Pushed    bool     // was told by a push, having no connected device
	Follows   bool     // several invitees without a group: listed for this user until the invitation is over for everyone
	Counted   int64    // the running count of the invite in the invitee's conversation; 0 = it does not count as unread
	Seq       uint64   // of the invite in the invitee's conversation, when it counts for this invitee alone
}

// late reports whether the rule says that this invitee has timed out, whether or not a timer has said so.
func (w *Invitee) late(now int64) bool { return w.Deadline != 0 && now >= w.Deadline }

// StateAt is the state that the rule gives at now: an open invitee past the deadline has timed out.
func (w *Invitee) StateAt(now int64) State {
	if w.State == Open && w.late(now) {
		return TimedOut
	}
	return w.State
}

func (w Invitee) end(v *Invitation, to State, reason string, now int64) Invitee {
	v.Counts.move(w.State, to)
	w.State, w.Reason, w.DecidedAt = to, reason, now
	return w
}
