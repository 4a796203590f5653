package clock

import "time"

// agreement is a reading of the database's clock that agreed with this machine's.
type agreement struct {
	at    time.Time // before the reading
	now   int64
	slews bool // a correction decreases, so that the database's time runs up to maxSlew faster or slower
}

// Agree sets the clock by a reading of the database's, which began at a time and agrees with this machine's. slews
// reports that the database's time is not that of its clock, and follows it.
func (c *Clock) Agree(began time.Time, now int64, slews bool) {
	c.agreed.Store(&agreement{began, now, slews})
	c.Sync(now)
}

// Drift returns the milliseconds by which the database's time can have left this clock since they agreed.
func (c *Clock) Drift() int64 {
	a := c.agreed.Load()
	if a == nil || !a.slews {
		return 0
	}
	return int64(float64(time.Since(a.at).Milliseconds()) * maxSlew)
}

// Latest returns the latest time that any node can have read in the database until now, if its clock was not set since
// it agreed with this one; 0 = they have not agreed.
func (c *Clock) Latest() int64 {
	a := c.agreed.Load()
	if a == nil {
		return 0
	}
	return a.now + time.Since(a.at).Milliseconds() + c.Drift()
}
