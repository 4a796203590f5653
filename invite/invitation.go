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

// String returns the name used on the wire.
func (s State) String() string {
	return [...]string{"open", "accepted", "rejected", "cancelled", "timedOut"}[s]
}

// MarshalText encodes a State as its name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText decodes the name of a State.
func (s *State) UnmarshalText(b []byte) error {
	for i := Open; i <= TimedOut; i++ {
		if i.String() == string(b) {
			*s = i
			return nil
		}
	}
	return fmt.Errorf("%q is not a state of an invitee", b)
}

// Reasons set by the server; an invitee's own reason for a reject is free text.
const (
	ReasonDeclined = "declined" // declined by the invitee
	ReasonBusy     = "busy"     // the invitee is in another call
	ReasonAnswered = "answered" // acceptLimit was reached by other invitees
	ReasonLeft     = "left"     // the invitee left the group, or it was dismissed
	ReasonNotice   = "notice"   // the invitation is a notice and takes no answer
)

// Notify is the audience of events in a group.
type Notify string

// The two audiences.
const (
	NotifyMembers      Notify = "members"
	NotifyParticipants Notify = "participants"
)

// Push is the push notification for invitees without a connected device (SPEC 1, offlinePush).
type Push struct {
	Title   string `json:"title,omitempty" limit:"4096 bytes"`
	Body    string `json:"body,omitempty" limit:"4096 bytes"`
	Ext     string `json:"ext,omitempty" limit:"4096 bytes"`
	Sound   string `json:"sound,omitempty" limit:"4096 bytes"`
	Disable bool   `json:"disable,omitempty"`
	TTL     int    `json:"ttl,omitempty" limit:"0..86400"` // seconds
	VoIP    bool   `json:"voip,omitempty"`
}

// Terms are the inviter's parameters. They never change, except Data.
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

