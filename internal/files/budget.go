package files

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// budget limits the memory and the processors for decoding images, and each user to one image at a time. mu guards
// users.
type budget struct {
	limit    int64
	memory   *semaphore.Weighted
	decoders *semaphore.Weighted

	mu    sync.Mutex
	users map[string]*slot // users with an image being decoded or waiting
}

// slot is the lock of one user's decoding.
type slot struct {
	free    chan struct{}
	waiting int // including the holder
}

const (
	maxWaiting  = 16               // waiting images of one user; more get no thumbnail
	longestWait = 10 * time.Second // an image that waits longer gets no thumbnail
	// After an image a decoder rests for restFactor times its duration, at most longestRest: decoding takes at most a
	// quarter of a processor, so that calls are not slowed by uploads.
	restFactor  = 3
	longestRest = 2 * time.Second
)

func newBudget(limit int64) *budget {
	decoders := semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)/2)))
	return &budget{limit: limit, memory: semaphore.NewWeighted(limit), decoders: decoders, users: map[string]*slot{}}
}

// take waits until a user may decode an image that needs the given bytes. ok is false if that exceeds the limit or
// takes too long; otherwise done releases the resources.
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
		time.AfterFunc(min(restFactor*time.Since(began), longestRest), func() { b.decoders.Release(1) })
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
