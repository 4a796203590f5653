package media

import (
	"sync"
	"time"
)

// skewWindow is for how long what was seen of LiveKit's clock counts at least, and until there is something newer.
const skewWindow = 2 * time.Minute

// skew learns how far LiveKit's clock is behind ours. Whatever carries a time of LiveKit's reaches us after it
// happened, so that the least difference seen is the nearest to the truth; what is delayed differs more.
type skew struct {
	mu        sync.Mutex
	now, last int64 // the least difference in this window and in the one before, milliseconds
	some, old bool
	began     int64
}

// saw notes that something LiveKit dates at theirs was known here at ours.
func (s *skew) saw(ours, theirs int64) {
	if theirs <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(ours)
	if d := ours - theirs; !s.some || d < s.now {
		s.now, s.some = d, true
	}
}

func (s *skew) turn(ours int64) {
	if ours-s.began < skewWindow.Milliseconds() {
		return
	}
	if s.some {
		s.last, s.old = s.now, true
	}
	s.some, s.began = false, ours
}

// offset is what is added to a time of LiveKit's to make it ours.
func (s *skew) offset(ours int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(ours)
	switch {
	case s.some && s.old:
		return min(s.now, s.last)
	case s.some:
		return s.now
	}
	return s.last
}

// known reports whether this window has seen anything.
func (s *skew) known(ours int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(ours)
	return s.some
}

// How long it takes, in milliseconds, from LiveKit's note of a joining to the connection for sound and pictures,
// usually and at most in an event that was not delayed; and from there to the first sound and picture at the others
// (measured: 220–430 on one machine).
const (
	activeLag = 100
	activeMax = 2000
	mediaLag  = 250
)

// joinTime is since when the others have seen and heard somebody, on our clock: told at arrival by an event that
// LiveKit dates created, in whole seconds, of a coming in that began at joined, in milliseconds; either may be 0.
func (s *skew) joinTime(arrival, created, joined int64) int64 {
	if joined == 0 {
		return s.eventTime(arrival, created) + mediaLag
	}
	off := s.offset(arrival)
	at := joined + off + activeLag
	if created != 0 {
		low, high := created*1000+off, created*1000+999+off // the second in which LiveKit made the event
		if arrival-joined-off <= activeMax && arrival <= high+lateBy {
			return arrival + mediaLag
		}
		at = min(max(at, low), high)
	}
	return min(at, arrival) + mediaLag
}

// lateBy is how much later than LiveKit made it an event may come and still count as having happened when it came,
// milliseconds.
const lateBy = 300

// eventTime is when something happened, on our clock: at arrival, or for a late event in the middle of the second that
// LiveKit dates it.
func (s *skew) eventTime(arrival, created int64) int64 {
	if created == 0 {
		return arrival
	}
	began := created*1000 + s.offset(arrival)
	if arrival <= began+999+lateBy {
		return min(arrival, began+999)
	}
	return began + 500
}
