//go:build !linux

package clock

import "time"

// sinceBoot returns the monotonic time, which omits suspensions.
func sinceBoot() time.Duration { return time.Since(started) }

var started = time.Now()
