package im

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// AloneFor is for how many milliseconds a room without anybody in it goes on, and a call with fewer than two people in
// a standing room or between two people, so that a reload or a lost link does not end it.
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

// The kinds of a call.
const (
	MediaAudio = "audio"
	MediaVideo = "video" // somebody published a camera or a screen
)

// Call is what happens in a room from its first participant to its last: the record that SPEC 4 asks for. Times are
// milliseconds.
type Call struct {
	ID       string
	RoomID   string
	InviteID string // the first invitation into the room
	GroupID  string // the conversation it belongs to: a group's,
	Owner    string // or that of these two
	Peer     string
	OpenedAt int64 // the first came in
	BeganAt  int64 // two were in for the first time; 0 = never
	EndedAt  int64 // two were in for the last time; 0 = it goes on
	MS       int64 // how long at least two were in; set at the end
	Reason   string
	EndedBy  string
	Present  int
	Total    int   // different people
	Dropped  int64 // since when fewer than two are there, after it began; 0 = two or more are
	CheckAt  int64 // in a standing room: when to look whether it has ended; 0 = not by itself
	SeenAt   int64 // the media server last said that it goes on
	Video    bool  // somebody published a picture
}

// Participant is one person in a call, however often they came in.
type Participant struct {
	CallID   string
	UserID   string
	SID      string // the media server's name for the latest coming in
	GoneSID  string // the latest that the media server said has ended
	FirstAt  int64
	JoinedAt int64 // since when they are in the room; 0 = they are not
	LeftAt   int64
	MS       int64 // all the time they were in, up to LeftAt
	Reason   string
	Stays    string // the stays that have ended: "from-to,from-to"
}

// maxStays bounds the stays of a participant that are kept apart; beyond it those with the shortest time between them
// are joined.
const maxStays = 64

// stay is one time in a room, from and to in milliseconds.
type stay struct{ from, to int64 }

// Media is audio or video.
func (c *Call) Media() string {
	if c.Video {
		return MediaVideo
	}
	return MediaAudio
}

// Join notes that p came in. at is when, by whoever saw it; now is the clock that ends calls. It reports whether that
// is news.
func (c *Call) Join(p *Participant, sid string, at, now int64) bool {
	if p.JoinedAt != 0 && p.SID == sid || c.EndedAt != 0 || sid != "" && sid == p.GoneSID {
		return false
	}
	if p.SID = sid; p.JoinedAt != 0 { // from elsewhere; the time goes on
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

// Leave notes that p went, at as in Join. A coming in that was replaced meanwhile does not count. It reports whether
// that is news.
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

// Gone is Leave by the media server's own word, which names the coming in that ended and when it began: one that was
// never told of is added, and one that is told of later is known to be over.
func (c *Call) Gone(p *Participant, sid, reason string, joined, at, now int64) bool {
	if sid == "" || sid == p.GoneSID || c.EndedAt != 0 {
		return false
	}
	if c.Leave(p, sid, reason, at, now) {
		p.GoneSID = sid
		return true
	}
	if p.SID == sid || p.JoinedAt != 0 { // it is known to be over, or another has replaced it
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

// add keeps a stay, and counts all of them.
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

// union sorts stays and joins those that overlap.
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
func (c *Call) End(people []*Participant, reason, by string, at int64) bool {
	for _, p := range people {
		if p.JoinedAt != 0 {
			p.leave(reason, max(at, p.JoinedAt))
		}
	}
	if c.Reason == "" || c.Dropped == 0 || reason == LeftHangup || reason == LeftDismissed {
		c.Reason, c.EndedBy = reason, by
	}
	c.BeganAt, c.EndedAt, c.MS = together(people)
	if c.MS == 0 {
		c.BeganAt, c.EndedAt = 0, max(at, c.OpenedAt)
	}
	c.Present, c.CheckAt = 0, 0
	return c.MS > 0
}

// together says when at least two people were in: first, last, and how long.
func together(people []*Participant) (began, ended, ms int64) {
	type step struct {
		at int64
		by int
	}
	var steps []step
	for _, p := range people {
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
