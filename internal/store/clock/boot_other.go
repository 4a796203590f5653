//go:build !linux

package clock

import "time"

// sinceBoot returns the monotonic time, which leaves out the time in which the machine slept.
func sinceBoot() time.Duration { return time.Since(started) }

var started = time.Now()
