package media

import (
	"sync"
	"time"
)

// skewWindow is the time for which observations of LiveKit's clock count at least, and until there are newer ones.
const skewWindow = 2 * time.Minute

// skew estimates how far LiveKit's clock is behind the local clock. A timestamp of LiveKit always arrives after the
// event, so the least difference observed is the best estimate; delays only increase it. mu guards all fields.
type skew struct {
	mu        sync.Mutex
	now, last int64 // least differences of this window and of the one before, milliseconds
	some, old bool
	began     int64
}

// saw records the local time ours at which an event was known that LiveKit dates theirs.
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

// offset returns the duration to add to a time of LiveKit to get local time.
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

// known reports whether the current window has an observation.
func (s *skew) known(ours int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(ours)
	return s.some
}

// Durations in milliseconds: from the start of a join to connected media, typical and maximum in an event without
// delay; and from there to the first media at the other participants (measured: 220–430 on one machine).
const (
	activeLag = 100
	activeMax = 2000
	mediaLag  = 250
)

// joinTime returns the local time from which the others receive a participant's media. The event arrived at arrival;
// created is LiveKit's time of the event in seconds, and joined its time of the start of the join in milliseconds;
// either may be 0.
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

// lateBy is the delay up to which an event counts as having happened on arrival, in milliseconds.
const lateBy = 300

// eventTime returns the local time of an event: its arrival, or for a late event the middle of the second in which
// LiveKit created it.
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
