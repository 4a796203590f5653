package store

import "time"

// Pause lets the machine of a store seem to have been paused: its monotonic clock stood still.
func Pause(s *Store, d time.Duration) { s.clock.Pause(d) }
