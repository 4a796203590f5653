package im

// AloneFor is for how many milliseconds a call goes on with fewer than two people in its room, so that a reload or a lost link does not end it.
const AloneFor int64 = 15_000

// The reasons for which people leave a call, and for which it ends.
const (
	LeftHangup    = "hangup"    // they said so
	LeftWent      = "left"      // they went without a word: a closed page, a lost link
	LeftRemoved   = "removed"   // a host sent them out
	LeftReplaced  = "replaced"  // the same person entered from elsewhere
	LeftDismissed = "dismissed" // a host closed the room
	LeftMediaLost = "mediaLost" // the media server lost the room
)

// Call is what happens in a room from its first participant to its last: the record that SPEC 4 asks for. Times are milliseconds.
type Call struct {
	ID       string
	RoomID   string
	InviteID string // the invitation that made the room, if one did
	GroupID  string // the conversation it belongs to: a group's,
	Owner    string // or that of these two
	Peer     string
	OpenedAt int64 // the first came in
	BeganAt  int64 // the second came in; 0 = never
	EndedAt  int64 // fewer than two were left; 0 = it goes on
	MS       int64 // from BeganAt to EndedAt
	Reason   string
	EndedBy  string
	Present  int
	Total    int   // different people
	Dropped  int64 // since when fewer than two are there, after it began; 0 = two or more are
	CheckAt  int64 // when to look whether it has ended; 0 = not by itself
	SeenAt   int64 // the media server last said that it goes on
}

// Participant is one person in a call, however often they came in.
type Participant struct {
	CallID   string
	UserID   string
	SID      string // the media server's name for the latest coming in
	FirstAt  int64
	JoinedAt int64 // since when they are in the room; 0 = they are not
	LeftAt   int64
	MS       int64 // all the time they were in, up to LeftAt
	Reason   string
}

// Join notes that p came in. at is when, by whoever saw it; now is the clock that ends calls. It reports whether that is news.
func (c *Call) Join(p *Participant, sid string, at, now int64) bool {
	if p.JoinedAt != 0 && p.SID == sid || c.EndedAt != 0 {
		return false
	}
	if p.SID = sid; p.JoinedAt != 0 { // from elsewhere; the time goes on
		return true
	}
	at = max(at, c.OpenedAt, p.LeftAt)
	if p.FirstAt == 0 {
		p.FirstAt = at
		c.Total++
	}
	p.JoinedAt, p.Reason = at, ""
	c.Present++
	c.SeenAt = max(c.SeenAt, at)
	if c.Present < 2 {
		c.CheckAt = now + AloneFor
		return true
	}
	if c.BeganAt == 0 {
		c.BeganAt = at
	}
	c.Dropped, c.CheckAt = 0, 0
	return true
}

// Leave notes that p went, at as in Join. A coming in that was replaced meanwhile does not count. It reports whether that is news.
func (c *Call) Leave(p *Participant, sid, reason string, at, now int64) bool {
	if p.JoinedAt == 0 || sid != "" && p.SID != sid || c.EndedAt != 0 {
		return false
	}
	at = max(at, p.JoinedAt, c.BeganAt)
	p.leave(reason, at)
	c.Present--
	c.SeenAt = max(c.SeenAt, at)
	if c.Present >= 2 {
		return true
	}
	if c.Dropped == 0 {
		c.Dropped = at
	}
	c.CheckAt, c.Reason, c.EndedBy = now+AloneFor, reason, p.UserID
	return true
}

func (p *Participant) leave(reason string, at int64) {
	p.MS += max(0, at-p.JoinedAt)
	p.LeftAt, p.Reason, p.JoinedAt = at, reason, 0
}

// End closes the record. The call ended when fewer than two were left, or now. Those who are still in leave now; give all of them.
func (c *Call) End(present []*Participant, reason, by string, at int64) {
	at = max(at, c.OpenedAt, c.BeganAt, c.Dropped)
	for _, p := range present {
		p.leave(reason, max(at, p.JoinedAt))
	}
	c.EndedAt = at
	if c.BeganAt != 0 && c.Dropped != 0 {
		c.EndedAt = c.Dropped
	}
	if c.Reason == "" || reason == LeftHangup || reason == LeftDismissed {
		c.Reason, c.EndedBy = reason, by
	}
	if c.BeganAt != 0 {
		c.MS = c.EndedAt - c.BeganAt
	}
	c.Present, c.CheckAt = 0, 0
}
