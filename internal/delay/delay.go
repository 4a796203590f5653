// Package delay runs the entries of queues at their times.
package delay

import (
	"context"
	"time"
)

// Run takes the entries of a queue and runs a step for each at its time, in order, until ctx ends. All entries of a
// queue wait equally long, so that the first one is due first.
func Run[E any](ctx context.Context, queue <-chan E, at func(E) time.Time, step func(E)) {
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-queue:
			due.Reset(time.Until(at(e)))
			select {
			case <-ctx.Done():
				return
			case <-due.C:
			}
			step(e)
		}
	}
}
