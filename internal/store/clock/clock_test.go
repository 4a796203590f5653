package clock

import (
	"sync"
	"testing"
	"time"
)

// machine is a wall clock that tests set.
type machine struct {
	mu   sync.Mutex
	skew int64
}

func (m *machine) wall() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().UnixMilli() + m.skew
}

func (m *machine) set(ms int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skew = ms
}

// course reads a clock for some time, and checks that it neither decreases nor jumps, and runs within 5 % of the
// monotonic clock.
func course(t *testing.T, c *Clock, d time.Duration) {
	t.Helper()
	begin, first := time.Now(), c.Read()
	for last := first; time.Since(begin) < d; {
		now := c.Read()
		gone := time.Since(begin).Milliseconds()
		if now < last {
			t.Fatalf("the clock decreases by %d ms", last-now)
		}
		if ran := now - first; ran < gone*94/100-5 || ran > gone*106/100+5 {
			t.Fatalf("in %d ms the clock ran %d ms", gone, ran)
		}
		last = now
		<-time.After(time.Millisecond)
	}
}

// TestSteps: a wall clock that is set forward, back, or for a moment, never makes the clock jump. Steps are reported.
func TestSteps(t *testing.T) {
	for _, step := range []int64{3_600_000, -3_600_000, 2000, -2000} {
		var m machine
		reported := make(chan int64, 10)
		var c Clock
		c.Start(Source{Wall: m.wall, Step: func(ms int64) { reported <- ms }}, false, 0)
		course(t, &c, 300*time.Millisecond)
		m.set(step)
		course(t, &c, time.Second)
		m.set(0)
		course(t, &c, 300*time.Millisecond)
		for _, want := range []int64{step, -step} {
			if got := <-reported; got < want-50 || got > want+50 {
				t.Errorf("a step of %d ms was reported as %d ms", want, got)
			}
		}
		if c.Steps() != 2 {
			t.Errorf("%d steps were counted", c.Steps())
		}
	}
}

// TestFollows: the clock reaches a wall clock that differs a little, and does not pass it, however rarely it is read.
func TestFollows(t *testing.T) {
	for _, skew := range []int64{40, -40} {
		var m machine
		var c Clock
		c.Start(Source{Wall: m.wall}, false, 0)
		m.set(skew)
		first := c.local()
		<-time.After(150 * time.Millisecond)
		c.Read()
		l := c.current.Load()
		if d := l.diff; d < float64(skew)-30 && skew > 0 || d > float64(skew)+30 && skew < 0 {
			t.Errorf("%v ms are to correct, of %d", d, skew)
		}
		if late := l.read(l.at+time.Hour) - l.time - 3_600_000 - l.diff; late < -1 || late > 1 {
			t.Errorf("after an hour without a reading the clock is %v ms from the wall clock", late)
		}
		if first <= 0 || c.Steps() != 0 {
			t.Errorf("%d steps", c.Steps())
		}
	}
}

// TestNotBefore: a clock that starts behind the latest time in the database starts with that time, and waits for the
// wall clock at 95 % of its speed.
func TestNotBefore(t *testing.T) {
	var m machine
	var c Clock
	latest := m.wall() + 3_600_000
	c.Start(Source{Wall: m.wall}, false, latest)
	if now := c.Read(); now < latest || now > latest+1000 {
		t.Errorf("the clock starts %d ms after the latest time", now-latest)
	}
	if b := c.Behind(); b > -3_599_000 {
		t.Errorf("the wall clock is %d ms ahead", b)
	}
	course(t, &c, 500*time.Millisecond)
}
