package im

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestSkips compares a set of ranges with a plain set.
func TestSkips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Skips
		plain := map[int64]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.Int64Range(1, 30).Draw(t, "n")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				s, plain[n] = s.Add(n), true
			case 2:
				s = s.Remove(n)
				delete(plain, n)
			default:
				s = s.Above(n / 5)
				for k := range plain {
					if k <= n/5 {
						delete(plain, k)
					}
				}
			}
			var count int64
			for k := range plain {
				if k > n {
					count++
				}
			}
			if got := s.Count(n); got != count || s.Has(n) != plain[n] {
				t.Fatalf("%q has %d above %d and %v of it; want %d and %v", s, got, n, s.Has(n), count, plain[n])
			}
		}
	})
}

func TestReadingSkips(t *testing.T) {
	c := Contact{Counted: 5}
	c.Skip(2)
	if c.Unread() != 4 || c.ReadOrd != 0 {
		t.Fatalf("after one of five was answered: %d unread, read to %d", c.Unread(), c.ReadOrd)
	}
	c.Skip(1)
	if c.Unread() != 3 || c.ReadOrd != 2 || c.Skipped != "" {
		t.Fatalf("after the first two: %d unread, read to %d, skips %q", c.Unread(), c.ReadOrd, c.Skipped)
	}
	c.Skip(5)
	c.Read(3)
	if c.Unread() != 1 {
		t.Fatalf("read to the third, the fifth answered: %d unread", c.Unread())
	}
	c.Read(4)
	if c.Unread() != 0 || c.ReadOrd != 5 || c.Skipped != "" {
		t.Fatalf("read to the fourth: %d unread, read to %d, skips %q", c.Unread(), c.ReadOrd, c.Skipped)
	}
}

// TestManySkips answers every second of 3,000 in any order and reads none: the unread count stays exact, and the set
// small.
func TestManySkips(t *testing.T) {
	c := Contact{Counted: 3000}
	for _, n := range rand.Perm(1500) {
		c.Skip(int64(2*n + 1))
	}
	if c.Unread() != 1500 || len(c.Skipped) > 1500 {
		t.Fatalf("%d unread of 3000 after 1500 were answered; the set takes %d bytes", c.Unread(), len(c.Skipped))
	}
	c.Read(2800)
	if c.Unread() != 100 {
		t.Fatalf("%d unread after 2800 were read", c.Unread())
	}
	var extra Skips
	for _, n := range rand.Perm(1500) {
		extra = extra.Add(int64(2*n + 1))
	}
	for n := range int64(750) {
		extra = extra.Remove(4*n + 1)
	}
	if extra.Count(0) != 750 || extra.Above(2999) != "" {
		t.Fatalf("%d of 1500 are left after 750 were removed", extra.Count(0))
	}
}
