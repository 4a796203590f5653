// Package clock owns the time of a store: this machine's, or that of a database that many share.
//
// It never waits, and knows no database.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock reads milliseconds and never goes back, so that no deadline is judged twice. When the database's clock is the one
// that counts, this one is set by it with each commit; in between it goes on by itself, whatever the machine's is set to.
type Clock struct {
	shared bool
	now    func() int64 // nil = the system's
	began  time.Time
	offset atomic.Int64
	floor  atomic.Int64 // the latest reading of the database's clock
	last   atomic.Int64
}

// local is this machine's time. When the database's counts, it is not moved by setting the machine's.
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

// Read is the time.
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

// Start sets the clock going: by now, or, without one, by the system's; shared when it is the database's that counts.
func (c *Clock) Start(now func() int64, shared bool) {
	c.now, c.shared, c.began = now, shared, time.Now()
}

// Floor is the latest reading of the database's clock.
func (c *Clock) Floor() int64 { return c.floor.Load() }
