package files

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// budget limits the memory and the processors that decoding images takes, and gives each user one image at a time.
type budget struct {
	limit    int64
	memory   *semaphore.Weighted
	decoders *semaphore.Weighted

	mu    sync.Mutex
	users map[string]*slot // of users with an image that is being decoded, or waits for it
}

// slot is held by the image of a user that is being decoded.
type slot struct {
	free    chan struct{}
	waiting int // including its holder
}

const (
	maxWaiting  = 16               // images of one user that wait; more have no thumbnail
	longestWait = 10 * time.Second // then an image has no thumbnail
	longestRest = time.Second      // a decoder rests as long as it ran, at most this: images take half of its time
)

func newBudget(limit int64) *budget {
	decoders := semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)/2)))
	return &budget{limit: limit, memory: semaphore.NewWeighted(limit), decoders: decoders, users: map[string]*slot{}}
}

// take waits until a user may decode an image that takes so many bytes. ok is false when that is over the limit, or
// takes too long; otherwise done gives it back.
func (b *budget) take(ctx context.Context, user string, bytes int64) (done func(), ok bool) {
	if bytes > b.limit {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, longestWait)
	defer cancel()
	leave, ok := b.enter(ctx, user)
	if !ok {
		return nil, false
	}
	if b.memory.Acquire(ctx, bytes) != nil {
		leave()
		return nil, false
	}
	if b.decoders.Acquire(ctx, 1) != nil {
		b.memory.Release(bytes)
		leave()
		return nil, false
	}
	began := time.Now()
	return func() {
		time.AfterFunc(min(time.Since(began), longestRest), func() { b.decoders.Release(1) })
		b.memory.Release(bytes)
		leave()
	}, true
}

// enter waits for a user's slot.
func (b *budget) enter(ctx context.Context, user string) (leave func(), ok bool) {
	b.mu.Lock()
	s := b.users[user]
	if s == nil {
		s = &slot{free: make(chan struct{}, 1)}
		b.users[user] = s
	}
	if s.waiting >= maxWaiting {
		b.mu.Unlock()
		return nil, false
	}
	s.waiting++
	b.mu.Unlock()
	forget := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if s.waiting--; s.waiting == 0 {
			delete(b.users, user)
		}
	}
	select {
	case s.free <- struct{}{}:
		return func() { <-s.free; forget() }, true
	case <-ctx.Done():
		forget()
		return nil, false
	}
}
