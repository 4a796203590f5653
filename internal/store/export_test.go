package store

import "time"

// Pause simulates a pause of the machine: it sets the monotonic clock of a store back.
func Pause(s *Store, d time.Duration) { s.clock.Pause(d) }
