package delay

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestRun: each entry is run at its time, in order; after the end of the context none is.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		begin := time.Now()
		queue := make(chan time.Duration, 3)
		for _, d := range []time.Duration{time.Second, time.Second, 3 * time.Second} {
			queue <- d
		}
		var ran []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			Run(ctx, queue, func(d time.Duration) time.Time { return begin.Add(d) },
				func(time.Duration) { ran = append(ran, time.Since(begin)) })
		}()
		time.Sleep(2 * time.Second)
		stop()
		<-done
		if !slices.Equal(ran, []time.Duration{time.Second, time.Second}) {
			t.Errorf("steps ran after %v", ran)
		}
	})
}
