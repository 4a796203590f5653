package group

import (
	"context"
	"sync"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/protocol"
)

// onlineCounts caches the number of online members of groups: a group's members are counted at most once in
// onlineKept, whatever the number of requests. mu guards groups and their fields.
type onlineCounts struct {
	walks chan struct{} // semaphore of concurrent counts

	mu     sync.Mutex
	groups map[string]*onlineCount
}

type onlineCount struct {
	ready  chan struct{} // closed when the first count is available
	n      int
	until  time.Time // expiry of the count
	counts bool      // a count is in progress
}

const (
	onlineKept  = 5 * time.Second
	onlineShare = 20    // a count is cached for this multiple of its duration
	onlineMost  = 10000 // cached counts; above it expired ones are evicted
	onlineWalks = 2     // concurrent counts
)

func newOnlineCounts() *onlineCounts {
	return &onlineCounts{walks: make(chan struct{}, onlineWalks), groups: map[string]*onlineCount{}}
}

// get returns the count of a group, made by count. Requests during a refresh get the previous count.
func (o *onlineCounts) get(ctx context.Context, group string, count func(context.Context) (int, error)) (int, error) {
	for {
		o.mu.Lock()
		c := o.groups[group]
		if c == nil {
			o.forget()
			c = &onlineCount{ready: make(chan struct{})}
			o.groups[group] = c
		}
		mine := !c.counts && !time.Now().Before(c.until)
		c.counts = c.counts || mine
		o.mu.Unlock()
		if mine {
			return o.renew(ctx, group, c, count)
		}
		select {
		case <-c.ready:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		o.mu.Lock()
		n, counted := c.n, !c.until.IsZero()
		o.mu.Unlock()
		if counted {
			return n, nil
		}
	}
}

func (o *onlineCounts) renew(ctx context.Context, group string, c *onlineCount,
	count func(context.Context) (int, error)) (n int, err error) {
	begin := time.Now()
	select {
	case o.walks <- struct{}{}:
		begin = time.Now()
		n, err = count(ctx)
		<-o.walks
	case <-ctx.Done():
		err = ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	c.counts = false
	if err != nil { // waiting requests count themselves
		if c.until.IsZero() {
			delete(o.groups, group)
			close(c.ready)
		}
		return 0, err
	}
	if c.until.IsZero() {
		defer close(c.ready)
	}
	c.n, c.until = n, time.Now().Add(max(onlineKept, onlineShare*time.Since(begin)))
	return n, nil
}

// forget evicts expired counts when there are many. The lock must be held.
func (o *onlineCounts) forget() {
	if len(o.groups) < onlineMost {
		return
	}
	for id, c := range o.groups {
		if !c.counts && time.Now().After(c.until) {
			delete(o.groups, id)
		}
	}
}

// OnlineCount returns the number of members with a connected device; it may be some seconds old.
func (g *Groups) OnlineCount(ctx context.Context, by rpc.Caller,
	req protocol.GroupRequest) (protocol.OnlineCountResponse, error) {
	if _, err := g.visible(ctx, by, req.GroupID); err != nil {
		return protocol.OnlineCountResponse{}, err
	}
	n, err := g.online.get(ctx, req.GroupID,
		func(ctx context.Context) (int, error) { return g.countOnline(ctx, req.GroupID) })
	return protocol.OnlineCountResponse{Online: n}, err
}

// countOnline counts the online members of a group, a page at a time.
func (g *Groups) countOnline(ctx context.Context, group string) (online int, err error) {
	for after := ""; ; {
		list, err := g.store.Members(ctx, group, after, rpc.MaxPage)
		if err != nil {
			return 0, im.Internal(err)
		}
		users := make([]string, len(list))
		for i, m := range list {
			users[i], after = m.UserID, m.UserID
		}
		for _, n := range g.presence.Devices(users...) {
			if n > 0 {
				online++
			}
		}
		if len(list) < rpc.MaxPage {
			return online, nil
		}
	}
}
