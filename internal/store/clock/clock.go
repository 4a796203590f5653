// Package clock holds the time of a store: this machine's, or that of a shared database.
//
// It does not wait, and does not read the database.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock reads milliseconds and never decreases, so that no deadline is passed twice. With a shared database each commit
// sets it by the database's clock; in between it runs on the monotonic clock, whatever the machine's wall clock is set
// to.
type Clock struct {
	shared bool
	now    func() int64 // nil = the system's
	began  time.Time
	offset atomic.Int64
	floor  atomic.Int64 // the latest reading of the database's clock
	last   atomic.Int64
}

// local returns this machine's time; with a shared database, the monotonic time.
func (c *Clock) local() int64 {
	switch {
	case c.now != nil:
		return c.now()
	case !c.shared:
		return time.Now().UnixMilli()
	}
	return c.began.UnixMilli() + time.Since(c.began).Milliseconds()
}

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

// Start starts the clock with now, or with the system's clock when it is nil; shared selects the database's clock.
func (c *Clock) Start(now func() int64, shared bool) {
	c.now, c.shared, c.began = now, shared, time.Now()
}

// Floor returns the latest reading of the database's clock.
func (c *Clock) Floor() int64 { return c.floor.Load() }
