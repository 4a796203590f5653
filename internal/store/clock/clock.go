// Package clock holds the time of a store: this machine's, or that of a shared database.
//
// It does not wait, and does not read the database.
package clock

import (
	"math"
	"sync/atomic"
	"time"
)

// A clock starts with the wall clock and then runs on the monotonic clock. If the wall clock differs, the clock runs up
// to maxSlew faster or slower until they agree: setting the wall clock neither ends nor freezes a deadline.
const (
	maxSlew       = 0.05
	sampleEvery   = 100 * time.Millisecond // interval at which the wall clock is read
	maxSampleTime = 50 * time.Millisecond  // longest time between the readings of both clocks
	minStep       = 500                    // smallest difference in milliseconds that counts as a step
	smoothBelow   = 1000                   // differences below this many milliseconds are corrected more slowly
	ms            = float64(time.Millisecond)
)

// Source has the clocks of the machine. The zero value reads the system's.
type Source struct {
	// Now is the time itself, for tests: it is neither smoothed nor compared. nil = the clocks below.
	Now func() int64
	// Wall reads the wall clock in milliseconds. nil = the system's.
	Wall func() int64
	// Step is called after a step of the wall clock, with its milliseconds. nil = none. It must not block.
	Step func(ms int64)
}

// Clock reads milliseconds and never decreases, so that no deadline is passed twice. With a shared database each commit
// sets it by the database's clock; in between it runs on the monotonic clock, whatever the machine's wall clock is set
// to.
type Clock struct {
	source  Source
	shared  bool
	began   time.Time
	boot    time.Duration // sinceBoot at began
	current atomic.Pointer[segment]
	agreed  atomic.Pointer[agreement]
	steps   atomic.Int64
	paused  atomic.Int64 // see Pause
	behind  atomic.Int64 // the wall clock minus this clock
	offset  atomic.Int64
	floor   atomic.Int64 // the latest reading of the database's clock
	last    atomic.Int64
}

// segment is the course of the clock after a sample of the wall clock.
type segment struct {
	at   time.Duration // since began
	wall int64         // the wall clock
	time float64       // the clock
	diff float64       // the wall clock minus the clock: the remaining correction
	boot time.Duration // sinceBoot
}

// read returns the time of the clock at a time since began.
func (l *segment) read(at time.Duration) float64 {
	gone := float64(at-l.at) / ms
	slew := maxSlew * min(1, math.Abs(l.diff)/smoothBelow)
	return l.time + gone + math.Copysign(min(slew*gone, math.Abs(l.diff)), l.diff)
}

// Start starts the clock, not before a time; shared selects the database's clock.
func (c *Clock) Start(s Source, shared bool, notBefore int64) {
	if s.Wall == nil {
		s.Wall = func() int64 { return time.Now().UnixMilli() }
	}
	c.source, c.shared, c.began, c.boot = s, shared, time.Now(), sinceBoot()
	wall := s.Wall()
	first := max(wall, notBefore)
	c.current.Store(&segment{wall: wall, time: float64(first), diff: float64(wall - first), boot: c.boot})
	c.behind.Store(wall - first)
	if s.Now == nil && !shared {
		c.last.Store(first)
	}
}

// local returns this machine's time; with a shared database, the monotonic time.
func (c *Clock) local() int64 {
	switch {
	case c.source.Now != nil:
		return c.source.Now()
	case c.shared:
		return c.began.UnixMilli() + (sinceBoot() - c.boot - time.Duration(c.paused.Load())).Milliseconds()
	}
	at := time.Since(c.began)
	l := c.current.Load()
	if at-l.at >= sampleEvery {
		return c.sample(l, at)
	}
	return int64(l.read(at))
}

// sample reads the wall clock, and begins a new segment.
func (c *Clock) sample(l *segment, at time.Duration) int64 {
	boot, wall := sinceBoot(), c.source.Wall()
	if time.Since(c.began)-at > maxSampleTime { // interrupted between the clocks: the next call samples
		return int64(l.read(at))
	}
	slept := float64((boot-l.boot)-(at-l.at)) / ms
	if slept < minStep {
		slept = 0
	}
	next := &segment{at: at, wall: wall, time: l.read(at) + slept, boot: boot}
	next.diff = float64(wall) - next.time
	if !c.current.CompareAndSwap(l, next) {
		return int64(c.current.Load().read(at))
	}
	c.behind.Store(int64(next.diff))
	step := wall - l.wall - (at - l.at).Milliseconds() - int64(slept)
	if step >= minStep || step <= -minStep {
		c.steps.Add(1)
		if c.source.Step != nil {
			c.source.Step(step)
		}
	}
	return int64(next.time)
}

// Pause simulates a pause of the machine in tests: it sets the monotonic time of a clock with a shared database back.
func (c *Clock) Pause(d time.Duration) {
	c.paused.Add(int64(d))
	c.last.Add(-d.Milliseconds())
}

// Steps counts the steps of the clock that decides.
func (c *Clock) Steps() int64 { return c.steps.Load() }

// Stepped counts a step of the database's clock.
func (c *Clock) Stepped() { c.steps.Add(1) }

// Behind returns the milliseconds by which the clock that decides is ahead of this clock; negative = behind it.
func (c *Clock) Behind() int64 { return c.behind.Load() }

// SetBehind sets Behind for a shared database.
func (c *Clock) SetBehind(ms int64) { c.behind.Store(ms) }

// Sync sets the clock by the database's.
func (c *Clock) Sync(now int64) {
	c.offset.Store(now - c.local())
	for old := c.floor.Load(); now > old && !c.floor.CompareAndSwap(old, now); old = c.floor.Load() {
	}
}

// Read returns the time.
func (c *Clock) Read() int64 {
	t := c.local() + c.offset.Load()
	for {
		last := c.last.Load()
		if t <= last {
			return last
		}
		if c.last.CompareAndSwap(last, t) {
			return t
		}
	}
}

// Floor returns the latest reading of the database's clock.
func (c *Clock) Floor() int64 { return c.floor.Load() }
