package group

import (
	"context"
	"sync"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/protocol"
)

// onlineCounts keeps how many members of groups are online: a group's members are walked through at most every
// onlineKept, whoever asks and how often.
type onlineCounts struct {
	walks chan struct{} // whoever walks holds one of these

	mu     sync.Mutex
	groups map[string]*onlineCount
}

type onlineCount struct {
	ready  chan struct{} // closed when there is a first count
	n      int
	until  time.Time // when it is to be counted again
	counts bool      // somebody does
}

const (
	onlineKept  = 5 * time.Second
	onlineShare = 20    // a count is kept for so many times as long as it took
	onlineMost  = 10000 // counts that are kept; more are forgotten when they are old
	onlineWalks = 2     // walks at once
)

func newOnlineCounts() *onlineCounts {
	return &onlineCounts{walks: make(chan struct{}, onlineWalks), groups: map[string]*onlineCount{}}
}

// get returns the count of a group; count makes it. Who asks while it is made anew gets the one before.
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
	if err != nil { // whoever waits tries by themselves
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

// forget drops counts that are old when there are many. The lock must be held.
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

// OnlineCount counts the members who have a connected device; the figure may be some seconds old.
func (g *Groups) OnlineCount(ctx context.Context, by rpc.Caller,
	req protocol.GroupRequest) (protocol.OnlineCountResponse, error) {
	if _, err := g.visible(ctx, by, req.GroupID); err != nil {
		return protocol.OnlineCountResponse{}, err
	}
	n, err := g.online.get(ctx, req.GroupID,
		func(ctx context.Context) (int, error) { return g.countOnline(ctx, req.GroupID) })
	return protocol.OnlineCountResponse{Online: n}, err
}

// countOnline walks through the members of a group.
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
