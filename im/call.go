package im

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// AloneFor is the grace period in milliseconds of an empty room, and of a call with fewer than two participants in a
// standing room or between two users, so that a reload or a lost connection does not end it.
const AloneFor int64 = 15_000

// Reasons for leaving a call and for its end.
const (
	LeftHangup    = "hangup"    // the participant hung up
	LeftWent      = "left"      // the connection ended without a hangup: a closed page, a network loss
	LeftRemoved   = "removed"   // removed by a host
	LeftReplaced  = "replaced"  // replaced by another entry of the same user
	LeftDismissed = "dismissed" // a host closed the room
	LeftMediaLost = "mediaLost" // the media server lost the room
)

// The media kinds of a call.
const (
	MediaAudio = "audio"
	MediaVideo = "video" // a participant published a camera or a screen
)

// Call is the record of the activity in a room from its first participant to its last (SPEC 4). Times are Unix
// milliseconds.
type Call struct {
	ID       string
	RoomID   string
	InviteID string // the first invitation into the room
	GroupID  string // the group of its conversation, or
	Owner    string // the two users of a one-to-one conversation
	Peer     string
	OpenedAt int64 // entry of the first participant
	BeganAt  int64 // first time with two participants; 0 = never
	EndedAt  int64 // last time with two participants; 0 = the call continues
	MS       int64 // total time with at least two participants; set at the end
	Reason   string
	EndedBy  string
	Present  int
	Total    int   // different users
	Dropped  int64 // start of the current time with fewer than two participants, after BeganAt; 0 = two or more
	CheckAt  int64 // time of the next check for the end, in a standing room; 0 = none
	SeenAt   int64 // time of the media server's last report that the call continues
	Video    bool  // a participant published video
}

// Participant is one user in a call, over all of the user's stays.
type Participant struct {
	CallID   string
	UserID   string
	SID      string // the media server's session id of the latest entry
	GoneSID  string // the latest session id that the media server reported as ended
	FirstAt  int64
	JoinedAt int64 // start of the current stay; 0 = not in the room
	LeftAt   int64
	MS       int64 // total of all stays, up to LeftAt
	Reason   string
	Stays    string // the completed stays: "from-to,from-to"
}

// maxStays limits the separate stays of a participant; beyond it the two with the shortest gap are joined.
const maxStays = 64

// stay is one interval in a room, in Unix milliseconds.
type stay struct{ from, to int64 }

// Media returns MediaAudio or MediaVideo.
func (c *Call) Media() string {
	if c.Video {
		return MediaVideo
	}
	return MediaAudio
}

