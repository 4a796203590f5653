package media

import (
	"testing"

	"pgregory.net/rapid"
)

// TestTheClockOfLiveKit learns an offset from delayed events with whole seconds, and corrects late events by it.
func TestTheClockOfLiveKit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s skew
		off := rapid.Int64Range(-90_000, 90_000).Draw(t, "LiveKit's clock is behind by")
		now := int64(1_000_000_000)
		for range rapid.IntRange(0, 30).Draw(t, "events") {
			now += rapid.Int64Range(0, 100_000).Draw(t, "passes")
			s.saw(now+3, now-off) // each join creates a room, which is dated in milliseconds
			late := rapid.SampledFrom([]int64{0, 20, 5000, 60_000}).Draw(t, "late")
			created := (now - off) / 1000
			s.saw(now+late, created*1000)
			s.saw(now+late, now-off-100)
			if d := s.eventTime(now+late, created) - now; d < -510 || d > 510 {
				t.Fatalf("an event that came %d ms late is dated %d ms wrong", late, d)
			}
			if d := s.joinTime(now+late, created, now-off-100) - mediaLag - now; d < -20 || d > 120 {
				t.Fatalf("a coming in that was told %d ms late is dated %d ms wrong", late, d)
			}
		}
	})
}