// Fingerprint hashes the content of an invite, to distinguish a retry from another invite with the same ID.
func Fingerprint(t Terms, invitees []string) string {
	b, _ := json.Marshal(struct {
		Terms
		Invitees []string `json:"invitees"`
	}{t, invitees})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// Counts are the numbers of invitees by state.
type Counts struct {
	Open      int `json:"open"`
	Accepted  int `json:"accepted"`
	Rejected  int `json:"rejected"`
	Cancelled int `json:"cancelled"`
	TimedOut  int `json:"timedOut"`
}

// Total returns the number of invitees.
func (c Counts) Total() int { return c.Open + c.Accepted + c.Rejected + c.Cancelled + c.TimedOut }

func (c *Counts) move(from, to State) { *c.of(from)--; *c.of(to)++ }

func (c *Counts) of(s State) *int {
	return [...]*int{&c.Open, &c.Accepted, &c.Rejected, &c.Cancelled, &c.TimedOut}[s]
}

// Actor is the user and device of an action. Device is empty when an app server acts for the user.
type Actor struct {
	User      string
	Device    string
	RequestID string
	Server    bool // an app server for the user
}

// ActionID is the stored part of an actor, for recognizing a retry.
type ActionID struct {
	Device    string
	RequestID string
}

// Is reports whether a is a retry: the same device, or the same request ID.
//
// The same request ID from another known device is another action: clients may number their requests. Devices with an
// ID minted by the server get a new one with each connection, so for them the request ID decides. App servers have no
// device: they repeat with the same request ID, or without one.
func (m ActionID) Is(a Actor) bool {
	if a.Device != "" && m.Device == a.Device || a.Server && m == (ActionID{}) && a.RequestID == "" {
		return true
	}
	known := a.Device != "" && m.Device != "" && !im.MintedDevice(a.Device) && !im.MintedDevice(m.Device)
	return a.RequestID != "" && m.RequestID == a.RequestID && !known
}

// Recent identifies the latest of an inviter's repeatable actions by device, and the last four request IDs, so that a
// retry over a new connection is recognized although other actions followed.
type Recent struct {
	Device   string
	Requests [4]string // newest first
}

// sent reports whether a is one of the last requests, by request ID only: one device may act many times.
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

// Invitation is an invitation without its invitees, which are loaded as actions need them.
type Invitation struct {
	Terms
	Peer string // the invitee of a one-to-one invitation
	// running count of the invite in the group's conversation; 0 = does not count as unread for all members
	Counted     int64
	Names       string // the first MaxNames of several invitees, newline-separated
	Fingerprint string // Fingerprint of the invite
	Dropped     bool   // one-to-one: hidden from the invitee
	Large       bool   // in a large group: other members receive digests of the answers
	Digested    int64  // Large: the version of the last digest
	Left        bool   // the inviter left the group: open invitees are about to be cancelled
	OwnTopic    bool   // several invitees and no group audience: their events are on the invitation's own topic
	CreatedAt   int64  // Unix milliseconds
	Deadline    int64  // Unix milliseconds; 0 = never
	Due         int64  // time of the next possible timeout; 0 = none. May be early, never late
	Last        int64  // deadline of the last invitee; 0 = never
	EndedAt     int64  // Unix milliseconds, when the last open invitee was decided; 0 = open
	Counts      Counts
	Version     int64    // incremented by each change
	By          ActionID // the invite
	Modified    Recent
	Cancelled   Recent
	Added       Recent
}

// RecentText encodes the last modify, cancel and addInvitees, which most invitations do not have.
func (v *Invitation) RecentText() string {
	none := Recent{}
	if v.Modified == none && v.Cancelled == none && v.Added == none {
		return ""
	}
	var parts []string
	for _, r := range []*Recent{&v.Modified, &v.Cancelled, &v.Added} {
		parts = append(append(parts, r.Device), r.Requests[:]...)
	}
	return strings.Join(parts, "\n")
}

// SetRecentText decodes a RecentText.
func (v *Invitation) SetRecentText(s string) {
	if s == "" {
		return
	}
	parts := strings.Split(s, "\n")
	for _, r := range []*Recent{&v.Modified, &v.Cancelled, &v.Added} {
		r.Device = parts[0]
		parts = parts[1+copy(r.Requests[:], parts[1:]):]
	}
}

// AsLeft returns an invitee as the rule has it after the inviter left the group, before the cancellation is written.
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

// name appends invitees to the first names; known is the number of earlier ones.
func (v *Invitation) name(known int, users []string) {
	if v.GroupID == "" && known+len(users) == 1 {
		return // stored as Peer
	}
	list := v.FirstNames()
	if rest := MaxNames - len(list); rest > 0 {
		v.Names = strings.Join(append(list, users[:min(len(users), rest)]...), "\n")
	}
}

// Over reports whether no invitee is open.
func (v *Invitation) Over() bool { return v.Counts.Open == 0 }

// Invitee is the state of one invited user.
type Invitee struct {
	InviteID  string
	UserID    string
	Ord       int // index in the inviteeList
	State     State
	Reason    string
	Data      string   // of the answer
	By        ActionID // the answer
	RingingAt int64    // Unix milliseconds; 0 = no device has alerted the user
	Deadline  int64    // Unix milliseconds; 0 = never
	DecidedAt int64    // Unix milliseconds
	Dropped   bool     // hidden from this user, who blocks the inviter
	Pushed    bool     // notified by a push, without a connected device
	Follows   bool     // several invitees without a group: listed for this user until the invitation is over for all
	Counted   int64    // running count of the invite in the invitee's conversation; 0 = does not count as unread
	Seq       uint64   // of the invite in the invitee's conversation, if it counts for this invitee only
}

// late reports whether the deadline has passed, before or after the timeout is written.
func (w *Invitee) late(now int64) bool { return w.Deadline != 0 && now >= w.Deadline }

// StateAt returns the state at now, in Unix milliseconds: an open invitee past the deadline has timed out.
func (w *Invitee) StateAt(now int64) State {
	if w.State == Open && w.late(now) {
		return TimedOut
	}
	return w.State
}

func (w Invitee) end(v *Invitation, to State, reason string, now int64) Invitee {
	v.Counts.move(w.State, to)
	if v.Over() {
		v.EndedAt = now
	}
	w.State, w.Reason, w.DecidedAt = to, reason, now
	return w
}