// Join records the entry of p. at is the time by the observer's clock; now is the clock that ends calls. It reports
// whether the call changed.
func (c *Call) Join(p *Participant, sid string, at, now int64) bool {
	if p.JoinedAt != 0 && p.SID == sid || c.EndedAt != 0 || sid != "" && sid == p.GoneSID {
		return false
	}
	if p.SID = sid; p.JoinedAt != 0 { // a replacement; the stay continues
		return true
	}
	c.first(p, at)
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

func (c *Call) first(p *Participant, at int64) {
	if c.OpenedAt = min(c.OpenedAt, at); p.FirstAt == 0 {
		p.FirstAt = at
		c.Total++
	}
	p.FirstAt = min(p.FirstAt, at)
}

// Leave records the exit of p, with at as in Join. The exit of a session that was replaced since is ignored. It reports
// whether the call changed.
func (c *Call) Leave(p *Participant, sid, reason string, at, now int64) bool {
	if p.JoinedAt == 0 || sid != "" && p.SID != sid || c.EndedAt != 0 {
		return false
	}
	at = max(at, p.JoinedAt)
	p.leave(reason, at)
	c.Present--
	c.SeenAt = max(c.SeenAt, at)
	if c.Present >= 2 {
		return true
	}
	if c.Dropped == 0 {
		c.Dropped = max(at, c.BeganAt)
	}
	c.CheckAt, c.Reason, c.EndedBy = now+AloneFor, reason, p.UserID
	return true
}

// Gone is Leave by a report of the media server, which names the session that ended and its start: an unknown session
// is added, and a later report of its entry is ignored.
func (c *Call) Gone(p *Participant, sid, reason string, joined, at, now int64) bool {
	if sid == "" || sid == p.GoneSID || c.EndedAt != 0 {
		return false
	}
	if c.Leave(p, sid, reason, at, now) {
		p.GoneSID = sid
		return true
	}
	if p.SID == sid || p.JoinedAt != 0 { // known to be over, or replaced by another
		fresh := p.SID == sid
		if fresh {
			p.GoneSID = sid
		}
		return fresh
	}
	p.SID, p.GoneSID = sid, sid
	if joined == 0 || joined >= at {
		return true
	}
	c.first(p, joined)
	p.add(joined, at)
	p.LeftAt, p.Reason = max(p.LeftAt, at), reason
	if c.Present < 2 {
		if c.Present == 1 && c.BeganAt == 0 {
			c.BeganAt = joined
		}
		c.Dropped, c.Reason, c.EndedBy = max(c.Dropped, at), reason, p.UserID
	}
	return true
}

func (p *Participant) leave(reason string, at int64) {
	p.add(p.JoinedAt, at)
	p.LeftAt, p.Reason, p.JoinedAt = at, reason, 0
}

// add records a stay and updates the total.
func (p *Participant) add(from, to int64) {
	list := union(append(p.stays(), stay{from, to}))
	for len(list) > maxStays {
		near := 1
		for i := 2; i < len(list); i++ {
			if list[i].from-list[i-1].to < list[near].from-list[near-1].to {
				near = i
			}
		}
		list[near-1].to = list[near].to
		list = slices.Delete(list, near, near+1)
	}
	text := make([]string, len(list))
	p.MS = 0
	for i, s := range list {
		text[i] = strconv.FormatInt(s.from, 10) + "-" + strconv.FormatInt(s.to, 10)
		p.MS += s.to - s.from
	}
	p.Stays = strings.Join(text, ",")
}

func (p *Participant) stays() (list []stay) {
	for one := range strings.SplitSeq(p.Stays, ",") {
		from, to, ok := strings.Cut(one, "-")
		if !ok {
			continue
		}
		a, _ := strconv.ParseInt(from, 10, 64)
		b, _ := strconv.ParseInt(to, 10, 64)
		list = append(list, stay{a, b})
	}
	return list
}

// union sorts stays and joins overlapping ones.
func union(list []stay) []stay {
	slices.SortFunc(list, func(a, b stay) int { return cmp.Compare(a.from, b.from) })
	out := list[:0]
	for _, s := range list {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// End closes the record of a call with all its participants; those still in the room leave at the time at. Durations
// are computed from all stays together, independent of their order of arrival. It reports whether at least two
// participants were in the room at once.
func (c *Call) End(participants []*Participant, reason, by string, at int64) bool {
	for _, p := range participants {
		if p.JoinedAt != 0 {
			p.leave(reason, max(at, p.JoinedAt))
		}
	}
	if c.Reason == "" || c.Dropped == 0 || reason == LeftHangup || reason == LeftDismissed {
		c.Reason, c.EndedBy = reason, by
	}
	c.BeganAt, c.EndedAt, c.MS = overlap(participants)
	if c.MS == 0 {
		c.BeganAt, c.EndedAt = 0, max(at, c.OpenedAt)
	}
	c.Present, c.CheckAt = 0, 0
	return c.MS > 0
}

// overlap returns the first and last time with at least two participants, and the total.
func overlap(participants []*Participant) (began, ended, ms int64) {
	type step struct {
		at int64
		by int
	}
	var steps []step
	for _, p := range participants {
		for _, s := range p.stays() {
			steps = append(steps, step{s.from, 1}, step{s.to, -1})
		}
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	in, since := 0, int64(0)
	for _, s := range steps {
		before := in
		switch in += s.by; {
		case before < 2 && in >= 2:
			if since = s.at; began == 0 {
				began = s.at
			}
		case before >= 2 && in < 2:
			ended, ms = s.at, ms+s.at-since
		}
	}
	return began, ended, ms
}
